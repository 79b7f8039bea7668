"""Cohort, labels, attrition and inputs of a task, worked out from raw OMOP rows in plain Python.

Written from `dbt_project/DEFINITIONS.md` and `METHODS.md` alone, by someone who has not read the SQL.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from definitions.attrition import Entry, closed, eligibility, reasons
from definitions.availability import Rules
from definitions.concept_set import resolve
from definitions.day import Day
from definitions.entry import indexes
from definitions.label import Label, label, moved_index
from definitions.record import Record, Tables, read_records
from definitions.task import Task, read_task

# The set that says which visits hold back their records until they end.
HOSPITAL_SET = "inpatient_or_emergency_visit"


class Catalogue(Protocol):
    """Rows of the seeds and the study's vars, as a template holds them."""

    tasks: Any
    criteria: Any
    concept_sets: Any
    availability: Any
    vars: Any


@dataclass(frozen=True, order=True)
class CohortRow:
    """An example; the entry event's facts are for reading a difference, not for comparing."""

    person_id: int
    index_date: Day
    observation_period_start_date: Day
    observation_period_end_date: Day
    age: int | None
    sex_concept_id: int | None
    entry_domain: str | None
    entry_concept_id: int | None
    entry_event_date: Day | None


@dataclass(frozen=True, order=True)
class LabelRow:
    """The label of an example."""

    person_id: int
    index_date: Day
    y_true: int | None
    reason: str | None
    outcome_date: Day | None
    follow_up_end_date: Day


@dataclass(frozen=True)
class AttritionRow:
    """What is left after a step: `criterion` steps have an order, steps without a label are reasons."""

    step: str
    order: int | None
    entries: int
    persons: int
    cases: int


@dataclass(frozen=True, order=True)
class InputRow:
    """How many events an example may be shown."""

    person_id: int
    index_date: Day
    n_events: int


@dataclass(frozen=True)
class Result:
    """All that a task makes of a source, totally ordered."""

    cohort: list[CohortRow]
    labels: list[LabelRow]
    attrition: list[AttritionRow]
    inputs: list[InputRow]


@dataclass(frozen=True)
class Source:
    """Records and resolved concept sets; `availability` counts events by source table and case of the rule."""

    records: dict[int, Record]
    sets: dict[str, frozenset[int]]
    availability: Counter[tuple[str, str]]
    data_end: Day | None


@dataclass(frozen=True)
class _Example:
    entry: Entry
    label: Label


def read_source(tables: Tables, catalogue: Catalogue) -> Source:
    """Read the raw rows once for all tasks of a catalogue."""
    sets = resolve(catalogue.concept_sets, tables["concept"], tables["concept_ancestor"])
    records, cases = read_records(tables, Rules(catalogue.availability), sets[HOSPITAL_SET])
    return Source(records, sets, cases, _data_end(str(catalogue.vars["data_end"]), records))


def compute(tables: Tables, catalogue: Catalogue, task_name: str) -> Result:
    """Return cohort, labels, attrition and inputs of one task."""
    return judge(read_source(tables, catalogue), _task(catalogue, task_name), _lag(catalogue))


def compute_all(tables: Tables, catalogue: Catalogue) -> dict[str, Result]:
    """Return the results of every task of a catalogue; the rows are read once."""
    source = read_source(tables, catalogue)
    lag = _lag(catalogue)
    return {row["task"]: judge(source, _task(catalogue, row["task"]), lag) for row in catalogue.tasks}


def judge(source: Source, task: Task, coding_lag_days: int) -> Result:
    """Carry out one task on a source that has been read."""
    left = [
        Entry(record, index, record.period(index.day))
        for record in source.records.values()
        for index in indexes(record, task, source.sets)
    ]
    lines: list[tuple[str, int | None, list[Entry]]] = [("entry", None, left)]
    for step in eligibility(task, source.sets):
        left = [entry for entry in left if step.keeps(entry)]
        lines.append((step.name, step.order, left))
    if task.entry_limit == "first_qualifying":
        left = list(
            {e.record.person_id: e for e in sorted(left, key=lambda e: e.index.day, reverse=True)}.values()
        )
        lines.append(("first_qualifying", None, left))
    last = closed(task, source.data_end, coding_lag_days)
    if last is not None:
        left = [entry for entry in left if last.keeps(entry)]
        lines.append((last.name, None, left))
    examples = [_example(entry, task, source.sets) for entry in left]
    return Result(
        cohort=sorted((_cohort_row(e, task) for e in examples), key=_by_person_and_day),
        labels=sorted((_label_row(e, task) for e in examples), key=_by_person_and_day),
        attrition=_attrition(lines, examples, reasons(task)),
        inputs=sorted((_input_row(e, task) for e in examples), key=_by_person_and_day),
    )


def _example(entry: Entry, task: Task, sets: dict[str, frozenset[int]]) -> _Example:
    assert entry.period is not None
    return _Example(entry, label(entry.record, task, entry.index, entry.period, sets))


def _index_date(example: _Example, task: Task) -> Day:
    entry = example.entry
    if task.index_rule != "outcome_or_last_visit":
        return entry.index.day
    assert entry.period is not None
    return moved_index(entry.record, task, entry.index, entry.period, example.label)


def _cohort_row(example: _Example, task: Task) -> CohortRow:
    record, event, period = example.entry.record, example.entry.index.entry, example.entry.period
    day = _index_date(example, task)
    assert period is not None
    return CohortRow(
        record.person_id,
        day,
        period.start,
        period.end,
        record.age(day),
        record.sex_concept_id,
        event and event.domain,
        event and event.concept_id,
        event and event.date,
    )


def _label_row(example: _Example, task: Task) -> LabelRow:
    given = example.label
    return LabelRow(
        example.entry.record.person_id,
        _index_date(example, task),
        given.y_true,
        given.reason,
        given.outcome_date,
        given.follow_up_end,
    )


def _input_row(example: _Example, task: Task) -> InputRow:
    record, day = example.entry.record, _index_date(example, task)
    return InputRow(
        record.person_id, day, record.known_events(day, that_day=task.index_day_input == "include")
    )


def _by_person_and_day(row: Any) -> tuple[int, Day]:
    return row.person_id, row.index_date


def _attrition(
    lines: Iterable[tuple[str, int | None, list[Entry]]], examples: list[_Example], reasons: list[str]
) -> list[AttritionRow]:
    """Count what is left at each step; cases are examples whose label is 1, wherever they are counted."""
    cases = sum(example.label.y_true == 1 for example in examples)
    rows = [AttritionRow(name, order, *_count(entries), cases) for name, order, entries in lines]
    left = examples
    for reason in reasons:
        left = [example for example in left if example.label.reason != reason]
        rows.append(AttritionRow(reason, None, *_count([example.entry for example in left]), cases))
    return rows


def _count(entries: Sequence[Entry]) -> tuple[int, int]:
    return len(entries), len({entry.record.person_id for entry in entries})


def _task(catalogue: Catalogue, name: str) -> Task:
    return read_task(next(row for row in catalogue.tasks if row["task"] == name), catalogue.criteria)


def _lag(catalogue: Catalogue) -> int:
    return int(catalogue.vars["coding_lag_days"])


def _data_end(given: str, records: dict[int, Record]) -> Day | None:
    """Return the end of the data: given, none, or the latest end of a period of a known person."""
    if given == "none":
        return None
    if given == "auto":
        return max((p.end for record in records.values() for p in record.periods), default=None)
    return Day.fromisoformat(given)
