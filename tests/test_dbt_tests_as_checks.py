"""dbt's tests as Dagster sees them: one check an asset, failing with the names of the tests that failed."""

import dagster as dg
import pytest

from orchestration.dbt import _check_rows, data_tests

MODEL = {"resource_type": "model", "fqn": ["second_opinion", "cohort", "label"], "name": "label"}
SEED = {"resource_type": "seed", "fqn": ["second_opinion", "tasks"], "name": "tasks"}


def a_test(name: str, *reads: str, attached: str | None = None, severity: str = "ERROR") -> dict:
    node = {"resource_type": "test", "name": name, "depends_on": {"nodes": list(reads)}}
    return {**node, "attached_node": attached, "config": {"severity": severity}}


MANIFEST = {
    "nodes": {
        "model.label": MODEL,
        "seed.tasks": SEED,
        "test.unique": a_test("unique_label", "model.label", attached="model.label"),
        "test.known": a_test("task_is_known", "seed.tasks", "model.label", attached="seed.tasks"),
        "test.ends": a_test("attrition_ends", "seed.tasks", "source.person", "model.label", severity="WARN"),
    }
}
LABEL, TASKS = dg.AssetKey(["warehouse", "label"]), dg.AssetKey(["catalogue", "tasks"])


def run_results(**status: str) -> dict:
    results = [{"unique_id": f"test.{name}", "status": one} for name, one in status.items()]
    return {"results": [{"unique_id": "model.label", "status": "success"}, *results]}


def test_every_test_belongs_to_one_asset():
    assert data_tests(MANIFEST) == {
        LABEL: {"unique_label": "test.unique", "attrition_ends": "test.ends"},
        TASKS: {"task_is_known": "test.known"},
    }


def test_each_test_is_a_row_with_its_own_verdict_and_severity():
    rows = _check_rows(MANIFEST, run_results(unique="pass", known="fail", ends="warn"))
    seen = {row["name"]: (row["asset"], row["passed"], row["severity"]) for row in rows}
    assert seen == {
        "unique_label": (["warehouse", "label"], True, "block"),
        "task_is_known": (["catalogue", "tasks"], False, "block"),
        "attrition_ends": (["warehouse", "label"], False, "warn"),
    }


def test_a_test_without_a_result_is_an_error_and_no_pass():
    with pytest.raises(KeyError, match=r"test\.ends"):
        _check_rows(MANIFEST, run_results(unique="pass", known="pass"))
