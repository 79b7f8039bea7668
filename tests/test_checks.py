"""Each check passes on a right snapshot, finds the fault that is its own, and never passes on nothing."""

import warnings
from datetime import timedelta
from pathlib import Path

import pandas as pd
import planted_faults
import pytest
from planted_faults import (
    CUT_FAULTS,
    SNAPSHOT_FAULTS,
    TASK,
    TASK_FAULTS,
    alive_non_case,
    few_cases,
    no_cohort,
    of_task,
)
from published_world import TAR_DAYS, Tables, make_world, write_world
from published_world import TASK as FIRST

from ml.inputs.examples import ExampleOptions, cut_examples
from ml.tasks import Task
from orchestration.checking import reasons, run_snapshot_checks, run_task_checks, shortage
from orchestration.checks import SNAPSHOT_CHECKS
from orchestration.expectations import judge
from orchestration.task_checks import MINIMUM_CASES, TASK_CHECKS, checks_of

PERSONS = 150


@pytest.fixture(scope="session")
def judged():
    """The judge, with Great Expectations imported once (five seconds)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of modules that its own imports touch
        judge([row("warm_up", 1, 0)])
    return judge


def row(name: str, looked_at: int, found: int, limit: float = 0, severity: str = "block") -> dict:
    return {"name": name, "task": "", "looked_at": looked_at, "found": found, "limit": limit,
            "severity": severity}  # fmt: skip


def snapshot_rows(folder: Path, tables: Tables) -> list[dict]:
    return run_snapshot_checks(write_world(folder / "published", tables))


def task_rows(folder: Path, tables: Tables, spoil=None, task: Task = FIRST) -> list[dict]:
    published = write_world(folder / "published", tables)
    cut_examples(published, TASK, folder / "examples", ExampleOptions(None, 1))
    if spoil is not None:
        for name in ("example", "event"):
            path = folder / "examples" / f"{name}.parquet"
            spoil(name, pd.read_parquet(path)).to_parquet(path, index=False)
    return run_task_checks(published, folder / "examples", task)


def name_of(value: object) -> str:
    return getattr(value, "__name__", "")


def failed(judge, rows: list[dict]) -> set[str]:
    return {one["name"] for one in judge(rows) if not one["passed"]}


def test_every_check_is_a_claim_with_words_and_a_severity():
    checks = (*SNAPSHOT_CHECKS, *TASK_CHECKS)
    assert len(checks) >= 17
    assert len({check.name for check in checks}) == len(checks)
    for check in checks:
        assert check.description.endswith(".")
        assert check.blocks == (check.severity == "block")
        assert check.severity in ("block", "warn")


def test_every_check_passes_on_a_right_snapshot(tmp_path, judged):
    tables = make_world(1, PERSONS)
    rows = snapshot_rows(tmp_path, tables) + task_rows(tmp_path, tables)
    assert [one["name"] for one in rows] == [check.name for check in (*SNAPSHOT_CHECKS, *checks_of(FIRST))]
    assert all(one["looked_at"] > 0 for one in rows)
    assert [(one["name"], one["found"]) for one in rows if one["found"]] == []
    assert failed(judged, rows) == set()


@pytest.mark.parametrize(("plant", "check"), SNAPSHOT_FAULTS, ids=name_of)
def test_a_fault_in_the_snapshot_fails_its_check_and_no_other(tmp_path, judged, plant, check):
    tables = make_world(1, PERSONS)
    plant(tables)
    assert failed(judged, snapshot_rows(tmp_path, tables)) == {check}


def test_a_fault_is_planted_for_every_snapshot_check():
    assert {check for _, check in SNAPSHOT_FAULTS} == {check.name for check in SNAPSHOT_CHECKS}


@pytest.mark.parametrize(("plant", "check"), TASK_FAULTS, ids=name_of)
def test_a_fault_of_a_task_fails_its_check_and_no_other(tmp_path, judged, plant, check):
    tables = make_world(1, PERSONS)
    plant(tables)
    assert failed(judged, task_rows(tmp_path, tables)) == {check}


@pytest.mark.parametrize(("spoil", "check", "also"), CUT_FAULTS, ids=name_of)
def test_a_fault_of_the_cut_fails_its_check_and_no_other(tmp_path, judged, spoil, check, also):
    found = failed(judged, task_rows(tmp_path, make_world(1, PERSONS), spoil))
    assert check in found
    assert found - {check} <= also


def test_a_task_without_examples_passes_no_check(tmp_path, judged):
    tables = make_world(1, PERSONS)
    no_cohort(tables)
    rows = task_rows(tmp_path, tables)
    # its concept sets are there all the same
    of_sets = {"concept_sets_are_known", "descendants_of_concepts_are_known"}
    assert failed(judged, rows) == {check.name for check in checks_of(FIRST)} - of_sets


def test_a_fault_is_planted_for_every_task_check():
    planted = {check for _, check, *_ in (*TASK_FAULTS, *CUT_FAULTS)} | {"cohort_is_not_empty"}
    # its fault is planted in test_task_checks.py: it applies to other tasks
    assert planted | {"no_non_case_died_in_the_time_at_risk"} == {check.name for check in TASK_CHECKS}


def test_a_fault_of_another_task_fails_no_check_of_this_one(tmp_path, judged):
    tables = make_world(1, PERSONS)
    label = tables["label"]
    other = label.index[(label["task"] != TASK) & (label["y_true"] == 1)]
    label.loc[other, "outcome_date"] = None
    assert failed(judged, task_rows(tmp_path, tables)) == set()


def test_an_empty_snapshot_passes_no_check(tmp_path, judged):
    tables = {name: frame.iloc[:0] for name, frame in make_world(1, 12).items()}
    assert failed(judged, snapshot_rows(tmp_path, tables)) == {check.name for check in SNAPSHOT_CHECKS}


@pytest.mark.parametrize(("days", "wrong"), [(0, True), (1, False), (TAR_DAYS, False), (TAR_DAYS + 1, True)])
def test_the_last_day_at_risk_is_inside_and_the_next_is_not(tmp_path, judged, days, wrong):
    tables = make_world(1, PERSONS)
    label = tables["label"]
    case = of_task(tables, "label", 1)[0]
    label.loc[case, "outcome_date"] = label.loc[case, "index_date"] + timedelta(days=days)
    expected = {"case_means_outcome_in_time_at_risk"} if wrong else set()
    assert failed(judged, task_rows(tmp_path, tables)) == expected


def test_a_non_case_is_followed_to_the_last_day_at_risk_or_died(tmp_path, judged):
    tables = make_world(1, PERSONS)
    label = tables["label"]
    alive = alive_non_case(tables)
    for days, name in ((TAR_DAYS, "followed"), (TAR_DAYS - 1, "lost")):
        label.loc[alive, "follow_up_end_date"] = label.loc[alive, "index_date"] + timedelta(days=days)
        found = failed(judged, task_rows(tmp_path / name, tables))
        assert found == ({"lost_is_not_negative"} if name == "lost" else set())


def test_an_unknown_concept_is_named_with_its_set_the_count_of_ids_and_a_hint(tmp_path):
    tables = make_world(1, PERSONS)
    planted_faults.of_concept_set(tables, "entry", n_unknown_ids=2, n_included_ids=3)
    planted_faults.of_concept_set(tables, "outcome", n_members=0)
    task_rows(tmp_path, tables)
    words = reasons(tmp_path / "published", tmp_path / "examples", FIRST)
    assert set(words) == {"concept_sets_are_known"}
    for part in ("`entry`: 2 of 3 ids", "`outcome` has no members", "Hint: ", "concept_sets.csv"):
        assert part in words["concept_sets_are_known"]


def test_the_shortage_names_the_splits_that_lack_cases(tmp_path):
    tables = make_world(1, PERSONS)
    few_cases(tables)
    task_rows(tmp_path, tables)
    # No exact count: the report that may leave shows these words.
    assert shortage(tmp_path / "examples") == f"tuning: fewer than {MINIMUM_CASES} cases or non-cases"


@pytest.mark.parametrize(
    ("looked_at", "found", "limit", "passed"),
    [(10, 0, 0, True), (10, 1, 0, False), (0, 0, 0, False), (10, 3, 3, True), (10, 4, 3, False),
     (0, 0, 5, False), (1, 1, 1, True), (10**12, 0, 0, True)],
)  # fmt: skip
def test_a_check_is_judged_by_its_limit_and_never_passes_on_nothing(judged, looked_at, found, limit, passed):
    assert judged([row("check", looked_at, found, limit)])[0]["passed"] is passed


def test_each_row_is_judged_by_itself_and_comes_back_whole_and_in_order(judged):
    rows = [row("same", 5, n % 2, severity="warn" if n % 3 else "block") for n in range(12)]
    back = judged(rows)
    assert [one["passed"] for one in back] == [n % 2 == 0 for n in range(12)]
    assert [{key: value for key, value in one.items() if key != "passed"} for one in back] == rows
    assert judged([]) == []
