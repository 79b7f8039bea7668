"""The mutation suite of the leakage checks (issue 5, heading 3), in two processes; recorded.

    make proof-leakage

Writes benchmarks/results/leakage.json and ml/leakage/PROOF.md: every plant of all sets on several seeds with
the checks that see it, clean worlds with what blocks and warns there, and what heads on frozen vectors learn
of labels dealt at random. Ends with 1 if the record does not hold (`benchmarks.leakage_record`). Stopped by a
signal, it ends its processes; `--run` keeps the parts that had ended.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.leakage_page import page
from benchmarks.leakage_record import SEEDS, WORLDS, recorded
from benchmarks.leakage_run import Job, Result, ended_by_signals, run_jobs
from ml.artefact import write_json

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("results") / "leakage.json"
PAGE = ROOT / "ml" / "leakage" / "PROOF.md"
PROCESSES = 2
PERSONS = 4_000  # of a planted site
SIZES = (1_500, 3_000, 6_000)  # of the clean worlds, by turns
FROZEN_TASKS = ("long_los",)  # the one with most cases
PROVED = ("ml", "orchestration", "dbt_project", "tests/leakage", "tests/definitions", "tests/dbt_world.py")
PACKAGES = ("dbt-core", "dbt-duckdb", "duckdb", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy")

sys.path.insert(0, str(ROOT / "tests"))


def main() -> int:
    """Run every part, whatever the others do; return 0 if all hold."""
    parser = argparse.ArgumentParser(description="The mutation suite of the leakage checks")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="each plant is planted in sites 1 to this")
    parser.add_argument("--worlds", type=int, default=WORLDS, help="clean worlds from seed 0 on")
    parser.add_argument("--persons", type=int, default=PERSONS, help="of a planted site")
    parser.add_argument("--plants", nargs="*", help="only these, by name; no frozen heads then")
    parser.add_argument("--minutes", type=float, help="no part begins after so many; the record says so")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--run", type=Path, help="keeps parts as they end; those there are not run again")
    given = parser.parse_args()
    jobs = [*plant_jobs(given.seeds, given.plants), *world_jobs(given.worlds)]
    jobs += frozen_jobs() if given.plants is None else []
    with ended_by_signals(), tempfile.TemporaryDirectory(prefix="proof-leakage-") as folder:
        kept = given.run or Path(folder) / "run.json"
        run = begun(kept, given.persons)
        run_parts(run, kept, jobs, Path(folder), given.processes, given.minutes)
    record = recorded(run, jobs)
    write_json(given.results, record)
    if given.results == RESULTS:
        PAGE.write_text(page(record), encoding="utf-8")
    said = ("holds", "asked", "run", "total", "sets", "wall_seconds", "argued_and_caught_on_every_seed")
    print(json.dumps({key: record[key] for key in said}, indent=2))
    for name, plant in record["plants"].items():
        if plant["argued"]:
            print(f"Argued: {name}: {plant['argued']}")
    return 0 if record["holds"] else 1


def plant_jobs(seeds: int, only: Sequence[str] | None = None) -> list[Job]:
    """Return every plant of all sets on sites 1 to `seeds`, those of a site and a task together."""
    from leakage.sets import plant_named, sets

    names = sorted(sets() if only is None else only, key=lambda name: (plant_named(name).task, name))
    return [("plant", name, seed) for seed in range(1, seeds + 1) for name in names]


def world_jobs(worlds: int) -> list[Job]:
    """Return the clean worlds of seeds 0 on, sizes by turns."""
    return [("world", str(SIZES[seed % len(SIZES)]), seed) for seed in range(worlds)]


def frozen_jobs() -> list[Job]:
    """Return the tasks of the first site whose labels are dealt at random to heads on frozen vectors."""
    return [("frozen", task, 1) for task in FROZEN_TASKS]


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
        return {**begins, "remarks": [], "wall_seconds": 0, "parts": []}
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
    started, before = time.monotonic(), run.get("wall_seconds", 0)
    last = None if minutes is None else started + 60 * minutes

    def keep(job: Job, result: Result) -> None:
        run["parts"].append([list(job), result])
        run["wall_seconds"] = before + round(time.monotonic() - started)
        write_json(kept, run)
        said = result.get("error", {}).get("kind") or result.get("verdict", "looked at")
        print(*job, said, f"{result['seconds']} s", flush=True)

    left = [job for job in jobs if job not in done]
    run_jobs(left, folder, run["persons"], processes, keep, last)


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    raise SystemExit(main())
