"""Two shares that lie apart: a bound on the chance that is never too small, and how many looks to pay for."""

import math

import numpy as np
import numpy.typing as npt

from ml.leakage.statistics.tails import FloatArray

STEPS = 1000  # of the share that is not known, which the bound is the worst over
HALVINGS = 60
STEEPEST = 300.0  # of the tilt of one example; beyond it exp() runs out of numbers


def difference_tail(first: tuple[int, int], second: tuple[int, int], allowed: float) -> float:
    """Bound the chance that two shares lie so far apart where they truly differ by at most `allowed`.

    Chernoff's bound of the difference of two independent means, at the worst pair of true shares: with few
    examples on one side far less than two intervals give, each of which must hold alone.

    Args:
        first: found, of how many.
        second: likewise.
        allowed: 0 to 1, either way.
    """
    if not first[1] or not second[1]:
        return 1.0
    if first[0] * second[1] < second[0] * first[1]:
        first, second = second, first
    apart = first[0] / first[1] - second[0] / second[1]
    if apart <= allowed:
        return 1.0
    share = np.linspace(0.0, 1.0 - allowed, STEPS + 1)
    worst = share[np.argmax(_log_bound(share + allowed, share, first[1], second[1], apart))]
    around = np.clip(np.linspace(worst - 1 / STEPS, worst + 1 / STEPS, STEPS + 1), 0.0, 1.0 - allowed)
    bound = _log_bound(around + allowed, around, first[1], second[1], apart).max()
    return min(1.0, 2 * math.exp(float(bound)))  # two directions


def _log_bound(higher: FloatArray, lower: FloatArray, n: int, m: int, apart: float) -> FloatArray:
    """Return the least log of E exp(tilt (difference - apart)) over tilts; any tilt gives a valid bound.

    Its slope in the tilt rises, so that halving finds where it is 0; the last tilt is short of it.
    """
    low, high = np.zeros(higher.shape), np.full(higher.shape, STEEPEST * min(n, m))
    for _ in range(HALVINGS):
        tilt = (low + high) / 2
        below = _tilted(higher, tilt / n) - _tilted(lower, -tilt / m) < apart
        low, high = np.where(below, tilt, low), np.where(below, high, tilt)
    return n * _log_mean(higher, low / n) + m * _log_mean(lower, -low / m) - low * apart


def _tilted(share: FloatArray, tilt: FloatArray) -> FloatArray:
    """Mean of a coin of this share after tilting."""
    weight = share * np.exp(tilt)
    return np.divide(weight, 1 - share + weight, out=np.zeros_like(weight), where=weight > 0)


def _log_mean(share: FloatArray, tilt: FloatArray) -> FloatArray:
    return np.log(1 - share + share * np.exp(tilt))


def difference_smallest(n: int, other: tuple[int, int], allowed: float, level: float) -> float:
    """Return how far a higher share of n must lie above another for `difference_tail` to reach a level.

    inf: none does.
    """
    if not n or not other[1]:
        return math.inf
    low, high = int(n * other[0] / other[1]), n
    if difference_tail((high, n), other, allowed) > level:
        return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        reached = difference_tail((middle, n), other, allowed) <= level
        low, high = (low, middle) if reached else (middle, high)
    return high / n - other[0] / other[1]


def looks_that_count(least: npt.ArrayLike, level: float) -> int:
    """Return among how many looks a level is to be divided, given the least chance that each could reach.

    A look that could not fire, whatever the labels, needs no part of the level (Tarone 1990): the fewest k so
    that at most k looks could reach level / k. The least chances must not depend on the labels' order.

    >>> looks_that_count([1e-9, 1e-8, 0.4, 0.5, 0.5], 0.01)
    2
    """
    chances = np.sort(np.asarray(least, dtype=np.float64))
    for k in range(1, chances.size + 1):
        if np.searchsorted(chances, level / k, side="right") <= k:
            return k
    return max(1, chances.size)
