"""The catalogue of prediction tasks: the same CSV rows that dbt loads as seeds, read strictly."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from ml.strict import InputError, read_fields, wrong


@dataclass(frozen=True)
class Criterion:
    """One criterion of a task: an entry, a requirement, an exclusion or the outcome."""

    task: str
    order: int
    role: Literal["entry", "require", "forbid", "outcome"]
    concept_set: str
    domain: str
    description: str
    window_start_days: int | None = None
    window_end_days: int | None = None
    min_count: int | None = None
    max_count: int | None = None


@dataclass(frozen=True)
class Task:
    """One prediction problem; windows in days after the index, both ends included; ages in whole years."""

    task: str
    title: str
    question: str
    anchor: Literal["event"]
    entry_limit: Literal["first_ever"]
    prior_observation_days: int
    tar_start_days: int
    tar_end_days: int
    outcome_in_history: Literal["forbid"]
    index_day_input: Literal["exclude"]
    death_policy: Literal["negative"]
    follow_up_policy: Literal["null_label"]
    design: Literal["prospective"]
    oracle: Literal["closed_form", "none"]
    version: int
    age_min: int | None = None
    age_max: int | None = None
    washout_days: int | None = None
    criteria: tuple[Criterion, ...] = ()

    @property
    def outcome_concept_sets(self) -> tuple[str, ...]:
        """Names of the concept sets that are the outcome."""
        return tuple(row.concept_set for row in self.criteria if row.role == "outcome")


def read_tasks(seeds: Path) -> dict[str, Task]:
    """Read `tasks.csv` and `criteria.csv` of the dbt seeds into tasks by name.

    Raises:
        InputError: a missing or unknown column or value, a criterion of no task, a task without
            entry or outcome, a concept set without rows in `concept_sets.csv`.
    """
    concept_sets = {row["concept_set"] for row in _rows(seeds / "concept_sets.csv")}
    criteria = [
        _read(Criterion, row, f"criteria.csv, task `{row.get('task')}`")
        for row in _rows(seeds / "criteria.csv")
    ]
    tasks: dict[str, Task] = {}
    for row in _rows(seeds / "tasks.csv"):
        where = f"tasks.csv, task `{row.get('task')}`"
        own = tuple(sorted((c for c in criteria if c.task == row.get("task")), key=lambda c: c.order))
        task = _read(Task, row, where, criteria=own)
        if task.task in tasks:
            raise InputError(f"Task `{task.task}` stands twice in tasks.csv")
        _require_criteria(task, concept_sets)
        tasks[task.task] = task
    for criterion in criteria:
        if criterion.task not in tasks:
            raise wrong(
                f"Unknown task `{criterion.task}` in criteria.csv", allowed=tasks, given=criterion.task
            )
    return tasks


def _require_criteria(task: Task, concept_sets: set[str]) -> None:
    roles = {criterion.role for criterion in task.criteria}
    for role in ("entry", "outcome"):
        if role not in roles:
            raise InputError(f"Task `{task.task}` has no `{role}` row in criteria.csv")
    for criterion in task.criteria:
        if criterion.concept_set not in concept_sets:
            raise wrong(
                f"Unknown concept set `{criterion.concept_set}` in criteria.csv, task `{task.task}`",
                allowed=concept_sets,
                given=criterion.concept_set,
            )
    if task.tar_start_days > task.tar_end_days:
        raise InputError(f"`tar_start_days` is after `tar_end_days` in tasks.csv, task `{task.task}`")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    for n, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise InputError(f"Row {n} of {path.name} has another number of cells than its header")
    return rows


def _read(cls: Any, row: Mapping[str, str], where: str, **more: object) -> Any:
    """Turn one CSV row into `cls`: empty cells are absent, whole numbers become int."""
    hints = get_type_hints(cls)
    values: dict[str, Any] = dict(more)
    for key, cell in row.items():
        if cell != "":
            whole = hints.get(key) is int or int in get_args(hints.get(key))
            values[key] = _whole_number(cell, f"`{key}` in {where}") if whole else cell
    return read_fields(cls, values, where=where)


def _whole_number(cell: str, where: str) -> int:
    try:
        return int(cell)
    except ValueError as error:
        raise InputError(f"Wrong value {cell!r} for {where}: a whole number is needed") from error
