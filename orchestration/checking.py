"""Running the checks: on a published snapshot, and on one task's cut of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from ml.in_memory import in_memory
from ml.inputs.examples import split_counts
from ml.leakage.outcomes import make_outcome_table
from ml.tasks import Task
from orchestration.checks import SNAPSHOT_CHECKS, Check
from orchestration.task_checks import MINIMUM_CASES, checks_of


def run_snapshot_checks(folder: Path) -> list[dict[str, Any]]:
    """Run the snapshot checks on a published folder; rows without `passed`."""
    with in_memory(folder.parent) as connection:
        open_snapshot(connection, folder)
        return [check_row(connection, check, "", {}) for check in SNAPSHOT_CHECKS]


def run_task_checks(published: Path, examples: Path, task: Task) -> list[dict[str, Any]]:
    """Run the checks of a task on its examples and the snapshot they were cut from; rows without `passed`."""
    with in_memory(published.parent) as connection:
        open_snapshot(connection, published)
        for name in ("example", "event"):
            file = str(examples / f"{name}.parquet").replace("'", "''")
            connection.execute(f"create view {name} as from read_parquet('{file}')")
        for name in ("cohort", "label"):
            connection.execute(
                f"create table {name} as from {name}_of_all where task = ? and example_id in"
                " (select example_id from example)",
                [task.task],
            )
        make_outcome_table(connection, task)
        values = _values(task)
        return [check_row(connection, check, task.task, values) for check in checks_of(task)]


def _values(task: Task) -> Mapping[str, Any]:
    return {
        "concept_sets": list(task.concept_sets),
        "includes_index_day": task.index_day_input == "include",
        "washout_days": task.washout_days,
        "tar_start_days": task.tar_start_days,
        "tar_end_days": task.tar_end_days,
        "ends_with_visit": task.tar_end == "visit_end",
        "confirmation_days": task.confirmation_days,
    }


def reasons(published: Path, examples: Path, task: Task) -> dict[str, str]:
    """Say in words what mends a failed check: which splits, which concept sets; no counts of patients."""
    found = {
        "splits_have_enough_cases": shortage(examples),
        "concept_sets_are_known": _unknown(published, task),
    }
    return {name: words for name, words in found.items() if words}


def concept_sets(published: Path, task: Task) -> list[dict[str, Any]]:
    """Return a task's concept sets as this snapshot resolved and froze them: sizes and a hash of the ids."""
    columns = ("concept_set", "n_included_ids", "n_excluded_ids", "n_unknown_ids", "n_literal_only_ids")
    columns += ("n_members", "sha256")
    with in_memory(published.parent) as connection:
        rows = connection.execute(
            f"select {', '.join(columns)} from read_parquet(?) where concept_set in (select unnest(?))"
            " order by concept_set",
            [str(published / "concept_set.parquet"), list(task.concept_sets)],
        ).fetchall()
    return [dict(zip(columns, row, strict=True)) for row in rows]


def shortage(examples: Path) -> str:
    """Say which split lacks cases or non-cases."""
    short = [
        f"{split}: fewer than {MINIMUM_CASES} cases or non-cases"
        for split, (n, cases) in sorted(split_counts(examples).items())
        if cases < MINIMUM_CASES or n - cases < MINIMUM_CASES
    ]
    return "; ".join(short)


def _unknown(published: Path, task: Task) -> str:
    """Name each concept set of the task that is empty or has included ids that the vocabulary lacks."""
    words = []
    for row in concept_sets(published, task):
        if row["n_members"] == 0:
            words.append(f"`{row['concept_set']}` has no members")
        elif row["n_unknown_ids"]:
            ids = f"{row['n_unknown_ids']} of {row['n_included_ids']} ids"
            words.append(f"`{row['concept_set']}`: {ids} not in `concept`")
    hint = ". Hint: load the vocabulary that holds them, or put this source's ids in concept_sets.csv"
    return "; ".join(words) + hint if words else ""


def open_snapshot(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Name every published file as a view; a task's checks see only its own cohort and labels as such."""
    for file in sorted(folder.glob("*.parquet")):
        name = f"{file.stem}_of_all" if file.stem in ("cohort", "label") else file.stem
        path = str(file).replace("'", "''")
        connection.execute(f"create view {name} as from read_parquet('{path}')")


def check_row(
    connection: duckdb.DuckDBPyConnection, check: Check, task: str, values: Mapping[str, Any]
) -> dict[str, Any]:
    """Run one check with the values that its SQL names; return its row without `passed`."""
    used = {name: value for name, value in values.items() if f"${name}" in check.sql}
    looked_at, found = connection.execute(check.sql, used).fetchall()[0]
    return {
        "name": check.name,
        "task": task,
        "looked_at": int(looked_at),
        "found": int(found),
        "limit": check.limit,
        "severity": check.severity,
    }
