"""From counts to check rows: how much each check may find, and how bad it is if it finds more."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from orchestration.quality.catalogue import QualityCheck, name_of

Counts = Mapping[tuple[str, str, str], tuple[int, int]]  # (check, table, task) -> looked at, found


def counted_rows(
    catalogue: Iterable[QualityCheck], counts: Counts, tasks: Sequence[str]
) -> list[dict[str, Any]]:
    """Return one check row a check, table and scope: all rows (no task), then each task's cohort.

    A check that had nothing to look at keeps its row, cannot block, and does not pass.

    Raises:
        ValueError: a count found more than it looked at.
    """
    rows: list[dict[str, Any]] = []
    for task in ("", *tasks):
        for check in catalogue:
            percent = check.cohort_percent if task else check.all_percent
            if percent is None:
                continue
            for table in check.tables.split():
                looked_at, found = counts.get((check.name, table, task), (0, 0))
                rows.append(_row(check, table, task, percent, looked_at, found))
    return rows


def _row(
    check: QualityCheck, table: str, task: str, percent: float, looked_at: int, found: int
) -> dict[str, Any]:
    name = f"{check.name} ({table})"
    if not 0 <= found <= looked_at:
        raise ValueError(f"check `{name}` found more rows than it looked at")
    return {
        "name": name,
        "task": task,
        "looked_at": looked_at,
        "found": found,
        "limit": most_allowed(percent, looked_at),
        "severity": check.severity if task and looked_at else "warn",
        "suite": check.suite,
        "claim": f"{check.title}, {table}",
        "allowed": f"{percent:g} %",
    }


def sign_off(
    rows: Iterable[dict[str, Any]], signed: Collection[tuple[str, str]], tasks: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the rows, of severity `signed_off` where the study signed the check off for all that it stops.

    Args:
        rows: check rows.
        signed: (check, task).
        tasks: of the study; a row without a task stops all of them.
    """
    return [
        {**row, "severity": "signed_off"}
        if row["severity"] == "block"
        and all((name_of(row["name"]), task) in signed for task in ([row["task"]] if row["task"] else tasks))
        else row
        for row in rows
    ]


def most_allowed(percent: float, looked_at: int) -> int:
    """Return the largest whole number of rows that is no more than so many percent of those looked at."""
    return math.floor(percent * looked_at / 100 + 1e-9)


def suite_row(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Sum judged rows up as one: how many had something to look at, and how many of those failed."""
    judged = [row for row in rows if row["looked_at"]]
    failed = [row for row in judged if not row["passed"]]
    blocks = any(row["severity"] == "block" for row in failed)
    return {
        "name": name,
        "passed": bool(judged) and not failed,
        "severity": "block" if blocks else "warn",
        "checks": len(judged),
        "nothing_to_look_at": len(rows) - len(judged),
        "rows_looked_at": max(
            (row["looked_at"] for row in judged if isinstance(row["looked_at"], int)), default=0
        ),
        "failed": ", ".join(sorted(row["name"] for row in failed)) or "none",
    }
