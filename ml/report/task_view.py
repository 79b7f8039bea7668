"""One task as the page shows it: rows of text and figures, small cells already hidden."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd
from markupsafe import Markup

from ml.evaluation.sentence import percent, signed
from ml.report import cohort_view, plots, tables, words
from ml.report.facts import ReportFacts, TaskFacts
from ml.report.small_cells import suppress_curves, suppress_metrics
from ml.report.svg import Style

MAIN_COLUMNS = ("auroc", "auprc", "prevalence", "brier")
CALIBRATION_COLUMNS = (
    "brier_raw",
    "brier",
    "calibration_slope_raw",
    "calibration_slope",
    "calibration_intercept_raw",
    "calibration_intercept",
)
PANELS = (("roc", "auroc"), ("pr", "auprc"), ("calibration", ""), ("calibration_raw", ""))
SPLIT_WORDS = {"train": "train", "tuning": "tuning", "held_out": "held-out"}
TONE_COLOURS = {"good": "#00624a", "bad": "#9b1c1c", "open": "#7a4d00", "none": "#52606d"}


@dataclass(frozen=True)
class TaskTables:
    """The unsuppressed tables of one task."""

    metrics: pd.DataFrame
    verdicts: pd.DataFrame
    curves: pd.DataFrame


def view_task(
    facts: ReportFacts,
    task: TaskFacts,
    given: TaskTables,
    hidden: frozenset[str],
    styles: Mapping[str, Style],
) -> dict[str, Any]:
    """Everything the template prints of one task, as text and figures.

    Args:
        facts: of the study.
        task: this one.
        given: its tables.
        hidden: names of its counts that must not be shown.
        styles: arm -> style.
    """
    metrics = suppress_metrics(given.metrics, {task.name: hidden})
    values = _values(metrics, task.name)
    verdicts = [cast(dict[str, Any], row) for row in given.verdicts.to_dict("records")]
    auroc = {arm: row["auroc"]["value"] for arm, row in values.items() if not _missing(row, "auroc")}
    key = f"task-{facts.tasks.index(task)}"
    return {
        "key": key,
        "facts": task,
        "answers": [words.verdict_in_short(row) for row in verdicts],
        "context": words.context_in_short(auroc, facts.smoke_only),
        "refusals": [one for one in facts.refusals if one.task in ("", task.name)],
        "flow": _flow(key, task, hidden),
        "drawn": "" if task.n_examples is None else _shown(task.n_examples, "examples", hidden),
        "splits": _splits(task, hidden),
        "nulls": [
            (_plain(reason), _shown(n, f"null:{reason}", hidden)) for reason, n in task.null_labels.items()
        ],
        "labels": cohort_view.label_rows(task, hidden),
        "concept_sets": cohort_view.concept_set_rows(task),
        "breaks": [words.check_name(name) for name in task.breaks],
        "own_date": cohort_view.own_date_rows(metrics, task.name, list(styles)),
        "results": _results(values, MAIN_COLUMNS, styles, metrics, task.name),
        "calibration": _results(values, CALIBRATION_COLUMNS, styles, metrics, task.name),
        "intervals": _interval_plot(key, values, styles),
        "panels": _panels(key, values, styles, given.curves),
        "groups": _groups(metrics, task.name, list(styles)),
        "shots": _shots(metrics, task.name),
        "verdicts": [_verdict(f"{key}-verdict-{i}", row) for i, row in enumerate(verdicts)],
    }


def _values(metrics: pd.DataFrame, task: str) -> dict[str, dict[str, dict[str, Any]]]:
    """Arm -> metric -> its headline row on held-out."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in tables.headline(metrics, task).to_dict("records"):
        found.setdefault(row["arm"], {})[row["metric"]] = cast(dict[str, Any], row)
    return found


def _missing(row: Mapping[str, Mapping[str, Any]], metric: str) -> bool:
    return metric not in row or bool(pd.isna(row[metric]["value"]))


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _shown(value: int, name: str, hidden: frozenset[str]) -> str:
    return tables.HIDDEN if name in hidden else f"{value:,}"


