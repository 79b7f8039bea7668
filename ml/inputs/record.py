"""Records: one example's input events, read in order from a cut, a bounded number at a time."""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from ml.inputs.plain import plain
from ml.inputs.view import LEVELS, Level

ROWS_AT_ONCE = 65_536
RECORDS_AT_ONCE = 512


class Event(NamedTuple):
    """One event before the index; names are plain, `unit` and `value_name` empty where there is none."""

    event_no: int
    concept_id: int
    name: str
    domain: str
    days_before: int
    visit_no: int
    value: float | None
    unit: str
    value_concept_id: int
    value_name: str


class Record(NamedTuple):
    """An example and its input events, oldest first (by `event_no`)."""

    example_id: str
    split: str
    age: int | None
    sex: str
    events: list[Event]

    @property
    def head(self) -> str:
        """Age and sex in words."""
        sex = plain(self.sex) or "person"
        return f"{sex} of unknown age" if self.age is None else f"{self.age}-year-old {sex}"


def read_records(examples: Path) -> Iterator[Record]:
    """Yield every example of a cut in order of example_id; one without events has an empty list."""
    events = _events_by_example(examples / "event.parquet")
    waiting = next(events, None)
    columns = ["example_id", "split", "age", "sex"]
    for batch in pq.ParquetFile(examples / "example.parquet").iter_batches(ROWS_AT_ONCE, columns=columns):
        for row in batch.to_pylist():
            own: list[Event] = []
            if waiting and waiting[0] == row["example_id"]:
                own = waiting[1]
                waiting = next(events, None)
            yield Record(row["example_id"], row["split"], row["age"], row["sex"] or "", own)
    assert waiting is None, "events of an example that is not in the cut"


def batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    """Gather records into lists of bounded length."""
    while batch := list(itertools.islice(records, RECORDS_AT_ONCE)):
        yield batch


def admitted(record: Record, level: Level, look_back_days: int | None) -> list[Event]:
    """Return the events that a view lets pass, newest first."""
    domains = LEVELS[level]
    return [
        event
        for event in reversed(record.events)
        if (not domains or event.domain in domains)
        and (look_back_days is None or event.days_before <= look_back_days)
    ]


COLUMNS = ("example_id", "event_no", "concept_id", "concept_name", "domain", "days_before", "visit_no",
           "value_as_number", "unit_name", "value_as_concept_id", "value_name")  # fmt: skip


def _events_by_example(path: Path) -> Iterator[tuple[str, list[Event]]]:
    example_id, own = None, []
    for batch in pq.ParquetFile(path).iter_batches(ROWS_AT_ONCE, columns=list(COLUMNS)):
        for row in zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True):
            if row[0] != example_id:
                if example_id is not None:
                    yield example_id, own
                example_id, own = row[0], []
            own.append(_event(*row[1:]))
    if example_id is not None:
        yield example_id, own


def _event(
    event_no: int,
    concept_id: int,
    name: str,
    domain: str,
    days_before: int,
    visit_no: int,
    value: float | None,
    unit: str | None,
    value_concept_id: int | None,
    value_name: str | None,
) -> Event:
    finite = value is not None and math.isfinite(value)
    return Event(
        event_no,
        concept_id,
        plain(name) or f"unnamed {domain.lower()}",
        domain,
        days_before,
        visit_no,
        value if finite else None,
        plain(unit or "") if finite else "",
        value_concept_id or 0,
        plain(value_name or ""),
    )
