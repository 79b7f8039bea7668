"""The proof of the definitions at full size (issue 3, heading 4), in two processes; recorded.

    make proof

Writes benchmarks/results/proof.json and dbt_project/PROOF.md: SQL against oracle on stacked worlds and after
`dbt build`, mutants, truncation invariance, metamorphic relations. Ends with 1 if anything differs, survives
or violates.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.proof_page import page
from ml.artefact import write_json

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("results") / "proof.json"
PAGE = ROOT / "dbt_project" / "PROOF.md"
SHARED = ROOT.parent / "shared" / "data"
SOURCES = ("simulator", "gibleed", "synthea27nj")
PROCESSES = 2
WORLDS = 200  # a template
METAMORPHIC_WORLDS = 50
SIMULATED_PERSONS = 1_000
PASSES = 4  # examples of one person that are cut, one at a time
EVERY_KIND = "every_kind"
PROVED = ("dbt_project", "tests/definitions")
PACKAGES = ("dbt-core", "dbt-duckdb", "duckdb", "hypothesis", "sqlglot")

sys.path.insert(0, str(ROOT / "tests"))


def main() -> int:
    """Run every part, whatever the others do; return 0 if all hold."""
    parser = argparse.ArgumentParser(description="The proof of the definitions at full size")
    parser.add_argument("--worlds", type=int, default=WORLDS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--templates", nargs="*", help="only these (all of them by default)")
    parser.add_argument("--run", type=Path, help="keeps parts as they end; those there are not run again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="proof-") as folder:
        kept = given.run or Path(folder) / "run.json"
        run = begun(kept)
        parts = run_parts(run, kept, given.worlds, given.templates)
    record = {
        **{key: run[key] for key in ("commit", "changed_since_commit", "versions")},
        "cpu_seconds": sum(result["cpu_seconds"] for result in parts.values()),
        **summed(parts),
    }
    write_json(given.results, record)
    if given.results == RESULTS:
        PAGE.write_text(page(record), encoding="utf-8")
    print(json.dumps({key: record[key] for key in ("holds", "errors", "cpu_seconds", "total")}, indent=2))
    return 0 if record["holds"] else 1


def begun(kept: Path) -> dict[str, Any]:
    """Return the run kept in a file, or a new one; parts of another commit are not taken on."""
    commit = _git("rev-parse", "HEAD")
    if kept.exists():
        run = json.loads(kept.read_text(encoding="utf-8"))
        if run["commit"] != commit:
            raise SystemExit(f"{kept.name} is of commit {run['commit'][:12]}, and this is {commit[:12]}")
        return run
    return {
        "commit": commit,
        "changed_since_commit": bool(_git("status", "--porcelain", "--", *PROVED)),
        "versions": {name: version(name) for name in PACKAGES},
        "parts": [],
    }


def run_parts(
    run: dict[str, Any], kept: Path, worlds: int, only: list[str] | None = None
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what each part found by (part, template or source); each is kept in the run as it ends."""
    from definitions.mixed import STUDIES
    from definitions.templates import TEMPLATES

    jobs: list[tuple[str, str]] = [("mutants", name) for name in TEMPLATES]
    jobs += [("truncation", source) for source in SOURCES]
    jobs += [("metamorphic", name) for name in TEMPLATES]
    jobs += [(part, name) for part in ("worlds", "dbt_build") for name in STUDIES]
    jobs = [job for job in jobs if only is None or job[1] in only]
    found = {(part, name): result for part, name, result in run["parts"]}

    def keep(part: str, name: str, result: dict[str, Any]) -> None:
        found[part, name] = result
        run["parts"].append([part, name, result])
        write_json(kept, run)
        words = "fails" if "error" in result else "holds"
        print(f"{part} {name}: {words} after {result['cpu_seconds']} s of CPU", flush=True)

    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(run_part, *job, worlds): job for job in jobs if job not in found}
        for done in as_completed(waiting):
            keep(*waiting[done], done.result())
    met = ("mutants_where_kinds_meet", EVERY_KIND)
    if met not in found:
        keep(*met, run_part(met[0], _left(found), worlds))
    return {job: found[job] for job in [*jobs, met]}


