"""Tail probabilities that hold at any level and any sample size: exact, or bounds that are never too small.

Alarms that block share 1 in 100,000: each is judged near 1 in 10 million, where a normal approximation has
never been checked. Only `contrast_tail` is one, and only alarms that warn use it.

scipy's statistics are imported where they are used: a graph of assets names the checks and computes nothing.
"""

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
LEAST_LOG = -100.0  # logarithm of the smallest chance told apart; beyond it intervals are not computed well
STEEPEST = 2000.0  # of the tilt that a Chernoff bound is minimised over; any tilt gives a valid bound


@dataclass(frozen=True)
class RankTail:
    """Whether scores order cases and non-cases, within strata.

    Attributes:
        auroc: within strata, each weighted by cases x non-cases / size.
        p_value: at most so often would labels dealt at random within strata give an AUROC as far from 0.5.
        smallest: distance from 0.5 at which `p_value` would have reached the level that was asked.
    """

    auroc: float
    p_value: float
    smallest: float


def rank_tail(
    y_true: npt.ArrayLike,
    score: npt.ArrayLike,
    level: float,
    *,
    strata: npt.ArrayLike | None = None,
    two_sided: bool = True,
) -> RankTail:
    """Test that labels are dealt at random within strata, by the rank sum.

    The sum over the smaller class is one over a sample without replacement from the mid-ranks, so its moment
    generating function is at most that of a sample with replacement (Hoeffding 1963, theorem 4), and
    Chernoff's bound holds for every number of examples and every pattern of ties.

    Args:
        y_true: labels 0 or 1 of N independent examples.
        score: (N,).
        level: of `smallest`.
        strata: (N,) labels are exchangeable within; None: all together.
        two_sided: an order against the labels counts as well.
    """
    from scipy import stats

    labels = np.asarray(y_true, dtype=np.float64)
    codes = np.unique(np.zeros(labels.size) if strata is None else np.asarray(strata), return_inverse=True)[1]
    distance, weight, drawn = 0.0, 0.0, []
    scores = np.asarray(score, dtype=np.float64)
    order = np.argsort(codes, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        n, n_cases = rows.size, int(labels[rows].sum())
        if not 0 < n_cases < n:
            continue
        place = (stats.rankdata(scores[rows]) - (n + 1) / 2) / n
        distance += float(place[labels[rows] == 1].sum())
        weight += n_cases * (n - n_cases) / n
        few = min(n_cases, n - n_cases)
        drawn.append((few, place if few == n_cases else -place))
    if weight == 0:
        return RankTail(0.5, 1.0, 0.5)
    sides = 2 if two_sided else 1
    away = abs(distance) if two_sided else distance
    backwards = two_sided and distance < 0
    towards = [(few, -place if backwards else place) for few, place in drawn]
    p_value = 1.0 if away <= 0 else min(1.0, sides * float(np.exp(_least(towards, away))))
    smallest = min(0.5, _reached(towards, np.log(sides / level)) / weight)
    return RankTail(0.5 + distance / weight, p_value, smallest)


def _cumulants(drawn: list[tuple[int, FloatArray]], tilt: float) -> float:
    """Logarithm of the moment generating function of sums drawn with replacement."""
    total = 0.0
    for few, place in drawn:
        tilted = tilt * place
        top = tilted.max()
        total += few * float(top + np.log(np.exp(tilted - top).mean()))
    return total


def _least(drawn: list[tuple[int, FloatArray]], away: float) -> float:
    """Return the logarithm of Chernoff's bound for a sum of at least `away`."""
    from scipy import optimize

    found = optimize.minimize_scalar(
        lambda log_tilt: _cumulants(drawn, np.exp(log_tilt)) - np.exp(log_tilt) * away,
        bounds=(-12.0, np.log(STEEPEST)),
        method="bounded",
    )
    return min(0.0, float(found.fun))  # pyright: ignore[reportAttributeAccessIssue]


def _reached(drawn: list[tuple[int, FloatArray]], nats: float) -> float:
    """Return the sum at which the bound is exp(-nats)."""
    from scipy import optimize

    found = optimize.minimize_scalar(
        lambda log_tilt: (nats + _cumulants(drawn, np.exp(log_tilt))) / np.exp(log_tilt),
        bounds=(-12.0, np.log(STEEPEST)),
        method="bounded",
    )
    return float(found.fun)  # pyright: ignore[reportAttributeAccessIssue]


def share_tail(n_found: npt.ArrayLike, n: npt.ArrayLike, share: float) -> FloatArray:
    """Chance of so many or more among n where the share is at most `share`: binomial, exact; broadcast."""
    from scipy import stats

    return np.asarray(stats.binom.sf(np.asarray(n_found) - 1, np.asarray(n), share), dtype=np.float64)


def table_tail(
    n_both: npt.ArrayLike, n_present: npt.ArrayLike, n_cases: npt.ArrayLike, n: npt.ArrayLike
) -> FloatArray:
    """Two-sided chance of a 2x2 table with these margins, independent: hypergeometric, exact; broadcast.

    Twice the smaller tail.
    """
    from scipy import stats

    both, present, cases, size = map(np.asarray, (n_both, n_present, n_cases, n))
    above = stats.hypergeom.sf(both - 1, size, cases, present)
    below = stats.hypergeom.cdf(both, size, cases, present)
    return np.minimum(1.0, 2 * np.minimum(above, below))


def shares_tail(first: tuple[int, int], second: tuple[int, int], allowed: float) -> float:
    """Bound the chance that two shares lie so far apart where they truly differ by at most `allowed`.

    Each share has its exact interval (Clopper and Pearson 1934) at half the level; the smallest level at
    which the intervals lie more than `allowed` apart.

    Args:
        first: found, of how many.
        second: likewise.
        allowed: 0 to 1, either way.
    """
    from scipy import stats

    if first[0] * second[1] < second[0] * first[1]:
        first, second = second, first

    def apart(log_level: float) -> float:
        tail = np.exp(log_level) / 4  # two shares, two directions
        low = 0.0 if first[0] == 0 else float(stats.beta.ppf(tail, first[0], first[1] - first[0] + 1))
        high = 1.0 if second[0] == second[1] else float(
            stats.beta.isf(tail, second[0] + 1, second[1] - second[0])
        )  # fmt: skip
        return low - high - allowed

    if not first[1] or not second[1] or apart(0.0) <= 0:
        return 1.0
    if apart(LEAST_LOG) > 0:
        return math.exp(LEAST_LOG)
    return math.exp(_root(apart, LEAST_LOG, 0.0))


def shares_smallest(n: int, other: tuple[int, int], allowed: float, level: float) -> float:
    """Return how far a higher share of n must lie above another for `shares_tail` to reach a level.

    inf: none does.
    """
    lowest = int(n * other[0] / other[1])
    first = bisect.bisect_left(
        range(lowest, n + 1), -level, key=lambda found: -shares_tail((found, n), other, allowed)
    )
    return (lowest + first) / n - other[0] / other[1] if lowest + first <= n else math.inf


def distributions_tail(first: npt.ArrayLike, second: npt.ArrayLike, allowed: float) -> tuple[float, float]:
    """Return the largest distance of two distribution functions, and a bound on its chance.

    The chance where the true distance is at most `allowed`: by Massart's constant of the inequality of
    Dvoretzky, Kiefer and Wolfowitz for each sample, ties allowed.
    """
    a, b = (np.sort(np.asarray(values, dtype=np.float64)) for values in (first, second))
    if not a.size or not b.size:
        return 0.0, 1.0
    at = np.concatenate([a, b])
    gaps = np.searchsorted(a, at, side="right") / a.size - np.searchsorted(b, at, side="right") / b.size
    distance = float(np.abs(gaps).max())
    beyond = max(0.0, distance - allowed) / (a.size**-0.5 + b.size**-0.5)
    return distance, min(1.0, 4 * float(np.exp(-2 * beyond**2)))


def distributions_smallest(n_first: int, n_second: int, allowed: float, level: float) -> float:
    """Return the distance at which `distributions_tail` reaches a level; above 1: none does."""
    return allowed + float(np.sqrt(np.log(4 / level) / 2)) * (n_first**-0.5 + n_second**-0.5)


def auroc_tail(auroc: npt.ArrayLike, n_cases: int, n_others: int, limit: float) -> FloatArray:
    """Bound the chance of an AUROC as high where it truly is at most `limit`; broadcast.

    An AUROC is a mean over permutations of means of min(cases, non-cases) independent numbers in [0, 1]
    (Hoeffding 1963, section 5), so Chernoff's bound for as many coin tosses holds whatever the scores.
    """
    from scipy import special

    seen = np.asarray(auroc, dtype=np.float64)
    few = min(n_cases, n_others)
    apart = special.rel_entr(seen, limit) + special.rel_entr(1 - seen, 1 - limit)
    return np.where(seen > limit, np.exp(-few * apart), 1.0)


def auroc_smallest(n_cases: int, n_others: int, limit: float, level: float) -> float:
    """Return the AUROC at which `auroc_tail` reaches a level; above 1: none does."""
    few = min(n_cases, n_others)
    if few == 0 or auroc_tail(1.0, few, few, limit) > level:
        return float("inf")
    return _root(lambda a: float(auroc_tail(a, few, few, limit)) - level, limit + 1e-9, 1.0)


def contrast_tail(y_true: npt.ArrayLike, shortcut: npt.ArrayLike, full: npt.ArrayLike, share: float) -> float:
    """Chance of (AUROC of the shortcut - 0.5) - share x (AUROC of the full model - 0.5), truly 0 or less.

    DeLong's covariance, and Student's distribution by the size of the smaller class: at ten cases the normal
    one is wrong a hundredfold where alarms judge.
    """
    from scipy import stats

    labels = np.asarray(y_true, dtype=np.float64)
    parts = [_placements(labels, np.asarray(scores, dtype=np.float64)) for scores in (shortcut, full)]
    cases, others = (of_shortcut - share * of_full for of_shortcut, of_full in zip(*parts, strict=True))
    if min(cases.size, others.size) < 2:
        return 1.0
    contrast = float(cases.mean()) - (1 - share) / 2
    error = float(np.sqrt(cases.var(ddof=1) / cases.size + others.var(ddof=1) / others.size))
    if error < 1e-12:
        return 0.0 if contrast > 1e-12 else 1.0
    return float(stats.t.sf(contrast / error, min(cases.size, others.size) - 1))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    from scipy import optimize

    return float(optimize.brentq(function, low, high))  # pyright: ignore[reportArgumentType]


def _placements(labels: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Share of non-cases that each case beats, and of cases that beat each non-case; ties one half."""
    from scipy import stats

    is_case = labels == 1
    rank = stats.rankdata(scores)
    below_case = (rank[is_case] - stats.rankdata(scores[is_case])) / (~is_case).sum()
    below_other = (rank[~is_case] - stats.rankdata(scores[~is_case])) / is_case.sum()
    return below_case, 1 - below_other
