"""Tail probabilities of rates and of ratios of shares: bounds that are never too small, as in `tails`."""

import math

from ml.leakage.statistics.tails import LEAST_LOG


def few_tail(n: int, expected: float) -> float:
    """Bound the chance of n events or fewer where at least so many are expected.

    Chernoff's bound of the Poisson distribution. It holds for any process with that compensator, so persons
    may leave when they like, also by the event (the exponential martingale; Freedman 1975).
    """
    if n >= expected:
        return 1.0
    return math.exp(n - expected - (n * math.log(n / expected) if n else 0.0))


def ratio_tail(first: tuple[int, int], second: tuple[int, int], ratio: float) -> float:
    """Bound the chance of a first share so low where it truly is at least `ratio` of the second.

    Each share has its exact bound (Clopper and Pearson 1934) at half the level; the smallest level at which
    the upper one of the first lies below `ratio` of the lower one of the second. The shares need not be
    independent.

    Args:
        first: found, of how many.
        second: likewise.
        ratio: 0 to 1.
    """
    from scipy import optimize, stats

    def apart(log_level: float) -> float:
        tail = math.exp(log_level) / 2
        high = 1.0 if first[0] == first[1] else stats.beta.isf(tail, first[0] + 1, first[1] - first[0])
        low = 0.0 if not second[0] else stats.beta.ppf(tail, second[0], second[1] - second[0] + 1)
        return ratio * float(low) - float(high)

    if not first[1] or not second[1] or apart(0.0) <= 0:
        return 1.0
    if apart(LEAST_LOG) > 0:
        return math.exp(LEAST_LOG)
    root = optimize.brentq(apart, LEAST_LOG, 0.0)
    return math.exp(float(root))  # pyright: ignore[reportArgumentType]
