"""One person's record written as days around an index, for timelines that a reader can check by hand."""

from dataclasses import dataclass, field
from datetime import datetime, time
from itertools import count
from typing import Any

from definitions.catalogue import Defined, Row
from definitions.day import Day, after
from definitions.oracle import Result, compute
from definitions.record import EVENT_TABLES
from definitions.templates import DEFAULT
from definitions.vocabulary import CLAIM, FAMILIES, INPATIENT, family_sets, tables

PERSON = 1
DAY_0 = Day(2015, 3, 10)
COLUMNS = {domain: (table, concept, day, kind) for table, domain, concept, day, kind in EVENT_TABLES}


def day(offset: int | None) -> Day | None:
    """Return the calendar day of a day of the timeline."""
    return None if offset is None else after(DAY_0, offset)


@dataclass(frozen=True)
class Entry:
    """A row of a table; `add` writes it with a key of its own."""

    table: str
    row: Row


def period(start: int = -1000, end: int = 1000) -> Entry:
    """Return an observation period."""
    return Entry(
        "observation_period",
        {"observation_period_start_date": day(start), "observation_period_end_date": day(end)},
    )


def visit(
    key: int, start: int | None, end: int | None, concept: int = INPATIENT, to: int | None = None
) -> Entry:
    """Return a visit."""
    return Entry(
        "visit_occurrence",
        {
            "visit_occurrence_id": key,
            "visit_concept_id": concept,
            "visit_start_date": day(start),
            "visit_end_date": day(end),
            "discharged_to_concept_id": to,
        },
    )


def event(
    concept_set: str,
    when: int,
    visit: int | None = None,
    kind: int = CLAIM,
    concept: int | None = None,
    **more: Any,
) -> Entry:
    """Return an event of a test set's root concept, in the domain of the set."""
    first, domain = FAMILIES[concept_set]
    table, concept_column, day_column, kind_column = COLUMNS[domain]
    result = more.pop("result", None)
    row = {
        concept_column: first if concept is None else concept,
        day_column: day(when),
        f"{kind_column}_concept_id": kind,
        "visit_occurrence_id": visit,
        "measurement_datetime": None if result is None else datetime.combine(after(DAY_0, result), time(9)),
        **more,
    }
    return Entry(table, row)


def sign(when: int = 0, **more: Any) -> Entry:
    """Return an event that the timelines' tasks start from."""
    return event("t_sign", when, **more)


def disease(when: int, **more: Any) -> Entry:
    """Return an event that is their outcome."""
    return event("t_disease", when, **more)


def value(concept_set: str, when: int, number: float | None, unit: int | None, **more: Any) -> Entry:
    """Return a measurement or observation with its value."""
    return event(concept_set, when, value_as_number=number, unit_concept_id=unit, **more)


def death(when: int, kind: int | None = None) -> Entry:
    """Return a death."""
    return Entry("death", {"death_date": day(when), "death_type_concept_id": kind})


@dataclass(frozen=True)
class Study:
    """A task alone with the test sets, as the oracle reads a template."""

    tasks: list[Row]
    criteria: list[Row]
    concept_sets: list[Row] = field(default_factory=family_sets)
    availability: list[Row] = field(default_factory=lambda: DEFAULT)
    vars: dict[str, Any] = field(default_factory=lambda: {"data_end": "none", "coding_lag_days": 0})


def source(
    *entries: Entry, born: tuple[int | None, ...] = (1950, 6, 15), sex: int = 8507
) -> dict[str, list[Row]]:
    """Return the raw tables of the one person."""
    rows: dict[str, list[Row]] = {table: [] for table, *_ in EVENT_TABLES}
    rows |= {"observation_period": [], "visit_occurrence": [], "death": []}
    keys = count(1)
    for entry in entries:
        rows[entry.table].append({f"{entry.table}_key": next(keys), "person_id": PERSON, **entry.row})
    rows["person"] = [
        {
            "person_id": PERSON,
            "gender_concept_id": sex,
            "year_of_birth": born[0],
            "month_of_birth": born[1],
            "day_of_birth": born[2],
        }
    ]
    return {**rows, **tables(family_sets())}


def result(
    defined: Defined,
    *entries: Entry,
    availability: list[Row] = DEFAULT,
    data_end: str = "none",
    lag: int = 0,
    **person: Any,
) -> Result:
    """Return what the oracle makes of one person and one task."""
    study = Study(
        [defined.task],
        list(defined.criteria),
        availability=availability,
        vars={"data_end": data_end, "coding_lag_days": lag},
    )
    return compute(source(*entries, **person), study, defined.task["task"])


def examples(found: Result) -> list[tuple[int, int | str | None]]:
    """Return (index, label or reason) of each example, the index in days of the timeline."""
    return [
        ((row.index_date - DAY_0).days, row.y_true if row.reason is None else row.reason)
        for row in found.labels
    ]