def _left(found: dict[tuple[str, str], dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return the names of mutants that survive every template they concern."""
    records = [result for (part, _), result in found.items() if part == "mutants"]
    killed = {tuple(name) for record in records for name in record.get("killed_names", [])}
    return sorted({tuple(name) for record in records for name in record.get("survived_names", [])} - killed)


def run_part(part: str, name: Any, worlds: int) -> dict[str, Any]:
    """Run one part; a failure is a result like another."""
    import warnings

    warnings.filterwarnings("ignore", message="sqlglotrs is deprecated")
    started = _cpu_seconds()
    try:
        result = PARTS[part](name, worlds)
    except Exception:
        result = {"error": traceback.format_exc()[-3000:]}
    return {**result, "cpu_seconds": round(_cpu_seconds() - started)}


def _cpu_seconds() -> float:
    """Return what this process and those it waited for have used."""
    return sum(os.times()[:4])


def _worlds(name: str, worlds: int) -> dict[str, Any]:
    from definitions.proving import equal_on_worlds

    return {**equal_on_worlds(name, worlds).record(), "differences": 0}


def _dbt_build(name: str, worlds: int) -> dict[str, Any]:
    from definitions.proving import equal_after_dbt_build

    return {**equal_after_dbt_build(name), "differences": 0}


def _mutants(name: str, worlds: int) -> dict[str, Any]:
    from definitions.proving import judged, mutant_record

    return mutant_record(judged(name, worlds))


def _where_kinds_meet(names: list[tuple[Any, ...]], worlds: int) -> dict[str, Any]:
    from definitions.proving import judged_where_kinds_meet

    verdicts = judged_where_kinds_meet(set(names), worlds)
    return {
        "killed_names": [list(mutant.name) for mutant in verdicts.killed],
        "survived_names": [list(mutant.name) for mutant in verdicts.survived],
    }


def _metamorphic(name: str, worlds: int) -> dict[str, Any]:
    from definitions.proving import metamorphic

    return metamorphic(name, min(worlds, METAMORPHIC_WORLDS))


def _truncation(source: str, worlds: int) -> dict[str, Any]:
    from definitions.proving import simulated_source, truncation

    if source != "simulator":
        folder = SHARED / source
        if not folder.is_dir():
            print(f"truncation {source}: skipped, no source at ../shared/data/{source}", flush=True)
            return {"skipped": f"no source at ../shared/data/{source}"}
        return {"tasks": truncation(folder, PASSES)}
    with tempfile.TemporaryDirectory(prefix="simulated-") as folder:
        tasks = truncation(simulated_source(Path(folder), SIMULATED_PERSONS), PASSES)
    empty = [task for task, compared in tasks.items() if not compared["compared"]]
    assert not empty, f"no example on the simulator: {empty}"
    return {"persons": SIMULATED_PERSONS, "tasks": tasks}


PARTS: dict[str, Callable[[Any, int], dict[str, Any]]] = {
    "worlds": _worlds,
    "dbt_build": _dbt_build,
    "mutants": _mutants,
    "mutants_where_kinds_meet": _where_kinds_meet,
    "metamorphic": _metamorphic,
    "truncation": _truncation,
}


def summed(parts: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    """Return the record by part, with sums over templates, and whether everything holds.

    It does not hold if a part fails, a mutant survives everywhere without an argument, or an argued one dies.
    """
    by_part: dict[str, dict[str, Any]] = {}
    for (part, name), result in parts.items():
        by_part.setdefault(part, {})[name] = dict(result)
    met = by_part.pop("mutants_where_kinds_meet", {}).get(EVERY_KIND, {})
    opened, wrong = classify(by_part.setdefault("mutants", {}), met)
    by_part["mutants_where_kinds_meet"] = met
    errors = [f"{part} {name}" for (part, name), result in parts.items() if "error" in result]
    return {
        "holds": not errors and not opened and not wrong,
        "errors": errors,
        "mutants_open": opened,
        "mutants_argued_and_killed": wrong,
        "total": {
            **{
                key: sum(result.get(key, 0) for result in by_part.get("worlds", {}).values())
                for key in ("worlds", "persons", "examples", "positives", "negatives")
            },
            "mutants_made": sum(result.get("made", 0) for result in by_part["mutants"].values()),
            "mutants_killed": sum(result.get("killed", 0) for result in by_part["mutants"].values()),
            "mutants_equivalent": sum(result.get("equivalent", 0) for result in by_part["mutants"].values()),
            "examples_cut": sum(
                compared["compared"]
                for result in by_part.get("truncation", {}).values()
                for compared in result.get("tasks", {}).values()
            ),
        },
        **by_part,
    }


def classify(
    records: dict[str, dict[str, Any]], met: dict[str, Any]
) -> tuple[list[list[Any]], list[list[Any]]]:
    """Count survivors as equivalent or killed elsewhere; return the open and the wrongly argued ones.

    Equivalent is what has an argument and is killed nowhere; elsewhere is another template that the mutant
    concerns, or all kinds of tasks in one study.
    """
    from definitions.equivalent import read_arguments

    arguments = set(read_arguments())
    every = [*records.values(), met]
    killed = {tuple(name) for record in every for name in record.get("killed_names", [])}
    survived = {tuple(name) for record in every for name in record.get("survived_names", [])}
    for record in every:
        names = [tuple(name) for name in record.pop("survived_names", [])]
        record["killed"] = len(record.pop("killed_names", []))
        record["made"] = record["killed"] + len(names)
        record["equivalent"] = sum(name in arguments for name in names)
        record["killed_elsewhere"] = sum(name in killed for name in names)
    return sorted(map(list, survived - killed - arguments)), sorted(map(list, killed & arguments))


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    raise SystemExit(main())
