"""The catalogue of tasks is read strictly: a wrong cell is refused by column and task."""

import shutil
from pathlib import Path

import pytest
from seed_rows import SEEDS, add, drop, rows, spoil, write

from ml.strict import InputError
from ml.tasks import read_concept_sets, read_tasks

FILES = ("tasks.csv", "criteria.csv", "concept_sets.csv", "left_out.csv")


@pytest.fixture
def seeds(tmp_path) -> Path:
    """A copy of the seeds that a test may spoil."""
    shutil.copytree(SEEDS, tmp_path / "seeds")
    return tmp_path / "seeds"


def test_the_catalogue_of_the_repository_is_read_whole():
    tasks = read_tasks(SEEDS)
    assert list(tasks) == [row["task"] for row in rows(SEEDS / "tasks.csv")]
    assert len(tasks) >= 16
    assert sum(len(task.criteria) for task in tasks.values()) == len(rows(SEEDS / "criteria.csv"))
    assert sum(len(task.left_out) for task in tasks.values()) == len(rows(SEEDS / "left_out.csv"))
    assert sum(map(len, read_concept_sets(SEEDS).values())) == len(rows(SEEDS / "concept_sets.csv"))


def test_every_cell_of_the_repository_is_read_as_it_stands():
    """Field by field against the CSV's own text: numbers as numbers, empty as None."""
    looked = 0
    tasks = read_tasks(SEEDS)
    for row in rows(SEEDS / "tasks.csv"):
        for field, cell in row.items():
            value = getattr(tasks[row["task"]], field)
            assert ("" if value is None else str(value)) == cell, (row["task"], field)
            looked += 1
    criteria = {(c.task, c.order): c for task in tasks.values() for c in task.criteria}
    for row in rows(SEEDS / "criteria.csv"):
        criterion = criteria[row["task"], int(row["order"])]
        for field, cell in row.items():
            value = getattr(criterion, field)
            same = value == float(cell) if field == "value_threshold" and cell else str(value or cell) == cell
            assert same or (value == 0 and cell == "0"), (row["task"], row["order"], field)
            assert (value is None) == (cell == "")
            looked += 1
    assert looked > 1000


def test_the_demo_tasks_are_what_the_methods_say():
    tasks = read_tasks(SEEDS)
    heart, pancreas = tasks["dhf_1y"], tasks["paca_1y"]
    for task, age in ((heart, 18), (pancreas, 45)):
        assert (task.age_min, task.age_max, task.prior_observation_days) == (age, None, 365)
        assert (task.tar_start_days, task.tar_end_days, task.washout_days) == (1, 365, None)
        assert (task.death_policy, task.follow_up_policy) == ("negative", "null_label")
        assert (task.oracle, task.design, task.outcome_in_history) == ("closed_form", "prospective", "forbid")
    assert heart.outcome_concept_sets == ("heart_failure",)
    assert pancreas.outcome_concept_sets == ("pancreatic_cancer",)
    assert [row.concept_set for row in pancreas.rows("entry")] == [
        "new_onset_diabetes",
        "abnormal_weight_loss",
        "acute_pancreatitis",
        "upper_abdominal_pain",
    ]
    assert [row.concept_set for row in pancreas.rows("forbid")] == ["cancer"]


def test_the_bleeding_task_asks_no_age_and_no_history():
    task = read_tasks(SEEDS)["gi_bleed_1y"]
    assert (task.age_min, task.age_max, task.prior_observation_days) == (None, None, 0)
    assert {row.domain for row in task.rows("entry")} == {"Drug"}


def test_what_follows_from_the_rows_of_a_task():
    tasks = read_tasks(SEEDS)
    flowchart, death = tasks["dhf_medbert"], tasks["mortality_1y"]
    assert flowchart.looks_ahead
    assert "lost_is_not_negative" in flowchart.broken_checks
    assert flowchart.confirmation_days == 36500
    assert (death.death_is_outcome, death.outcome_concept_sets, death.concept_sets) == (True, (), ())
    assert death.confirmation_days == 0
    # the set of a value counts as well
    assert tasks["readmission_30d"].concept_sets == ("inpatient_visit", "transfer_to_hospital")


def test_criteria_come_in_their_order(seeds):
    table = rows(seeds / "criteria.csv")
    write(seeds / "criteria.csv", table[::-1])
    assert read_tasks(seeds) == read_tasks(SEEDS)


