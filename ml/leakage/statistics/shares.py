"""Whether two groups of persons have things alike: exact tables, the strongest of many looks as one."""

import numpy as np
import numpy.typing as npt

from ml.leakage.statistics.alarms import Evidence, best_look
from ml.leakage.statistics.differences import looks_that_count
from ml.leakage.statistics.tails import shares_smallest, shares_tail, table_tail

Flags = npt.NDArray[np.bool_]


def most_apart(
    is_of: npt.ArrayLike,
    has: npt.ArrayLike,
    part: float,
    minimum: float,
    what: str,
    *,
    among: npt.ArrayLike | None = None,
) -> Evidence:
    """Judge of which thing the shares of two groups that have it lie furthest apart.

    Args:
        is_of: (N,) who is of the first group.
        has: (L, N) who has each of L things.
        part: level of all looks together.
        minimum: difference of shares below which nothing is said.
        what: of the statistic, in words.
        among: (L, N) who is looked at for each thing; None for everybody.
    """
    group, had = np.asarray(is_of, dtype=bool), np.atleast_2d(np.asarray(has, dtype=bool))
    of = np.ones(had.shape, dtype=bool) if among is None else np.atleast_2d(np.asarray(among, dtype=bool))
    n, first = of.sum(axis=1), (of & group).sum(axis=1)
    present, both = (of & had).sum(axis=1), (of & had & group).sum(axis=1)
    possible = (present > 0) & (present < n) & (first > 0) & (first < n)
    if not possible.any():
        # All are alike: there was nothing to be seen, and nothing is unseen.
        return Evidence(len(group), 1.0, 0.0, minimum, 0.0, what)
    n, first, present, both = (counts[possible] for counts in (n, first, present, both))
    apart = np.abs(both / first - (present - both) / (n - first))
    extremes = np.minimum(present, first), np.maximum(0, present + first - n)
    least = np.minimum(*(table_tail(extreme, present, first, n) for extreme in extremes))
    looks = looks_that_count(least, part)
    p_values = table_tail(both, present, first, n)
    best = best_look(p_values, apart, minimum)
    smallest = min(
        table_smallest(*margins, part / looks)
        for margins in {(int(a), int(b), int(c)) for a, b, c in zip(present, first, n, strict=True)}
    )
    return Evidence(
        looked_at=int(n.max()),
        p_value=min(1.0, looks * float(p_values[best])),
        effect=float(apart[best]),
        minimum=minimum,
        smallest=smallest,
        what=f"{what}, strongest of {len(n)}",
    )


def table_smallest(present: int, first: int, n: int, level: float) -> float:
    """Return the smallest difference of shares for which `table_tail` reaches a level, given the margins.

    inf: none does.
    """
    possible = np.arange(max(0, present + first - n), min(present, first) + 1)
    apart = np.abs(possible / first - (present - possible) / (n - first))
    excluded = apart[table_tail(possible, present, first, n) <= level]
    return float(excluded.min()) if excluded.size else float("inf")


def more_often(
    found: tuple[int, int], usual: tuple[int, int], allowed: float, minimum: float, part: float, what: str
) -> Evidence:
    """Judge whether a share lies above a usual one by more than is allowed.

    Args:
        found: how many, of how many (not 0).
        usual: likewise.
        allowed: difference of the true shares that is fair.
        minimum: difference below which nothing is said.
        part: level of the look.
        what: of the statistic, in words.
    """
    more = found[0] / found[1] - usual[0] / usual[1]
    return Evidence(
        looked_at=found[1],
        p_value=shares_tail(found, usual, allowed) if more > 0 else 1.0,
        effect=more,
        minimum=minimum,
        smallest=shares_smallest(found[1], usual, allowed, part),
        what=what,
    )
