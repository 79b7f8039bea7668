"""The record of the proof: it holds, it is of the size that was asked, and the page quotes it."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.proof_page import page
from definitions.catalogue import read_seed
from definitions.mixed import STUDIES
from definitions.templates import TEMPLATES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    path = ROOT / "benchmarks" / "results" / "proof.json"
    if not path.is_file():
        pytest.skip("no benchmarks/results/proof.json: `make proof` has not been recorded yet")
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_page_quotes_the_record(record: dict[str, Any]) -> None:
    assert (ROOT / "dbt_project" / "PROOF.md").read_text(encoding="utf-8") == page(record)


def test_everything_holds_at_full_size(record: dict[str, Any]) -> None:
    assert record["holds"]
    assert set(record["worlds"]) == set(record["dbt_build"]) == set(STUDIES)
    assert set(record["mutants"]) == set(record["metamorphic"]) == set(TEMPLATES)
    assert all(found["worlds"] >= 200 for found in record["worlds"].values())
    assert all(found["killed"] >= 24 for found in record["mutants"].values())


def test_every_prospective_task_was_cut_on_every_source(record: dict[str, Any]) -> None:
    prospective = {row["task"] for row in read_seed("tasks") if row["design"] == "prospective"}
    assert set(record["truncation"]) == {"simulator", "gibleed", "synthea27nj"}
    for source, found in record["truncation"].items():
        assert set(found["tasks"]) == prospective, source
        assert all(task["compared"] > 0 or task["examples"] == 0 for task in found["tasks"].values())
    assert all(task["compared"] > 0 for task in record["truncation"]["simulator"]["tasks"].values())
