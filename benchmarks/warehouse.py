"""The warehouse over ten million events: seconds and peak memory, clinical_event and what follows it apart.

    .venv/bin/python -m benchmarks.warehouse /a/directory

Simulates a source into the directory, or takes the one that it finds there, lands it and builds the models
with dbt on two threads. What follows clinical_event: cohorts, labels and attrition of the whole catalogue
and the inputs of three tasks; after them, what counts the quality of the rows. dbt's own start is part of
every figure. Memory is the largest resident size of the process. Writes benchmarks/results/warehouse.json.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from ml.artefact import write_json

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "dbt_project"
RESULTS = Path(__file__).with_name("results") / "warehouse.json"

PERSONS, SEED = 66_000, 1
THREADS, MEMORY_LIMIT = "2", "1200MB"
INPUT_TASKS = ("dhf_1y", "paca_1y", "readmission_30d")
TARGET_SECONDS, TARGET_BYTES = 60, 2 * 2**30

SIMULATE = """
import sys
from pathlib import Path
from ml.simulator.source import write_source
write_source(Path(sys.argv[1]), Path(sys.argv[2]), persons=int(sys.argv[3]), seed=int(sys.argv[4]))
"""
LAND = """
import sys
from pathlib import Path
from orchestration.landing import land
land(Path(sys.argv[1]), Path(sys.argv[2]))
"""

# A part of the build: what dbt selects, and what it leaves out.
PARTS = {
    "clinical_event": (["+clinical_event"], []),
    "cohorts_labels_attrition_inputs": (
        ["+attrition", "+label", "+label_count", "+example_input"],
        ["+clinical_event"],
    ),
    # counts of quality and the rest, after all else
    "quality": (
        ["+path:models"],
        ["+attrition", "+label", "+label_count", "+example_input", "+clinical_event"],
    ),
}


def main() -> int:
    """Measure every part; return 0 if what follows clinical_event keeps within its target."""
    arguments = _arguments()
    folder: Path = arguments.directory.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    source, landing = folder / "cdm", folder / "landing"
    measured: dict[str, Any] = {}
    if not source.exists():
        parameters = [str(source), str(folder / "world"), str(arguments.persons), str(SEED)]
        measured["simulation"] = measure([sys.executable, "-c", SIMULATE, *parameters], {})
    measured["landing"] = measure([sys.executable, "-c", LAND, str(source), str(landing)], {})
    database = folder / "warehouse.duckdb"
    database.unlink(missing_ok=True)
    dbt(folder, landing, ["parse"])
    for name, (selected, excluded) in PARTS.items():
        command = ["build", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"]
        command += ["--select", *selected, *(["--exclude", *excluded] if excluded else [])]
        measured[name] = {**dbt(folder, landing, command), "seconds_by_model": _seconds_by_model(folder)}
    result = {
        "cores": os.cpu_count(),
        "threads": int(THREADS),
        "memory_limit": MEMORY_LIMIT,
        "input_tasks": list(INPUT_TASKS),
        "rows": _rows(database),
        "parts": measured,
        "target": {"seconds": TARGET_SECONDS, "peak_bytes": TARGET_BYTES},
    }
    write_json(RESULTS, result)
    print(RESULTS.read_text(encoding="utf-8"))
    last = measured["cohorts_labels_attrition_inputs"]
    return 0 if last["seconds"] < TARGET_SECONDS and last["peak_bytes"] < TARGET_BYTES else 1


def measure(command: Sequence[str], environment: Mapping[str, str]) -> dict[str, float | int]:
    """Run a command; return its seconds, its peak resident bytes and the load of the machine before it.

    Raises:
        RuntimeError: the command failed; the message ends with what it printed.
    """
    load, started = os.getloadavg()[0], time.monotonic()
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        printed = process.stdout.read().decode()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(printed[-4000:])
    return {
        "seconds": round(time.monotonic() - started, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_bytes": used.ru_maxrss * 1024,
        "load_average_before": round(load, 1),
    }


def dbt(folder: Path, landing: Path, command: Sequence[str]) -> dict[str, float | int]:
    """Run dbt on the project with its warehouse, target and logs in `folder`."""
    environment = {
        "SECOND_OPINION_WAREHOUSE": str(folder / "warehouse.duckdb"),
        "SECOND_OPINION_THREADS": THREADS,
        "SECOND_OPINION_MEMORY_LIMIT": MEMORY_LIMIT,
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "DO_NOT_TRACK": "1",
        "TZ": "UTC",
    }
    given = json.dumps({"landing": str(landing), "tasks": list(INPUT_TASKS)})
    program = str(Path(sys.executable).with_name("dbt"))
    places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--vars", given]
    return measure([program, *command, *places], environment)


def _seconds_by_model(folder: Path) -> dict[str, float]:
    results = json.loads((folder / "target" / "run_results.json").read_text(encoding="utf-8"))["results"]
    seconds = {row["unique_id"].split(".")[2]: round(row["execution_time"], 2) for row in results}
    return dict(sorted(seconds.items(), key=lambda item: -item[1])[:12])


def _rows(database: Path) -> dict[str, int]:
    with duckdb.connect(str(database), read_only=True) as connection:
        tables = ("person", "clinical_event", "entry", "cohort", "label", "attrition", "example_input")
        return {
            table: connection.execute(f"select count(*) from {table}").fetchall()[0][0] for table in tables
        }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "directory", type=Path, help="where the source is or is to be; the warehouse goes there"
    )
    parser.add_argument("--persons", type=int, default=PERSONS, help="persons to simulate where no source is")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
