"""The regimes: how a model is adapted. Each fits on train, chooses on tuning and scores every example."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score

from ml.models.baseline import LIGHTGBM_PATIENCE, Candidate, candidates, frozen_heads

SELECTION_METRIC = "auroc"


@dataclass(frozen=True)
class Shown:
    """What a regime sees: N examples by D features, labels 0/1 of float64 (N,), splits as str (N,)."""

    matrix: Any
    y_true: np.ndarray
    split: np.ndarray

    def rows(self, split: str) -> tuple[Any, np.ndarray]:
        """Return features and labels of one split."""
        chosen = np.flatnonzero(self.split == split)
        return self.matrix[chosen], self.y_true[chosen]


@dataclass(frozen=True)
class Adapted:
    """A chosen model with the scores of all N examples (probability of label 1, float64) and its trials."""

    y_score_raw: np.ndarray
    estimator: Any
    configuration: dict[str, Any]
    trials: list[dict[str, Any]] = field(default_factory=list)
    converged: bool = True


Regime = Callable[[str, Shown, int, int, Callable[[str], None]], Adapted]


def fit(model: str, shown: Shown, configurations: int, seed: int, progress: Callable[[str], None]) -> Adapted:
    """Fit a baseline on its input view."""
    return _choose(candidates(model, configurations=configurations, seed=seed), shown, progress)


def frozen(
    model: str, shown: Shown, configurations: int, seed: int, progress: Callable[[str], None]
) -> Adapted:
    """Fit a logistic regression on a frozen model's vectors."""
    return _choose(frozen_heads(configurations=configurations, seed=seed), shown, progress)


REGIMES: dict[str, Regime] = {"fit": fit, "frozen": frozen}


def _choose(tried: Iterator[Candidate], shown: Shown, progress: Callable[[str], None]) -> Adapted:
    """Fit every candidate on train and keep the one with the best AUROC on tuning; the first wins a tie."""
    tuning, y_tuning = shown.rows("tuning")
    best: Candidate | None = None
    best_score = -np.inf
    converged = True
    trials: list[dict[str, Any]] = []
    for candidate in tried:
        at_ceiling = _fit(candidate, shown)
        score = float(roc_auc_score(y_tuning, candidate.estimator.predict_proba(tuning)[:, 1]))
        trials.append({**candidate.configuration, SELECTION_METRIC: round(score, 6)})
        progress(f"configuration {len(trials)}: {candidate.configuration}, tuning AUROC {score:.4f}")
        if score > best_score:
            best, best_score, converged = candidate, score, not at_ceiling
    assert best is not None, "a regime without candidates"
    scores = best.estimator.predict_proba(shown.matrix)[:, 1]
    return Adapted(scores, best.estimator, best.configuration, trials, converged)


def _fit(candidate: Candidate, shown: Shown) -> bool:
    """Fit on train; return whether the model hit its ceiling of steps while still improving."""
    train, y_train = shown.rows("train")
    if candidate.ceiling is None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            candidate.estimator.fit(train, y_train)
        return any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    from lightgbm import early_stopping

    tuning, y_tuning = shown.rows("tuning")
    stop = early_stopping(LIGHTGBM_PATIENCE, first_metric_only=True, verbose=False)
    candidate.estimator.fit(
        train, y_train, eval_X=(tuning,), eval_y=(y_tuning,), eval_metric="auc", callbacks=[stop]
    )
    return candidate.estimator.best_iteration_ >= candidate.ceiling