def _flow(key: str, task: TaskFacts, hidden: frozenset[str]) -> Markup | None:
    if not task.attrition:
        return None
    boxes: list[plots.FlowBox] = []
    for i, step in enumerate(task.attrition):
        entries = _shown(step.entries, f"entries:{i}", hidden)
        details = [f"{_shown(step.cases, f'cases:{i}', hidden)} cases"]
        if step.persons != step.entries:
            details.insert(0, f"{_shown(step.persons, f'persons:{i}', hidden)} persons")
        left = ""
        if i:
            known = not {f"entries:{i - 1}", f"entries:{i}"} & hidden
            left = f"{task.attrition[i - 1].entries - step.entries:,} left" if known else "left: hidden"
        boxes.append(plots.FlowBox(step.description, entries, ", ".join(details), left))
    return plots.attrition_flow(f"{key}-flow", boxes, title=f"Who is in the cohort of {task.title}")


def _splits(task: TaskFacts, hidden: frozenset[str]) -> list[tuple[str, str, str, str]]:
    rows: list[tuple[str, str, str, str]] = []
    for one in task.splits:
        n, cases = f"n:{one.split}", f"cases:{one.split}"
        known = not {n, cases} & hidden and one.n > 0
        share = f"{100 * one.n_cases / one.n:.1f}%" if known else (tables.HIDDEN if one.n else "")
        split = SPLIT_WORDS.get(one.split, one.split)
        rows.append((split, _shown(one.n, n, hidden), _shown(one.n_cases, cases, hidden), share))
    return rows


