"""Baselines and light heads as scikit-learn estimators, each with its published or plain grid."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, StandardScaler


@dataclass(frozen=True)
class Candidate:
    """One configuration to try, in words and as an unfitted estimator."""

    configuration: dict[str, Any]
    estimator: Any
    ceiling: int | None = None  # boosting rounds; such a candidate stops early on tuning


# Strengths as in EHRSHOT's logistic-regression head (a logarithmic grid), from strong to weak penalty.
C_GRID = (0.001, 0.01, 0.1, 1.0, 10.0, 0.0001)

# Size of a tree, step and row share: from a small to a large model; ordered so that a smaller budget
# keeps the widest spread.
LIGHTGBM_GRID = (
    {"num_leaves": 15, "learning_rate": 0.05, "min_child_samples": 20},
    {"num_leaves": 31, "learning_rate": 0.05, "min_child_samples": 20},
    {"num_leaves": 7, "learning_rate": 0.05, "min_child_samples": 20},
    {"num_leaves": 15, "learning_rate": 0.02, "min_child_samples": 50},
    {"num_leaves": 31, "learning_rate": 0.02, "min_child_samples": 50},
    {"num_leaves": 7, "learning_rate": 0.1, "min_child_samples": 50},
)
LIGHTGBM_CEILING = 2000  # boosting rounds; early stopping on tuning ends long before (METHODS 13)
LIGHTGBM_PATIENCE = 50


def candidates(model: str, *, configurations: int, seed: int) -> Iterator[Candidate]:
    """Yield at most `configurations` candidates of a baseline, the same number for every family."""
    if model == "prior":
        yield Candidate({}, DummyClassifier(strategy="prior"))
    elif model == "logistic_regression":
        for strength in C_GRID[:configurations]:
            yield Candidate(
                {"C": strength * 10},
                make_pipeline(
                    # asinh is log-like for large counts and, unlike log1p, defined for negative values.
                    FunctionTransformer(np.arcsinh, accept_sparse=True, check_inverse=False),
                    MaxAbsScaler(),
                    _logistic_regression(strength * 10, seed),
                ),
            )
    elif model == "lightgbm":
        yield from _lightgbm(configurations, seed)
    else:
        raise ValueError(f"No baseline `{model}`")


def frozen_heads(*, configurations: int, seed: int) -> Iterator[Candidate]:
    """Yield logistic-regression heads over standardised embeddings, C from a logarithmic grid."""
    for strength in C_GRID[:configurations]:
        head = make_pipeline(StandardScaler(), _logistic_regression(strength, seed))
        yield Candidate({"C": strength}, head)


def _logistic_regression(strength: float, seed: int) -> LogisticRegression:
    # lbfgs is deterministic; 5,000 iterations so that an unconverged fit is an error, not a warning.
    return LogisticRegression(C=strength, max_iter=5000, random_state=seed)


def _lightgbm(configurations: int, seed: int) -> Iterator[Candidate]:
    try:
        from lightgbm import LGBMClassifier
    except ImportError as error:
        raise ImportError(
            "Model `lightgbm` needs the package lightgbm\n\nhint: pip install lightgbm"
        ) from error
    for row in LIGHTGBM_GRID[:configurations]:
        estimator = LGBMClassifier(
            **row,
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
        yield Candidate(dict(row), estimator, ceiling=LIGHTGBM_CEILING)
