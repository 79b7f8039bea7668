"""Build the report: one self-contained HTML page for a clinician."""

from collections.abc import Mapping
from importlib import resources
from typing import Any, cast

import jinja2
import pandas as pd
from markupsafe import Markup

from ml.report import tables, words
from ml.report.cohort_view import availability_rows
from ml.report.facts import ReportFacts
from ml.report.svg import arm_styles
from ml.report.tables import report_tables
from ml.report.task_view import TaskTables, legend, view_task

__all__ = ["build_page", "report_tables", "summary_lines"]

LOUD = ("blocked", "signed off", "warned")


def build_page(facts: ReportFacts, given: Mapping[str, pd.DataFrame]) -> str:
    """Render the page from unsuppressed tables; small cells are hidden on the way.

    Args:
        facts: what is not a table.
        given: `metrics`, `verdicts` (with the columns that stand beside), `curves`, `checks` and `costs` of
            all tasks; one that is absent or has no row is shown as empty.

    Raises:
        ValueError: a table names an arm or a task that the facts do not, or lacks a column.
    """
    whole = tables.fill_tables(given)
    metrics, verdicts, curves = whole["metrics"], whole["verdicts"], whole["curves"]
    checks, costs = whole["checks"], whole["costs"]
    _require_known(facts, metrics, verdicts, curves)
    arms = [arm.name for arm in facts.arms]
    styles = arm_styles(arms)
    hidden = tables.hidden_by_task(facts.tasks, metrics)
    views: list[dict[str, Any]] = []
    for task in facts.tasks:
        own = TaskTables(*(_of_task(table, task.name) for table in (metrics, verdicts, curves)))
        views.append(view_task(facts, task, own, hidden[task.name], styles))
    rows = _check_rows(facts, checks, hidden)
    package = resources.files("ml.report")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters |= {"count": tables.count, "parameters": tables.parameters, "short": _short_hash}
    template = environment.from_string(package.joinpath("page.html").read_text(encoding="utf-8"))
    has_oracle = any(task.oracle for task in facts.tasks)
    return template.render(
        facts=facts,
        css=Markup(package.joinpath("page.css").read_text(encoding="utf-8")),
        banner=words.banner(facts.data),
        tasks=views,
        reading=words.reading_in_words([str(one) for one in verdicts["reading"]]),
        swatches=legend(["oracle", *arms] if has_oracle else arms, styles, "arms"),
        make_swatches=lambda key: legend(list(styles), styles, key),
        check_counts=words.check_counts(checks),
        sign_offs=[words.sign_off_in_words(one) for one in facts.sign_offs],
        unseen=[(words.check_name(one.check), one.task, one.words) for one in facts.unseen],
        refused=words.refusals_in_words(facts.refusals),
        stopped=[row for row in rows if row["outcome"] == "blocked" and row["claim"]],
        checks=[row for row in rows if row["outcome"] in LOUD],
        quiet_checks=[
            *(row for row in rows if row["outcome"] not in LOUD),
            *_left_out_checks(facts),
        ],
        availability=availability_rows(facts),
        costs=_cost_rows(costs),
        totals=_cost_totals(costs),
        glossary=words.GLOSSARY,
    )


def summary_lines(facts: ReportFacts, given: Mapping[str, pd.DataFrame]) -> list[str]:
    """The answer so far as plain lines for a console: banner, each task, refusals, checks."""
    whole = tables.fill_tables(given)
    heading = words.banner(facts.data)
    lines = [f"{heading[0]}. {heading[1]}"] if heading else []
    lines += [f"Signed off: {words.sign_off_in_words(one)}" for one in facts.sign_offs]
    lines.append(facts.question)
    for task in facts.tasks:
        lines += ["", task.title]
        rows = _of_task(whole["verdicts"], task.name).to_dict("records")
        lines += [f"  {words.verdict_in_short(cast(dict[str, Any], row))}" for row in rows]
        best = tables.headline(whole["metrics"], task.name).to_dict("records")
        values = {
            row["arm"]: row["value"] for row in best if row["metric"] == "auroc" and pd.notna(row["value"])
        }
        context = words.context_in_short(values, facts.smoke_only)
        lines += [f"  {context}"] if context else []
        lines += ["  No arm was scored on this task."] if not best else []
    lines += [""] if facts.refusals else []
    lines += [
        f"Refused: {arms} on {task}: {reason}"
        for arms, task, reason in words.refusals_in_words(facts.refusals)
    ]
    counts = words.check_counts(whole["checks"])
    told = [
        f"{n} {outcome}" for outcome, n in counts.items() if n or outcome not in ("signed off", words.IDLE)
    ]
    return [*lines, "", "Checks: " + ", ".join(told)]