def _results(
    values: Mapping[str, Mapping[str, Mapping[str, Any]]],
    columns: Sequence[str],
    styles: Mapping[str, Style],
    metrics: pd.DataFrame,
    task: str,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for arm in [*(arm for arm in styles if arm != "oracle" and arm in values), *({"oracle"} & values.keys())]:
        cells = []
        for metric in columns:
            row = values[arm].get(metric)
            if row is None:
                cells.append(("", ""))
                continue
            digits = 2 if metric.startswith("calibration") else 3
            value = tables.number(row["value"], digits)
            if metric == "prevalence" and value == tables.NOT_ESTIMABLE:
                value = tables.HIDDEN
            cells.append((value, tables.interval(row["ci_low"], row["ci_high"], digits)))
        rows.append({"arm": arm, "cells": cells, "spread": _spread(metrics, task, arm)})
    return rows


def _spread(metrics: pd.DataFrame, task: str, arm: str) -> str:
    """Lowest and highest AUROC over the trained seeds; empty for one."""
    rows = cast(Any, metrics)
    rows = rows[(rows["task"] == task) & (rows["arm"] == arm) & (rows["split"] == "held_out")]
    rows = rows[rows["k"].isna() & (rows["subgroup"] == "all") & (rows["metric"] == "auroc")]
    rows = rows[rows["seed"].notna()]
    if len(rows) < 2:
        return ""
    low, high = tables.number(rows["value"].min()), tables.number(rows["value"].max())
    return f"{len(rows)} seeds, AUROC {low} to {high}"


def _interval_plot(
    key: str, values: Mapping[str, Mapping[str, Mapping[str, Any]]], styles: Mapping[str, Style]
) -> Markup | None:
    rows = [
        (arm, float(row["value"]), float(row["ci_low"]), float(row["ci_high"]))
        for arm in styles
        if arm in values and not _missing(values[arm], "auroc") and (row := values[arm]["auroc"])
    ]
    return plots.interval_plot(
        f"{key}-intervals", rows, styles, title="AUROC on held-out data with 95% interval"
    )


def _panels(
    key: str,
    values: Mapping[str, Mapping[str, Mapping[str, Any]]],
    styles: Mapping[str, Style],
    curves: pd.DataFrame,
) -> list[dict[str, Any]]:
    shown = suppress_curves(curves)
    prevalences = [
        float(row["prevalence"]["value"]) for row in values.values() if not _missing(row, "prevalence")
    ]
    panels: list[dict[str, Any]] = []
    for curve, metric in PANELS:
        beside = {
            arm: float(row[metric]["value"])
            for arm, row in values.items()
            if metric and not _missing(row, metric)
        }
        drawn = plots.curve_panel(
            f"{key}-{curve}",
            curve,
            shown,
            styles,
            beside,
            prevalence=prevalences[0] if prevalences else None,
        )
        if drawn is not None:
            title, caption = plots.CURVE_WORDS[curve][0], plots.PANEL_CAPTIONS[curve]
            panels.append({"title": title, "caption": caption, "figure": drawn})
    return panels


def _groups(metrics: pd.DataFrame, task: str, arms: Sequence[str]) -> dict[str, Any] | None:
    """AUROC by subgroup, a column a group; None without subgroups."""
    names = [str(group) for group in dict.fromkeys(cast(Any, metrics)["subgroup"]) if group != "all"]
    cells: dict[tuple[str, str], tuple[str, str]] = {}
    heads: dict[str, tuple[str, str]] = {}
    for group in names:
        part = cast(Any, tables.headline(metrics, task, subgroup=group))
        for row in part[part["metric"] == "auroc"].to_dict("records"):
            bounds = tables.interval(row["ci_low"], row["ci_high"])
            cells[row["arm"], group] = (tables.number(row["value"]), bounds)
            heads[group] = (tables.count(row["n"]), tables.count(row["n_cases"]))
    if not heads:
        return None
    scored = [arm for arm in [*arms[1:], arms[0]] if any((arm, group) in cells for group in names)]
    rows = [(arm, [cells.get((arm, group), ("", "")) for group in names]) for arm in scored]
    return {"heads": [(group, *heads[group]) for group in names], "rows": rows}


def _shots(metrics: pd.DataFrame, task: str) -> list[tuple[str, ...]]:
    """Few-shot rows over all seeds and draws: arm, k, AUROC and AUPRC with intervals."""
    table = cast(Any, metrics)
    part = table[(table["task"] == task) & (table["split"] == "held_out") & table["k"].notna()]
    rows: list[tuple[str, ...]] = []
    for (arm, k), group in part.groupby(["arm", "k"]):
        several = group.groupby("metric")["value"].transform("size") > 1
        over_runs = group["draw"].isna() | group["seed"].isna()
        by_metric = {row["metric"]: row for row in group[~several | over_runs].to_dict("records")}
        cells: list[str] = []
        for metric in ("auroc", "auprc"):
            row = by_metric[metric]
            cells += [tables.number(row["value"]), tables.interval(row["ci_low"], row["ci_high"])]
        rows.append((arm, str(int(k)), *cells))
    return rows


def _verdict(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    tone = words.TONES[row["verdict"]]
    shown: dict[str, Any] = {"row": row, "tone": tone, "figure": None, "beside": []}
    if pd.isna(row["delta"]):
        return shown
    shown["figure"] = plots.verdict_plot(
        name,
        delta=row["delta"],
        inner=(row["ci95_low"], row["ci95_high"]),
        outer=(row["ci_low"], row["ci_high"]),
        margin=row["margin"],
        colour=TONE_COLOURS[tone],
        names=(row["challenger"], row["reference"]),
    )
    shown["beside"] = [
        ("Difference", signed(row["delta"])),
        (f"{percent(row['level'])} interval", f"{signed(row['ci_low'])} to {signed(row['ci_high'])}"),
        ("95% interval", f"{signed(row['ci95_low'])} to {signed(row['ci95_high'])}"),
        (f"p ({row['p_value_kind']})", tables.p_value(row["p_value"])),
        ("p, Holm", tables.p_value(row["p_holm"])),
    ]
    return shown


def legend(arms: Sequence[str], styles: Mapping[str, Style], key: str) -> dict[str, Markup]:
    """Arm -> its swatch, with names unique on the page."""
    return {arm: plots.swatch(f"{key}-swatch-{i}", styles[arm], arm) for i, arm in enumerate(arms)}
