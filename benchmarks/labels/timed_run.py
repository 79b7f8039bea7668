"""Run a command and print, as one JSON line, its exit code, wall and CPU seconds and peak resident MB.

    python -S timed_run.py LOG COMMAND...

It stays small on purpose: Linux counts the memory of the starting process as the floor of the started one's
peak (getrusage(2), ru_maxrss). What the command prints goes to the file LOG.
"""

import json
import os
import subprocess
import sys
import time


def main(log: str, command: list[str]) -> None:
    """Run the command and print what it used; only the one process is measured, not children of its own."""
    with open(log, "wb") as output:  # noqa: PTH123 - pathlib would be most of this process
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
    facts = {
        "exit_code": os.waitstatus_to_exitcode(status),
        "wall_s": round(wall, 2),
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "peak_mb": round(used.ru_maxrss / 1024),
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
