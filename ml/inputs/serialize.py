"""Records in words: the formats of a text, each a pure function of the events that are shown.

Age and sex come first. One item stands between structure marks that no name can hold (`ml.inputs.plain`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ml.inputs.plain import number
from ml.inputs.record import Event, Record

NOTHING = "Nothing recorded."
LATEST_VALUES = 3  # of each measured concept, newest first
SECTIONS = (
    ("Condition", "Conditions"),
    ("Drug", "Drugs"),
    ("Procedure", "Procedures"),
    ("Measurement", "Measurements"),
    ("Observation", "Observations"),
)
VISIT_DOMAINS = ("Visit", "Visit end")


def serialize(record: Record, kept: Sequence[Event], form: str) -> str:
    """Write a record in a format of `FORMATS`; `kept` are the events to show, newest first."""
    return FORMATS[form](record.head, kept)


def concat(head: str, kept: Sequence[Event]) -> str:
    """Concatenate the descriptions of all events, oldest first, as CPLLM does; no dates, no values."""
    names = [_name(event) for event in sorted(kept, key=lambda event: (-event.days_before, *_tie(event)))]
    return f"{head}. " + ("; ".join(names) if names else NOTHING)


def list_recent(head: str, kept: Sequence[Event]) -> str:
    """List each concept once, most recent first, with its latest value."""
    return _list(head, kept, frequency=False)


def list_recent_freq(head: str, kept: Sequence[Event]) -> str:
    """List as `list_recent` does, with the number of distinct days where it is above one."""
    return _list(head, kept, frequency=True)


def markdown(head: str, kept: Sequence[Event]) -> str:
    """Write sections: latest values with units and days, then each visit, newest first, by domain."""
    lines = [f"# {head}"]
    measured = [concept for concept in _concepts(kept) if concept.values]
    if measured:
        lines.append("## Latest values")
        lines += [f"- {concept.name} = {_series(concept.values)}" for concept in measured]
    visits = _visits(kept)
    if visits:
        lines.append("## Visits")
    for visit in visits:
        lines.append(f"### {_visit_heading(visit)}")
        lines += _visit_sections(visit)
    return "\n".join(lines if kept else [*lines, NOTHING])


FORMATS: dict[str, Callable[[str, Sequence[Event]], str]] = {
    "concat": concat,
    "list_recent": list_recent,
    "list_recent_freq": list_recent_freq,
    "markdown": markdown,
}


@dataclass(frozen=True)
class _Concept:
    """All that is shown of one concept; `values` are its events with a result, newest first."""

    name: str
    domain: str
    days_before: int
    n_days: int
    values: list[Event]


def _concepts(kept: Iterable[Event]) -> list[_Concept]:
    """Gather events by concept, the most recent concept first."""
    by_concept: dict[tuple[str, int, str], list[Event]] = {}
    for event in kept:
        by_concept.setdefault((event.domain, event.concept_id, event.name), []).append(event)
    concepts = [
        _Concept(
            name=_name(events[0]),
            domain=events[0].domain,
            days_before=min(event.days_before for event in events),
            n_days=len({event.days_before for event in events}),
            values=sorted(filter(_has_result, events), key=_latest_first),
        )
        for events in by_concept.values()
    ]
    return sorted(concepts, key=lambda concept: (concept.days_before, concept.domain, concept.name))


def _list(head: str, kept: Sequence[Event], *, frequency: bool) -> str:
    lines = []
    for concept in _concepts(kept):
        result = f" = {_result(concept.values[0])}" if concept.values else ""
        times = f" [{concept.n_days} times]" if frequency and concept.n_days > 1 else ""
        lines.append(f"- {concept.name}{result}{times}")
    return "\n".join([f"{head}.", *(lines or [NOTHING])])


def _series(values: Sequence[Event]) -> str:
    return "; ".join(f"{_result(event)} [{_days(event.days_before)}]" for event in values[:LATEST_VALUES])


def _visits(kept: Iterable[Event]) -> list[list[Event]]:
    """Group events by visit, the most recent visit first; a visit without anything to say is left out."""
    by_visit: dict[int, list[Event]] = {}
    for event in kept:
        if event.domain in VISIT_DOMAINS or not _has_result(event):
            by_visit.setdefault(event.visit_no, []).append(event)
    return sorted(
        by_visit.values(),
        key=lambda visit: (min(event.days_before for event in visit), -visit[0].visit_no),
    )


def _visit_heading(visit: Sequence[Event]) -> str:
    days = [event.days_before for event in visit]
    when = _days(min(days)) if min(days) == max(days) else f"{max(days)} to {_days(min(days))}"
    names = sorted({event.name for event in visit if event.domain in VISIT_DOMAINS})
    return f"{when}: {', '.join(names)}" if names else when


def _visit_sections(visit: Sequence[Event]) -> list[str]:
    known = dict(SECTIONS)
    domains = [domain for domain, _ in SECTIONS]
    domains += sorted({event.domain for event in visit} - {*domains, *VISIT_DOMAINS})
    lines = []
    for domain in domains:
        names = sorted({event.name for event in visit if event.domain == domain})
        if names:
            lines.append(f"- {known.get(domain, domain)}: {'; '.join(names)}")
    return lines


def _name(event: Event) -> str:
    return f"{event.name} ended" if event.domain == "Visit end" else event.name


def _has_result(event: Event) -> bool:
    return event.value is not None or event.value_name != ""


def _result(event: Event) -> str:
    if event.value is None:
        return event.value_name
    return f"{number(event.value)} {event.unit}".rstrip()


def _days(days: int) -> str:
    return "1 day before" if days == 1 else f"{days} days before"


def _tie(event: Event) -> tuple[str, str]:
    # Not event_no: within a day it follows a hash of the person, and equal records would differ.
    return (event.domain, event.name)


def _latest_first(event: Event) -> tuple[int, bool, float, str, str]:
    # Events have no time: of one day the highest value counts as the latest, in counts as well.
    value = event.value
    return (event.days_before, value is None, -(value or 0.0), event.unit, event.value_name)
