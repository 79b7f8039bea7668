"""The demo study, cold and again: seconds, peak memory of all its processes, whether anything was computed.

    .venv/bin/python -m benchmarks.demo

Writes benchmarks/results/demo.json. Installation is not part of it. Memory is the sum of the resident sizes
of the command and every process below it, looked at twice a second (shared pages count once a process).
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from ml.artefact import manifest, write_json

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("results") / "demo.json"


def main() -> int:
    """Run the study twice in a new home; return 0 if the second run computed nothing."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        home = Path(folder) / "home"
        first = run(home)
        predictions, steps = manifest(home / "predictions"), manifest(home / "steps")
        second = run(home)
        same = predictions == manifest(home / "predictions")
        nothing = steps == manifest(home / "steps")
        costs = {
            record["name"]: record["cost"]["wall_s"]
            for record in (json.loads(file.read_text()) for file in sorted((home / "steps").rglob("*.json")))
        }
    write_json(
        RESULTS,
        {
            "cores": os.cpu_count(),
            "first": first,
            "second": second,
            "predictions_byte_equal": same,
            "second_run_computed_nothing": nothing,
            "seconds_by_step": costs,
        },
    )
    print(RESULTS.read_text(encoding="utf-8"))
    return 0 if same and nothing and first["exit_code"] == second["exit_code"] == 0 else 1


def run(home: Path) -> dict[str, float | int]:
    """Run `second-opinion run` on a home; return exit code, seconds and peak bytes."""
    started = time.monotonic()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SECOND_OPINION", "DAGSTER"))}
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("second-opinion")), "run"],
        env={**environment, "SECOND_OPINION_HOME": str(home)},
        cwd=ROOT,
    )
    peak = Peak(process.pid)
    code = process.wait()
    return {
        "exit_code": code,
        "wall_s": round(time.monotonic() - started, 1),
        "peak_mb": round(peak.stop() / 2**20),
    }


class Peak:
    """Looks at a process and all below it until stopped."""

    def __init__(self, pid: int):
        self.root, self.largest, self.done = psutil.Process(pid), 0, threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def stop(self) -> int:
        """Return the largest sum of resident bytes seen."""
        self.done.set()
        self.thread.join()
        return self.largest

    def _watch(self) -> None:
        while not self.done.wait(0.5):
            try:
                family = [self.root, *self.root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            self.largest = max(self.largest, sum(map(_resident, family)))


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
