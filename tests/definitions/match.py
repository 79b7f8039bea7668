"""Which events of a person match a criterion, and when that was known: DEFINITIONS sections 1 and 4."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from definitions.day import Day, after
from definitions.record import Event, Record, Visit
from definitions.stay import Stay, stays
from definitions.task import VALUE_TESTS, Criterion, Task

ConceptSets = Mapping[str, frozenset[int]]


@dataclass(frozen=True, slots=True)
class Match:
    """An event that matches: when it happened, and from when on it was known to match."""

    date: Day
    known: Day
    event: Event


def visits_of(record: Record, concept_set: str | None, sets: ConceptSets) -> list[Visit]:
    """Return the person's visits of a concept set."""
    members = sets[concept_set or ""]
    return [visit for visit in record.visits if visit.concept_id in members]


def stays_of(record: Record, concept_set: str | None, sets: ConceptSets) -> list[Stay]:
    """Return the person's stays of a concept set, by start."""
    key = ("stays", concept_set)
    if key not in record.memory:
        record.memory[key] = stays(visits_of(record, concept_set, sets))
    return record.memory[key]


def matches(record: Record, row: Criterion, task: Task, sets: ConceptSets) -> list[Match]:
    """Return what matches a criterion anywhere in the record, without regard to window and counts."""
    key = replace(
        row,
        task="",
        order=0,
        role="",
        any_of=None,
        window_start_days=None,
        window_end_days=None,
        min_count=None,
        max_count=None,
    )
    if row.same_visit_as is not None:
        key = (task.task, row.order)
    if key not in record.memory:
        found = _matches_alone(record, row, sets)
        if row.same_visit_as is not None:
            other = next(r for r in task.criteria if r.order == row.same_visit_as)
            found = in_same_visit(found, matches(record, other, task, sets))
        record.memory[key] = found
    return record.memory[key]


def in_same_visit(found: list[Match], others: list[Match]) -> list[Match]:
    """Keep what lies in the visit of one of `others`; it is known to match once both events are."""
    visits: dict[int, Day] = {}
    for other in others:
        visit = other.event.visit_id
        if visit is not None:
            visits[visit] = min(other.known, visits.get(visit, other.known))
    return [
        Match(match.date, max(match.known, visits[match.event.visit_id]), match.event)
        for match in found
        if match.event.visit_id in visits
    ]


def without_partner(record: Record, row: Criterion, task: Task, sets: ConceptSets) -> list[Match]:
    """Return what matches a criterion if nothing is asked of its visit."""
    return matches(record, replace(row, same_visit_as=None), task, sets)


def _matches_alone(record: Record, row: Criterion, sets: ConceptSets) -> list[Match]:
    if row.domain == "Death":
        death = record.death
        return [] if death is None else [Match(death.date, death.available, death)]
    if row.domain == "Stay":
        return [_stay_match(*dates) for dates in _stay_dates(record, row, sets)]
    members = sets[row.concept_set or ""]
    return [
        Match(event.date, event.available, event)
        for event in record.events.get(row.domain, ())
        if event.concept_id in members and _value_matches(event, row, sets)
    ]


def _value_matches(event: Event, row: Criterion, sets: ConceptSets) -> bool:
    if row.value_concept_set is not None and event.value_concept_id not in sets[row.value_concept_set]:
        return False
    if row.unit_concept_id is not None and (
        event.value is None or event.unit_concept_id != row.unit_concept_id
    ):
        return False
    if row.value_operator is None:
        return True
    return VALUE_TESTS[row.value_operator](event.value, row.value_threshold)


def _stay_dates(record: Record, row: Criterion, sets: ConceptSets) -> list[tuple[Day, Day]]:
    """Return the date and the available date of each stay that is long enough."""
    found = stays_of(record, row.concept_set, sets)
    if row.min_length_days is None:
        return [(stay.start, stay.start) for stay in found]
    length = row.min_length_days
    return [
        (after(stay.start, length), after(stay.end, 1))
        for stay in found
        if stay.end is not None and stay.end >= after(stay.start, length)
    ]


def _stay_match(day: Day, known: Day) -> Match:
    return Match(day, known, Event("Stay", None, day, known))
