"""ROC, precision-recall and calibration curves as tidy points, at most 100 a curve."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.evaluation.metrics import FloatArray, check_scores, has_both_classes

MAX_POINTS = 100
CALIBRATION_BINS = 10
CURVE_COLUMNS = ["task", "arm", "curve", "x", "y", "n", "n_cases"]


def draw_curves(
    task: str, arm: str, y_true: npt.ArrayLike, y_score: npt.ArrayLike, y_score_raw: npt.ArrayLike
) -> pd.DataFrame:
    """Four curves of one arm: `roc`, `pr`, `calibration`, `calibration_raw`; empty with one class.

    As the metrics of ranking do, `roc` and `pr` read the order of the raw scores.

    `n` and `n_cases` count the examples between a point and the one before it (for calibration: in the bin),
    so that small cells can be merged before anything is published.
    """
    labels, scores = check_scores(y_true, y_score)
    if not has_both_classes(labels):
        return pd.DataFrame(columns=pd.Index(CURVE_COLUMNS))
    _, raw = check_scores(labels, y_score_raw)
    points = [
        *_ranking_points(labels, raw),
        *_calibration_points("calibration", labels, scores),
        *_calibration_points("calibration_raw", labels, raw),
    ]
    return pd.DataFrame(
        [{"task": task, "arm": arm} | point for point in points], columns=pd.Index(CURVE_COLUMNS)
    )


def ranking_coordinates(
    n_at_step: npt.ArrayLike, n_cases_at_step: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """False-positive rate, sensitivity and precision after each step down the ranking, three float64 (G,).

    Precision after no example is that after the first step.
    """
    flagged = np.cumsum(np.asarray(n_at_step, dtype=np.float64))
    found = np.cumsum(np.asarray(n_cases_at_step, dtype=np.float64))
    false_positive_rate = (flagged - found) / (flagged[-1] - found[-1])
    precision = np.divide(found, flagged, out=np.zeros_like(found), where=flagged > 0)
    seen = np.flatnonzero(flagged > 0)
    precision[: seen[0]] = precision[seen[0]]
    return false_positive_rate, found / found[-1], precision


def _ranking_points(labels: FloatArray, scores: FloatArray) -> list[dict[str, Any]]:
    order = np.argsort(-scores, kind="stable")
    # A point stands at the last example of each run of equal scores.
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    if ends.size > MAX_POINTS - 1:
        # Evenly spaced in rank.
        wanted = np.linspace(0, ends.size - 1, MAX_POINTS - 1).round().astype(int)
        ends = ends[np.unique(wanted)]
    cases = np.cumsum(labels[order])[ends]
    n_at_step = np.diff(np.concatenate([[0, 0], ends + 1]))
    cases_at_step = np.diff(np.concatenate([[0.0, 0.0], cases]))
    rate, sensitivity, precision = ranking_coordinates(n_at_step, cases_at_step)
    points: list[dict[str, Any]] = []
    for curve, xs, ys in (("roc", rate, sensitivity), ("pr", sensitivity, precision)):
        for x, y, n, n_cases in zip(xs, ys, n_at_step, cases_at_step, strict=True):
            row = {"curve": curve, "x": float(x), "y": float(y)}
            points.append(row | {"n": int(n), "n_cases": int(n_cases)})
    return points


def _calibration_points(curve: str, labels: FloatArray, scores: FloatArray) -> list[dict[str, Any]]:
    """Mean score and observed share in ten bins of equal count; equal scores stay together."""
    order = np.argsort(scores, kind="stable")
    first_of_score = np.searchsorted(scores[order], scores[order], side="left")
    bins = first_of_score * CALIBRATION_BINS // labels.size
    points: list[dict[str, Any]] = []
    for bin_no in np.unique(bins):
        part = order[bins == bin_no]
        n, n_cases = part.size, int(labels[part].sum())
        points.append(
            {"curve": curve, "x": float(scores[part].mean()), "y": n_cases / n, "n": n, "n_cases": n_cases}
        )
    return points
