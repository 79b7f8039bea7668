"""Heads and baselines as scikit-learn estimators: how they are made, fitted, chosen, saved and loaded."""

import warnings
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, StandardScaler

from ml.adaptation.budgets import (
    LIGHTGBM_CEILING,
    LIGHTGBM_PATIENCE,
    MLP_CEILING,
    PATIENCE,
    SELECTION_METRIC,
)
from ml.adaptation.lesson import hit_ceiling
from ml.adaptation.saved_head import load_head, save_head
from ml.adaptation.shown import Adapted, Setting, Shown

HEAD_TOLERANCE = 1e-9  # of scores after reloading; LightGBM's text keeps 17 digits


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
        return make_pipeline(StandardScaler(), network)
    # lbfgs is deterministic; 5,000 iterations so that an unconverged fit is an exception.
    logistic = LogisticRegression(C=configuration["C"], max_iter=5000, random_state=seed)
    if family == "concat":
        return make_pipeline(_joined_scaler(blocks), logistic)
    if family == "logistic_regression":
        return make_pipeline(*_count_scaler(), logistic)
    return make_pipeline(StandardScaler(), logistic)


def choose(family: str, shown: Shown, setting: Setting) -> Adapted:
    """Fit every configuration on train and keep the best on tuning; the first wins a tie. Save it."""
    rows = shown.tuning_rows
    tuning, y_tuning = shown.matrix[rows], shown.labels(rows, "select")
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
    )


def _fit(tried: Any, shown: Shown, tuning: Any, y_tuning: np.ndarray) -> bool:
    """Fit on train; return whether the model hit its ceiling of steps while still improving."""
    rows = shown.fit_rows
    train, y_train = shown.matrix[rows], shown.labels(rows, "fit")
    if type(tried).__name__ == "LGBMClassifier":
        return _fit_lightgbm(tried, train, y_train, tuning, y_tuning)
    if isinstance(getattr(tried, "steps", [("", None)])[-1][1], MLPClassifier):
        return _fit_mlp(tried, train, y_train, tuning, y_tuning)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        tried.fit(train, y_train)
    return any(issubclass(warning.category, ConvergenceWarning) for warning in caught)


def _fit_mlp(pipeline: Any, train: Any, y_train: np.ndarray, tuning: Any, y_tuning: np.ndarray) -> bool:
    """Train epoch by epoch with the early stopping of all arms: scikit-learn's own would split train."""
    scaler, network = pipeline[0], pipeline[-1]
    train, tuning = scaler.fit_transform(train), scaler.transform(tuning)
    best: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    best_score, best_epoch, epoch = -np.inf, 0, 0
    while epoch < MLP_CEILING and epoch - best_epoch < PATIENCE:
        network.partial_fit(train, y_train, classes=np.array([0.0, 1.0]))
        epoch += 1
        score = float(roc_auc_score(y_tuning, network.predict_proba(tuning)[:, 1]))
        if score > best_score:
            best = ([one.copy() for one in network.coefs_], [one.copy() for one in network.intercepts_])
            best_score, best_epoch = score, epoch
    network.coefs_, network.intercepts_ = best
    return hit_ceiling(best_epoch, epoch, ceiling=MLP_CEILING, patience=PATIENCE)


def _fit_lightgbm(tried: Any, train: Any, y_train: np.ndarray, tuning: Any, y_tuning: np.ndarray) -> bool:
    from lightgbm import early_stopping

    stop = early_stopping(LIGHTGBM_PATIENCE, first_metric_only=True, verbose=False)
    tried.fit(train, y_train, eval_X=(tuning,), eval_y=(y_tuning,), eval_metric="auc", callbacks=[stop])
    rounds = tried.booster_.current_iteration()
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


def _count_scaler() -> tuple[Any, Any]:
    # asinh is log-like for large counts and, unlike log1p, defined for negative values.
    return FunctionTransformer(np.arcsinh, accept_sparse=True, check_inverse=False), MaxAbsScaler()


def _joined_scaler(blocks: tuple[tuple[str, int], ...]) -> Any:
    """Scale each joined representation in its own way; vectors beside sparse counts keep their centre."""
    scalers, start = [], 0
    for number, (kind, width) in enumerate(blocks):
        scaler = make_pipeline(*_count_scaler()) if kind == "counts" else StandardScaler(with_mean=False)
        scalers.append((f"{number}_{kind}", scaler, slice(start, start + width)))
        start += width
    return ColumnTransformer(scalers)
