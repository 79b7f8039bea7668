"""The report's tables: contract columns for the CSV files, and numbers as a reader wants them."""

from collections.abc import Sequence
from typing import Any, cast

import pandas as pd

from ml.evaluation.comparing import VERDICT_COLUMNS
from ml.evaluation.evaluate import CHECK_COLUMNS
from ml.evaluation.measure import METRIC_COLUMNS
from ml.report.facts import TaskFacts
from ml.report.small_cells import hidden_counts, suppress_checks, suppress_metrics

COST_COLUMNS = [
    "task",
    "arm",
    "step",
    "wall_s",
    "cpu_s",
    "peak_bytes",
    "accelerator_s",
    "tokens",
    "bytes",
    "reused",
]
HIDDEN = "hidden"
NOT_ESTIMABLE = "not estimable"


def hidden_by_task(tasks: Sequence[TaskFacts], metrics: pd.DataFrame) -> dict[str, frozenset[str]]:
    """Task -> names of its counts that must not be shown, over facts and metrics together."""
    facts = {task.name: task for task in tasks}
    table = cast(Any, metrics)
    names = list(dict.fromkeys([*facts, *table["task"]]))
    return {name: hidden_counts(facts.get(name), table[table["task"] == name]) for name in names}


def report_tables(
    *,
    metrics: pd.DataFrame,
    verdicts: pd.DataFrame,
    costs: pd.DataFrame,
    checks: pd.DataFrame,
    tasks: Sequence[TaskFacts] = (),
) -> dict[str, pd.DataFrame]:
    """The tables that may leave: name of the CSV file without ending -> table with the contract's columns.

    Args:
        metrics: unsuppressed, of all tasks.
        verdicts: of all tasks; columns that stand beside are left out.
        costs: contract columns.
        checks: contract columns, and `unit` if there is one.
        tasks: the page's facts, so that both hide the same counts.
    """
    shown = {
        "metrics": suppress_metrics(metrics, hidden_by_task(tasks, metrics))[METRIC_COLUMNS],
        "verdicts": verdicts[VERDICT_COLUMNS],
        "costs": costs[COST_COLUMNS],
        "checks": suppress_checks(checks)[CHECK_COLUMNS],
    }
    return {name: cast(pd.DataFrame, table).reset_index(drop=True) for name, table in shown.items()}


def headline(
    metrics: pd.DataFrame, task: str, *, split: str = "held_out", subgroup: str = "all"
) -> pd.DataFrame:
    """One row an arm and metric: arms with all labels; of several runs the row over all of them."""
    rows = cast(Any, metrics)
    rows = rows[(rows["task"] == task) & (rows["split"] == split) & (rows["subgroup"] == subgroup)]
    rows = rows[rows["k"].isna()]
    several = rows.groupby(["arm", "metric"])["value"].transform("size") > 1
    return rows[~several | rows["seed"].isna()]


def number(value: Any, digits: int = 3) -> str:
    """A metric with fixed digits; null is not estimable."""
    if value is None or pd.isna(value):
        return NOT_ESTIMABLE
    text = f"{float(value):.{digits}f}"
    text = text.lstrip("-") if float(text) == 0 else text
    return text.replace("-", "\u2212")


def interval(low: Any, high: Any, digits: int = 3) -> str:
    """An interval in words, empty where there is none."""
    return "" if pd.isna(low) or pd.isna(high) else f"{number(low, digits)} to {number(high, digits)}"


def count(value: Any) -> str:
    """A whole number with thousands; null was hidden."""
    return HIDDEN if value is None or pd.isna(value) else f"{int(value):,}"


def quantity(value: Any) -> str:
    """A check's number: whole ones whole, others to three significant digits; null was hidden."""
    if value is None or pd.isna(value):
        return HIDDEN
    number_value = float(value)
    if number_value == round(number_value):
        return f"{int(number_value):,}".replace("-", "\u2212")
    return f"{number_value:.3g}".replace("-", "\u2212")


def p_value(value: Any) -> str:
    """A p-value to three digits."""
    if pd.isna(value):
        return ""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def duration(seconds: Any) -> str:
    """Seconds as a reader says them."""
    if pd.isna(seconds):
        return ""
    value = float(seconds)
    if value < 10:
        return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def size(n_bytes: Any) -> str:
    """Bytes in the unit that leaves one to four digits."""
    if pd.isna(n_bytes):
        return ""
    value = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} {unit}" if unit in ("B", "kB") or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable: the last unit always returns")


def parameters(n: int | None) -> str:
    """A parameter count as a reader says it; empty where it has no meaning."""
    if n is None:
        return ""
    for limit, unit in ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")):
        if n >= limit:
            return f"{n / limit:.1f} {unit}".replace(".0 ", " ")
    return str(n)
