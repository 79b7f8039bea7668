"""Stays and discharge days: DEFINITIONS sections 1 and 3."""

from collections.abc import Iterable
from dataclasses import dataclass

from definitions.day import Day, after
from definitions.record import Visit


@dataclass(frozen=True, slots=True)
class Stay:
    """Visits that overlap or touch within a day; without an end it is still going on."""

    start: Day
    end: Day | None


def stays(visits: Iterable[Visit]) -> list[Stay]:
    """Join visits of one set of one person into stays, by start."""
    joined: list[Stay] = []
    for visit in sorted(visits, key=lambda v: v.start):
        last = joined[-1] if joined else None
        if last is None or (last.end is not None and visit.start > after(last.end, 1)):
            joined.append(Stay(visit.start, visit.end))
        elif last.end is not None:
            end = None if visit.end is None else max(last.end, visit.end)
            joined[-1] = Stay(last.start, end)
    return joined


def discharge_days(visits: Iterable[Visit]) -> list[Day]:
    """Return the days a visit ends while none that started by then goes on after it or has no end."""
    visits = list(visits)

    def goes_on(visit: Visit, day: Day) -> bool:
        return visit.start <= day and (visit.end is None or visit.end > day)

    ends = sorted({visit.end for visit in visits if visit.end is not None})
    return [day for day in ends if not any(goes_on(visit, day) for visit in visits)]