def _require_known(facts: ReportFacts, *given: pd.DataFrame) -> None:
    tasks, arms = {task.name for task in facts.tasks}, {arm.name for arm in facts.arms} | {"oracle"}
    for table in given:
        unknown = sorted(set(cast(Any, table["task"])) - tasks)
        if unknown:
            raise ValueError(f"tables name tasks that the facts do not: {unknown}. Known: {sorted(tasks)}")
        unknown = sorted(set(cast(Any, table["arm"])) - arms) if "arm" in table.columns else []
        if unknown:
            raise ValueError(f"tables name arms that the facts do not: {unknown}. Known: {sorted(arms)}")


def _of_task(table: pd.DataFrame, task: str) -> pd.DataFrame:
    return cast(pd.DataFrame, table[table["task"] == task])


def _short_hash(value: str) -> str:
    """The first 12 digits of a hash; anything shorter as it is."""
    return value if len(value) <= 20 else f"{value[:12]}\u2026"


def _check_rows(
    facts: ReportFacts, checks: pd.DataFrame, hidden: Mapping[str, frozenset[str]]
) -> list[dict[str, Any]]:
    """Check rows in words, failed ones first, blocks before warnings."""
    shown = tables.shown_checks(facts, checks, hidden)
    rows: list[dict[str, Any]] = []
    for row, outcome in zip(shown.to_dict("records"), words.check_outcomes(checks), strict=True):
        numbers = {column: tables.quantity(row[column]) for column in ("looked_at", "limit")}
        numbers["found"] = tables.found(cast(dict[str, Any], row))
        task = "" if pd.isna(row["task"]) else row["task"]
        rows.append(
            {
                "name": words.check_name(row["name"]),
                "claim": facts.claims.get(row["name"], ""),
                "task": task,
                "severity": row["severity"],
                "outcome": outcome,
            }
            | numbers
        )
    order = {"blocked": 0, "signed off": 1, "warned": 2, "passed": 3, words.IDLE: 4}
    return sorted(rows, key=lambda row: order[row["outcome"]])


def _left_out_checks(facts: ReportFacts) -> list[dict[str, Any]]:
    """Checks that do not apply to a task, as rows without numbers that say why."""
    blank = dict.fromkeys(("looked_at", "found", "limit", "severity", "claim"), "")
    return [
        {"name": words.check_name(name), "task": task.name, "outcome": f"does not apply: {reason}", **blank}
        for task in facts.tasks
        for name, reason in task.checks_left_out.items()
    ]


def _cost_rows(costs: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for row in costs.to_dict("records"):
        rows.append(
            {
                "task": "" if pd.isna(row["task"]) else row["task"],
                "arm": "" if pd.isna(row["arm"]) else row["arm"],
                "step": row["step"],
                "wall": tables.duration(row["wall_s"]),
                "cpu": tables.duration(row["cpu_s"]),
                "peak": tables.size(row["peak_bytes"]),
                "accelerator": tables.duration(row["accelerator_s"]) if row["accelerator_s"] else "none",
                "reused": "reused" if bool(row["reused"]) else "computed",
            }
        )
    return rows


def _cost_totals(costs: pd.DataFrame) -> dict[str, str] | None:
    """Wall and CPU time over all steps, and the highest peak; None without a row."""
    if costs.empty:
        return None
    table = cast(Any, costs)
    return {
        "wall": tables.duration(table["wall_s"].sum()),
        "cpu": tables.duration(table["cpu_s"].sum()),
        "peak": tables.size(table["peak_bytes"].max()),
    }
