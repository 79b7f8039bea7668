"""The programs that are compared: the command of each, and how its labels are read."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.labels.comparing import of_file, of_windows

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TWO_THREADS = {"POLARS_MAX_THREADS": "2", "OMP_NUM_THREADS": "2"}


@dataclass(frozen=True)
class Program:
    """A command that makes labels, and the query that reads them."""

    name: str
    command: list[str]
    labels: str


def label_programs(inputs: Path, plan: Path, out: Path, binaries: Mapping[str, Path]) -> list[Program]:
    """Return ours for the task, ours for the whole catalogue, and dhf_1y by hand in three libraries."""
    return [
        _by_models("models", "dhf_1y", inputs, plan, out),
        _by_models("models_whole_catalogue", "all", inputs, plan, out),
        _by_hand("duckdb", [sys.executable, "-m", "benchmarks.labels.by_duckdb"], inputs, out),
        _by_hand("polars", [str(binaries["polars"] / "python"), str(HERE / "by_polars.py")], inputs, out),
        _by_hand("pandas", [sys.executable, "-m", "benchmarks.labels.by_pandas"], inputs, out),
    ]


def conversion(inputs: Path, meds: Path) -> Program:
    """Return the program that writes the MEDS files of es-aces."""
    command = [sys.executable, "-m", "benchmarks.labels.meds", str(inputs), str(meds)]
    return Program("conversion_to_meds", command, "")


def aces_programs(meds: Path, out: Path, binaries: Mapping[str, Path]) -> list[Program]:
    """Return es-aces on every event, and on nothing but the rows that its predicates read."""
    programs = []
    for name, rows in (("es_aces", "all"), ("es_aces_needed_rows", "needed")):
        folder = out / name
        command = [str(binaries["es-aces"] / "aces-cli"), "cohort_name=dhf_1y", f"cohort_dir={folder}"]
        command += [f"config_path={HERE / 'dhf_1y.yaml'}", f"predicates_path={meds / 'predicates.yaml'}"]
        command += ["data.standard=meds", f"data.path={meds / rows}.parquet"]
        command += [f"output_filepath={folder}/labels.parquet", f"window_stats_dir={folder}/windows"]
        programs.append(Program(name, command, of_windows(folder / "windows" / "dhf_1y.parquet")))
    return programs


def timed(program: Program, logs: Path, environment: Mapping[str, str]) -> dict[str, float]:
    """Run a program in a process of its own; return wall_s, cpu_s and peak_mb.

    Raises:
        RuntimeError: the program failed; the message names its log.
    """
    log = logs / f"{program.name}.log"
    launcher = [sys.executable, "-S", str(HERE / "timed_run.py"), str(log)]
    done = subprocess.run(
        [*launcher, *program.command],
        cwd=ROOT,
        env={**environment, **TWO_THREADS},
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    if found.pop("exit_code"):
        raise RuntimeError(f"`{program.name}` failed; what it printed is in {log}")
    return found


def _by_models(name: str, task: str, inputs: Path, plan: Path, out: Path) -> Program:
    labels = out / f"{name}.parquet"
    command = [sys.executable, "-m", "benchmarks.labels.by_models", str(inputs), str(labels), str(plan), task]
    return Program(name, command, of_file(labels, only="dhf_1y"))


def _by_hand(name: str, command: list[str], inputs: Path, out: Path) -> Program:
    labels = out / f"{name}.parquet"
    return Program(name, [*command, str(inputs), str(labels)], of_file(labels))
