"""Sensitivity to availability (METHODS 1): arms refitted as if everything had been known on its own date."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ml.evaluation.bootstrap import bootstrap, draw_runs, percentile_interval
from ml.evaluation.measure import METRIC_COLUMNS, metrics_table, run_key
from ml.evaluation.metrics import FloatArray, auroc, has_both_classes
from ml.evaluation.predictions import ScoredSet, arrange, require_equal_held_out

OWN_DATE, DIFFERENCE = "auroc_own_date", "auroc_own_date_difference"


def own_date_metrics(
    task: str,
    available: Mapping[str, pd.DataFrame],
    own_date: Mapping[str, pd.DataFrame],
    *,
    n_bootstrap: int,
    seed: int,
) -> pd.DataFrame:
    """Rows of the metrics table: `auroc_own_date` and its difference to the arm's AUROC, on held-out.

    The difference is own date - available; its interval draws the same persons and runs for both, and the
    same as the evaluation does. Of several runs (seeds) the mean counts, as there.

    Args:
        task: for the rows.
        available: arm -> predictions table of the contract.
        own_date: the same arms, examples and labels, fitted on the events dated before the index.
        n_bootstrap: replicates.
        seed: decides the draws.

    Raises:
        HeldOutMismatchError: an arm was scored on other examples than its refit.
        ValueError: an arm has other seeds than its refit.
        KeyError: an arm without its refit.
    """
    rows: list[dict[str, Any]] = []
    for arm in sorted(available):
        one, other = _held_out(arm, available[arm]), _held_out(arm, own_date[arm])
        require_equal_held_out([one, _named(other)])
        if one.runs != other.runs:
            raise ValueError(f"`{arm}` has {len(one.runs)} runs, its refit others: the same seeds are needed")
        rows += _rows(task, one, other, n_bootstrap=n_bootstrap, seed=seed)
    return metrics_table(rows)


def _held_out(arm: str, predictions: pd.DataFrame) -> ScoredSet:
    """The arm with all labels on held-out."""
    sets = arrange({arm: predictions})
    return next(one for one in sets if one.split == "held_out" and one.k is None)


def _named(one: ScoredSet) -> ScoredSet:
    name = f"{one.arm} (own date)"
    return ScoredSet(name, one.split, one.k, one.examples, one.runs, one.score, one.score_raw)


def _rows(
    task: str, one: ScoredSet, other: ScoredSet, *, n_bootstrap: int, seed: int
) -> list[dict[str, Any]]:
    seeds = {run_seed for run_seed, _ in one.runs}
    fixed: dict[str, Any] = dict.fromkeys(METRIC_COLUMNS)
    fixed |= {"task": task, "arm": one.arm, "split": one.split, "subgroup": "all"}
    fixed |= {"n": len(one.examples), "n_cases": int(one.y_true.sum())}
    fixed |= {"seed": seeds.pop() if len(seeds) == 1 else None}
    if not has_both_classes(one.y_true):
        return [fixed | {"metric": OWN_DATE}, fixed | {"metric": DIFFERENCE}]
    drawn = _replicates({"available": one, "own date": other}, n_bootstrap=n_bootstrap, seed=seed)
    point = {"available": _mean_auroc(one), "own date": _mean_auroc(other)}
    found = (
        (OWN_DATE, point["own date"], drawn["own date"]),
        (DIFFERENCE, point["own date"] - point["available"], drawn["own date"] - drawn["available"]),
    )
    rows: list[dict[str, Any]] = []
    for metric, value, values in found:
        low, high = percentile_interval(values, 0.95)
        rows.append(fixed | {"metric": metric, "value": value, "ci_low": low, "ci_high": high})
    return rows


def _replicates(sets: Mapping[str, ScoredSet], *, n_bootstrap: int, seed: int) -> dict[str, FloatArray]:
    """AUROC of each set in each replicate, float64 (R,), the mean over the runs drawn."""
    one = next(iter(sets.values()))
    scores = {
        f"{name}|{run}": score for name, held in sets.items() for run, score in enumerate(held.score_raw)
    }
    found = bootstrap(
        one.y_true,
        one.person_id,
        scores,
        n_bootstrap=n_bootstrap,
        seed=seed,
        metrics=dict.fromkeys(scores, ("auroc",)),
    )
    shares = draw_runs(len(one.runs), n_bootstrap, seed, run_key(one.name, None, "auroc"))
    return {
        name: np.sum(
            [shares[:, run] * found.values[f"{name}|{run}"]["auroc"] for run in range(len(one.runs))], axis=0
        )
        for name in sets
    }


def _mean_auroc(one: ScoredSet) -> float:
    values = [auroc(one.y_true, run) for run in one.score_raw]
    return float(np.mean([value for value in values if value is not None]))
