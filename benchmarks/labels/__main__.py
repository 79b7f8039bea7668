"""dhf_1y by the models beside DuckDB, Polars, pandas and es-aces: equality of labels first, time second.

    python -m benchmarks.labels --persons 20000 60000 --runs 3

Writes benchmarks/results/labels.json. Each program runs in a process of its own at two threads, reads the
same Parquet files (what the warehouse has from `clinical_event` on) and writes its labels as Parquet. The
models run as compiled SQL, without dbt. Equality is counted on each simulated source and on persons whose
dates lie at the edges of every window; a difference that nothing explains ends the script with 1, and nothing
is recorded. es-aces is compared without the persons whose observation periods overlap, which it cannot tell
apart; theirs are counted apart.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from benchmarks.labels.boundary import make_boundary
from benchmarks.labels.comparing import compared, label_column, made, overlapping, sizes
from benchmarks.labels.environments import REQUIREMENTS, environment, versions
from benchmarks.labels.programs import ROOT, Program, aces_programs, conversion, label_programs, timed
from benchmarks.labels.world import World, make_world
from ml.artefact import write_json

RESULTS = ROOT / "benchmarks" / "results" / "labels.json"
NOT_IN_ES_ACES = {
    "an event has two dates": "events that the task reads by the day they were known are written twice",
    "observation periods": "starts and ends written as events; periods that overlap cannot be told apart",
    "age in calendar years": "the 18th birthday written as an event",
    "end of the data": "written as an event of every person",
    "a label that reads two windows": "no `or` of windows: an outcome before death and loss is read outside",
    "null labels with reasons": "a row has a label or is not there: reasons are read outside from counts",
    "attrition": "the log counts each constraint on all triggers of its window, not step after step",
    "a window from an exclusive start to an event": "0.7.3 takes an event at the start itself for its end",
}


def main(persons: Sequence[int], boundary_persons: int, runs: int, seed: int, folder: Path) -> int:
    """Compare and time each size; return 0 if every label is equal or its difference explained."""
    folder = folder.resolve()
    binaries = {name: environment(folder, name) for name in REQUIREMENTS}
    record: dict[str, Any] = {
        "task": "dhf_1y",
        "cores": os.cpu_count(),
        "threads": 2,
        "versions": _versions(binaries),
        "outside_es_aces": NOT_IN_ES_ACES,
        "boundary": None,
        "simulated": [],
    }
    worlds = [make_world(folder / f"persons-{count}-seed-{seed}", count, seed) for count in persons]
    boundary = make_boundary(worlds[0].inputs, folder / "boundary" / "inputs", boundary_persons, seed)
    record["boundary"] = _measured(World(boundary.parent), worlds[0].plan, binaries, runs=1)
    del record["boundary"]["times"]
    for world in worlds:
        record["simulated"].append(_measured(world, world.plan, binaries, runs))
    if not all(part["equal"] for part in (record["boundary"], *record["simulated"])):
        print("Labels differ and nothing explains it; nothing is recorded.", file=sys.stderr)
        return 1
    write_json(RESULTS, record)
    return 0


def _measured(world: World, plan: Path, binaries: Mapping[str, Path], runs: int) -> dict[str, Any]:
    """Run every program `runs` times, in turn; return sizes, equality and times."""
    out, meds = world.folder / "labels", world.folder / "meds"
    out.mkdir(exist_ok=True)
    hand = label_programs(world.inputs, plan, out, binaries)
    aces = aces_programs(meds, out, binaries)
    programs = [*hand, conversion(world.inputs, meds), *aces]
    found: dict[str, list[dict[str, float]]] = {program.name: [] for program in programs}
    load = []
    for _ in range(runs):
        for program in programs:
            load.append(os.getloadavg()[0])
            found[program.name].append(timed(program, out, os.environ))
    equality = _equality(world, hand, aces, out)
    times = {name: _summary(rows) for name, rows in found.items()}
    print(world.folder.name, equality, times, flush=True)
    return {
        **sizes(world.inputs),
        **equality,
        "runs": runs,
        "load_before_a_run": {"median": round(statistics.median(load), 1), "largest": round(max(load), 1)},
        "times": times,
    }


def _equality(world: World, hand: Sequence[Program], aces: Sequence[Program], out: Path) -> dict[str, Any]:
    ours = hand[0].labels
    apart = overlapping(world.inputs)
    counts = {program.name: compared(ours, program.labels) for program in hand[1:]}
    counts |= {program.name: compared(ours, program.labels, f"not {apart}") for program in aces}
    return {
        "equal": all(not _differing(row) for row in counts.values()),
        "labels": made(ours),
        "compared": counts,
        "es_aces_with_overlapping_periods": compared(ours, aces[0].labels, apart),
        "es_aces_own_label_column": label_column(ours, out / aces[0].name / "labels.parquet", f"not {apart}"),
    }


def _differing(counts: Mapping[str, int]) -> int:
    return sum(count for name, count in counts.items() if name != "equal")


def _summary(rows: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    return {
        "wall_s": statistics.median(row["wall_s"] for row in rows),
        "cpu_s": statistics.median(row["cpu_s"] for row in rows),
        "peak_mb": max(row["peak_mb"] for row in rows),
        "every_wall_s": [row["wall_s"] for row in rows],
    }


def _versions(binaries: Mapping[str, Path]) -> dict[str, Any]:
    ours = {"python": sys.version.split()[0], "duckdb": duckdb.__version__, "pandas": pd.__version__}
    return {"project": ours, **{name: versions(path) for name, path in binaries.items()}}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compare and time the labels of dhf_1y.")
    parser.add_argument("--persons", type=int, nargs="+", default=[20_000], help="one simulated source each")
    parser.add_argument("--boundary-persons", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "var" / "labels", help="what is made stays here"
    )
    given = parser.parse_args()
    raise SystemExit(main(given.persons, given.boundary_persons, given.runs, given.seed, given.folder))
