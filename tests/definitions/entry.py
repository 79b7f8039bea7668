"""The indexes of a person: DEFINITIONS section 3."""

from calendar import isleap
from dataclasses import dataclass

from definitions.day import Day
from definitions.match import ConceptSets, matches, stays_of, visits_of
from definitions.record import Event, Record
from definitions.stay import Stay, discharge_days
from definitions.task import Task


@dataclass(frozen=True, slots=True)
class Index:
    """A day on which a prediction is asked for; its entry event and, for `visit_start`, its stay."""

    day: Day
    entry: Event | None = None
    stay: Stay | None = None


def indexes(record: Record, task: Task, sets: ConceptSets) -> list[Index]:
    """Return the person's indexes by day, one a day; only the first for `first_ever`."""
    found = _ANCHORS[task.anchor](record, task, sets)
    return found[:1] if task.entry_limit == "first_ever" else found


def _at_events(record: Record, task: Task, sets: ConceptSets) -> list[Index]:
    """Entry events, on the day that each was known to be one."""
    found = [match for row in task.rows("entry") for match in matches(record, row, task, sets)]
    first: dict[Day, Event] = {}
    for match in sorted(found, key=lambda m: (m.known, m.event.available, m.date)):
        first.setdefault(match.known, match.event)
    return [Index(day, event) for day, event in first.items()]


def _at_visit_starts(record: Record, task: Task, sets: ConceptSets) -> list[Index]:
    entry = task.rows("entry")[0]
    return [Index(stay.start, stay=stay) for stay in stays_of(record, entry.concept_set, sets)]


def _at_visit_ends(record: Record, task: Task, sets: ConceptSets) -> list[Index]:
    entry = task.rows("entry")[0]
    return [Index(day) for day in discharge_days(visits_of(record, entry.concept_set, sets))]


def _at_landmark(record: Record, task: Task, sets: ConceptSets) -> list[Index]:
    if task.landmark_date is not None:
        return [Index(task.landmark_date)]
    if record.birth is None or task.landmark_age is None:
        return []
    return [Index(birthday(record.birth, task.landmark_age))]


def birthday(birth: tuple[int, int, int], age: int) -> Day:
    """Return the day on which the age is completed."""
    year, month, day = birth[0] + age, birth[1], birth[2]
    return Day(year, 3, 1) if (month, day) == (2, 29) and not isleap(year) else Day(year, month, day)


_ANCHORS = {
    "event": _at_events,
    "visit_start": _at_visit_starts,
    "visit_end": _at_visit_ends,
    "landmark": _at_landmark,
}
