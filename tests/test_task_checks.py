"""The checks of a task follow from its fields: no false alarm, no silence, and a design's breaks listed."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted_faults import alive_non_case, input_of_the_index_day, of_task, outcome_in_the_input
from published_world import MEASURED, OUTCOME, TAR_DAYS, TASK, UNIT, Tables, make_world, write_world

from ml.inputs.examples import ExampleOptions, cut_examples
from ml.leakage.registry import CHECKS as LEAKAGE_CHECKS
from ml.strict import InputError
from ml.tasks import Criterion, Task, read_tasks
from orchestration.checking import concept_sets, run_task_checks
from orchestration.task_checks import TASK_CHECKS, checks_of, left_out_checks, require_known_breaks

SEEDS = Path(__file__).resolve().parent.parent / "dbt_project" / "seeds"
NAMES = [check.name for check in TASK_CHECKS]


@pytest.fixture
def tables() -> Tables:
    return make_world(1, 150)


def found(folder: Path, tables: Tables, task: Task) -> dict[str, int]:
    """What each check found that found anything."""
    published = write_world(folder / "published", tables)
    cut_examples(published, task.task, folder / "examples", ExampleOptions(None, 1))
    rows = run_task_checks(published, folder / "examples", task)
    return {row["name"]: row["found"] for row in rows if row["found"]}


def known_on(tables: Tables, days: int) -> None:
    """Make the last input event of one example known `days` after its index day."""
    input_of_the_index_day(tables)
    given, cohort, events = (tables[name] for name in ("example_input", "cohort", "clinical_event"))
    row = next(n for n in of_task(tables, "example_input") if given.loc[n, "n_events"] > 0)
    person, number = given.loc[row, ["person_id", "last_event_no"]]
    index = cohort.set_index("example_id").loc[given.loc[row, "example_id"], "index_date"]
    last = (events["person_id"] == person) & (events["event_no"] == number)
    events.loc[last, "available_date"] = index + timedelta(days=days)


@pytest.mark.parametrize(
    ("policy", "days", "wrong"), [("exclude", 0, 1), ("include", 0, 0), ("include", 1, 1), ("exclude", -1, 0)]
)
def test_the_index_day_is_input_where_the_task_says_so(tmp_path, tables, policy, days, wrong):
    known_on(tables, days)
    task = replace(TASK, index_day_input=policy)
    assert found(tmp_path, tables, task).get("no_input_after_the_index", 0) == wrong


def test_an_outcome_in_the_input_is_allowed_where_it_may_recur(tmp_path, tables):
    outcome_in_the_input(tables)
    assert "no_outcome_in_the_input" in found(tmp_path / "forbid", tables, TASK)
    recurrent = replace(TASK, outcome_in_history="allow")
    assert found(tmp_path / "allow", tables, recurrent) == {}
    assert "no_outcome_in_the_input" not in [check.name for check in checks_of(recurrent)]
    assert "allowed" in left_out_checks(recurrent)["no_outcome_in_the_input"]


def outcome_days_before(tables: Tables) -> list[int]:
    """How many days before the index each input event of `outcome_in_the_input` was dated."""
    given = tables["example_input"].merge(tables["cohort"][["example_id", "index_date"]], on="example_id")
    given = given[given["task"] == TASK.task]
    events = tables["clinical_event"]
    events = events[(events["concept_id"] == OUTCOME)]
    both = given.merge(events, on="person_id")
    both = both[both["event_no"].between(both["first_event_no"], both["last_event_no"])]
    return [(index - day).days for index, day in zip(both["index_date"], both["event_date"], strict=True)]


def test_an_outcome_before_the_washout_may_be_shown(tmp_path, tables):
    outcome_in_the_input(tables)
    days = outcome_days_before(tables)
    assert days
    for washout, expected in ((min(days) - 1, 0), (max(days), len(days))):
        task = replace(TASK, washout_days=washout)
        wrong = found(tmp_path / str(washout), tables, task)
        assert wrong.get("no_outcome_in_the_input", 0) == expected


def with_outcome(**fields) -> Task:
    row = Criterion(TASK.task, 2, "outcome", "Measurement", "a value", concept_set="outcome", **fields)
    return replace(TASK, criteria=(TASK.criteria[0], row), unmeasured_policy="null_label")


@pytest.mark.parametrize("operator", [">", ">=", "<", "<="])
def test_a_value_outcome_in_the_input_is_one_beyond_the_threshold_in_its_unit(tmp_path, tables, operator):
    tables["concept_set_member"].loc[1, "concept_id"] = MEASURED[0]
    events = tables["clinical_event"]
    events["value_as_number"] = events["value_as_number"].where(events.index % 5 > 0, np.nan)
    task = with_outcome(value_operator=operator, value_threshold=7.0, unit_concept_id=UNIT)
    chosen = events[(events["concept_id"] == MEASURED[0]) & (events["unit_concept_id"] == UNIT)]
    value = chosen["value_as_number"].astype(float)
    beyond = {">": value > 7, ">=": value >= 7, "<": value < 7, "<=": value <= 7}[operator]
    expected = 0
    for _, given in tables["example_input"][tables["example_input"]["task"] == TASK.task].iterrows():
        if given["n_events"]:
            own = chosen[beyond & (chosen["person_id"] == given["person_id"])]
            expected += int(own["event_no"].between(given["first_event_no"], given["last_event_no"]).sum())
    assert expected > 3
    assert found(tmp_path, tables, task)["no_outcome_in_the_input"] == expected


def test_the_time_at_risk_may_end_with_the_visit(tmp_path, tables):
    label = tables["label"]
    label["tar_end_date"] = [
        outcome if pd.notna(outcome) else index + timedelta(days=1 + n % 9)
        for n, (outcome, index) in enumerate(zip(label["outcome_date"], label["index_date"], strict=True))
    ]
    task = replace(TASK, tar_end="visit_end", tar_end_days=None)
    assert found(tmp_path / "visit", tables, task) == {}
    label.loc[of_task(tables, "label", 1)[0], "tar_end_date"] -= timedelta(days=1)
    assert found(tmp_path / "late", tables, task) == {"case_means_outcome_in_time_at_risk": 1}


def test_a_case_seen_after_the_loss_is_one_where_cases_are_kept(tmp_path, tables):
    label = tables["label"]
    case = of_task(tables, "label", 1)[0]
    label.loc[case, "follow_up_end_date"] = label.loc[case, "outcome_date"] - timedelta(days=1)
    assert found(tmp_path / "null", tables, TASK) == {"case_was_followed_to_its_outcome": 1}
    assert found(tmp_path / "kept", tables, replace(TASK, follow_up_policy="keep_cases")) == {}


@pytest.mark.parametrize(("days", "wrong"), [(TAR_DAYS + 29, 1), (TAR_DAYS + 30, 0)])
def test_the_confirmation_window_is_follow_up_of_a_non_case(tmp_path, tables, days, wrong):
    confirm = Criterion(
        TASK.task, 3, "confirm", "Condition", "once more", concept_set="outcome", min_count=1,
        window_start_days=1, window_end_days=30,
    )  # fmt: skip
    task = replace(TASK, criteria=(*TASK.criteria, confirm), unconfirmed_policy="negative")
    label = tables["label"]
    alive = alive_non_case(tables)
    label.loc[alive, "follow_up_end_date"] = label.loc[alive, "index_date"] + timedelta(days=days)
    assert found(tmp_path, tables, task).get("lost_is_not_negative", 0) == wrong


def test_a_death_after_the_period_excuses_no_loss(tmp_path, tables):
    label, cohort, events = tables["label"], tables["cohort"], tables["clinical_event"]
    deaths = events[events["source_table"] == "death"].set_index("person_id")["event_date"]
    dead = next(n for n in of_task(tables, "label", 0) if label.loc[n, "person_id"] in deaths.index)
    end = deaths[label.loc[dead, "person_id"]] - timedelta(days=1)
    label.loc[dead, "follow_up_end_date"] = end
    row = cohort.index[cohort["example_id"] == label.loc[dead, "example_id"]]
    cohort.loc[row, "observation_period_end_date"] = end
    assert found(tmp_path, tables, TASK) == {"lost_is_not_negative": 1}


def test_a_death_in_the_time_at_risk_is_no_negative_where_it_counts(tmp_path, tables):
    events, label = tables["clinical_event"], tables["label"]
    died = set(events.loc[events["source_table"] == "death", "person_id"])
    dead = [n for n in of_task(tables, "label", 0) if label.loc[n, "person_id"] in died]
    assert len(dead) > 3
    assert found(tmp_path / "negative", tables, TASK) == {}
    null = replace(TASK, death_policy="null_label")
    assert found(tmp_path / "null", tables, null) == {"no_non_case_died_in_the_time_at_risk": len(dead)}
    death = replace(
        TASK,
        death_policy=None,
        outcome_in_history=None,
        criteria=(TASK.criteria[0], Criterion(TASK.task, 2, "outcome", "Death", "death")),
    )
    assert found(tmp_path / "death", tables, death) == {"no_non_case_died_in_the_time_at_risk": len(dead)}
    label.loc[dead, "y_true"] = 1
    for n in dead:
        deaths = events[
            (events["source_table"] == "death") & (events["person_id"] == label.loc[n, "person_id"])
        ]
        label.loc[n, "outcome_date"] = deaths["event_date"].iloc[0]
    assert found(tmp_path / "cases", tables, death) == {}


def moved(tables: Tables) -> None:
    """The index of every case lies on its outcome's day, its time-at-risk where it was."""
    label, cohort = tables["label"], tables["cohort"].set_index("example_id")
    for n in of_task(tables, "label", 1):
        example = label.loc[n, "example_id"]
        cohort.loc[example, "index_date"] = label.loc[n, "outcome_date"]
        label.loc[n, "index_date"] = label.loc[n, "outcome_date"]
    tables["cohort"] = cohort.reset_index()[list(tables["cohort"])]


