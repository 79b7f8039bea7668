"""Cohort, labels, attrition and inputs of a task, worked out from raw OMOP rows in plain Python.

Written from `dbt_project/DEFINITIONS.md` and `METHODS.md` alone, by someone who has not read the SQL.
"""

from collections import Counter
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

Row = dict[str, Any]

# The set that says which visits hold back their records until they end.
HOSPITAL_SET = "inpatient_or_emergency_visit"


class Catalogue(Protocol):
    """Rows of the seeds and the study's vars, as a template holds them."""

    @property
    def tasks(self) -> list[Row]: ...
    @property
    def criteria(self) -> list[Row]: ...
    @property
    def concept_sets(self) -> list[Row]: ...
    @property
    def availability(self) -> list[Row]: ...
    @property
    def vars(self) -> dict[str, Any]: ...


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
    """What is left after a step; a `criterion` has its order, the steps after the examples are reasons."""

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
    """Records, resolved sets, and events counted by source table and case of the availability rule."""

    records: dict[int, Record]
    sets: dict[str, frozenset[int]]
    availability: Counter[tuple[str, str]]
    data_end: Day | None


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
    # A case is an entry whose label is 1, also on the lines before it fails: so each entry is labelled.
    labels = {id(entry): _label(entry, task, source.sets) for entry in left}
    cases = {key for key, given in labels.items() if given is not None and given.y_true == 1}
    lines: list[AttritionRow] = []

    def keep(name: str, order: int | None, kept: list[Entry]) -> list[Entry]:
        persons = {entry.record.person_id for entry in kept}
        lines.append(AttritionRow(name, order, len(kept), len(persons), sum(id(e) in cases for e in kept)))
        return kept

    left = keep("entry", None, left)
    for step in eligibility(task, source.sets):
        left = keep(step.name, step.order, [entry for entry in left if step.keeps(entry)])
    if task.entry_limit == "first_qualifying":
        left = keep("first_qualifying", None, _first_of_each_person(left))
    last = closed(task, source.data_end, coding_lag_days)
    if last is not None:
        left = keep(last.name, None, [entry for entry in left if last.keeps(entry)])
    examples = [_example(entry, labels[id(entry)], task) for entry in left]
    for reason in reasons(task):
        left = keep(reason, None, [e for e in left if (given := labels[id(e)]) and given.reason != reason])
    return Result(
        cohort=sorted((example.cohort for example in examples), key=_by_person_and_day),
        labels=sorted((example.label for example in examples), key=_by_person_and_day),
        attrition=lines,
        inputs=sorted((example.inputs for example in examples), key=_by_person_and_day),
    )


def _label(entry: Entry, task: Task, sets: dict[str, frozenset[int]]) -> Label | None:
    """Return the label of an entry; without an observation period around the index it has none."""
    return entry.period and label(entry.record, task, entry.index, entry.period, sets)


def _first_of_each_person(entries: list[Entry]) -> list[Entry]:
    first: dict[int, Entry] = {}
    for entry in sorted(entries, key=lambda e: e.index.day):
        first.setdefault(entry.record.person_id, entry)
    return list(first.values())


@dataclass(frozen=True)
class _Example:
    cohort: CohortRow
    label: LabelRow
    inputs: InputRow


def _example(entry: Entry, given: Label | None, task: Task) -> _Example:
    record, event, period, day = entry.record, entry.index.entry, entry.period, entry.index.day
    assert period is not None and given is not None
    if task.index_rule == "outcome_or_last_visit":
        day = moved_index(record, task, entry.index, period, given)
    person_id = record.person_id
    return _Example(
        CohortRow(
            person_id,
            day,
            period.start,
            period.end,
            record.age(day),
            record.sex_concept_id,
            event and event.domain,
            event and event.concept_id,
            event and event.date,
        ),
        LabelRow(person_id, day, given.y_true, given.reason, given.outcome_date, given.follow_up_end),
        InputRow(person_id, day, record.known_events(day, that_day=task.index_day_input == "include")),
    )


def _by_person_and_day(row: Any) -> tuple[int, Day]:
    return row.person_id, row.index_date


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
