"""Evaluate one task: metrics, verdicts, curves and the test of the ceiling from its arms' predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from ml.evaluation.bootstrap import Replicates, bootstrap
from ml.evaluation.ceiling import CEILING_COLUMNS, CEILING_METRICS, ceiling_checks, measure_ceiling
from ml.evaluation.comparing import adjust_p_values, setting, verdict_rows, verdicts_table
from ml.evaluation.curves import CURVE_COLUMNS, draw_curves
from ml.evaluation.measure import bootstrap_scores, metric_rows, metrics_table
from ml.evaluation.metrics import DIRECTION, FloatArray, has_both_classes
from ml.evaluation.predictions import ScoredSet, arrange, require_equal_held_out
from ml.evaluation.verdict import Comparison, Competitor

ORACLE = "oracle"
CHECK_COLUMNS = ["name", "task", "looked_at", "found", "limit", "severity", "passed"]


@dataclass(frozen=True)
class TaskEvaluation:
    """Tables of one task, or of a study (`combine`); unsuppressed: they stay in the home.

    Attributes:
        metrics: contract columns of metrics.csv.
        verdicts: contract columns of verdicts.csv, then what stands beside.
        curves: task, arm, curve, x, y, n, n_cases.
        checks: contract columns of checks.csv.
        ceiling: task, arm, metric, delta, lower_bound, n, passed.
        n_redrawn: one-class bootstrap replicates drawn again, on held-out.
    """

    metrics: pd.DataFrame
    verdicts: pd.DataFrame
    curves: pd.DataFrame
    checks: pd.DataFrame
    ceiling: pd.DataFrame
    n_redrawn: int


def evaluate_task(
    task: str,
    predictions: Mapping[str, pd.DataFrame],
    *,
    title: str = "",
    oracle: pd.DataFrame | None = None,
    comparisons: Sequence[Comparison] = (),
    n_bootstrap: int = 2000,
    seed: int = 0,
    alpha: float = 0.05,
    n_primary: int = 1,
    qualifiers: Sequence[str] = (),
    competitors: Mapping[str, Competitor] | None = None,
    refused: Mapping[str, str] | None = None,
    n_reading: int = 1,
    looks_ahead: bool = False,
    subgroups: pd.DataFrame | None = None,
) -> TaskEvaluation:
    """Score the arms of one task; pure: same tables and seed, same result.

    Args:
        task: its identifier; comparisons of other tasks are left alone.
        predictions: arm -> predictions table of the contract; rows of split `train` are not read.
        title: the task in verdict sentences; empty: its identifier.
        oracle: example_id, p for every held-out example; None: the task has none.
        comparisons: the registered comparisons.
        n_bootstrap: replicates.
        seed: decides the draws, the same for all arms.
        alpha: over all primary comparisons.
        n_primary: how many primary comparisons the study registered.
        qualifiers: words for every verdict sentence, for example "simulated patients".
        competitors: arm -> what its sentence says of it.
        refused: arm -> reason, for arms without predictions.
        n_reading: 1 for the first reading of held-out by this registered study.
        looks_ahead: the task's design does: metrics are given, no verdict rests on them (METHODS 10).
        subgroups: example_id, subgroup; held-out metrics are repeated in each.

    Raises:
        HeldOutMismatchError: arms, or runs of one arm, were scored on different held-out examples.
        ValueError, KeyError: tables that break the contract; unknown arms or metrics.
    """
    sets = arrange(predictions)
    held_out = [one for one in sets if one.split == "held_out"]
    require_equal_held_out(held_out)
    if oracle is not None and held_out:
        held_out.append(_oracle_set(held_out[0], oracle))
    replicates = _bootstrap_sets(held_out, n_bootstrap, seed)
    rows: list[dict[str, Any]] = []
    for one in sets:
        if one.split == "tuning":
            rows += metric_rows(task, one, _bootstrap_sets([one], n_bootstrap, seed))
    tuning_values = _tuning_values(rows)
    for one in held_out:
        rows += metric_rows(task, one, replicates)
    if subgroups is not None:
        rows += _subgroup_rows(task, held_out, subgroups, n_bootstrap, seed)
    full = {one.arm: one for one in held_out if one.k is None and one.arm != ORACLE}
    shared = setting(
        task,
        title=title,
        n_primary=n_primary,
        alpha=alpha,
        n_reading=n_reading,
        qualifiers=qualifiers,
        competitors=competitors or {},
        refused=refused or {},
        looks_ahead=looks_ahead,
    )
    mine = [comparison for comparison in comparisons if comparison.task == task]
    ceiling = _ceiling(task, held_out, seed)
    return TaskEvaluation(
        metrics=metrics_table(rows),
        verdicts=verdicts_table(verdict_rows(mine, full, tuning_values, replicates, shared)),
        curves=_curves(task, held_out),
        checks=_checks(task, sets, ceiling),
        ceiling=ceiling,
        n_redrawn=0 if replicates is None else replicates.n_redrawn,
    )


def combine(evaluations: Sequence[TaskEvaluation]) -> TaskEvaluation:
    """Join the tasks of a study; Holm's adjustment then runs over all its comparisons."""

    def joined(name: str) -> pd.DataFrame:
        tables = [getattr(one, name) for one in evaluations]
        filled = [table for table in tables if len(table)]
        return pd.concat(filled, ignore_index=True) if filled else tables[0]

    if not evaluations:
        raise ValueError("no task was evaluated: at least one was expected")
    return TaskEvaluation(
        metrics=joined("metrics"),
        verdicts=adjust_p_values(joined("verdicts")),
        curves=joined("curves"),
        checks=joined("checks"),
        ceiling=joined("ceiling"),
        n_redrawn=sum(one.n_redrawn for one in evaluations),
    )


