"""The catalogue of tasks is read strictly: a wrong cell is refused by column and task."""

import csv
import shutil
from pathlib import Path

import pytest

from ml.strict import InputError
from ml.tasks import read_tasks

SEEDS = Path(__file__).resolve().parent.parent / "dbt_project" / "seeds"


@pytest.fixture
def seeds(tmp_path) -> Path:
    """A copy of the seeds that a test may spoil."""
    shutil.copytree(SEEDS, tmp_path / "seeds")
    return tmp_path / "seeds"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, table: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


def spoil(seeds: Path, file: str, *, where: dict[str, str], **cells: str) -> None:
    """Change cells of the one row that `where` names."""
    table = rows(seeds / file)
    chosen = [row for row in table if all(row[key] == value for key, value in where.items())]
    assert len(chosen) == 1
    chosen[0].update(cells)
    write(seeds / file, table)


def test_the_catalogue_of_the_repository_is_read():
    tasks = read_tasks(SEEDS)
    assert list(tasks) == [row["task"] for row in rows(SEEDS / "tasks.csv")]
    assert {"dhf_1y", "paca_1y", "gi_bleed_1y"} <= set(tasks)
    assert sum(len(task.criteria) for task in tasks.values()) == len(rows(SEEDS / "criteria.csv"))


def test_the_demo_tasks_are_what_the_methods_say():
    tasks = read_tasks(SEEDS)
    heart, pancreas = tasks["dhf_1y"], tasks["paca_1y"]
    for task, age in ((heart, 18), (pancreas, 45)):
        assert (task.age_min, task.age_max, task.prior_observation_days) == (age, None, 365)
        assert (task.tar_start_days, task.tar_end_days, task.washout_days) == (1, 365, None)
        assert (task.death_policy, task.follow_up_policy) == ("negative", "null_label")
        assert (task.oracle, task.design) == ("closed_form", "prospective")
    assert heart.outcome_concept_sets == ("heart_failure",)
    assert pancreas.outcome_concept_sets == ("pancreatic_cancer",)
    entries = [row.concept_set for row in pancreas.criteria if row.role == "entry"]
    assert entries == [
        "new_onset_diabetes",
        "abnormal_weight_loss",
        "acute_pancreatitis",
        "upper_abdominal_pain",
    ]
    forbidden = {row.concept_set: row.max_count for row in pancreas.criteria if row.role == "forbid"}
    assert forbidden == {"cancer": 0}


def test_the_bleeding_task_asks_no_age_and_no_history():
    task = read_tasks(SEEDS)["gi_bleed_1y"]
    assert (task.age_min, task.age_max, task.prior_observation_days) == (None, None, 0)
    assert {row.domain for row in task.criteria if row.role == "entry"} == {"Drug"}


def test_criteria_come_in_their_order(seeds):
    table = rows(seeds / "criteria.csv")
    write(seeds / "criteria.csv", table[::-1])
    assert read_tasks(seeds) == read_tasks(SEEDS)