DHF = {"task": "dhf_1y"}
ENTRY = {"task": "dhf_1y", "order": "1"}
VALUE = {"task": "anaemia", "order": "2"}
MEMBER = {"concept_set": "heart_failure", "concept_id": "316139"}
WRONG = {
    "an age in words": ("tasks.csv", DHF, {"age_min": "adult"}, ["'adult'", "`age_min`", "whole number"]),
    "half an age": ("tasks.csv", DHF, {"age_min": "17.5"}, ["'17.5'", "`age_min`", "whole number"]),
    "an age with a separator": ("tasks.csv", DHF, {"age_min": "1_8"}, ["'1_8'", "`age_min`"]),
    "no title": ("tasks.csv", DHF, {"title": ""}, ["`title`", "dhf_1y"]),
    "a blank after a word": ("tasks.csv", DHF, {"anchor": "event "}, ["'event '", "`anchor`", "dhf_1y"]),
    "a task that stands twice": ("tasks.csv", DHF, {"task": "mortality_1y"}, ["`mortality_1y`"]),
    "an unknown role": ("criteria.csv", ENTRY, {"role": "enter"}, ["'enter'", "`role`", "entry", "confirm"]),
    "an unknown domain": ("criteria.csv", ENTRY, {"domain": "Device"}, ["'Device'", "`domain`", "Visit end"]),
    "an order in words": ("criteria.csv", ENTRY, {"order": "first"}, ["'first'", "`order`", "dhf_1y"]),
    "an unknown concept set": (
        "criteria.csv",
        ENTRY,
        {"concept_set": "type_two_diabetes"},
        ["`type_two_diabetes`", "dhf_1y", "did you mean `type_2_diabetes`"],
    ),
    "an unknown set of values": (
        "criteria.csv",
        {"task": "readmission_30d", "order": "2"},
        {"value_concept_set": "transfer"},
        ["`transfer`", "readmission_30d"],
    ),
    "a count that is no number": ("criteria.csv", ENTRY, {"min_count": "two"}, ["'two'", "`min_count`"]),
    "a threshold in words": (
        "criteria.csv",
        VALUE,
        {"value_threshold": "low"},
        ["'low'", "`value_threshold`"],
    ),
    "a threshold that is no number": (
        "criteria.csv",
        VALUE,
        {"value_threshold": "nan"},
        ["'nan'", "`value_threshold`", "anaemia"],
    ),
    "an unknown operator": (
        "criteria.csv",
        VALUE,
        {"value_operator": "="},
        ["'='", "`value_operator`", "<="],
    ),
    "no description": ("criteria.csv", ENTRY, {"description": ""}, ["`description`", "dhf_1y"]),
    "a concept id in words": ("concept_sets.csv", MEMBER, {"concept_id": "HF"}, ["'HF'", "`concept_id`"]),
    "the concept of nothing": (
        "concept_sets.csv",
        MEMBER,
        {"concept_id": "0"},
        ["`concept_id`", "1 or more"],
    ),
    "yes for true": (
        "concept_sets.csv",
        MEMBER,
        {"is_excluded": "yes"},
        ["'yes'", "`is_excluded`", "false, true"],
    ),
    "no name": ("concept_sets.csv", MEMBER, {"concept_name": ""}, ["`concept_name`", "concept_sets.csv"]),
    "a concept twice": (
        "concept_sets.csv",
        MEMBER,
        {"concept_id": "319835"},
        ["319835", "twice", "`heart_failure`"],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_cell_is_refused_by_name(seeds, case):
    file, where, cells, said = WRONG[case]
    spoil(seeds, file, where, cells)
    with pytest.raises(InputError) as refused:
        read_tasks(seeds)
    for words in said:
        assert words in str(refused.value)


@pytest.mark.parametrize("file", FILES)
def test_an_unknown_column_is_refused(seeds, file):
    table = [{**row, "colour": "blue"} for row in rows(seeds / file)]
    write(seeds / file, table)
    with pytest.raises(InputError, match="Unknown key `colour`") as refused:
        read_tasks(seeds)
    assert file in str(refused.value)


@pytest.mark.parametrize(
    ("file", "column"),
    [
        ("tasks.csv", "anchor"),
        ("criteria.csv", "role"),
        ("concept_sets.csv", "is_excluded"),
        ("left_out.csv", "reason"),
    ],
)
def test_a_missing_column_is_refused(seeds, file, column):
    table = [{key: cell for key, cell in row.items() if key != column} for row in rows(seeds / file)]
    write(seeds / file, table)
    with pytest.raises(InputError, match=f"`{column}`"):
        read_tasks(seeds)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("change", ["a cell too many", "a cell too few"])
def test_a_row_of_another_length_than_the_header_is_refused(seeds, file, change):
    lines = (seeds / file).read_text(encoding="utf-8").splitlines()
    lines[1] = lines[1] + ",blue" if change == "a cell too many" else lines[1].rpartition(",")[0]
    (seeds / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=file):
        read_tasks(seeds)


@pytest.mark.parametrize(
    ("file", "cells"),
    [
        ("criteria.csv", {"order": "1", "role": "entry", "domain": "Drug", "concept_set": "loop_diuretic",
                          "description": "a drug"}),
        ("left_out.csv", {"source_row": "a row", "reason": "a reason"}),
    ],
)  # fmt: skip
def test_a_row_of_an_unknown_task_is_refused_with_the_nearest_name(seeds, file, cells):
    add(seeds, file, {"task": "dhf_2y", **cells})
    with pytest.raises(InputError, match=f"Unknown task `dhf_2y` in {file}") as refused:
        read_tasks(seeds)
    assert "did you mean `dhf_1y`" in str(refused.value)
    assert "paca_1y" in str(refused.value)


def test_a_concept_set_that_a_criterion_needs_may_not_be_missing(seeds):
    drop(seeds, "concept_sets.csv", {"concept_set": "heart_failure"})
    with pytest.raises(InputError, match="Unknown concept set `heart_failure`"):
        read_tasks(seeds)


def test_a_concept_set_that_only_takes_out_is_refused(seeds):
    for row in rows(seeds / "concept_sets.csv"):
        if row["concept_set"] == "heart_failure":
            where = {key: row[key] for key in ("concept_set", "concept_id")}
            spoil(seeds, "concept_sets.csv", where, {"is_excluded": "true"})
    with pytest.raises(InputError, match="`heart_failure`"):
        read_tasks(seeds)
