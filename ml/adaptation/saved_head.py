"""Heads on disk, never as pickle: skops on the platform, their arrays on a bare machine, LightGBM's text."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

BOOSTER, SKOPS, ARRAYS = "model.txt", "head.skops", "head.safetensors"
# numpy's own function and scikit-learn's optimiser; everything else in a head is on the list of skops.
TRUSTED = ["numpy.arcsinh", "sklearn.neural_network._stochastic_optimizers.AdamOptimizer"]


def save_head(estimator: Any, folder: Path) -> None:
    """Write a fitted head below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    if type(estimator).__name__ == "LGBMClassifier":
        estimator.booster_.save_model(folder / BOOSTER, num_iteration=estimator.best_iteration_)
    elif importlib.util.find_spec("skops") is not None:
        from skops import io

        io.dump(getattr(estimator, "pipeline", estimator), folder / SKOPS)
    else:
        save_file(head_arrays(estimator), folder / ARRAYS)


def load_head(folder: Path) -> Callable[[Any], np.ndarray]:
    """Return the scorer of a saved head: matrix (N, D) -> probability of label 1, float64 (N,)."""
    if (folder / BOOSTER).exists():
        from lightgbm import Booster

        booster = Booster(model_file=folder / BOOSTER)
        return lambda matrix: np.asarray(booster.predict(matrix))
    if (folder / SKOPS).exists():
        from skops import io

        unknown = io.get_untrusted_types(file=folder / SKOPS)
        head = io.load(folder / SKOPS, trusted=[name for name in TRUSTED if name in unknown])
        return lambda matrix: head.predict_proba(matrix)[:, 1]
    arrays = load_file(folder / ARRAYS)
    return lambda matrix: score_arrays(arrays, matrix)


def head_arrays(estimator: Any) -> dict[str, np.ndarray]:
    """Return a fitted head as arrays: which columns pass asinh, their centre and scale, then layers.

    Keys: `asinh` bool (D,), `centre` and `scale` float64 (D,), `weight_n` and `bias_n` of each layer; between
    layers stands a ReLU, after the last the logistic function.
    """
    *before, last = estimator.pipeline if hasattr(estimator, "pipeline") else [estimator]
    if type(last).__name__ == "DummyClassifier":
        share = float(last.class_prior_[-1]) if len(last.classes_) > 1 else float(last.classes_[0])
        share = min(max(share, 1e-12), 1 - 1e-12)
        layers = [(np.zeros((1, 1)), np.array([np.log(share / (1 - share))]))]
    elif hasattr(last, "coefs_"):
        layers = list(zip(last.coefs_, last.intercepts_, strict=True))
    else:
        layers = [(last.coef_.T, last.intercept_)]
    width = layers[0][0].shape[0]
    arrays = {"asinh": np.zeros(width, dtype=bool), "centre": np.zeros(width), "scale": np.ones(width)}
    for step in before:
        _add_step(arrays, step, slice(0, width))
    for number, (weight, bias) in enumerate(layers):
        arrays |= {f"weight_{number}": np.ascontiguousarray(weight), f"bias_{number}": np.array(bias)}
    return arrays


def score_arrays(arrays: dict[str, np.ndarray], matrix: Any) -> np.ndarray:
    """Return what the head says of (N, D), float64 (N,), with numpy alone."""
    values = np.array(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=np.float64)
    values[:, arrays["asinh"]] = np.arcsinh(values[:, arrays["asinh"]])
    values = (values - arrays["centre"]) / arrays["scale"]
    n_layers = sum(name.startswith("weight_") for name in arrays)
    for number in range(n_layers):
        values = values @ arrays[f"weight_{number}"] + arrays[f"bias_{number}"]
        if number + 1 < n_layers:
            values = np.maximum(values, 0)
    small = np.exp(-np.abs(values[:, 0]))
    return np.where(values[:, 0] >= 0, 1 / (1 + small), small / (1 + small))


def _add_step(arrays: dict[str, np.ndarray], step: Any, columns: slice) -> None:
    """Write one fitted transformer of `columns` into the arrays."""
    kind = type(step).__name__
    if kind == "Pipeline":
        for _, one in step.steps:
            _add_step(arrays, one, columns)
    elif kind == "ColumnTransformer":
        for _, one, mine in step.transformers_:
            if one != "drop":
                _add_step(arrays, one, mine)
    elif kind == "FunctionTransformer":
        if step.func is not np.arcsinh:
            raise ValueError("a head with another function than asinh cannot be written as arrays")
        arrays["asinh"][columns] = True
    elif kind in ("MaxAbsScaler", "StandardScaler"):
        arrays["scale"][columns] = step.scale_
        if kind == "StandardScaler" and step.with_mean:
            arrays["centre"][columns] = step.mean_
    else:
        raise ValueError(f"a head with a {kind} cannot be written as arrays")