def test_what_a_reproduction_breaks_by_design_warns_and_the_rest_still_blocks(tmp_path, tables):
    moved(tables)
    broken = "case_means_outcome_in_time_at_risk"
    assert set(found(tmp_path / "one", tables, TASK)) == {broken}
    design = replace(TASK, design="reproduction", breaks=f"{broken} lost_is_not_negative")
    assert set(found(tmp_path / "two", tables, design)) == {broken}
    severities = {check.name: check.severity for check in checks_of(design)}
    assert severities[broken] == severities["lost_is_not_negative"] == "warn"
    assert severities["no_input_after_the_index"] == "block"
    described = next(check.description for check in checks_of(design) if check.name == broken)
    assert described.endswith("The design of this task breaks it: it is listed and does not block.")


def test_a_name_in_breaks_that_is_no_check_is_refused(tables):
    wrong = replace(TASK, design="reproduction", breaks="lost_is_negative")
    with pytest.raises(InputError, match="Unknown check `lost_is_negative` in `breaks`") as refused:
        require_known_breaks([TASK, wrong])
    assert "did you mean `lost_is_not_negative`" in str(refused.value)
    assert "first_1y" in str(refused.value)


def test_every_check_applies_to_a_task_of_the_catalogue_or_says_why_not():
    tasks = read_tasks(SEEDS)
    require_known_breaks(tasks.values())
    for task in tasks.values():
        applied, left_out = [check.name for check in checks_of(task)], left_out_checks(task)
        assert sorted([*applied, *left_out]) == sorted(NAMES)
        assert all(left_out.values())
        assert set(task.broken_checks) <= {*applied, *(check.name for check in LEAKAGE_CHECKS)}
    assert {name for task in tasks.values() for name in left_out_checks(task)} == {
        "concept_sets_are_known",
        "descendants_of_concepts_are_known",
        "no_outcome_in_the_input",
        "case_was_followed_to_its_outcome",
        "no_non_case_died_in_the_time_at_risk",
    }


def test_the_resolved_sets_of_a_task_are_listed_with_size_and_hash(tmp_path, tables):
    published = write_world(tmp_path, tables)
    rows = concept_sets(published, TASK)
    assert [row["concept_set"] for row in rows] == ["entry", "outcome"]
    assert all(len(row["sha256"]) == 64 and row["n_members"] == 1 for row in rows)
