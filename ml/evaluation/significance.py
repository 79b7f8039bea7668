"""Paired DeLong test and Holm's adjustment: they stand beside a verdict and decide nothing (METHODS 16)."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from ml.evaluation.metrics import FloatArray, check_scores, has_both_classes


@dataclass(frozen=True)
class DeLong:
    """Difference of two AUROCs on the same examples, its standard error and two-sided p-value against 0."""

    delta: float
    standard_error: float
    p_value: float


def paired_delong(
    y_true: npt.ArrayLike, challenger: npt.ArrayLike, reference: npt.ArrayLike
) -> DeLong | None:
    """DeLong's test of challenger - reference, one example a person; None with fewer than 2 of a class.

    DeLong, DeLong, Clarke-Pearson 1988, by mid-ranks (Sun and Xu 2014). Equal placements: p is 1.

    Args:
        y_true: labels, (N,), independent examples.
        challenger: scores, (N,).
        reference: scores, (N,).
    """
    labels, first = check_scores(y_true, challenger)
    _, second = check_scores(y_true, reference)
    if not has_both_classes(labels) or min(labels.sum(), (1 - labels).sum()) < 2:
        return None
    placements = [_placements(labels, scores) for scores in (first, second)]
    of_cases = placements[0][0] - placements[1][0]
    of_non_cases = placements[0][1] - placements[1][1]
    variance = of_cases.var(ddof=1) / of_cases.size + of_non_cases.var(ddof=1) / of_non_cases.size
    delta, standard_error = float(of_cases.mean()), float(np.sqrt(variance))
    if standard_error < 1e-12:
        return DeLong(delta=delta, standard_error=0.0, p_value=1.0 if abs(delta) < 1e-12 else 0.0)
    return DeLong(delta, standard_error, 2 * NormalDist().cdf(-abs(delta) / standard_error))


def bootstrap_p_value(differences: npt.ArrayLike) -> float:
    """Two-sided p-value of "no difference" from bootstrap differences (R,): twice the smaller tail."""
    values = np.asarray(differences, dtype=np.float64)
    smaller = min(int(np.sum(values <= 0)), int(np.sum(values >= 0)))
    return min(1.0, 2 * (smaller + 1) / (values.size + 1))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment over the comparisons that have a p-value; None stays None.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    known = sorted((p, position) for position, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, position) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        adjusted[position] = highest
    return adjusted


def _placements(labels: FloatArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Share of the other class that each case beats, and that beats each non-case; ties one half."""
    cases, non_cases = scores[labels == 1], scores[labels == 0]
    return _share_below(cases, non_cases), 1 - _share_below(non_cases, cases)


def _share_below(values: FloatArray, others: FloatArray) -> FloatArray:
    ordered = np.sort(others)
    below = np.searchsorted(ordered, values, side="left")
    not_above = np.searchsorted(ordered, values, side="right")
    return (below + not_above) / (2 * ordered.size)
