"""What is too long for every push: the slow tests, the demo and the simulated world at size; recorded.

    make slow

Writes benchmarks/results/slow.json: each part's command, exit code, seconds and closing line.
"""

import subprocess
import sys
import time
from pathlib import Path

from ml.artefact import write_json

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("results") / "slow.json"
WORKERS = ["-n", "2", "--dist", "loadgroup", "--no-loadscope-reorder"]
PARTS = {
    "slow_tests": ["-m", "pytest", "-q", *WORKERS, "-m", "slow or platform"],
    "demo": ["-m", "benchmarks.demo"],
    "simulated_world": ["benchmarks/simulator_mechanisms.py", "--persons", "100000"],
}


def main() -> int:
    """Run every part, whatever the others do; return 0 if all passed."""
    found = {}
    for name, words in PARTS.items():
        print(f"{name}: python {' '.join(words)}", flush=True)
        started = time.monotonic()
        done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False)
        print(done.stdout[-3000:], done.stderr[-3000:], flush=True)
        found[name] = {
            "command": f"python {' '.join(words)}",
            "exit_code": done.returncode,
            "seconds": round(time.monotonic() - started),
            "closing_line": (done.stdout.strip().splitlines() or [""])[-1] if name == "slow_tests" else "",
        }
        write_json(RESULTS, found)
    return max(part["exit_code"] for part in found.values())


if __name__ == "__main__":
    raise SystemExit(main())