def _bootstrap_sets(sets: Sequence[ScoredSet], n_bootstrap: int, seed: int) -> Replicates | None:
    """Replicates of sets on the same examples; None where there is nothing to draw from."""
    if not sets or not has_both_classes(sets[0].y_true):
        return None
    scores: dict[str, FloatArray] = {}
    metrics: dict[str, tuple[str, ...]] = {}
    for one in sets:
        more_scores, more_metrics = bootstrap_scores(one)
        scores |= more_scores
        metrics |= more_metrics
    return bootstrap(
        sets[0].y_true, sets[0].person_id, scores, n_bootstrap=n_bootstrap, seed=seed, metrics=metrics
    )


def _oracle_set(like: ScoredSet, oracle: pd.DataFrame) -> ScoredSet:
    """The oracle as one more set of scores on the same held-out examples."""
    known = oracle.set_index("example_id")["p"]
    if known.index.has_duplicates:
        raise ValueError(f"the oracle holds {int(known.index.duplicated().sum())} examples more than once")
    p = known.reindex(like.examples["example_id"]).to_numpy(dtype=np.float64)
    n_missing = int(np.isnan(p).sum())
    if n_missing:
        raise ValueError(f"the oracle lacks {n_missing} of {p.size} held-out examples")
    return ScoredSet(ORACLE, "held_out", None, like.examples, ((None, None),), p[None, :], p[None, :])


def _tuning_values(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Metric -> arm -> value on tuning, signed so that more is better; the block over all runs comes last."""
    found: dict[str, dict[str, float | None]] = {metric: {} for metric in DIRECTION}
    for row in rows:
        if row["metric"] in DIRECTION and row["k"] is None:
            value = row["value"]
            found[row["metric"]][row["arm"]] = None if value is None else DIRECTION[row["metric"]] * value
    return found


def _subgroup_rows(
    task: str, held_out: Sequence[ScoredSet], subgroups: pd.DataFrame, n_bootstrap: int, seed: int
) -> list[dict[str, Any]]:
    group_of = subgroups.set_index("example_id")["subgroup"]
    rows: list[dict[str, Any]] = []
    for group in sorted(group_of.dropna().unique()):
        parts = [_restrict(one, group_of == group) for one in held_out if one.k is None]
        parts = [one for one in parts if len(one.examples)]
        replicates = _bootstrap_sets(parts, n_bootstrap, seed)
        for one in parts:
            rows += metric_rows(task, one, replicates, subgroup=str(group))
    return rows


def _restrict(one: ScoredSet, member: pd.Series) -> ScoredSet:
    keep = cast(Any, one.examples)["example_id"].map(member).eq(True).to_numpy()
    examples = cast(Any, one.examples)[keep].reset_index(drop=True)
    return ScoredSet(
        one.arm, one.split, one.k, examples, one.runs, one.score[:, keep], one.score_raw[:, keep]
    )


def _curves(task: str, held_out: Sequence[ScoredSet]) -> pd.DataFrame:
    """Curves of every arm with all labels; of its first run, never of an average score."""
    tables = [
        draw_curves(task, one.arm, one.y_true, one.score[0], one.score_raw[0])
        for one in held_out
        if one.k is None
    ]
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=pd.Index(CURVE_COLUMNS))


def _ceiling(task: str, held_out: Sequence[ScoredSet], seed: int) -> pd.DataFrame:
    oracle = next((one for one in held_out if one.arm == ORACLE), None)
    arms = {
        one.name: {metric: one.scores_for(metric) for metric in CEILING_METRICS}
        for one in held_out
        if one.arm != ORACLE
    }
    if oracle is None or not has_both_classes(oracle.y_true):
        return pd.DataFrame(columns=pd.Index(CEILING_COLUMNS))
    return measure_ceiling(task, oracle.y_true, oracle.person_id, oracle.score[0], arms, seed=seed)


def _checks(task: str, sets: Sequence[ScoredSet], ceiling: pd.DataFrame) -> pd.DataFrame:
    """The ceiling, and whether recalibration kept the order of each arm's raw scores."""
    full = [one for one in sets if one.k is None]
    turned = sum(
        _turns_order(raw, score) for one in full for raw, score in zip(one.score_raw, one.score, strict=True)
    )
    order = {
        "name": "recalibration_keeps_order",
        "task": task,
        "looked_at": sum(one.score.size for one in full),
        "found": float(turned),
        "limit": 0.0,
        "severity": "warn",
        "passed": turned == 0 and bool(full),
    }
    return pd.DataFrame([*ceiling_checks(ceiling), order], columns=pd.Index(CHECK_COLUMNS))


def _turns_order(raw: FloatArray, score: FloatArray) -> int:
    """How many neighbours in the order of the raw score have a lower recalibrated score."""
    ordered = score[np.lexsort((score, raw))]
    return int(np.sum(np.diff(ordered) < -1e-12))
