"""Heads and baselines as scikit-learn estimators: how they are made, fitted, chosen, saved and loaded."""

import warnings
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier

from ml.adaptation.budgets import (
    LIGHTGBM_CEILING,
    LIGHTGBM_PATIENCE,
    MLP_CEILING,
    PATIENCE,
    SELECTION_METRIC,
)
from ml.adaptation.head import Head
from ml.adaptation.lesson import hit_ceiling
from ml.adaptation.saved_head import load_head, save_head
from ml.adaptation.shown import Adapted, Setting, Shown

HEAD_TOLERANCE = 1e-9  # of logits after reloading; LightGBM's text keeps 17 digits


def estimator(
    family: str, configuration: dict[str, Any], *, seed: int, blocks: tuple[tuple[str, int], ...]
) -> Any:
    """Return an unfitted estimator of a family."""
    if family == "prior":
        return DummyClassifier(strategy="prior")
    if family == "lightgbm":
        return _lightgbm(configuration, seed)
    if family == "frozen_mlp":
        network = MLPClassifier(
            (configuration["hidden"],),
            alpha=configuration["alpha"],
            learning_rate_init=configuration["learning_rate"],
            random_state=seed,
        )
        return Head(network)
    # Both solvers are deterministic. Counts with their ancestors are nearly collinear: at C = 100 lbfgs takes
    # minutes on 1,549 x 18,889 of them, newton-cg 9 s and 24 iterations.
    solver, ceiling = ("newton-cg", 500) if family == "logistic_regression" else ("lbfgs", 5000)
    logistic = LogisticRegression(C=configuration["C"], solver=solver, max_iter=ceiling, random_state=seed)
    if family == "concat":
        return Head(logistic, blocks=blocks)
    return Head(logistic, "counts" if family == "logistic_regression" else "vectors")


def choose(family: str, shown: Shown, setting: Setting) -> Adapted:
    """Fit every configuration on train and keep the best on tuning; the first wins a tie. Save it."""
    rows = shown.tuning_rows
    tuning, y_tuning = shown.columns(rows, "select"), shown.labels(rows, "select")
    best: Any = None
    best_score, converged, chosen = -np.inf, True, {}
    trials: list[dict[str, Any]] = []
    for configuration in setting.configurations:
        tried = estimator(family, configuration, seed=setting.seed, blocks=shown.blocks)
        at_ceiling = _fit(tried, shown, tuning, y_tuning)
        score = float(roc_auc_score(y_tuning, tried.predict_proba(tuning)[:, 1]))
        trials.append({**configuration, SELECTION_METRIC: round(score, 6)})
        setting.progress(f"configuration {len(trials)}: {configuration}, tuning AUROC {score:.4f}")
        if score > best_score:
            best, best_score, converged, chosen = tried, score, not at_ceiling, configuration
    save_head(best, setting.target)
    matrix, target = shown.matrix, setting.target
    return Adapted(
        y_score_raw=best.predict_proba(matrix)[:, 1],
        configuration=chosen,
        reload=lambda positions: load_head(target)(matrix[positions]),
        tolerance=HEAD_TOLERANCE,
        trials=trials,
        converged=converged,
        curve=_curve(best),
    )


def _curve(fitted: Any) -> list[float]:
    """Return what watched each round of boosting, as LightGBM kept it; of what is not boosted nothing."""
    if type(fitted).__name__ != "LGBMClassifier":
        return []
    ((curve, *_),) = (metrics.values() for metrics in fitted.evals_result_.values())
    return [round(float(one), 6) for one in curve]


def _fit(tried: Any, shown: Shown, tuning: Any, y_tuning: np.ndarray) -> bool:
    """Fit on train; return whether the model hit its ceiling of steps while still improving."""
    rows = shown.fit_rows
    train, y_train = shown.columns(rows, "fit"), shown.labels(rows, "fit")
    if type(tried).__name__ == "LGBMClassifier":
        return _fit_lightgbm(tried, train, y_train, tuning, y_tuning)
    if isinstance(tried, Head) and isinstance(tried.classifier, MLPClassifier):
        best, last = tried.fit_early_stopped(
            train, y_train, tuning, y_tuning, ceiling=MLP_CEILING, patience=PATIENCE
        )
        return hit_ceiling(best, last, ceiling=MLP_CEILING, patience=PATIENCE)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        tried.fit(train, y_train)
    of_ceiling = [warning for warning in caught if issubclass(warning.category, ConvergenceWarning)]
    for warning in caught:
        if warning not in of_ceiling:  # what else was said is said on
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return bool(of_ceiling)


def _fit_lightgbm(tried: Any, train: Any, y_train: np.ndarray, tuning: Any, y_tuning: np.ndarray) -> bool:
    from lightgbm import early_stopping

    stop = early_stopping(LIGHTGBM_PATIENCE, first_metric_only=True, verbose=False)
    tried.fit(train, y_train, eval_X=(tuning,), eval_y=(y_tuning,), eval_metric="auc", callbacks=[stop])
    # The booster keeps the rounds up to its best alone; its curve has every round that was run.
    rounds = len(_curve(tried))
    return hit_ceiling(tried.best_iteration_, rounds, ceiling=LIGHTGBM_CEILING, patience=LIGHTGBM_PATIENCE)


def _lightgbm(configuration: dict[str, Any], seed: int) -> Any:
    try:
        from lightgbm import LGBMClassifier
    except ImportError as error:
        raise ImportError(
            "Model `lightgbm` needs the package lightgbm\n\nhint: pip install lightgbm"
        ) from error
    return LGBMClassifier(
        **configuration,
        n_estimators=LIGHTGBM_CEILING,
        subsample=0.8,
        subsample_freq=1,
        colsample_bytree=0.5,
        random_state=seed,
        n_jobs=1,
        deterministic=True,
        force_row_wise=True,
        verbosity=-1,
    )
