"""One statistic of two snapshots, held against what chance and size explain.

It has two limits: one warns, one blocks. Each is the larger of an effect worth acting on and what
independent persons would show by chance: all statistics of a run together warn falsely in at most 1% of runs
and block in at most 1 in 100,000 (Bonferroni).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

WARN_RATE, BLOCK_RATE = 0.01, 1e-5  # false alarms a run, all statistics together


@dataclass(frozen=True)
class Statistic:
    """One statistic of two snapshots.

    Attributes:
        name: what must hold.
        task: whose cohort; empty for all rows.
        looked_at: persons, rows or concepts of both snapshots; 0 where there is nothing to compare.
        found: the statistic, 0 where nothing changed.
        spread: one standard error of it when nothing changed; 0 where chance has no part in it.
        warn: the effect that is worth a warning; block: one that stops, None where it never does.
        bins: of a stability index, whose `spread` is 1/n + 1/m; 0: the normal distribution judges.
    """

    name: str
    task: str
    claim: str
    looked_at: int
    found: float
    spread: float
    warn: float
    block: float | None
    bins: int = 0

    def limits(self, n_tests: int) -> tuple[float, float | None]:
        """Return the limits that warn and that block when a run has so many tests."""
        warn = max(self.warn, self._chance(WARN_RATE / n_tests))
        return warn, None if self.block is None else max(self.block, self._chance(BLOCK_RATE / n_tests))

    def _chance(self, rate: float) -> float:
        from scipy import stats  # a second to import, which a run that computes nothing must not take

        if self.bins:
            return self.spread * float(stats.chi2.isf(rate, max(self.bins - 1, 1)))
        return self.spread * float(stats.norm.isf(rate / 2))


def drift_rows(tests: Iterable[Statistic]) -> list[dict[str, Any]]:
    """Return one check row a test: its limit is the one it broke, or else the one that warns."""
    tests = list(tests)
    rows: list[dict[str, Any]] = []
    for test in tests:
        warn, block = test.limits(len(tests))
        blocks = block is not None and test.found > block
        rows.append(
            {
                "name": test.name,
                "task": test.task,
                "looked_at": test.looked_at,
                "found": float(f"{test.found:.4g}"),
                "limit": float(f"{block if blocks else warn:.4g}"),
                "severity": "block" if blocks else "warn",
                "suite": "drift",
                "claim": test.claim,
                "allowed": "an effect beyond chance",
            }
        )
    return rows
