"""The proof of the definitions at full size (issue 3, heading 4), in two processes; recorded.

    make proof

Writes benchmarks/results/proof.json: SQL against oracle on stacked worlds and after `dbt build`, mutants,
truncation invariance, metamorphic relations. Ends with 1 if anything differs, survives or violates.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ml.artefact import write_json

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("results") / "proof.json"
SHARED = ROOT.parent / "shared" / "data"
SOURCES = ("simulator", "gibleed", "synthea27nj")
PROCESSES = 2
WORLDS = 200  # a template
METAMORPHIC_WORLDS = 50
SIMULATED_PERSONS = 1_000
PASSES = 4  # examples of one person that are cut, one at a time
EVERY_KIND = "every_kind"
PACKAGES = ("dbt-core", "dbt-duckdb", "duckdb", "hypothesis", "sqlglot")

sys.path.insert(0, str(ROOT / "tests"))


def main() -> int:
    """Run every part, whatever the others do; return 0 if all hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=WORLDS)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args()
    started = time.monotonic()
    parts = run_parts(given.worlds)
    record = {
        "commit": _git("rev-parse", "HEAD"),
        "changed_since": bool(_git("status", "--porcelain", "--", "dbt_project", "tests/definitions")),
        "versions": {name: version(name) for name in PACKAGES},
        "seconds": round(time.monotonic() - started),
        **summed(parts),
    }
    write_json(given.results, record)
    print(given.results.read_text(encoding="utf-8")[-1500:])
    return 0 if record["holds"] else 1


def run_parts(worlds: int) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what each part found by (part, template or source), the longest begun first."""
    from definitions.mixed import STUDIES
    from definitions.templates import TEMPLATES

    jobs: list[tuple[str, str]] = [("mutants", name) for name in TEMPLATES]
    jobs += [("truncation", source) for source in SOURCES]
    jobs += [("metamorphic", name) for name in TEMPLATES]
    jobs += [(part, name) for part in ("worlds", "dbt_build") for name in STUDIES]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(run_part, part, name, worlds): (part, name) for part, name in jobs}
        for done in as_completed(waiting):
            part, name = waiting[done]
            found[part, name] = done.result()
            words = "fails" if "error" in found[part, name] else "holds"
            print(f"{part} {name}: {words} after {found[part, name]['seconds']} s", flush=True)
    found = {job: found[job] for job in jobs}
    found["mutants_where_kinds_meet", EVERY_KIND] = run_part("mutants_where_kinds_meet", _left(found), worlds)
    return found


def _left(found: dict[tuple[str, str], dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return the names of mutants that survive every template they concern, without an argument."""
    records = [result for (part, _), result in found.items() if part == "mutants"]
    killed = {tuple(name) for record in records for name in record.get("killed_names", [])}
    return sorted({tuple(name) for record in records for name in record.get("survived", [])} - killed)


def run_part(part: str, name: Any, worlds: int) -> dict[str, Any]:
    """Run one part; a failure is a result like another."""
    import warnings

    warnings.filterwarnings("ignore", message="sqlglotrs is deprecated")
    started = time.monotonic()
    try:
        result = PARTS[part](name, worlds)
    except Exception:
        result = {"error": traceback.format_exc()[-3000:]}
    return {**result, "seconds": round(time.monotonic() - started)}


def _worlds(name: str, worlds: int) -> dict[str, Any]:
    from definitions.proving import equal_on_worlds

    return {**equal_on_worlds(name, worlds).record(), "differences": 0}


def _dbt_build(name: str, worlds: int) -> dict[str, Any]:
    from definitions.proving import equal_after_dbt_build

    return {**equal_after_dbt_build(name), "differences": 0}


def _mutants(name: str, worlds: int) -> dict[str, Any]:
    from definitions.proving import judged, mutant_record

    return mutant_record(name, judged(name, worlds))


def _where_kinds_meet(names: list[tuple[Any, ...]], worlds: int) -> dict[str, Any]:
    from definitions.proving import judged_where_kinds_meet

    verdicts = judged_where_kinds_meet(set(names), worlds)
    return {
        "made": len(names),
        "killed": len(verdicts.killed),
        "survived": [list(mutant.name) for mutant in verdicts.survived],
        "killed_names": [list(mutant.name) for mutant in verdicts.killed],
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


PARTS: dict[str, Callable[[str, int], dict[str, Any]]] = {
    "worlds": _worlds,
    "dbt_build": _dbt_build,
    "mutants": _mutants,
    "mutants_where_kinds_meet": _where_kinds_meet,
    "metamorphic": _metamorphic,
    "truncation": _truncation,
}


def summed(parts: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any]:
    """Return the record by part, with sums over templates, and whether everything holds.

    A mutant that survives a template without an argument is killed elsewhere, by the worlds of another template
    or where all kinds meet, or is open.
    """
    by_part: dict[str, dict[str, Any]] = {}
    for (part, name), result in parts.items():
        by_part.setdefault(part, {})[name] = result
    met = by_part["mutants_where_kinds_meet"][EVERY_KIND]
    records = [*by_part["mutants"].values(), met]
    killed = {tuple(name) for record in records for name in record.pop("killed_names", [])}
    opened = [name for name in met.pop("survived", []) if tuple(name) not in killed]
    for record in by_part["mutants"].values():
        record["killed_elsewhere"] = record.pop("survived", [])
        record["killed_elsewhere"] = [n for n in record["killed_elsewhere"] if tuple(n) in killed]
    errors = [f"{part} {name}" for (part, name), result in parts.items() if "error" in result]
    return {
        "holds": not errors and not opened,
        "errors": errors,
        "total": {
            **{
                key: sum(result.get(key, 0) for result in by_part["worlds"].values())
                for key in ("worlds", "persons", "examples", "positives", "negatives")
            },
            "mutants_made": sum(result.get("made", 0) for result in by_part["mutants"].values()),
            "mutants_killed": sum(result.get("killed", 0) for result in by_part["mutants"].values()),
            "mutants_equivalent": sum(result.get("equivalent", 0) for result in by_part["mutants"].values()),
            "mutants_open": opened,
            "examples_cut": sum(
                compared["compared"]
                for result in by_part["truncation"].values()
                for compared in result.get("tasks", {}).values()
            ),
        },
        **by_part,
    }


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    raise SystemExit(main())
