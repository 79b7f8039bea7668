"""The structural checks of leakage: none on a clean site, and each on the fault that it is there for."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from published_world import OUTCOME, TAR_DAYS, Tables

from leakage.small_site import (
    ARM,
    BELOW_OUTCOME,
    COUNTS,
    TASK,
    TEXT,
    VISIT,
    add_events,
    edit,
    event_of,
    number,
    small_tables,
    write_site,
    write_views,
)
from ml.inputs.examples import ExampleOptions, cut_examples
from ml.leakage.cohort import cohort, labels
from ml.leakage.fits import fitting
from ml.leakage.inputs import lineage
from ml.leakage.record import arrival
from ml.leakage.rows import LeakRow
from ml.leakage.shown import open_shown
from ml.leakage.splits import independence
from ml.task_definition import Task

CHECKS = {
    check.name: check
    for module in (lineage, labels, cohort, independence, fitting)
    for check in module.CHECKS
}  # fmt: skip


def look(root: Path, name: str, task: Task = TASK) -> LeakRow:
    with open_shown(root, task, seeds=root / "seeds") as shown:
        return CHECKS[name].run(shown)


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return write_site(tmp_path_factory.mktemp("site") / "clean", small_tables())


@pytest.fixture
def tables() -> Tables:
    return small_tables()


@pytest.mark.parametrize("name", CHECKS)
def test_a_clean_site_passes(clean, name):
    row = look(clean, name)
    assert (row.found, row.severity) == (0, "block")
    assert row.looked_at > 0 and row.cannot_see


def of_class(tables: Tables, y_true: int | None) -> pd.Series:
    """The first example with this label, as a row of the cohort; one with events before its index."""
    label, given = tables["label"], tables["example_input"].set_index("example_id")
    known = label["y_true"].isna() if y_true is None else label["y_true"] == y_true
    shown = label["example_id"].map(given["n_events"]) > 2
    example = label.loc[known.fillna(False) & shown, "example_id"].iloc[0]
    return tables["cohort"].set_index("example_id", drop=False).loc[example]


def window_too_wide(tables: Tables) -> None:
    one, given, events = of_class(tables, 0), tables["example_input"], tables["clinical_event"]
    last = events.loc[events["person_id"] == one["person_id"], "event_no"].max()
    row = given["example_id"] == one["example_id"]
    given.loc[row, ["last_event_no", "n_events"]] = [last, last]


def of_the_index_day(tables: Tables) -> None:
    one = of_class(tables, 0)
    before = one["index_date"] - timedelta(days=1)
    add_events(tables, event_of(tables, one["person_id"], one["index_date"], available_date=before))


def bill_of_an_open_stay(tables: Tables) -> None:
    """A stay over the index, and a diagnosis of it that claims to have been known when it was made."""
    one = of_class(tables, 0)
    start, end = (one["index_date"] + timedelta(days=days) for days in (-4, 3))
    stay = {"visit_occurrence_id": 7, "concept_id": VISIT, "source_table": "visit_occurrence"}
    for domain, day in (("Visit", start), ("Visit end", end)):
        add_events(tables, event_of(tables, one["person_id"], day, domain=domain, **stay))
    add_events(tables, event_of(tables, one["person_id"], start, visit_occurrence_id=7))


def disposition_at_the_start(tables: Tables) -> None:
    one = of_class(tables, 0)
    visit = {"domain": "Visit", "concept_id": VISIT, "source_table": "visit_occurrence"}
    day = one["index_date"] - timedelta(days=4)
    add_events(tables, event_of(tables, one["person_id"], day, value_as_concept_id=4161979, **visit))


def era_as_an_input(tables: Tables) -> None:
    one = of_class(tables, 0)
    day = one["index_date"] - timedelta(days=4)
    add_events(tables, event_of(tables, one["person_id"], day, domain="Drug", source_table="drug_era"))


def set_without_descendants(tables: Tables) -> None:
    members = tables["concept_set_member"]
    tables["concept_set_member"] = members[members["concept_id"] != BELOW_OUTCOME]


def outcome_of(tables: Tables, y_true: int | None, days: int, known_after: int = 0) -> None:
    one = of_class(tables, y_true)
    day = one["index_date"] + timedelta(days=days)
    known = day + timedelta(days=known_after)
    add_events(tables, event_of(tables, one["person_id"], day, concept_id=OUTCOME, available_date=known))


def prevalent_case(tables: Tables) -> None:
    outcome_of(tables, 1, -30, known_after=60)


def non_case_with_an_outcome(tables: Tables) -> None:
    outcome_of(tables, 0, TAR_DAYS)


def lost_with_an_outcome(tables: Tables) -> None:
    outcome_of(tables, None, 20)


def case_with_an_earlier_outcome(tables: Tables) -> None:
    outcome_of(tables, 1, 1)


def case_without_an_event(tables: Tables) -> None:
    """The column that says when still does."""
    one, events = of_class(tables, 1), tables["clinical_event"]
    mine = (events["person_id"] == one["person_id"]) & (events["concept_id"] == OUTCOME)
    tables["clinical_event"] = events[~mine]
    number(tables)


def case_after_death(tables: Tables) -> None:
    one = of_class(tables, 1)
    day = one["index_date"] + timedelta(days=100)
    death = {"domain": "Death", "concept_id": 0, "source_table": "death"}
    add_events(tables, event_of(tables, one["person_id"], day, **death))


def entry_known_later(tables: Tables) -> None:
    events, one = tables["clinical_event"], of_class(tables, 0)
    events.loc[events["event_id"] == one["entry_event_id"], "available_date"] += timedelta(days=9)
    number(tables)


def only_who_came_back(tables: Tables) -> None:
    """The cohort asks for an event after the index."""
    events = tables["clinical_event"].merge(tables["cohort"][["person_id", "index_date"]], on="person_id")
    later = events.loc[events["event_date"] > events["index_date"] + timedelta(days=240), "person_id"]
    assert 0 < tables["cohort"]["person_id"].isin(later).sum() < len(tables["cohort"])
    for name in ("cohort", "label", "example_input"):
        tables[name] = tables[name][tables[name]["person_id"].isin(later)]


def data_end_too_early(tables: Tables) -> None:
    day = tables["cohort"]["index_date"].min() + timedelta(days=TAR_DAYS)
    tables["study_period"][["data_end", "last_tar_end_date"]] = day


TABLE_FAULTS = [
    (window_too_wide, "no_input_dated_after_the_index"),
    (window_too_wide, "input_is_all_that_was_known"),
    (window_too_wide, "inputs_are_made_of_the_past_alone"),
    (of_the_index_day, "no_input_dated_after_the_index"),
    (bill_of_an_open_stay, "no_input_final_after_the_index"),
    (bill_of_an_open_stay, "inputs_are_made_of_the_past_alone"),
    (disposition_at_the_start, "no_visit_shows_its_end"),
    (era_as_an_input, "inputs_come_from_raw_records"),
    (set_without_descendants, "outcome_concepts_can_be_recomputed"),
    (prevalent_case, "no_labelled_example_had_the_outcome_before"),
    (non_case_with_an_outcome, "label_is_found_in_the_record"),
    (lost_with_an_outcome, "label_is_found_in_the_record"),
    (case_with_an_earlier_outcome, "label_is_found_in_the_record"),
    (case_without_an_event, "label_is_found_in_the_record"),
    (case_after_death, "label_is_found_in_the_record"),
    (entry_known_later, "index_is_the_day_its_entry_was_known"),
    (entry_known_later, "cohort_is_found_in_the_record"),
    (only_who_came_back, "cohort_is_found_in_the_record"),
    (data_end_too_early, "time_at_risk_is_over_by_the_end_of_the_data"),
]


@pytest.mark.parametrize(("fault", "name"), TABLE_FAULTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_fault_of_the_snapshot_is_found(tmp_path, tables, fault, name):
    fault(tables)
    reads_views = name == "inputs_are_made_of_the_past_alone"
    row = look(write_site(tmp_path / "site", tables, with_views=reads_views), name)
    assert row.found > 0
    assert row.severity == "block"


@pytest.mark.parametrize(("days", "found"), [(-30, 25), (400, 0)])
def test_rows_that_a_refresh_brings_of_closed_days_are_late(clean, tmp_path, tables, days, found):
    with open_shown(clean, TASK, seeds=clean / "seeds") as shown:
        assert arrival.CHECKS[0].run(shown).looked_at == 0
    end = tables["study_period"]["data_end"].iloc[0]
    for person in tables["person"]["person_id"].head(25):
        add_events(tables, event_of(tables, person, end + timedelta(days=days)))
    root = write_site(tmp_path / "site", tables, with_views=False)
    shutil.copytree(clean / "published", root / "snapshots" / "before")
    with open_shown(root, TASK, seeds=root / "seeds") as shown:
        row = arrival.CHECKS[0].run(shown)
    assert (row.looked_at, row.found, row.severity) == (25, found, "warn")


@pytest.mark.parametrize(("taken", "found"), [(3, 0), (30, 30)])
def test_rows_stay_in_the_record(clean, tmp_path, tables, taken, found):
    root = write_site(tmp_path / "site", tables, with_views=False)
    before = tables["clinical_event"]
    (code,) = before.loc[before["concept_id"] > 0, "concept_id"].mode()[:1]
    assert (before["concept_id"] == code).sum() > 200
    gone = before.index[before["concept_id"] == code][:taken]
    with open_shown(root, TASK, seeds=root / "seeds") as shown:
        assert arrival.CHECKS[1].run(shown).looked_at == 0
    shutil.copytree(clean / "published", root / "snapshots" / "before")
    edit(root / "published" / "clinical_event.parquet", lambda frame: frame.drop(index=gone))
    with open_shown(root, TASK, seeds=root / "seeds") as shown:
        row = arrival.CHECKS[1].run(shown)
    assert (row.looked_at > taken, row.found, row.severity) == (True, found, "warn")


@pytest.mark.parametrize("moves", [False, True])
def test_a_person_keeps_the_split_of_the_snapshot_before(clean, tmp_path, tables, moves):
    root = write_site(tmp_path / "site", tables, with_views=False)
    before = root / "snapshots" / "before"
    shutil.copytree(clean / "published", before)
    if moves:
        other = {"train": "held_out", "held_out": "train", "tuning": "tuning"}
        edit(before / "split.parquet", lambda frame: frame.assign(split=frame["split"].map(other)))
    with open_shown(root, TASK, seeds=root / "seeds") as shown:
        row = independence.CHECKS[0].run(shown)
        (moved,) = shown.row("select count(*) from example where split <> 'tuning'")
    assert (row.looked_at > moved > 0, row.found) == (True, moved if moves else 0)


def named_after_the_future(root: Path) -> None:
    path = root / "tasks" / TASK.task / COUNTS / "column.parquet"
    edit(path, lambda frame: frame.assign(feature=["days_to_period_end", *frame["feature"][1:]]))


def words_of_the_future(root: Path) -> None:
    path = root / "tasks" / TASK.task / TEXT / "text.parquet"
    table = pd.read_parquet(path, columns=["example_id", "text"])
    edit(path, lambda frame: table.assign(text=table["text"] + " Seen again."))


def sums_over_the_whole_record(root: Path) -> None:
    """Views made of a cut that knows no index; the cut beside them is right."""
    below = root / "tasks" / TASK.task
    path = root / "published" / "example_input.parquet"
    right = pd.read_parquet(path)
    last = (
        pd.read_parquet(root / "published" / "clinical_event.parquet").groupby("person_id")["event_no"].max()
    )
    edit(path, lambda frame: frame.assign(last_event_no=last.reindex(frame["person_id"]).to_numpy()))
    cut_examples(root / "published", TASK.task, below / "whole", ExampleOptions(None, 1))
    write_views(below / "whole", below)
    right.to_parquet(path, index=False)


def input_left_out(root: Path) -> None:
    edit(root / "tasks" / TASK.task / "examples" / "event.parquet", lambda frame: frame.iloc[1:])


def another_split(root: Path) -> None:
    path = root / "tasks" / TASK.task / "examples" / "example.parquet"
    edit(path, lambda frame: frame.assign(split=frame["split"].to_numpy()[::-1]))


def age_at_the_end(root: Path) -> None:
    path = root / "tasks" / TASK.task / "examples" / "example.parquet"
    edit(path, lambda frame: frame.assign(age=[frame["age"][0] + 1, *frame["age"][1:]]))


def another_label(root: Path) -> None:
    path = root / "tasks" / TASK.task / "examples" / "example.parquet"
    edit(path, lambda frame: frame.assign(y_true=1 - frame["y_true"]))


def fitted_on_tuning_as_well(root: Path) -> None:
    below = root / "tasks" / TASK.task
    path = below / "examples" / "example.parquet"
    right = pd.read_parquet(path)
    edit(path, lambda frame: frame.assign(split=frame["split"].replace("tuning", "train")))
    write_views(below / "examples", below)
    right.to_parquet(path, index=False)


def read_from_held_out(purpose: str):
    def fault(root: Path) -> None:
        split = pd.read_parquet(root / "published" / "split.parquet")
        one = split.loc[split["split"] == "held_out", "person_id"].iloc[0]
        path = root / "fitted" / TASK.task / ARM / "fit_log.parquet"
        more = pd.DataFrame({"person_id": [one], "purpose": purpose, "run": "seed1"})
        edit(path, lambda frame: pd.concat([frame, more], ignore_index=True))

    fault.__name__ = f"held_out_to_{purpose}"
    return fault


def scores(change, name: str):
    def fault(root: Path) -> None:
        edit(root / "predictions" / TASK.task / f"{ARM}.parquet", change)

    fault.__name__ = name
    return fault


STORED_FAULTS = [
    (named_after_the_future, "no_column_of_the_future"),
    (words_of_the_future, "inputs_are_made_of_the_past_alone"),
    (sums_over_the_whole_record, "inputs_are_made_of_the_past_alone"),
    (input_left_out, "input_is_all_that_was_known"),
    (another_split, "examples_are_as_published"),
    (age_at_the_end, "age_and_sex_are_those_of_the_index"),
    (another_label, "examples_are_as_published"),
    (fitted_on_tuning_as_well, "views_are_fitted_on_train"),
    (read_from_held_out("fit"), "arms_are_fitted_on_train_and_chosen_on_tuning"),
    (read_from_held_out("select"), "arms_are_fitted_on_train_and_chosen_on_tuning"),
    (read_from_held_out("guess"), "arms_are_fitted_on_train_and_chosen_on_tuning"),
    *(
        (scores(change, name), "scores_are_of_these_examples")
        for name, change in {
            "no_held_out": lambda frame: frame[frame["split"] != "held_out"],
            "one_twice": lambda frame: pd.concat([frame, frame.head(1)]),
            "other_labels": lambda frame: frame.assign(y_true=1 - frame["y_true"]),
            "of_another_snapshot": lambda frame: frame.assign(example_id="0"),
        }.items()
    ),
]


@pytest.mark.parametrize(
    ("fault", "name"), STORED_FAULTS, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_fault_of_what_is_stored_is_found(clean, tmp_path, fault, name):
    root = shutil.copytree(clean, tmp_path / "site")
    fault(root)
    row = look(root, name)
    assert row.found > 0
    assert row.arms == ((ARM,) if CHECKS[name].stage == "scores" else ())


def test_a_design_that_breaks_a_check_by_name_has_it_listed(clean):
    broken = replace(TASK, design="reproduction", breaks="label_is_found_in_the_record")
    assert look(clean, "label_is_found_in_the_record", broken).severity == "warn"


def test_nothing_of_a_person_stands_in_a_row(tmp_path, tables):
    window_too_wide(tables)
    root = write_site(tmp_path / "site", tables)
    example = pd.read_parquet(root / "tasks" / TASK.task / "examples" / "example.parquet")
    secrets = {
        *example["example_id"],
        *map(str, example["person_id"]),
        *map(str, example["index_date"].dt.date),
    }
    for name in CHECKS:
        words = str(look(root, name).as_row())
        assert not any(secret in words for secret in secrets), name
    assert len(secrets) > len(np.unique(example["example_id"]))
