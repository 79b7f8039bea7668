"""Bootstrap over persons: the same draws for every arm of a task, all replicates at once."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.evaluation.metrics import (
    FloatArray,
    has_both_classes,
    log_losses,
    rank_scores,
    squared_errors,
    weighted_mean,
    weighted_ranking_metrics,
)

BOOTSTRAP_METRICS = ("auroc", "auprc", "brier", "log_loss")
# Replicates are worked off in blocks of at most this many weights (float64: 8 MB), whatever the sample.
BLOCK_WEIGHTS = 1_000_000


@dataclass(frozen=True)
class Replicates:
    """What each replicate gave.

    Attributes:
        values: score name -> metric -> float64 (R,), averaged over the score's runs.
        prevalence: float64 (R,).
        n_redrawn: replicates drawn again because they held one class only.
    """

    values: Mapping[str, Mapping[str, FloatArray]]
    prevalence: FloatArray
    n_redrawn: int


def bootstrap(
    y_true: npt.ArrayLike,
    person_id: npt.ArrayLike,
    scores: Mapping[str, npt.ArrayLike],
    *,
    n_bootstrap: int,
    seed: int,
    metrics: Mapping[str, tuple[str, ...]] | None = None,
) -> Replicates:
    """Metrics of every score in every replicate, persons drawn with replacement.

    All examples of a person share a weight. A score of shape (S, N) is S trained runs (seeds or draws): each
    replicate draws S runs with replacement and averages their metrics (METHODS 16). Which runs depends on the
    score's name, so that arms are independent there and equal in their persons.

    Args:
        y_true: labels 0 or 1, (N,), both classes present.
        person_id: (N,).
        scores: name -> probabilities (N,) or (S, N).
        n_bootstrap: number of replicates R.
        seed: decides every draw.
        metrics: name -> which of `BOOTSTRAP_METRICS`; None: all, for every score.

    Raises:
        ValueError: one class only, or no replicate asked for.
    """
    labels = np.asarray(y_true, dtype=np.float64)
    if not has_both_classes(labels):
        raise ValueError(f"a bootstrap needs cases and non-cases, found {int(labels.sum())} of {labels.size}")
    if n_bootstrap < 1:
        raise ValueError(f"`n_bootstrap` is {n_bootstrap}: at least 1 was expected")
    runs = {name: np.atleast_2d(np.asarray(values, dtype=np.float64)) for name, values in scores.items()}
    wanted = {name: (BOOTSTRAP_METRICS if metrics is None else metrics[name]) for name in runs}
    prepared = {name: [_Prepared(labels, run) for run in stack] for name, stack in runs.items()}
    run_weights = {name: draw_runs(len(stack), n_bootstrap, seed, name) for name, stack in runs.items()}
    values = {name: {metric: np.empty(n_bootstrap) for metric in wanted[name]} for name in runs}
    shares = np.empty(n_bootstrap)
    n_redrawn = 0
    for rows, weights, redrawn in person_weights(labels, person_id, n_bootstrap=n_bootstrap, seed=seed):
        n_redrawn += redrawn
        shares[rows] = weighted_mean(labels, weights)
        for name, stack in prepared.items():
            for run_no, one in enumerate(stack):
                for metric, found in one.measure(weights, wanted[name]).items():
                    share = run_weights[name][rows, run_no] * found
                    if run_no == 0:
                        values[name][metric][rows] = share
                    else:
                        values[name][metric][rows] += share
    return Replicates(values=values, prevalence=shares, n_redrawn=n_redrawn)


def person_weights(
    labels: FloatArray, person_id: npt.ArrayLike, *, n_bootstrap: int, seed: int
) -> Iterator[tuple[slice, FloatArray, int]]:
    """Yield (rows, weights float64 (N, r), redrawn) block by block; every replicate holds both classes.

    The draws depend on the seed and the persons' order alone, never on a score or on the block's size.
    """
    codes = np.unique(np.asarray(person_id), return_inverse=True)[1]
    n_persons = int(codes.max()) + 1
    first = np.random.default_rng([seed, 0])
    again = np.random.default_rng([seed, 1])
    block = max(1, BLOCK_WEIGHTS // max(n_persons, labels.size))
    for start in range(0, n_bootstrap, block):
        rows = slice(start, min(start + block, n_bootstrap))
        by_person = _draw_persons(first, rows.stop - rows.start, n_persons)
        weights = by_person[codes]
        redrawn = 0
        while True:
            cases = labels @ weights
            bad = np.flatnonzero((cases == 0) | (cases == weights.sum(axis=0)))
            if not bad.size:
                break
            redrawn += bad.size
            weights[:, bad] = _draw_persons(again, bad.size, n_persons)[codes]
        yield rows, weights, redrawn


def percentile_interval(values: npt.ArrayLike, level: float) -> tuple[float, float]:
    """Two-sided percentile interval at `level`, for example 0.95.

    >>> percentile_interval([0.0, 1.0, 2.0, 3.0, 4.0], 0.5)
    (1.0, 3.0)
    """
    tail = (1 - level) / 2
    low, high = np.quantile(np.asarray(values, dtype=np.float64), [tail, 1 - tail])
    return float(low), float(high)


class _Prepared:
    """One score vector with what every replicate needs of it, computed once."""

    def __init__(self, labels: FloatArray, scores: FloatArray) -> None:
        self.ranking = rank_scores(labels, scores)
        self.squared = squared_errors(labels, scores)
        self.log = log_losses(labels, scores)

    def measure(self, weights: FloatArray, metrics: tuple[str, ...]) -> dict[str, FloatArray]:
        found: dict[str, FloatArray] = {}
        if "auroc" in metrics or "auprc" in metrics:
            found["auroc"], found["auprc"] = weighted_ranking_metrics(self.ranking, weights)
        if "brier" in metrics:
            found["brier"] = weighted_mean(self.squared, weights)
        if "log_loss" in metrics:
            found["log_loss"] = weighted_mean(self.log, weights)
        return {metric: found[metric] for metric in metrics}


def _draw_persons(rng: np.random.Generator, n_replicates: int, n_persons: int) -> FloatArray:
    """Multinomial counts, float64 (n_persons, n_replicates), each column summing to n_persons."""
    drawn = rng.integers(0, n_persons, size=(n_replicates, n_persons))
    drawn += np.arange(n_replicates)[:, None] * n_persons
    counts = np.bincount(drawn.ravel(), minlength=n_replicates * n_persons)
    return np.ascontiguousarray(counts.reshape(n_replicates, n_persons).T, dtype=np.float64)


def draw_runs(n_runs: int, n_bootstrap: int, seed: int, name: str) -> FloatArray:
    """Share of each run in each replicate, float64 (R, S), rows summing to 1; one run: all ones."""
    if n_runs == 1:
        return np.ones((n_bootstrap, 1))
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    rng = np.random.default_rng([seed, 2, key])
    return rng.multinomial(n_runs, np.full(n_runs, 1 / n_runs), size=n_bootstrap) / n_runs
