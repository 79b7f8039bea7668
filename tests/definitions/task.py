"""A task's row and its criteria as typed objects, read from rows of the seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import cache, cached_property
from typing import Any, get_type_hints

Row = Mapping[str, Any]

VALUE_TESTS = {
    ">": lambda value, threshold: value > threshold,
    ">=": lambda value, threshold: value >= threshold,
    "<": lambda value, threshold: value < threshold,
    "<=": lambda value, threshold: value <= threshold,
}


@dataclass(frozen=True)
class Criterion:
    """One row of `criteria.csv`; an empty cell is None."""

    task: str
    order: int
    role: str
    domain: str
    concept_set: str | None = None
    any_of: int | None = None
    window_start_days: int | None = None
    window_end_days: int | None = None
    min_count: int | None = None
    max_count: int | None = None
    value_operator: str | None = None
    value_threshold: float | None = None
    unit_concept_id: int | None = None
    value_concept_set: str | None = None
    same_visit_as: int | None = None
    min_length_days: int | None = None

    @cached_property
    def event_test(self) -> tuple[object, ...]:
        """What is asked of an event alone: equal for rows that the same events match."""
        return (
            self.domain,
            self.concept_set,
            self.value_operator,
            self.value_threshold,
            self.unit_concept_id,
            self.value_concept_set,
            self.min_length_days,
        )

    @property
    def looks_ahead(self) -> bool:
        """Whether the window reaches past the index day."""
        return (self.window_end_days or 0) > 0


@dataclass(frozen=True)
class Task:
    """One row of `tasks.csv` with its criteria in their order; an empty cell is None."""

    task: str
    anchor: str
    entry_limit: str | None
    landmark_date: date | None
    landmark_age: int | None
    age_min: int | None
    age_max: int | None
    sex_concept_id: int | None
    prior_observation_days: int
    tar_start_days: int
    tar_end: str
    tar_end_days: int | None
    outcome_in_history: str | None
    washout_days: int | None
    index_day_input: str
    death_policy: str | None
    follow_up_policy: str
    unmeasured_policy: str | None
    unconfirmed_policy: str | None
    index_rule: str
    index_gap_days: int | None
    design: str
    criteria: tuple[Criterion, ...] = ()

    @cached_property
    def _by_role(self) -> dict[str, tuple[Criterion, ...]]:
        roles = {row.role for row in self.criteria}
        return {role: tuple(row for row in self.criteria if row.role == role) for role in roles}

    def rows(self, role: str) -> tuple[Criterion, ...]:
        """Return the criteria of one role, by order."""
        return self._by_role.get(role, ())

    def groups(self, role: str) -> list[tuple[Criterion, ...]]:
        """Return the criteria of one role as groups of alternatives, by the lowest order among them."""
        groups: dict[object, list[Criterion]] = {}
        for row in self.rows(role):
            alone = ("order", row.order)
            groups.setdefault(alone if row.any_of is None else ("any_of", row.any_of), []).append(row)
        return [tuple(rows) for rows in groups.values()]

    @cached_property
    def confirmation_days(self) -> int:
        """The longest confirmation window, in days after the outcome."""
        return max([0, *(row.window_end_days or 0 for row in self.rows("confirm"))])

    @property
    def outcome_kind(self) -> str:
        """What the outcome is: `concept`, `value`, `visit`, `visit_length` or `death`."""
        row = self.rows("outcome")[0]
        if row.domain == "Death":
            return "death"
        if row.domain == "Stay":
            return "visit" if row.min_length_days is None else "visit_length"
        return "concept" if row.value_operator is None else "value"


def read_task(row: Row, criteria: Sequence[Row]) -> Task:
    """Read a task's row, and those of `criteria` that are its own; cells may be text or typed."""
    own = [_read(Criterion, given) for given in criteria if given["task"] == row["task"]]
    own.sort(key=lambda criterion: criterion.order)
    return _read(Task, row, criteria=tuple(own))


@cache
def _hints(cls: Any) -> dict[str, str]:
    hints = get_type_hints(cls)
    return {field.name: str(hints[field.name]) for field in fields(cls)}


def _read(cls: Any, row: Row, **more: object) -> Any:
    values = {name: _cell(row[name], hint) for name, hint in _hints(cls).items() if name not in more}
    return cls(**values, **more)


def _cell(cell: Any, hint: str) -> Any:
    if cell is None or cell == "":
        return None
    if not isinstance(cell, str):
        return cell
    if "date" in hint:
        return date.fromisoformat(cell)
    if "float" in hint:
        return float(cell)
    return int(cell) if "int" in hint else cell
