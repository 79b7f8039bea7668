"""What a computed step cost: wall and CPU seconds, peak memory, accelerator seconds, tokens, bytes."""

import dataclasses
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

PEAK_UNIT = 1024  # ru_maxrss counts KiB on Linux (getrusage(2))


@dataclass
class Cost:
    """One cost row, without the names of task, arm and step.

    `peak_bytes` is the largest resident size that the working process had by the end of the step.
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
    """Measure the body in this process: monotonic wall clock, its own and its ended children's CPU time."""
    cost = Cost()
    wall, cpu = time.monotonic(), _cpu_seconds()
    yield cost
    cost.wall_s += time.monotonic() - wall
    cost.cpu_s += _cpu_seconds() - cpu
    cost.peak_bytes = max(cost.peak_bytes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * PEAK_UNIT)


def _cpu_seconds() -> float:
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)
