"""The record of each known person: facts, observation periods, visits, events and death."""

from calendar import monthrange
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isnan
from typing import Any

from definitions.availability import Hospital, Rules, available
from definitions.day import Day

Row = Mapping[str, Any]
Tables = Mapping[str, list[dict[str, Any]]]

# table, domain, column of the concept, of the date, of the type
EVENT_TABLES = (
    ("condition_occurrence", "Condition", "condition_concept_id", "condition_start_date", "condition_type"),
    ("drug_exposure", "Drug", "drug_concept_id", "drug_exposure_start_date", "drug_type"),
    ("procedure_occurrence", "Procedure", "procedure_concept_id", "procedure_date", "procedure_type"),
    ("measurement", "Measurement", "measurement_concept_id", "measurement_date", "measurement_type"),
    ("observation", "Observation", "observation_concept_id", "observation_date", "observation_type"),
)


@dataclass(slots=True)
class Event:
    """A row of `clinical_event`."""

    domain: str
    concept_id: int | None
    date: Day
    available: Day
    visit_id: int | None = None
    value: float | None = None
    value_concept_id: int | None = None
    unit_concept_id: int | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """An observation period; both days count."""

    start: Day
    end: Day


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit with a start; an end before the start counts as the start, no end means it goes on."""

    concept_id: int | None
    start: Day
    end: Day | None


@dataclass(slots=True)
class Record:
    """Everything known of one person."""

    person_id: int
    sex_concept_id: int | None
    birth: tuple[int, int, int] | None
    periods: list[Period] = field(default_factory=list)
    visits: list[Visit] = field(default_factory=list)
    events: dict[str, list[Event]] = field(default_factory=dict)
    death: Event | None = None
    # What was worked out before, by the criterion or the set it depends on.
    memory: dict[Any, Any] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Put an event with those of its domain."""
        self.events.setdefault(event.domain, []).append(event)

    def age(self, day: Day) -> int | None:
        """Return completed years; someone born on 29 February is a year older on 1 March of other years."""
        if self.birth is None:
            return None
        return day.year - self.birth[0] - ((day.month, day.day) < self.birth[1:])

    def period(self, day: Day) -> Period | None:
        """Return the observation period of a day: of several, the first to start, then the last to end."""
        around = [period for period in self.periods if period.start <= day <= period.end]
        return min(around, key=lambda p: (p.start, -p.end.toordinal()), default=None)

    def known_events(self, day: Day, *, that_day: bool) -> int:
        """Return how many events were available before a day, or by its end."""
        if "available" not in self.memory:
            self.memory["available"] = [e.available for events in self.events.values() for e in events]
        days = self.memory["available"]
        return sum(d <= day for d in days) if that_day else sum(d < day for d in days)


def read_records(
    tables: Tables, rules: Rules, inpatient_or_emergency: frozenset[int]
) -> tuple[dict[int, Record], Counter[tuple[str, str]]]:
    """Return the records of known persons, and the events counted by source table and case of the rule."""
    records = {
        row["person_id"]: Record(row["person_id"], row["gender_concept_id"], _birth(row))
        for row in tables["person"]
    }
    for row in tables["observation_period"]:
        start, end = row["observation_period_start_date"], row["observation_period_end_date"]
        if row["person_id"] in records and start is not None and end is not None and start <= end:
            records[row["person_id"]].periods.append(Period(start, end))
    visits = [row for row in tables["visit_occurrence"] if row["person_id"] in records]
    for row in visits:
        _add_visit(records[row["person_id"]], row)
    hospital = Hospital(visits, inpatient_or_emergency)
    cases: Counter[tuple[str, str]] = Counter()
    for table, row, event, case in _table_events(tables, rules, hospital):
        if row["person_id"] in records:
            records[row["person_id"]].add(event)
            cases[table, case] += 1
    for row in _deaths(tables["death"]):
        if row["person_id"] in records:
            known, _ = available(
                rules.of("death", row["death_type_concept_id"]), row, row["death_date"], hospital
            )
            death = Event("Death", None, row["death_date"], known)
            records[row["person_id"]].death = death
            records[row["person_id"]].add(death)
    return records, cases


def _birth(row: Row) -> tuple[int, int, int] | None:
    year, month, day = (row[f"{part}_of_birth"] for part in ("year", "month", "day"))
    month = 1 if month is None else month
    if year is None or not 1 <= month <= 12:
        return None
    if day is None or not 1 <= day <= monthrange(year, month)[1]:
        day = 1
    return year, month, day


def _add_visit(record: Record, row: Row) -> None:
    """Add a visit and its two events, each known on its day."""
    start, end = row["visit_start_date"], row["visit_end_date"]
    concept, visit_id = row["visit_concept_id"], row["visit_occurrence_id"]
    if start is not None:
        end = end and max(start, end)
        record.visits.append(Visit(concept, start, end))
        record.add(Event("Visit", concept, start, start, visit_id))
    if end is not None:
        discharged_to = row["discharged_to_concept_id"]
        record.add(Event("Visit end", concept, end, end, visit_id, value_concept_id=discharged_to))


def _table_events(tables: Tables, rules: Rules, hospital: Hospital) -> Iterator[tuple[str, Row, Event, str]]:
    for table, domain, concept, date, kind in EVENT_TABLES:
        for row in tables[table]:
            day = row[date]
            if day is None:
                continue
            rule = rules.of(table, row[f"{kind}_concept_id"])
            known, case = available(rule, row, day, hospital)
            event = Event(
                domain,
                row[concept],
                day,
                known,
                row["visit_occurrence_id"],
                _number(row.get("value_as_number")),
                row.get("value_as_concept_id"),
                row.get("unit_concept_id"),
            )
            yield table, row, event, case


def _number(value: float | None) -> float | None:
    return None if value is None or isnan(value) else value


def _deaths(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row a person: the earliest, of those the smallest type, a row without a type last."""

    def order(row: Row) -> tuple[Day, bool, int]:
        kind = row["death_type_concept_id"]
        return row["death_date"], kind is None, kind or 0

    first: dict[int, dict[str, Any]] = {}
    for row in sorted((row for row in rows if row["death_date"] is not None), key=order):
        first.setdefault(row["person_id"], row)
    return list(first.values())
