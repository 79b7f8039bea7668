"""What the page shows of how a cohort was made: concept sets, label counts, availability, own dates."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pandas as pd

from ml.report import tables
from ml.report.facts import ReportFacts, TaskFacts
from ml.report.flow_counts import SHOWN_ELSEWHERE, label_count_name
from ml.report.small_cells import hidden_availability

CLASSES = {1: "cases", 0: "non-cases", None: "no label"}
QUANTITIES = {
    "deaths_in_time_at_risk": "Died in the time-at-risk",
    "cases_after_follow_up_end": "Cases seen after their follow-up had ended, kept",
}
RULES = {
    "own_date": "on its own date",
    "visit_end": "at the end of its inpatient or emergency visit",
    "result_date": "on the day of its result",
    "own_date_no_visit": "on its own date: linked to no visit",
    "own_date_dangling_visit": "on its own date: linked to a visit that does not exist",
    "own_date_other_visit": "on its own date: the visit is neither inpatient nor emergency",
    "own_date_open_visit": "on its own date: the visit has no end",
    "own_date_no_result_date": "on its own date: no date of the result is recorded",
}
KINDS = {"start": " (start)", "end": " (end)"}


def label_rows(task: TaskFacts, hidden: frozenset[str]) -> list[tuple[str, str, str, str]]:
    """Rows (quantity, class, examples, share of the class); a share goes with either of its two counts."""
    sizes = {row.y_true: row.n for row in task.label_counts if row.quantity == "examples"}
    last = len(task.attrition) - 1
    of_class = {1: {f"cases:{last}"}, 0: {f"cases:{last}", f"entries:{last}"}}
    rows: list[tuple[str, str, str, str]] = []
    for row in task.label_counts:
        if row.quantity in SHOWN_ELSEWHERE:
            continue
        name, size = label_count_name(row.quantity, row.y_true), sizes.get(row.y_true, 0)
        known = row.y_true is not None and size > 0
        share = f"{100 * row.n / size:.1f}%" if known else ""
        if known and ({name} | of_class[cast(int, row.y_true)]) & hidden:
            share = tables.HIDDEN
        shown = tables.HIDDEN if name in hidden else f"{row.n:,}"
        rows.append((QUANTITIES.get(row.quantity, row.quantity), CLASSES[row.y_true], shown, share))
    return rows


def concept_set_rows(task: TaskFacts) -> list[dict[str, Any]]:
    """Rows of the resolved concept sets; what the vocabulary lacks in words."""
    rows: list[dict[str, Any]] = []
    for one in task.concept_sets:
        lacks = []
        if one.n_unknown_ids:
            lacks.append(f"{one.n_unknown_ids} ids not in the vocabulary")
        if one.n_literal_only_ids:
            lacks.append(f"{one.n_literal_only_ids} ids without descendants there")
        excluded = f", {one.n_excluded_ids} taken out" if one.n_excluded_ids else ""
        rows.append(
            {
                "name": one.concept_set,
                "listed": f"{one.n_included_ids}{excluded}",
                "members": f"{one.n_members:,}",
                "lacks": "; ".join(lacks),
                "sha256": one.sha256,
            }
        )
    return rows


def availability_rows(facts: ReportFacts) -> list[tuple[str, str, str, str, str]]:
    """Rows (table, rule in words, events, share of all events, share known on a later day)."""
    hidden = hidden_availability(facts)
    total = sum(row.n_events for row in facts.availability)
    rows: list[tuple[str, str, str, str, str]] = []
    for i, row in enumerate(facts.availability):
        events, later = f"events:{i}", f"later:{i}"
        number = tables.HIDDEN if events in hidden else f"{row.n_events:,}"
        share = tables.HIDDEN if events in hidden else _percent(row.n_events, total)
        known_later = tables.HIDDEN if {events, later} & hidden else _percent(row.n_later, row.n_events)
        table = row.source_table + KINDS.get(row.kind, "")
        rows.append((table, RULES.get(row.rule, row.rule), number, share, known_later))
    return rows


def own_date_rows(
    metrics: pd.DataFrame, task: str, arms: Sequence[str]
) -> list[dict[str, tuple[str, str] | str]]:
    """Rows of the sensitivity analysis: AUROC, AUROC on own dates, their difference, with intervals."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in tables.headline(metrics, task).to_dict("records"):
        found.setdefault(row["arm"], {})[row["metric"]] = cast(Mapping[str, Any], row)
    rows: list[dict[str, tuple[str, str] | str]] = []
    for arm in arms:
        of_arm = found.get(arm, {})
        if "auroc_own_date" in of_arm:
            names = {"auroc": "auroc", "own": "auroc_own_date", "difference": "auroc_own_date_difference"}
            rows.append({"arm": arm} | {key: _cell(of_arm.get(name)) for key, name in names.items()})
    return rows


def _cell(row: Mapping[str, Any] | None) -> tuple[str, str]:
    if row is None:
        return "", ""
    return tables.number(row["value"]), tables.interval(row["ci_low"], row["ci_high"])


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else ""
