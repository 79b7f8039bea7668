"""Verdict rows: each registered comparison of a task, judged on the replicates all arms share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ml.evaluation.bootstrap import Replicates, percentile_interval
from ml.evaluation.measure import PLAIN, run_key
from ml.evaluation.metrics import DIRECTION, FloatArray
from ml.evaluation.predictions import ScoredSet
from ml.evaluation.sentence import Difference, gather_qualifiers, missing_sentence, signed, verdict_sentence
from ml.evaluation.significance import bootstrap_p_value, holm, paired_delong
from ml.evaluation.verdict import (
    NO_VERDICT,
    BestOf,
    Comparison,
    Competitor,
    cases_to_settle,
    choose_best,
    judge,
    verdict_level,
)

# fmt: off
VERDICT_COLUMNS = [
    "task", "metric", "challenger", "reference", "margin", "delta", "ci_low", "ci_high", "level", "verdict",
    "sentence", "reading",
]
# fmt: on
BESIDE_COLUMNS = [
    "addition",
    "ci95_low",
    "ci95_high",
    "p_value",
    "p_value_kind",
    "p_holm",
    "cases_to_settle",
    "reason",
]


NOT_PROSPECTIVE = "not usable prospectively"
LOOKS_AHEAD = f"the design of this task looks ahead, so its results are {NOT_PROSPECTIVE}"


@dataclass(frozen=True)
class Setting:
    """What all verdicts of a task share."""

    task: str
    title: str
    level: float
    n_reading: int
    qualifiers: tuple[str, ...]
    competitors: Mapping[str, Competitor]
    refused: Mapping[str, str]
    looks_ahead: bool = False

    @property
    def reading(self) -> str:
        """ "verdict" for the first reading of a registered study, else "monitoring N"."""
        return "verdict" if self.n_reading == 1 else f"monitoring {self.n_reading}"


def setting(
    task: str,
    *,
    title: str,
    n_primary: int,
    alpha: float,
    n_reading: int,
    qualifiers: Sequence[str],
    competitors: Mapping[str, Competitor],
    refused: Mapping[str, str],
    looks_ahead: bool = False,
) -> Setting:
    """Check and gather what all verdicts of a task share."""
    if n_reading < 1:
        raise ValueError(f"`n_reading` is {n_reading}: the first reading is 1")
    level = verdict_level(n_primary, alpha)
    words = tuple(qualifiers)
    return Setting(task, title or task, level, n_reading, words, competitors, refused, looks_ahead)


def verdict_rows(
    comparisons: Sequence[Comparison],
    held_out: Mapping[str, ScoredSet],
    tuning_values: Mapping[str, Mapping[str, float | None]],
    replicates: Replicates | None,
    shared: Setting,
) -> list[dict[str, Any]]:
    """One row a comparison.

    Args:
        comparisons: of this task.
        held_out: arm -> its scores with all labels.
        tuning_values: metric -> arm -> value on tuning, signed so that more is better.
        replicates: of held-out; None: one class only.
        shared: level, reading, words.

    Raises:
        KeyError: a comparison names an arm that was neither scored nor refused.
    """
    return [_verdict_row(one, held_out, tuning_values, replicates, shared) for one in comparisons]


def verdicts_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The verdicts table: the contract's columns, then those that stand beside; Holm over the rows given."""
    table = pd.DataFrame(rows, columns=pd.Index(VERDICT_COLUMNS + BESIDE_COLUMNS))
    floats = ["margin", "delta", "ci_low", "ci_high", "level", "ci95_low", "ci95_high", "p_value", "p_holm"]
    table = table.astype(dict.fromkeys(floats, "float64") | {"cases_to_settle": "Int64"})
    return adjust_p_values(table)


def adjust_p_values(verdicts: pd.DataFrame) -> pd.DataFrame:
    """Fill `p_holm` over all rows: call it again on the verdicts of all tasks of a study together."""
    known = [None if pd.isna(p) else float(p) for p in verdicts["p_value"]]
    adjusted = [np.nan if p is None else p for p in holm(known)]
    return verdicts.assign(p_holm=pd.Series(adjusted, index=verdicts.index, dtype="float64"))


def _verdict_row(
    comparison: Comparison,
    held_out: Mapping[str, ScoredSet],
    tuning_values: Mapping[str, Mapping[str, float | None]],
    replicates: Replicates | None,
    shared: Setting,
) -> dict[str, Any]:
    if comparison.metric not in DIRECTION:
        raise KeyError(f"Unknown metric `{comparison.metric}`. Known metrics: {', '.join(DIRECTION)}")
    sides = [
        _resolve(side, comparison.metric, held_out, tuning_values, shared.refused)
        for side in (comparison.challenger, comparison.reference)
    ]
    labels = [
        arm or _group(side)
        for arm, side in zip(sides, (comparison.challenger, comparison.reference), strict=True)
    ]
    words = (
        _name(labels[0], comparison.challenger, shared.competitors),
        _name(labels[1], comparison.reference, shared.competitors),
    )
    row: dict[str, Any] = {
        "task": shared.task,
        "metric": comparison.metric,
        "challenger": labels[0],
        "reference": labels[1],
        "margin": comparison.margin,
        "level": shared.level,
        "reading": shared.reading,
        "reason": comparison.reason,
    }
    reason = _missing_reason(sides, labels, held_out, shared.refused)
    if shared.looks_ahead:
        reason = LOOKS_AHEAD
    if reason is None and replicates is None:
        reason = "held-out data holds one class only"
    if reason is not None:
        text = missing_sentence(shared.title, words, reason, list(dict.fromkeys(shared.qualifiers)))
        addition = NOT_PROSPECTIVE if shared.looks_ahead else ""
        return row | {"verdict": NO_VERDICT, "sentence": text, "addition": addition}
    assert replicates is not None
    challenger, reference = held_out[labels[0]], held_out[labels[1]]
    if challenger.arm == reference.arm:
        raise ValueError(f"comparison on `{shared.task}` sets `{challenger.arm}` against itself")
    return row | _judged(comparison, challenger, reference, replicates, words, shared)


