"""The mutation suite: its runner sees one plant and one clean world; the page quotes the record."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks import leakage
from benchmarks.leakage_page import page
from leakage.plants import PLANTS
from leakage.proving import described, judged

# One dbt compilation serves all tests of the group.
pytestmark = pytest.mark.xdist_group("definitions")
ROOT = Path(__file__).resolve().parents[2]
SEED, PERSONS, TASKS = 3, 1500, ("dhf_1y",)
NAMED, OTHER = "no_outcome_named_in_history", "no_outcome_in_the_input"


def row(name: str, looked_at: int, found: int, severity: str = "block") -> dict[str, Any]:
    return {
        "name": name,
        "task": "t",
        "looked_at": looked_at,
        "found": found,
        "limit": 0,
        "severity": severity,
    }


@pytest.mark.parametrize(
    ("before", "after", "guards", "verdict", "blocks"),
    [
        ([row(NAMED, 9, 0)], [row(NAMED, 9, 1)], [], "caught", True),
        ([row(NAMED, 9, 0, "warn")], [row(NAMED, 9, 1, "warn")], [], "caught", False),
        ([row(NAMED, 9, 2)], [row(NAMED, 9, 3)], [], "not_caught", False),  # the clean site has it too
        ([row(NAMED, 9, 0)], [row(NAMED, 0, 0)], [], "not_caught", False),  # it looked at nothing
        ([row(OTHER, 9, 0)], [row(OTHER, 9, 1)], [], "by_another", False),
        ([row(NAMED, 9, 0)], [row(NAMED, 9, 0)], ["fitted_outside_train"], "by_another", False),
    ],
)
def test_a_plant_is_caught_by_what_is_named_and_finds_nothing_without_it(
    before, after, guards, verdict, blocks
):
    said = judged([NAMED], before, after, guards)
    assert (said["verdict"], said["blocks"]) == (verdict, blocks)


def test_an_error_is_told_without_its_message():
    try:
        raise ValueError("person 4711")
    except ValueError as error:
        said = described(error)
    assert said["kind"] == "ValueError"
    assert "4711" not in json.dumps(said)
    assert [place.split()[1] for place in said["places"]] == ["test_an_error_is_told_without_its_message"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One plant, one clean world, and a part that fails, in this process."""
    before = tempfile.tempdir
    leakage.begin(tmp_path_factory.mktemp("sites"), PERSONS, TASKS)
    jobs = [("plant", "L08_history_of_the_outcome", SEED), ("world", str(PERSONS), 0), ("plant", "none", 1)]
    parts = [[list(job), leakage.run_part(job)] for job in jobs]
    leakage.PLANTING[0].close()
    tempfile.tempdir = before
    return {
        "commit": "0" * 40,
        "changed_since_commit": False,
        "versions": {},
        "persons": PERSONS,
        "parts": parts,
        "jobs": jobs,
    }


def test_one_plant_is_caught_and_one_clean_world_is_not_blocked(run: dict[str, Any]):
    planted, world, failed = (result for _, result in run["parts"])
    assert planted["verdict"] == "caught"
    assert planted["by"] == {NAMED: "block"}
    assert planted["rows_that_show_it"][0] == 0 < planted["rows_that_show_it"][1]
    assert set(world["tasks"]) == {"snapshot", *TASKS}
    assert not any(alarms["blocks"] for alarms in world["tasks"].values() if not alarms["wanting"])
    assert all(alarms["checks"] > 5 for alarms in world["tasks"].values())
    assert failed["error"]["kind"] == "KeyError"


def test_the_record_sums_what_was_run_and_says_what_was_not(run: dict[str, Any]):
    record = leakage.recorded(run, [*run["jobs"][:2], ("world", "3000", 1)])
    total = record["total"]
    assert (total["planted"], total["caught"], total["not_caught"]) == (1, 1, 0)
    assert (total["worlds"], total["tasks"]) == (1, 1)
    assert not record["holds"]  # a world that was asked for was not run
    assert record["asked"]["worlds"] == 2
    assert "less than the full size" in page(record)
    assert str(ROOT) not in json.dumps(record)
    assert leakage.recorded(run, run["jobs"][:2])["holds"]


def test_all_plants_are_asked_for_on_each_seed():
    jobs = leakage.plant_jobs(2)
    assert len(set(jobs)) == len(jobs) == 2 * len(PLANTS)
    assert [int(size) for _, size, _ in leakage.world_jobs(4)] == [1500, 3000, 6000, 1500]


def test_a_run_of_other_sites_is_not_taken_on(tmp_path: Path):
    kept = tmp_path / "run.json"
    run = leakage.begun(kept, PERSONS)
    kept.write_text(json.dumps(run), encoding="utf-8")
    assert leakage.begun(kept, PERSONS)["parts"] == []
    with pytest.raises(SystemExit, match="another `persons`"):
        leakage.begun(kept, PERSONS + 1)


def test_the_page_quotes_the_record():
    path = ROOT / "benchmarks" / "results" / "leakage.json"
    if not path.is_file():
        pytest.skip("no benchmarks/results/leakage.json: `make proof-leakage` has not been recorded yet")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert (ROOT / "ml" / "leakage" / "PROOF.md").read_text(encoding="utf-8") == page(record)
