"""Logistic recalibration of raw scores (METHODS 15), and calibration intercept and slope with intervals."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.evaluation.metrics import FloatArray, check_scores, has_both_classes

# Scores are clipped before the logit: 1e-9 is a logit of -20.7, below any float32 softmax that matters.
SCORE_CLIP = 1e-9
# Ridge on the slope of the standardised logit. It moves an ordinary fit by less than 1e-3 and keeps a
# perfectly separated tuning split finite.
RIDGE = 1e-3
Z_95 = 1.959963984540054


class NotEstimableError(ValueError):
    """A quantity that the labels cannot give: one class only, or no example."""


@dataclass(frozen=True)
class Recalibration:
    """logit(y_score) = intercept + slope * logit(y_score_raw), fitted on tuning."""

    intercept: float
    slope: float

    @property
    def keeps_order(self) -> bool:
        """Whether higher raw scores stay higher; a slope of 0 or less says tuning was ranked backwards."""
        return self.slope > 0

    def apply(self, score: npt.ArrayLike) -> FloatArray:
        """Turn raw scores in [0, 1] into probabilities, float64 (N,)."""
        return sigmoid(self.intercept + self.slope * clipped_logit(score))


@dataclass(frozen=True)
class Calibration:
    """Intercept (slope held at 1; right: 0) and slope (right: 1), 95% intervals; None: not estimable."""

    intercept: float | None
    intercept_interval: tuple[float, float] | None
    slope: float | None
    slope_interval: tuple[float, float] | None


def clipped_logit(score: npt.ArrayLike) -> FloatArray:
    """Log-odds of scores in [0, 1], clipped at 1e-9 from either end; float64 (N,).

    Raises:
        ValueError: a score outside [0, 1] or not finite.
    """
    values = np.asarray(score, dtype=np.float64)
    n_outside = int(np.sum(~((values >= 0) & (values <= 1))))
    if n_outside:
        raise ValueError(f"`score` holds {n_outside} values outside 0 to 1")
    values = np.clip(values, SCORE_CLIP, 1 - SCORE_CLIP)
    return np.log(values) - np.log1p(-values)


def sigmoid(logit: npt.ArrayLike) -> FloatArray:
    """The logistic function without overflow, float64 (N,)."""
    values = np.asarray(logit, dtype=np.float64)
    small = np.exp(-np.abs(values))
    return np.where(values >= 0, 1 / (1 + small), small / (1 + small))


def fit_recalibration(y: npt.ArrayLike, score: npt.ArrayLike) -> Recalibration:
    """Fit intercept and slope on the tuning split; constant scores get an intercept only (slope 1).

    Deterministic (Newton's method, no random start). A slope of 0 or less is kept, not hidden: see
    `Recalibration.keeps_order`.

    Args:
        y: labels of the tuning split, 0 or 1, (N,).
        score: raw scores in [0, 1], (N,).

    Raises:
        NotEstimableError: tuning has one class only.
    """
    labels, scores = check_scores(y, score)
    if not has_both_classes(labels):
        raise NotEstimableError(
            f"recalibration needs cases and non-cases in tuning, found {int(labels.sum())} cases "
            f"among {labels.size} examples"
        )
    logit = clipped_logit(scores)
    centre, spread = float(logit.mean()), float(logit.std())
    if spread < 1e-9:
        intercept = _fit(labels, np.zeros((labels.size, 0)), logit, ridge=0.0)[0]
        return Recalibration(intercept=float(intercept), slope=1.0)
    standardised = ((logit - centre) / spread)[:, None]
    intercept, slope = _fit(labels, standardised, np.zeros_like(logit), ridge=RIDGE)
    return Recalibration(intercept=float(intercept - slope * centre / spread), slope=float(slope / spread))


def measure_calibration(
    y_true: npt.ArrayLike, y_score: npt.ArrayLike, person_id: npt.ArrayLike | None = None
) -> Calibration:
    """Calibration intercept and slope of probabilities, with 95% intervals over persons.

    The intervals are Wald intervals from the sandwich variance summed over persons, not from the bootstrap.
    One class: both None. Constant or perfectly separating scores: the slope is None.

    Args:
        y_true: labels, (N,).
        y_score: probabilities in [0, 1], (N,).
        person_id: (N,), whose example it is; None: one example a person.
    """
    labels, scores = check_scores(y_true, y_score)
    if not has_both_classes(labels):
        return Calibration(None, None, None, None)
    persons = np.arange(labels.size) if person_id is None else np.unique(person_id, return_inverse=True)[1]
    logit = clipped_logit(scores)
    no_slope = np.zeros((labels.size, 0))
    shift = _fit(labels, no_slope, logit, ridge=0.0)
    intercept_interval = _interval(labels, no_slope, logit, shift, persons)
    if not _slope_is_estimable(labels, logit):
        return Calibration(float(shift[0]), intercept_interval, None, None)
    offset = np.zeros_like(logit)
    both = _fit(labels, logit[:, None], offset, ridge=0.0)
    slope_interval = _interval(labels, logit[:, None], offset, both, persons)
    return Calibration(float(shift[0]), intercept_interval, float(both[1]), slope_interval)


def _slope_is_estimable(labels: FloatArray, logit: FloatArray) -> bool:
    """False where the likelihood has no maximum: one value, or every case on one side of every non-case."""
    cases, non_cases = logit[labels == 1], logit[labels == 0]
    constant = bool(np.ptp(logit) < 1e-9)
    return not (constant or cases.min() >= non_cases.max() or non_cases.min() >= cases.max())


def _fit(labels: FloatArray, columns: FloatArray, offset: FloatArray, *, ridge: float) -> FloatArray:
    """Logistic regression by Newton's method with halved steps; returns intercept and coefficients."""
    design = np.column_stack([np.ones(labels.size), columns])
    penalty = np.array([0.0] + [ridge] * columns.shape[1])
    beta = np.zeros(design.shape[1])

    def loss(candidate: FloatArray) -> float:
        eta = offset + design @ candidate
        return float(np.sum(np.logaddexp(0, eta) - labels * eta) + penalty @ candidate**2 / 2)

    best = loss(beta)
    for _ in range(200):
        p = sigmoid(offset + design @ beta)
        gradient = design.T @ (p - labels) + penalty * beta
        hessian = (design.T * (p * (1 - p))) @ design + np.diag(penalty)
        # The floor keeps the step finite where all probabilities have saturated.
        step = np.linalg.solve(hessian + 1e-12 * np.eye(len(beta)), gradient)
        step *= min(1.0, 20.0 / float(np.max(np.abs(step)) + 1e-300))
        size = 1.0
        while size > 1e-8 and loss(beta - size * step) > best + 1e-12 * abs(best):
            size /= 2
        beta = beta - size * step
        best = loss(beta)
        if float(np.max(np.abs(size * step))) < 1e-10:
            return beta
    raise NotEstimableError(f"logistic fit did not settle in 200 steps on {labels.size} examples")


def _interval(
    labels: FloatArray,
    columns: FloatArray,
    offset: FloatArray,
    beta: FloatArray,
    persons: npt.NDArray[np.intp],
) -> tuple[float, float]:
    """95% Wald interval of the last coefficient, its variance summed over persons."""
    design = np.column_stack([np.ones(labels.size), columns])
    p = sigmoid(offset + design @ beta)
    inverse = np.linalg.inv((design.T * (p * (1 - p))) @ design + 1e-12 * np.eye(len(beta)))
    by_person = np.zeros((int(persons.max()) + 1, len(beta)))
    np.add.at(by_person, persons, design * (labels - p)[:, None])
    variance = inverse @ (by_person.T @ by_person) @ inverse
    half = Z_95 * float(np.sqrt(variance[-1, -1]))
    return float(beta[-1]) - half, float(beta[-1]) + half
