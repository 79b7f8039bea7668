"""Work in a process of its own: started only when there is work, dead with its parent, costed."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml.artefact import read_json, write_json
from ml.cost import Cost
from ml.run import REFUSED
from orchestration.home import ROOT

# What a result depends on is set here, for every child, whoever starts Dagster.
FIXED_ENVIRONMENT = {
    "TZ": "UTC",
    "OMP_NUM_THREADS": "2",
    "PYTHONHASHSEED": "0",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}


class ChildFailedError(RuntimeError):
    """A child process crashed; its traceback went to the console, never to the event log."""


def run_child(
    step: str, arguments: dict[str, Any], cost: Cost, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Run `python -m ml.run` on a spec; return its result, which holds `refused` after a refusal.

    Adds the child's own peak memory to `cost` (its ru_maxrss would start from this process's size); its
    CPU time counts as that of an ended child. A killed parent kills the child (prctl there);
    an interrupted one ends it here.

    Raises:
        ChildFailedError: the child ended with another code than 0 or a refusal.
    """
    with tempfile.TemporaryDirectory(prefix="second-opinion-") as folder:
        spec, result = Path(folder) / "spec.json", Path(folder) / "result.json"
        write_json(spec, {"step": step, "arguments": arguments, "result": str(result)})
        process = subprocess.Popen(
            [sys.executable, "-m", "ml.run", str(spec)],
            cwd=ROOT,
            env={**os.environ, **FIXED_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                progress(line.rstrip())
            process.wait()
        except BaseException:
            process.send_signal(signal.SIGTERM)
            process.wait()
            raise
        finally:
            process.stdout.close()
        if process.returncode not in (0, REFUSED):
            raise ChildFailedError(
                f"The step `{step}` ended with exit code {process.returncode}; the console says why"
            )
        found = read_json(result)
        cost.peak_bytes = max(cost.peak_bytes, found.pop("peak_bytes"))
        return found