def _judged(
    comparison: Comparison,
    challenger: ScoredSet,
    reference: ScoredSet,
    replicates: Replicates,
    names: tuple[str, str],
    shared: Setting,
) -> dict[str, Any]:
    metric, sign = comparison.metric, DIRECTION[comparison.metric]
    differences = sign * (
        _replicates(challenger, metric, replicates) - _replicates(reference, metric, replicates)
    )
    delta = sign * (_point(challenger, metric) - _point(reference, metric))
    identical = ""
    if abs(delta) < 1e-12 and float(np.max(np.abs(differences))) < 1e-12:
        same = np.array_equal(challenger.scores_for(metric), reference.scores_for(metric))
        identical = "identical scores" if same else "identical scores on this metric in every resample"
        delta, differences = 0.0, np.zeros_like(differences)
    low, high = percentile_interval(differences, shared.level)
    low_95, high_95 = percentile_interval(differences, 0.95)
    n_cases = int(challenger.y_true.sum())
    me = shared.competitors.get(challenger.arm, Competitor())
    judgement = judge(
        low,
        high,
        margin=comparison.margin,
        n_cases=n_cases,
        n_non_cases=len(challenger.examples) - n_cases,
        is_converged=me.is_converged,
    )
    half_width = (high - low) / 2
    settle = [
        (
            words,
            cases_to_settle(
                half_width, shared.level, n_cases=n_cases, margin=comparison.margin, assumed_delta=true
            ),
        )
        for words, true in (
            ("the two are truly equal", 0.0),
            (f"the true difference is the one found ({signed(delta)})", delta),
        )
    ]
    if identical:
        settle = []
    p_value, kind = _p_value(challenger, reference, metric, differences)
    them = shared.competitors.get(reference.arm, Competitor())
    n_runs = (len(challenger.runs), len(reference.runs))
    text = verdict_sentence(
        judgement,
        Difference(delta, low, high, shared.level, low_95, high_95, identical),
        task=shared.title,
        metric=metric,
        margin=comparison.margin,
        names=names,
        n_held_out=len(challenger.examples),
        n_cases=n_cases,
        to_settle=settle,
        qualifiers=gather_qualifiers(shared.qualifiers, me, them, n_runs=n_runs),
        n_reading=shared.n_reading,
    )
    return {
        "delta": delta,
        "ci_low": low,
        "ci_high": high,
        "verdict": judgement.verdict,
        "sentence": text,
        "addition": "; ".join(part for part in (identical, judgement.addition) if part),
        "ci95_low": low_95,
        "ci95_high": high_95,
        "p_value": p_value,
        "p_value_kind": kind,
        "cases_to_settle": settle[0][1] if settle else None,
    }


def _resolve(
    side: str | BestOf,
    metric: str,
    held_out: Mapping[str, ScoredSet],
    tuning_values: Mapping[str, Mapping[str, float | None]],
    refused: Mapping[str, str],
) -> str | None:
    """The arm a side stands for; None where a group has no arm with a score."""
    for arm in (side,) if isinstance(side, str) else side.arms:
        if arm not in held_out and arm not in refused:
            known = ", ".join(sorted({*held_out, *refused}))
            raise KeyError(f"Unknown arm `{arm}` in a comparison. Scored or refused arms: {known}")
    if isinstance(side, str):
        return side
    return choose_best(tuning_values.get(metric, {}), side, metric=metric, split="tuning")


def _missing_reason(
    sides: list[str | None], labels: list[str], held_out: Mapping[str, ScoredSet], refused: Mapping[str, str]
) -> str | None:
    for arm, label in zip(sides, labels, strict=True):
        if arm is None:
            return f"no arm of {label} could be chosen on tuning"
        if arm not in held_out:
            return f"{arm} was refused ({refused[arm]})"
    return None


def _group(side: str | BestOf) -> str:
    return side if isinstance(side, str) else f"best_of:{side.group}"


def _name(arm: str, side: str | BestOf, competitors: Mapping[str, Competitor]) -> str:
    parts = [competitors[arm].description] if arm in competitors and competitors[arm].description else []
    if isinstance(side, BestOf) and arm in side.arms:
        parts.append(f"best {side.group} arm on tuning")
    return f"{arm} ({'; '.join(parts)})" if parts else arm


def _replicates(one: ScoredSet, metric: str, replicates: Replicates) -> FloatArray:
    run_no = 0 if len(one.runs) == 1 else None
    return replicates.values[run_key(one.name, run_no, metric)][metric]


def _point(one: ScoredSet, metric: str) -> float:
    values = [PLAIN[metric](one.y_true, run) for run in one.scores_for(metric)]
    return float(np.mean([value for value in values if value is not None]))


def _p_value(
    challenger: ScoredSet, reference: ScoredSet, metric: str, differences: FloatArray
) -> tuple[float, str]:
    one_each = bool(challenger.examples["person_id"].is_unique)
    if metric == "auroc" and one_each and len(challenger.runs) == len(reference.runs) == 1:
        found = paired_delong(challenger.y_true, challenger.score_raw[0], reference.score_raw[0])
        if found is not None:
            return found.p_value, "paired DeLong"
    return bootstrap_p_value(differences), "bootstrap"
