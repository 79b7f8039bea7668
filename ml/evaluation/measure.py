"""Rows of the metrics table: point values and 95% intervals of one set of scores."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ml.evaluation.bootstrap import Replicates, percentile_interval
from ml.evaluation.calibration import Calibration, measure_calibration
from ml.evaluation.metrics import (
    RANKING_METRICS,
    FloatArray,
    auprc,
    auroc,
    brier,
    log_loss,
    prevalence,
)
from ml.evaluation.predictions import ScoredSet

METRIC_COLUMNS = [
    "task",
    "arm",
    "split",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "n_cases",
    "seed",
    "k",
    "draw",
    "subgroup",
]
PLAIN = {"auroc": auroc, "auprc": auprc, "brier": brier, "log_loss": log_loss}
PROBABILITY_METRICS = ("brier", "log_loss")
# One run's 95% interval by metric; None: no interval.
Interval = tuple[float, float] | None


def run_key(name: str, run_no: int | None, metric: str) -> str:
    """Name of the scores that a metric reads in the bootstrap: an arm's run, or all its runs (None)."""
    kind = "raw" if metric in (*RANKING_METRICS, "brier_raw") else "score"
    return f"{name}|{'all' if run_no is None else run_no}|{kind}"


def bootstrap_scores(one: ScoredSet) -> tuple[dict[str, FloatArray], dict[str, tuple[str, ...]]]:
    """Score vectors of a set and the metrics each needs: every run, then all runs if there are several."""
    scores: dict[str, FloatArray] = {}
    metrics: dict[str, tuple[str, ...]] = {}
    for run_no in [*range(len(one.runs)), *([None] if len(one.runs) > 1 else [])]:
        rows = slice(None) if run_no is None else slice(run_no, run_no + 1)
        ranking = run_key(one.name, run_no, "auroc")
        scores[ranking], metrics[ranking] = one.score_raw[rows], RANKING_METRICS
        if one.k is None:  # few-shot arms are judged on discrimination only (METHODS 12)
            metrics[ranking] = (*RANKING_METRICS, "brier")
            probability = run_key(one.name, run_no, "brier")
            scores[probability], metrics[probability] = one.score[rows], PROBABILITY_METRICS
    return scores, metrics


def metric_rows(
    task: str, one: ScoredSet, replicates: Replicates | None, *, subgroup: str = "all"
) -> list[dict[str, Any]]:
    """Rows of one arm on one split: one block a run, then one over all runs (seed and draw null) if several.

    Args:
        task: for the rows.
        one: the scores.
        replicates: of the scores named by `bootstrap_scores`; None (one class): no intervals.
        subgroup: for the rows.
    """
    calibrations = [_calibrations(one, run_no) for run_no in range(len(one.runs))] if one.k is None else []
    rows: list[dict[str, Any]] = []
    for run_no, (seed, draw) in enumerate(one.runs):
        values = _values(one, run_no)
        intervals = _intervals(one, run_no, replicates)
        if calibrations:
            values |= {name: value for name, (value, _) in calibrations[run_no].items()}
            intervals |= {name: interval for name, (_, interval) in calibrations[run_no].items()}
        rows += _rows(task, one, values, intervals, seed=seed, draw=draw, subgroup=subgroup)
    if len(one.runs) > 1:
        by_run = [_values(one, run_no) for run_no in range(len(one.runs))]
        if calibrations:
            by_run = [
                values | {name: value for name, (value, _) in found.items()}
                for values, found in zip(by_run, calibrations, strict=True)
            ]
        means = {metric: _mean([values[metric] for values in by_run]) for metric in by_run[0]}
        intervals = _intervals(one, None, replicates)
        seeds, draws = {seed for seed, _ in one.runs}, {draw for _, draw in one.runs}
        seed, draw = (group.copy().pop() if len(group) == 1 else None for group in (seeds, draws))
        rows += _rows(task, one, means, intervals, seed=seed, draw=draw, subgroup=subgroup)
    return rows


def metrics_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The metrics table with the contract's columns; `value` null means not estimable."""
    table = pd.DataFrame(rows, columns=pd.Index(METRIC_COLUMNS))
    floats = ["value", "ci_low", "ci_high"]
    whole = ["n", "n_cases", "seed", "k", "draw"]
    return table.astype(dict.fromkeys(floats, "float64") | dict.fromkeys(whole, "Int64"))


def _values(one: ScoredSet, run_no: int) -> dict[str, float | None]:
    labels = one.y_true
    metrics = tuple(PLAIN) if one.k is None else RANKING_METRICS
    values = {metric: PLAIN[metric](labels, one.scores_for(metric)[run_no]) for metric in metrics}
    if one.k is None:
        values["brier_raw"] = brier(labels, one.score_raw[run_no])
    return values | {"prevalence": prevalence(labels)}


def _intervals(one: ScoredSet, run_no: int | None, replicates: Replicates | None) -> dict[str, Interval]:
    if replicates is None:
        return {}
    found = dict(replicates.values[run_key(one.name, run_no, "auroc")])
    if one.k is None:
        found["brier_raw"] = found.pop("brier")
        found |= replicates.values[run_key(one.name, run_no, "brier")]
    found["prevalence"] = replicates.prevalence
    return {metric: percentile_interval(values, 0.95) for metric, values in found.items()}


def _calibrations(one: ScoredSet, run_no: int) -> dict[str, tuple[float | None, Interval]]:
    found: dict[str, tuple[float | None, Interval]] = {}
    for suffix, scores in (("", one.score), ("_raw", one.score_raw)):
        measured: Calibration = measure_calibration(one.y_true, scores[run_no], one.person_id)
        found[f"calibration_intercept{suffix}"] = (measured.intercept, measured.intercept_interval)
        found[f"calibration_slope{suffix}"] = (measured.slope, measured.slope_interval)
    return found


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _rows(
    task: str,
    one: ScoredSet,
    values: Mapping[str, float | None],
    intervals: Mapping[str, Interval],
    *,
    seed: int | None,
    draw: int | None,
    subgroup: str,
) -> list[dict[str, Any]]:
    fixed = {"task": task, "arm": one.arm, "split": one.split, "subgroup": subgroup}
    fixed |= {
        "n": len(one.examples),
        "n_cases": int(one.y_true.sum()),
        "seed": seed,
        "k": one.k,
        "draw": draw,
    }
    rows: list[dict[str, Any]] = []
    for metric, value in values.items():
        low, high = (None if value is None else intervals.get(metric)) or (None, None)
        rows.append(fixed | {"metric": metric, "value": value, "ci_low": low, "ci_high": high})
    return rows
