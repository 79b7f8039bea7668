"""Metrics of binary risk scores, for one sample or for many weighted replicates at once."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# scikit-learn clips float64 probabilities at the same place before it takes the logarithm.
LOG_CLIP = float(np.finfo(np.float64).eps)

# The sign that makes more better: METHODS 16 signs every difference this way.
DIRECTION = {"auroc": 1, "auprc": 1, "brier": -1, "log_loss": -1}

# These read the order of the raw scores: a recalibration can add ties (clipping), or turn the order where
# its slope, fitted on few tuning examples, is negative. Neither is what the model said.
RANKING_METRICS = ("auroc", "auprc")

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
    "auroc_own_date": "AUROC had all been known on its own date",
    "auroc_own_date_difference": "difference of that AUROC to the AUROC",
}


@dataclass(frozen=True)
class Ranking:
    """One score vector sorted once, so that each replicate is only two running sums.

    Attributes:
        cases: int (P,), positions of the cases from the highest score to the lowest.
        non_cases: int (Q,), the same for the non-cases.
        n_above: int (P,), non-cases with a higher score than each case.
        n_not_below: int (P,), non-cases with a higher or the same score.
        n_cases_not_below: int (P,), cases with a higher or the same score, itself among them.
    """

    cases: npt.NDArray[np.intp]
    non_cases: npt.NDArray[np.intp]
    n_above: npt.NDArray[np.intp]
    n_not_below: npt.NDArray[np.intp]
    n_cases_not_below: npt.NDArray[np.intp]


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
    """Sort one score vector and count, for every case, who stands above it and who beside it."""
    labels, scores = check_scores(y_true, y_score)
    order = np.argsort(-scores, kind="stable")
    cases, non_cases = order[labels[order] == 1], order[labels[order] == 0]
    falling, others = -scores[cases], -scores[non_cases]
    return Ranking(
        cases=cases,
        non_cases=non_cases,
        n_above=np.searchsorted(others, falling, side="left"),
        n_not_below=np.searchsorted(others, falling, side="right"),
        n_cases_not_below=np.searchsorted(falling, falling, side="right"),
    )


def weighted_ranking_metrics(ranking: Ranking, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """AUROC (ties one half) and average precision of every replicate.

    Args:
        ranking: the sorted sample, N examples.
        weights: float64 (N, R), how often each example counts in each replicate.

    Returns:
        Two float64 (R,); NaN where a replicate holds one class only.
    """
    of_cases = weights[ranking.cases]
    non_cases_so_far = _running_sum(weights[ranking.non_cases])
    n_cases, n_non_cases = of_cases.sum(axis=0), non_cases_so_far[-1]
    not_below = non_cases_so_far[ranking.n_not_below]
    above = non_cases_so_far[ranking.n_above]
    won = np.sum(of_cases * (n_non_cases - (above + not_below) / 2), axis=0)
    cases_not_below = _running_sum(of_cases)[ranking.n_cases_not_below]
    flagged = cases_not_below + not_below
    # A case that counts 0 times may have nothing above it: its precision is then multiplied by 0.
    found = np.sum(of_cases * cases_not_below / np.maximum(flagged, 1), axis=0)
    both = (n_cases > 0) & (n_non_cases > 0)
    nothing = np.full(weights.shape[1], np.nan)
    auroc_values = np.divide(won, n_cases * n_non_cases, out=nothing.copy(), where=both)
    auprc_values = np.divide(found, n_cases, out=nothing.copy(), where=both)
    return auroc_values, auprc_values


def weighted_mean(losses: FloatArray, weights: FloatArray) -> FloatArray:
    """Mean of one loss vector (N,) in every replicate; weights float64 (N, R), result (R,)."""
    return losses @ weights / weights.sum(axis=0)


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
    if not (ranking.cases.size and ranking.non_cases.size):
        return None, None
    weights = np.ones((ranking.cases.size + ranking.non_cases.size, 1))
    area, precision = weighted_ranking_metrics(ranking, weights)
    return float(area[0]), float(precision[0])


def _running_sum(weights: FloatArray) -> FloatArray:
    """Sums of the first 0, 1, ..., N rows, float64 (N + 1, R)."""
    sums = np.zeros((weights.shape[0] + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=sums[1:])
    return sums
