"""The catalogue of prediction tasks: the same CSV rows that dbt loads as seeds, read strictly."""

import csv
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from ml.criterion_rules import CRITERION_RULES
from ml.strict import InputError, read_fields, wrong
from ml.task_definition import ConceptSetRow, Criterion, LeftOut, Task
from ml.task_rules import TASK_RULES

__all__ = ["ConceptSetRow", "Criterion", "LeftOut", "Task", "read_concept_sets", "read_tasks"]

Row = TypeVar("Row")


def read_tasks(seeds: Path) -> dict[str, Task]:
    """Read `tasks.csv`, `criteria.csv` and `left_out.csv` of the dbt seeds into tasks by name.

    Raises:
        InputError: a missing or unknown column or value, fields that contradict each other, a row of no
            task, a concept set without rows in `concept_sets.csv`.
    """
    concept_sets = read_concept_sets(seeds)
    criteria = _read_rows(seeds / "criteria.csv", Criterion)
    left_out = _read_rows(seeds / "left_out.csv", LeftOut)
    tasks: dict[str, Task] = {}
    for row in _rows(seeds / "tasks.csv"):
        name = row.get("task")
        own = sorted((one for one in criteria if one.task == name), key=lambda one: one.order)
        reasons = tuple(one for one in left_out if one.task == name)
        where = f"tasks.csv, task `{name}`"
        task = _read(Task, row, where, criteria=tuple(own), left_out=reasons)
        if task.task in tasks:
            raise InputError(f"Task `{task.task}` stands twice in tasks.csv")
        _require_rules(task)
        _require_concept_sets(task, concept_sets)
        tasks[task.task] = task
    _require_tasks("criteria.csv", [row.task for row in criteria], tasks)
    _require_tasks("left_out.csv", [row.task for row in left_out], tasks)
    return tasks


def read_concept_sets(seeds: Path) -> dict[str, tuple[ConceptSetRow, ...]]:
    """Read `concept_sets.csv` into rows by set.

    Raises:
        InputError: a missing or unknown column or value, a concept twice in a set, a set that includes none.
    """
    sets: dict[str, tuple[ConceptSetRow, ...]] = {}
    for row in _read_rows(seeds / "concept_sets.csv", ConceptSetRow):
        where = f"concept_sets.csv, concept set `{row.concept_set}`"
        others = sets.get(row.concept_set, ())
        if row.concept_id < 1:
            raise wrong(f"Wrong value {row.concept_id} for `concept_id` in {where}", allowed=["1 or more"])
        if any(other.concept_id == row.concept_id for other in others):
            raise InputError(f"Concept {row.concept_id} stands twice in {where}")
        sets[row.concept_set] = (*others, row)
    for name, rows in sets.items():
        if all(row.is_excluded for row in rows):
            raise InputError(
                f"Concept set `{name}` in concept_sets.csv has only rows with `is_excluded` true"
            )
    return sets


def _require_rules(task: Task) -> None:
    for rule in TASK_RULES:
        if not rule.holds(task):
            raise _contradiction(rule.fields, rule.allowed, task, f"tasks.csv, task `{task.task}`")
    for row in task.criteria:
        for criterion_rule in CRITERION_RULES:
            if not criterion_rule.holds(task, row):
                where = f"criteria.csv, task `{task.task}`, order {row.order}"
                raise _contradiction(criterion_rule.fields, criterion_rule.allowed, row, where)


def _contradiction(fields: Sequence[str], allowed: str, row: Task | Criterion, where: str) -> InputError:
    shown = [f"`{field}`{_given(row, field)}" for field in fields]
    what = f"Wrong {shown[0]}" if len(fields) == 1 else f"{' and '.join(shown)} do not go together"
    return wrong(f"{what} in {where}", allowed=[allowed])


def _given(row: Task | Criterion, field: str) -> str:
    """Return the value of a field of this very row in words; one of the other file is only named."""
    if not hasattr(row, field):
        return ""
    value = getattr(row, field)
    return " (empty)" if value is None else f" ({value})"


def _require_concept_sets(task: Task, concept_sets: Collection[str]) -> None:
    for name in task.concept_sets:
        if name not in concept_sets:
            raise wrong(
                f"Unknown concept set `{name}` in criteria.csv, task `{task.task}`",
                allowed=concept_sets,
                given=name,
            )


def _require_tasks(file: str, named: Sequence[str], tasks: Collection[str]) -> None:
    for name in named:
        if name not in tasks:
            raise wrong(f"Unknown task `{name}` in {file}", allowed=tasks, given=name)


def _read_rows(path: Path, cls: type[Row]) -> list[Row]:
    return [_read(cls, row, f"{path.name}, row {n}") for n, row in enumerate(_rows(path), start=1)]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    for n, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise InputError(f"Row {n} of {path.name} has another number of cells than its header")
    return rows


def _read(cls: type[Row], row: Mapping[str, str], where: str, **more: object) -> Row:
    """Turn one CSV row into `cls`: empty cells are absent, numbers and true or false are read as such."""
    named = where if "task `" in where or not row.get("task") else f"{where}, task `{row['task']}`"
    hints = get_type_hints(cls)
    values: dict[str, Any] = dict(more)
    for key, cell in row.items():
        if cell != "":
            values[key] = _value(cell, hints.get(key), f"`{key}` in {named}")
    return read_fields(cls, values, where=named)


def _value(cell: str, hint: Any, where: str) -> Any:
    kinds = (hint, *get_args(hint))
    if cell != cell.strip():
        raise InputError(f"Wrong value {cell!r} for {where}: no blanks around it")
    if bool in kinds:
        if cell not in ("true", "false"):
            raise wrong(f"Wrong value {cell!r} for {where}", allowed=["true", "false"])
        return cell == "true"
    if int in kinds:
        return _number(cell, int, f"{where}: a whole number is needed")
    if float in kinds:
        return _number(cell, float, f"{where}: a number is needed")
    return cell


def _number(cell: str, kind: type[int] | type[float], where: str) -> float:
    """Read plain digits: Python also takes `1_000`, `nan` and digits of other scripts, and dbt does not."""
    try:
        value = kind(cell)
    except ValueError as error:
        raise InputError(f"Wrong value {cell!r} for {where}") from error
    if not (cell.isascii() and "_" not in cell and math.isfinite(value)):
        raise InputError(f"Wrong value {cell!r} for {where}")
    return value
