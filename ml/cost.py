"""What a computed step cost: wall and CPU seconds, peak memory, accelerator seconds, tokens, bytes."""

import dataclasses
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PEAK_UNIT = 1024  # ru_maxrss and VmHWM count KiB on Linux (getrusage(2), proc(5))
CLEAR_REFS = Path("/proc/self/clear_refs")
STATUS = Path("/proc/self/status")


@dataclass
class Cost:
    """One cost row, without the names of task, arm and step.

    `peak_bytes` is the largest resident size that the working process had during the step.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_bytes: int = 0
    accelerator_s: float = 0.0
    tokens: int = 0
    bytes: int = 0

    def as_row(self) -> dict[str, float | int]:
        """Return the row as plain values, seconds to the millisecond."""
        row = dataclasses.asdict(self)
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}


@contextmanager
def measured() -> Iterator[Cost]:
    """Measure the body: monotonic wall clock, CPU time of this process and of its ended children.

    A body that ran a child sets `peak_bytes` from it; otherwise it is this process's own.
    """
    cost = Cost()
    _forget_peak()
    wall, cpu = time.monotonic(), _cpu_seconds()
    yield cost
    cost.wall_s += time.monotonic() - wall
    cost.cpu_s += _cpu_seconds() - cpu
    if not cost.peak_bytes:
        cost.peak_bytes = peak_bytes()


def _cpu_seconds() -> float:
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


def _forget_peak() -> None:
    """Start the kernel's high-water mark anew (proc(5): 5 to clear_refs); elsewhere it spans the process."""
    if os.access(CLEAR_REFS, os.W_OK):
        CLEAR_REFS.write_text("5", encoding="ascii")


def peak_bytes() -> int:
    """Return the high-water mark of this process's resident size, in bytes."""
    if STATUS.exists():
        for line in STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * PEAK_UNIT
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT
