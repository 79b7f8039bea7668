"""The mutation suite of the leakage checks (issue 5, heading 3), in two processes; recorded.

    make proof-leakage

Writes benchmarks/results/leakage.json and ml/leakage/PROOF.md: every plant of tests/leakage/plants on
several seeds with the checks that see it, and clean worlds with what blocks and warns there. Ends with 1 if
the checks that the catalogue names miss a plant, a clean world is blocked, a part fails, or one was not run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, ProcessPoolExecutor, as_completed
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.leakage_page import page
from ml.artefact import write_json

if TYPE_CHECKING:
    from leakage.proving import Planting

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("results") / "leakage.json"
PAGE = ROOT / "ml" / "leakage" / "PROOF.md"
PROCESSES = 2
PERSONS = 4_000  # of a planted site
SEEDS = 3  # a plant: 1, 2, 3
WORLDS = 100  # clean: 0 to 99
SIZES = (1_500, 3_000, 6_000)  # of the clean worlds, by turns
PROVED = ("ml", "orchestration", "dbt_project", "tests/leakage", "tests/definitions", "tests/dbt_world.py")
PACKAGES = ("dbt-core", "dbt-duckdb", "duckdb", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy")

Job = tuple[str, str, int]  # plant or world; its name or size; seed
Result = dict[str, Any]

sys.path.insert(0, str(ROOT / "tests"))


def main() -> int:
    """Run every part, whatever the others do; return 0 if all hold."""
    parser = argparse.ArgumentParser(description="The mutation suite of the leakage checks")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="each plant is planted in sites 1 to this")
    parser.add_argument("--worlds", type=int, default=WORLDS, help="clean worlds from seed 0 on")
    parser.add_argument("--persons", type=int, default=PERSONS, help="of a planted site")
    parser.add_argument("--plants", nargs="*", help="only these, by name (all of them by default)")
    parser.add_argument("--minutes", type=float, help="no part begins after so many; the record says so")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--run", type=Path, help="keeps parts as they end; those there are not run again")
    given = parser.parse_args()
    jobs = [*plant_jobs(given.seeds, given.plants), *world_jobs(given.worlds)]
    with tempfile.TemporaryDirectory(prefix="proof-leakage-") as folder:
        kept = given.run or Path(folder) / "run.json"
        run = begun(kept, given.persons)
        run_parts(run, kept, jobs, Path(folder), given.processes, given.minutes)
    record = recorded(run, jobs)
    write_json(given.results, record)
    if given.results == RESULTS:
        PAGE.write_text(page(record), encoding="utf-8")
    print(json.dumps({key: record[key] for key in ("holds", "asked", "run", "total")}, indent=2))
    return 0 if record["holds"] else 1


def plant_jobs(seeds: int, only: Sequence[str] | None = None) -> list[Job]:
    """Return every plant on sites 1 to `seeds`, those of a site and a task together."""
    from leakage.plants import PLANTS

    names = sorted(PLANTS if only is None else only, key=lambda name: (PLANTS[name].task, name))
    return [("plant", name, seed) for seed in range(1, seeds + 1) for name in names]


def world_jobs(worlds: int) -> list[Job]:
    """Return the clean worlds of seeds 0 on, sizes by turns."""
    return [("world", str(SIZES[seed % len(SIZES)]), seed) for seed in range(worlds)]


def begun(kept: Path, persons: int) -> dict[str, Any]:
    """Return the run kept in a file, or a new one; parts of other code or other sites are not taken on."""
    begins = {
        "commit": _git("rev-parse", "HEAD"),
        "code": {path: _git("rev-parse", f"HEAD:{path}") for path in PROVED},
        "changed_since_commit": bool(_git("status", "--porcelain", "--", *PROVED)),
        "versions": {name: version(name) for name in PACKAGES},
        "persons": persons,
    }
    if not kept.exists():
        return {**begins, "remarks": [], "parts": []}
    run = json.loads(kept.read_text(encoding="utf-8"))
    for key in ("code", "persons", "versions"):
        if run[key] != begins[key]:
            raise SystemExit(f"{kept.name} was begun with another `{key}`: start a new one")
    return run


def run_parts(
    run: dict[str, Any],
    kept: Path,
    jobs: Sequence[Job],
    folder: Path,
    processes: int = PROCESSES,
    minutes: float | None = None,
) -> None:
    """Run the parts that the run lacks; each is kept in it as it ends. None begins after `minutes`.

    Sites lie below `folder`, which the caller removes, also after processes that were stopped.
    """
    done = {tuple(job) for job, _ in run["parts"]}
    last = None if minutes is None else time.monotonic() + 60 * minutes
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=begin, initargs=(folder, run["persons"])
    ) as pool:
        waiting = {pool.submit(run_part, job): job for job in jobs if job not in done}
        for future in as_completed(waiting):
            try:
                result = future.result()
            except CancelledError:
                continue
            run["parts"].append([list(waiting[future]), result])
            write_json(kept, run)
            said = result.get("error", {}).get("kind") or result.get("verdict", "looked at")
            print(*waiting[future], said, f"{result['seconds']} s", flush=True)
            if last is not None and time.monotonic() > last:
                for other in waiting:
                    other.cancel()


PLANTING: list["Planting"] = []  # that of this process


def begin(folder: Path, persons: int, tasks: Sequence[str] = ()) -> None:
    """Prepare a process: temporary files below `folder`, plants on sites of so many persons and tasks."""
    import warnings

    from leakage.pipeline import TASKS
    from leakage.proving import Planting

    warnings.filterwarnings("ignore", message="sqlglotrs is deprecated")
    tempfile.tempdir = str(folder)
    PLANTING[:] = [Planting(persons, tasks or TASKS)]


def run_part(job: Job) -> Result:
    """Run one part; a failure is a result like another."""
    from leakage.proving import described

    part, name, seed = job
    started = time.monotonic()
    try:
        result = PLANTING[0].run(name, seed) if part == "plant" else _world(int(name), seed)
    except Exception as error:
        result = {"error": described(error)}
    return {**result, "seconds": round(time.monotonic() - started, 1)}


def _world(persons: int, seed: int) -> Result:
    from leakage.proving import clean_world

    with tempfile.TemporaryDirectory(prefix="world-") as folder:
        site = Path(folder) / "site"
        return {"tasks": clean_world(site, seed, persons, PLANTING[0].tasks)}


def recorded(run: dict[str, Any], jobs: Sequence[Job]) -> dict[str, Any]:
    """Return the record: what was asked for, what was run, sums, every plant, every world."""
    from leakage.plants import PLANTS
    from leakage.proving import catalogue

    asked = set(jobs)
    parts = {(part, name, seed): result for (part, name, seed), result in run["parts"]}
    parts = {job: result for job, result in parts.items() if job in asked}
    plants: dict[str, Any] = {}
    for (_, name, seed), result in sorted(parts.items()):
        if name in PLANTS:
            plant = PLANTS[name]
            about = {
                **{key: getattr(plant, key) for key in ("leak", "mechanism", "level", "task")},
                "named": list(catalogue()[plant.leak].held_by),
                "why_none_is_named": "" if catalogue()[plant.leak].held_by else catalogue()[plant.leak].why,
                "seeds": {},
            }
            plants.setdefault(name, about)["seeds"][str(seed)] = result
    worlds = {
        str(seed): {"persons": int(name), **result}
        for (part, name, seed), result in sorted(parts.items(), key=lambda item: item[0][2])
        if part == "world"
    }
    total = totals(plants, worlds)
    missed = total["planted"] - total["caught"] - total["no_check_is_named"]
    return {
        **{key: run[key] for key in ("commit", "changed_since_commit", "versions", "persons")},
        "remarks": run.get("remarks", []),  # by whoever ran it, where parts were not run in one go
        "holds": not missed
        and not total["false_blocks"]
        and not total["errors"]
        and not total["not_made"]
        and not total["checks_that_raised_on_a_plant"]
        and not total["checks_that_raised_on_a_clean_world"]
        and len(parts) == len(asked),
        "asked": counted(asked),
        "run": counted(parts),
        "seconds": round(sum(result["seconds"] for result in parts.values())),
        "total": total,
        "plants": plants,
        "worlds": worlds,
    }


def counted(jobs: Sequence[Job] | set[Job] | dict[Job, Result]) -> dict[str, Any]:
    """Return how many parts there are of each kind, and their seeds."""
    of = {kind: [job for job in jobs if job[0] == kind] for kind in ("plant", "world")}
    return {
        "plants": len({name for _, name, _ in of["plant"]}),
        "plantings": len(of["plant"]),
        "seeds": sorted({seed for *_, seed in of["plant"]}),
        "worlds": len(of["world"]),
    }


def totals(plants: dict[str, Any], worlds: dict[str, Any]) -> dict[str, int]:
    """Return sums over plantings (a plant on a seed) and over clean worlds."""
    plantings = [(plant, one) for plant in plants.values() for one in plant["seeds"].values()]
    judged = [(plant, one) for plant, one in plantings if "error" not in one]
    named = [one for plant, one in judged if plant["named"]]
    made = [world["tasks"] for world in worlds.values() if "error" not in world]
    of_tasks = [alarms for tasks in made for task, alarms in tasks.items() if task != "snapshot"]
    return {
        "planted": len(judged),
        "no_check_is_named": sum(not plant["named"] for plant, _ in judged),
        "caught": sum(one["verdict"] == "caught" for one in named),
        "caught_and_blocked": sum(one["verdict"] == "caught" and one["blocks"] for one in named),
        "caught_by_another_only": sum(one["verdict"] == "by_another" for one in named),
        "not_caught": sum(one["verdict"] == "not_caught" for one in named),
        "errors": len(plantings) - len(judged),
        "checks_that_raised_on_a_plant": sum(len(one["raised"]) for _, one in judged),
        "checks_that_raised_on_a_clean_world": sum(
            len(alarms["raised"]) for tasks in made for alarms in tasks.values()
        ),
        "worlds": len(made),
        "not_made": len(worlds) - len(made),
        "tasks": len(of_tasks),
        "tasks_wanting_cases": sum(bool(alarms["wanting"]) for alarms in of_tasks),
        "checks_run": sum(alarms["checks"] for tasks in made for alarms in tasks.values()),
        "false_blocks": _alarms(made, "blocks", wanting=False),
        "false_warnings": _alarms(made, "warns", wanting=False),
        "false_blocks_where_cases_are_wanting": _alarms(made, "blocks", wanting=True),
        "false_warnings_where_cases_are_wanting": _alarms(made, "warns", wanting=True),
        "worlds_with_a_false_block": _worlds(made, "blocks"),
        "worlds_with_a_false_warning": _worlds(made, "warns"),
    }


def _alarms(made: Sequence[dict[str, Any]], does: str, *, wanting: bool) -> int:
    return sum(
        len(alarms[does]) for tasks in made for alarms in tasks.values() if bool(alarms["wanting"]) == wanting
    )


def _worlds(made: Sequence[dict[str, Any]], does: str) -> int:
    return sum(any(alarms[does] and not alarms["wanting"] for alarms in tasks.values()) for tasks in made)


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    raise SystemExit(main())
