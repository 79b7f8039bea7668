"""The mutation suite: its runner sees one plant and one clean world; the page quotes the record."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks import leakage, leakage_run
from benchmarks.leakage_page import page
from benchmarks.leakage_record import recorded
from leakage import sets
from leakage.plants import PLANTS
from leakage.proving import described, judged
from leakage.warm import quickened

# One dbt compilation serves all tests of the group.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("definitions")]
ROOT = Path(__file__).resolve().parents[2]
SEED, PERSONS, TASKS = 3, 1500, ("dhf_1y",)
PLANT = "L08_history_of_the_outcome"
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
    leakage_run.begin(tmp_path_factory.mktemp("sites"), PERSONS, TASKS)
    jobs = [("plant", PLANT, SEED), ("world", str(PERSONS), 0), ("plant", "none", 1)]
    with quickened():
        parts = [[list(job), leakage_run.run_part(job)] for job in jobs]
    leakage_run.PLANTING[0].close()
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
    record = recorded(run, [*run["jobs"][:2], ("world", "3000", 1)])
    total = record["total"]
    assert (total["planted"], total["caught"], total["missed"]) == (1, 1, 0)
    assert (total["worlds"], total["tasks"]) == (1, 1)
    assert record["sets"]["first"]["caught"] == 1
    assert not record["holds"]  # a world that was asked for was not run
    assert record["asked"]["worlds"] == 2
    assert "less than the full size" in page(record)
    assert str(ROOT) not in json.dumps(record)
    assert recorded(run, run["jobs"][:2])["holds"]


def seen(run: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The run with its plant planted on another seed, too, and this seen of it there."""
    job, one = run["parts"][0]
    more = [[job[0], job[1], SEED + 1], {**one, **changes}]
    return {**run, "parts": [*run["parts"][:2], more]}


def test_a_plant_that_is_missed_on_one_seed_does_not_hold_and_argued_it_does(run, monkeypatch):
    jobs = [*run["jobs"][:2], ("plant", PLANT, SEED + 1)]
    missed = seen(run, verdict="not_caught", by={}, blocks=False)
    record = recorded(missed, jobs)
    assert (record["total"]["missed"], record["holds"]) == (1, False)
    assert record["kinds_without_a_plant_caught_on_every_seed"] == ["L08"]
    monkeypatch.setattr(sets, "argued", lambda: {PLANT: "Nobody could."})
    record = recorded(missed, jobs)
    assert (record["total"]["caught"], record["total"]["argued"], record["total"]["missed"]) == (1, 1, 0)
    assert "Nobody could." in page(record)
    assert not record["argued_and_caught_on_every_seed"]
    assert not record["holds"]  # no other plant of its kind is caught


def test_an_argument_is_wrong_where_every_seed_is_caught(run, monkeypatch):
    monkeypatch.setattr(sets, "argued", lambda: {PLANT: "Nobody could."})
    record = recorded(seen(run), [*run["jobs"][:2], ("plant", PLANT, SEED + 1)])
    assert record["argued_and_caught_on_every_seed"] == [PLANT]
    assert not record["holds"]
    assert f"Wrong: `{PLANT}`" in page(record)


def test_each_set_is_told_apart(run, monkeypatch):
    monkeypatch.setattr(sets, "sets", lambda: {PLANT: "second"})
    record = recorded(run, run["jobs"][:2])
    assert record["plants"][PLANT]["set"] == "second"
    assert record["sets"].keys() == {"second"}
    assert "second set" in page(record)


def test_the_last_set_measures_and_those_before_it_must_hold(run, monkeypatch):
    monkeypatch.setattr(sets, "argued", lambda: {})
    (job, caught), world = run["parts"][:2]
    missed = {**caught, "verdict": "not_caught", "by": {}, "blocks": False}
    other = "L08_sequela_of_the_outcome"
    parts = [[["plant", other, SEED], caught], world, [job, missed]]
    jobs = [("plant", other, SEED), tuple(world[0]), tuple(job)]
    for missed_is_of, holds in [*((name, False) for name in sets.SETS[:-1]), (sets.MEASURED, True)]:
        monkeypatch.setattr(sets, "sets", lambda which=missed_is_of: {other: "first", PLANT: which})
        record = recorded({**run, "parts": parts}, jobs)
        assert record["holds"] is holds
        assert record["total"]["missed"] == 1
    assert "0 of 1 are caught on every seed, 0% (95% interval 0% to 79%" in " ".join(page(record).split("\n"))


def test_argued_plants_are_plants_each_with_a_sentence(tmp_path: Path, monkeypatch):
    sets.argued.cache_clear()
    measures = next(name for name, which in sets.sets().items() if which == sets.MEASURED)
    assert measures not in sets.argued().keys() <= sets.sets().keys()
    for rows in (
        f"{measures},Because.",
        "no_such_plant,Because.",
        f"{PLANT},",
        f"{PLANT},Because.\n{PLANT},Because.",
    ):
        file = tmp_path / "argued.csv"
        file.write_text(f"plant,why\n{rows}\n", encoding="utf-8")
        monkeypatch.setattr(sets, "ARGUED", file)
        sets.argued.cache_clear()
        with pytest.raises(ValueError, match="once, with a sentence"):
            sets.argued()
    sets.argued.cache_clear()


def test_all_plants_of_all_sets_are_asked_for_on_each_seed():
    jobs = leakage.plant_jobs(2)
    assert len(set(jobs)) == len(jobs) == 2 * len(PLANTS)
    assert [int(size) for _, size, _ in leakage.world_jobs(4)] == [1500, 3000, 6000, 1500]


def test_a_process_that_imported_nothing_else_knows_the_plants_of_all_sets():
    last = max(name for name, which in sets.sets().items() if which == sets.MEASURED)
    code = f"from leakage.sets import plant_named; print(plant_named({last!r}).name)"
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tests, env=os.environ | {"PYTHONPATH": f"{tests}:{ROOT}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == last


def test_two_processes_stay_busy_and_share_no_seed_while_there_are_others():
    jobs = [("plant", name, seed) for seed in (1, 2, 3) for name in "abcd"] + leakage.world_jobs(6)
    queue, given = leakage_run.Queue(jobs), []
    for turn in range(len(jobs)):
        given.append((turn % 2, queue.take(turn % 2)))
    assert sorted(job for _, job in given) == sorted(jobs)
    assert queue.take(0) is None
    by_seed = {seed: {process for process, (kind, _, own) in given if kind == "plant" and own == seed}
               for seed in (1, 2, 3)}  # fmt: skip
    assert by_seed == {1: {0}, 2: {1}, 3: {0}}


def test_a_signal_ends_the_processes_and_what_is_done_is_kept(tmp_path: Path):
    kept = tmp_path / "run.json"
    command = [sys.executable, "-m", "benchmarks.leakage", "--plants", "--worlds", "3", "--run", str(kept)]
    command += ["--results", str(tmp_path / "results.json")]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE) as process:
        children = psutil.Process(process.pid)
        workers: list[psutil.Process] = []
        while len(workers) < 3 and process.poll() is None:  # two, and the one that tracks what they share
            workers = children.children()
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    assert not psutil.wait_procs(workers, timeout=10)[1]
    assert not list(tmp_path.glob("proof-leakage-*"))


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
