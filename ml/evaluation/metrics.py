"""Metrics of binary risk scores, for one sample or for many weighted replicates at once."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# scikit-learn clips float64 probabilities at the same place before it takes the logarithm.
LOG_CLIP = float(np.finfo(np.float64).eps)

# The sign that makes more better: METHODS 16 signs every difference this way.
DIRECTION = {"auroc": 1, "auprc": 1, "brier": -1, "log_loss": -1}

METRIC_TITLES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "prevalence": "prevalence",
    "brier": "Brier score",
    "brier_raw": "Brier score before recalibration",
    "log_loss": "log-loss",
    "calibration_intercept": "calibration intercept",
    "calibration_slope": "calibration slope",
    "calibration_intercept_raw": "calibration intercept before recalibration",
    "calibration_slope_raw": "calibration slope before recalibration",
}


@dataclass(frozen=True)
class Ranking:
    """One score vector sorted once, from the highest score down, so that each replicate is only a sum.

    Attributes:
        order: int (N,), positions from the highest score to the lowest.
        group_end: int (G,), last position in `order` of each run of equal scores.
        y_sorted: float64 (N,), the labels in that order.
    """

    order: npt.NDArray[np.intp]
    group_end: npt.NDArray[np.intp]
    y_sorted: FloatArray


def check_scores(y_true: npt.ArrayLike, y_score: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return both as float64 (N,), refusing labels other than 0 and 1 and scores that are not finite.

    Raises:
        ValueError: different lengths, a label that is neither 0 nor 1, or a score that is not finite.
    """
    labels = np.asarray(y_true, dtype=np.float64)
    scores = np.asarray(y_score, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise ValueError(f"`y_true` has shape {labels.shape}, `y_score` {scores.shape}: both must be (N,)")
    n_other = int(np.sum((labels != 0) & (labels != 1)))
    if n_other:
        raise ValueError(f"`y_true` holds {n_other} values that are neither 0 nor 1")
    n_bad = int(np.sum(~np.isfinite(scores)))
    if n_bad:
        raise ValueError(f"`y_score` holds {n_bad} values that are not finite")
    return labels, scores


def has_both_classes(y_true: npt.ArrayLike) -> bool:
    """Whether there is at least one case and one non-case."""
    labels = np.asarray(y_true, dtype=np.float64)
    return bool(labels.size) and bool(labels.min() == 0) and bool(labels.max() == 1)


def rank_scores(y_true: npt.ArrayLike, y_score: npt.ArrayLike) -> Ranking:
    """Sort one score vector; equal scores form one group, so that ties count one half in the AUROC."""
    labels, scores = check_scores(y_true, y_score)
    order = np.argsort(-scores, kind="stable")
    sorted_scores = scores[order]
    is_end = np.append(sorted_scores[1:] != sorted_scores[:-1], True) if scores.size else np.array([], bool)
    return Ranking(order=order, group_end=np.flatnonzero(is_end), y_sorted=labels[order])


def weighted_ranking_metrics(ranking: Ranking, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """AUROC and average precision of every replicate.

    Args:
        ranking: the sorted sample, N examples.
        weights: float64 (R, N), how often each example counts in each replicate.

    Returns:
        Two float64 (R,); NaN where a replicate holds one class only.
    """
    sorted_weights = weights[:, ranking.order]
    true_positive = np.cumsum(sorted_weights * ranking.y_sorted, axis=1)[:, ranking.group_end]
    flagged = np.cumsum(sorted_weights, axis=1)[:, ranking.group_end]
    false_positive = flagged - true_positive
    cases, non_cases = true_positive[:, -1], false_positive[:, -1]
    step_cases = np.diff(true_positive, axis=1, prepend=0.0)
    step_non_cases = np.diff(false_positive, axis=1, prepend=0.0)
    # Cases ranked above each group's non-cases, ties one half.
    above = np.sum(step_non_cases * (true_positive - step_cases / 2), axis=1)
    precision = np.divide(true_positive, flagged, out=np.zeros_like(flagged), where=flagged > 0)
    found = np.sum(step_cases * precision, axis=1)
    both = (cases > 0) & (non_cases > 0)
    nothing = np.full(len(weights), np.nan)
    auroc_values = np.divide(above, cases * non_cases, out=nothing.copy(), where=both)
    auprc_values = np.divide(found, cases, out=nothing.copy(), where=both)
    return auroc_values, auprc_values


def weighted_mean(losses: FloatArray, weights: FloatArray) -> FloatArray:
    """Mean of one loss vector (N,) in every replicate; weights float64 (R, N), result (R,)."""
    return weights @ losses / weights.sum(axis=1)


def squared_errors(y_true: npt.ArrayLike, y_score: npt.ArrayLike) -> FloatArray:
    """Squared error of each probability, float64 (N,); its mean is the Brier score."""
    labels, scores = check_scores(y_true, y_score)
    return (scores - labels) ** 2


def log_losses(y_true: npt.ArrayLike, y_score: npt.ArrayLike) -> FloatArray:
    """Negative log-likelihood of each label in nats, float64 (N,); probabilities clipped at 2.2e-16."""
    labels, scores = check_scores(y_true, y_score)
    clipped = np.clip(scores, LOG_CLIP, 1 - LOG_CLIP)
    return -(labels * np.log(clipped) + (1 - labels) * np.log1p(-clipped))


def auroc(y_true: npt.ArrayLike, y_score: npt.ArrayLike) -> float | None:
    """Area under the ROC curve, ties one half; None (not estimable) with one class.

    >>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    return _ranking_metric(y_true, y_score)[0]


def auprc(y_true: npt.ArrayLike, y_score: npt.ArrayLike) -> float | None:
    """Average precision (not the trapezoid area); None (not estimable) with one class.

    >>> auprc([0, 1, 0, 0], [0.5, 0.5, 0.5, 0.5])
    0.25
    """
    return _ranking_metric(y_true, y_score)[1]


def brier(y_true: npt.ArrayLike, y_score: npt.ArrayLike) -> float | None:
    """Mean squared error of the probabilities, 0 is best; None when empty.

    >>> brier([0, 1], [0.0, 0.5])
    0.125
    """
    errors = squared_errors(y_true, y_score)
    return float(errors.mean()) if errors.size else None


def log_loss(y_true: npt.ArrayLike, y_score: npt.ArrayLike) -> float | None:
    """Mean negative log-likelihood in nats, 0 is best; None when empty."""
    losses = log_losses(y_true, y_score)
    return float(losses.mean()) if losses.size else None


def prevalence(y_true: npt.ArrayLike) -> float | None:
    """Share of cases; None when empty. It is the AUPRC of a constant score."""
    labels = np.asarray(y_true, dtype=np.float64)
    return float(labels.mean()) if labels.size else None


def _ranking_metric(y_true: npt.ArrayLike, y_score: npt.ArrayLike) -> tuple[float | None, float | None]:
    ranking = rank_scores(y_true, y_score)
    if not has_both_classes(ranking.y_sorted):
        return None, None
    area, precision = weighted_ranking_metrics(ranking, np.ones((1, ranking.order.size)))
    return float(area[0]), float(precision[0])