DHF = {"task": "dhf_1y"}
ENTRY = {"task": "dhf_1y", "order": "1"}
WRONG = {
    "an unknown anchor": ("tasks.csv", DHF, {"anchor": "discharge"}, ["'discharge'", "`anchor`", "event"]),
    "an unknown limit": ("tasks.csv", DHF, {"entry_limit": "last"}, ["'last'", "first_ever"]),
    "an unknown oracle": ("tasks.csv", DHF, {"oracle": "guess"}, ["'guess'", "closed_form", "none"]),
    "an unknown death policy": ("tasks.csv", DHF, {"death_policy": "drop"}, ["'drop'", "negative"]),
    "an unknown design": ("tasks.csv", DHF, {"design": "backwards"}, ["'backwards'", "prospective"]),
    "an age in words": ("tasks.csv", DHF, {"age_min": "adult"}, ["'adult'", "`age_min`", "whole number"]),
    "half an age": ("tasks.csv", DHF, {"age_min": "17.5"}, ["'17.5'", "`age_min`", "whole number"]),
    "no title": ("tasks.csv", DHF, {"title": ""}, ["`title`", "dhf_1y"]),
    "no end of the time-at-risk": ("tasks.csv", DHF, {"tar_end_days": ""}, ["`tar_end_days`"]),
    "a time-at-risk that ends before it starts": (
        "tasks.csv",
        DHF,
        {"tar_start_days": "366"},
        ["`tar_start_days`", "`tar_end_days`", "dhf_1y"],
    ),
    "a task that stands twice": ("tasks.csv", DHF, {"task": "paca_1y"}, ["`paca_1y`", "twice"]),
    "a criterion of no task": ("criteria.csv", ENTRY, {"task": "dhf_2y"}, ["`dhf_1y`", "`entry`"]),
    "an unknown role": ("criteria.csv", ENTRY, {"role": "enter"}, ["'enter'", "`role`", "entry", "forbid"]),
    "an order in words": ("criteria.csv", ENTRY, {"order": "first"}, ["'first'", "`order`"]),
    "an unknown concept set": (
        "criteria.csv",
        ENTRY,
        {"concept_set": "type_two_diabetes"},
        ["`type_two_diabetes`", "dhf_1y", "did you mean `type_2_diabetes`"],
    ),
    "a count that is no number": ("criteria.csv", ENTRY, {"min_count": "two"}, ["'two'", "`min_count`"]),
    "no description": ("criteria.csv", ENTRY, {"description": ""}, ["`description`", "dhf_1y"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_cell_is_refused_by_name(seeds, case):
    file, where, cells, said = WRONG[case]
    spoil(seeds, file, where=where, **cells)
    with pytest.raises(InputError) as refused:
        read_tasks(seeds)
    for words in said:
        assert words in str(refused.value)


def test_the_list_of_wrong_cells_is_long():
    assert len(WRONG) >= 15


@pytest.mark.parametrize(("file", "fields"), [("tasks.csv", "title"), ("criteria.csv", "description")])
def test_an_unknown_column_is_refused(seeds, file, fields):
    table = [{**row, "colour": "blue"} for row in rows(seeds / file)]
    write(seeds / file, table)
    with pytest.raises(InputError, match="Unknown key `colour`") as refused:
        read_tasks(seeds)
    assert fields in str(refused.value)
    assert file in str(refused.value)


@pytest.mark.parametrize(("file", "column"), [("tasks.csv", "anchor"), ("criteria.csv", "role")])
def test_a_missing_column_is_refused(seeds, file, column):
    table = [{key: cell for key, cell in row.items() if key != column} for row in rows(seeds / file)]
    write(seeds / file, table)
    with pytest.raises(InputError, match=f"`{column}`"):
        read_tasks(seeds)


@pytest.mark.parametrize("file", ["tasks.csv", "criteria.csv"])
@pytest.mark.parametrize("change", ["a cell too many", "a cell too few"])
def test_a_row_of_another_length_than_the_header_is_refused(seeds, file, change):
    lines = (seeds / file).read_text(encoding="utf-8").splitlines()
    lines[1] = lines[1] + ",blue" if change == "a cell too many" else lines[1].rpartition(",")[0]
    (seeds / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=file):
        read_tasks(seeds)


@pytest.mark.parametrize("role", ["entry", "outcome"])
def test_a_task_without_entry_or_outcome_is_refused(seeds, role):
    table = [row for row in rows(seeds / "criteria.csv") if (row["task"], row["role"]) != ("dhf_1y", role)]
    write(seeds / "criteria.csv", table)
    with pytest.raises(InputError, match=f"`dhf_1y` has no `{role}` row"):
        read_tasks(seeds)


def test_a_criterion_of_an_unknown_task_is_refused_with_the_nearest_name(seeds):
    table = rows(seeds / "criteria.csv")
    write(seeds / "criteria.csv", [*table, {**table[0], "task": "dhf_2y"}])
    with pytest.raises(InputError, match=r"Unknown task `dhf_2y` in criteria\.csv") as refused:
        read_tasks(seeds)
    assert "did you mean `dhf_1y`" in str(refused.value)
    assert "paca_1y" in str(refused.value)


def test_a_concept_set_that_a_criterion_needs_may_not_be_missing(seeds):
    table = [row for row in rows(seeds / "concept_sets.csv") if row["concept_set"] != "heart_failure"]
    write(seeds / "concept_sets.csv", table)
    with pytest.raises(InputError, match="Unknown concept set `heart_failure`"):
        read_tasks(seeds)
