"""The report's tables: contract columns for the CSV files, and numbers as a reader wants them."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pandas as pd

from ml.evaluation.comparing import VERDICT_COLUMNS
from ml.evaluation.curves import CURVE_COLUMNS
from ml.evaluation.evaluate import CHECK_COLUMNS
from ml.evaluation.measure import METRIC_COLUMNS
from ml.report.facts import ReportFacts, TaskFacts
from ml.report.nested_cells import suppress_nested
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

COLUMNS = {
    "metrics": METRIC_COLUMNS,
    "verdicts": VERDICT_COLUMNS,
    "curves": CURVE_COLUMNS,
    "checks": CHECK_COLUMNS,
    "costs": COST_COLUMNS,
}


def hidden_by_task(tasks: Sequence[TaskFacts], metrics: pd.DataFrame) -> dict[str, frozenset[str]]:
    """Task -> names of its counts that must not be shown, over facts and metrics together."""
    facts = {task.name: task for task in tasks}
    table = cast(Any, metrics)
    names = list(dict.fromkeys([*facts, *table["task"]]))
    return {name: hidden_counts(facts.get(name), table[table["task"] == name]) for name in names}


def report_tables(facts: ReportFacts, given: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables that may leave: name of the CSV file without ending -> table with the contract's columns.

    Args:
        facts: of the page, so that both hide the same counts.
        given: unsuppressed `metrics`, `verdicts`, `curves`, `checks` and `costs` of all tasks.
    """
    whole = fill_tables(given)
    hidden = hidden_by_task(facts.tasks, whole["metrics"])
    checks = shown_checks(facts, whole["checks"], hidden)
    shown = {
        "metrics": suppress_metrics(whole["metrics"], hidden),
        "verdicts": whole["verdicts"],
        "costs": whole["costs"],
        "checks": checks,
    }
    return {
        name: cast(pd.DataFrame, table[COLUMNS[name]]).reset_index(drop=True) for name, table in shown.items()
    }


def shown_checks(
    facts: ReportFacts, checks: pd.DataFrame, hidden: Mapping[str, frozenset[str]]
) -> pd.DataFrame:
    """The check table as it may leave: without small counts, nor any that two of its rows give away."""
    judged = {task.name: _judged(task, hidden[task.name]) for task in facts.tasks}
    return suppress_nested(checks, suppress_checks(checks, hidden, facts.alarms, judged))


def _judged(task: TaskFacts, hidden: frozenset[str]) -> int | None:
    """Labelled examples of train and tuning; None where one of the two is hidden."""
    shown = [one.n for one in task.splits if one.split != "held_out" and f"n:{one.split}" not in hidden]
    return sum(shown) if len(shown) == 2 else None


def fill_tables(given: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """All five tables; one that is absent or has no row gets its columns.

    Raises:
        ValueError: a table with rows lacks a column of the contract.
    """
    whole: dict[str, pd.DataFrame] = {}
    for name, columns in COLUMNS.items():
        table = given.get(name, pd.DataFrame())
        if table.empty:
            table = table.reindex(columns=pd.Index(dict.fromkeys([*columns, *table.columns])))
        missing = [column for column in columns if column not in table.columns]
        if missing:
            raise ValueError(f"table `{name}` lacks the columns {missing}")
        whole[name] = table
    return whole


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


def found(row: Mapping[str, Any]) -> str:
    """What a check found; where the count is hidden, on which side of the limit it lies."""
    if row["found"] is None or pd.isna(row["found"]):
        return f"{HIDDEN}, within the limit" if bool(row["passed"]) else f"{HIDDEN}, over the limit"
    return quantity(row["found"])


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
