"""The state of the world: a pure function of recorded events, and nothing else (METHODS 22)."""

from dataclasses import dataclass, fields

import numpy as np

from ml.simulator.processes import FIRST_LAB, INDEX, LABORATORY, PROCESSES, STEP_DAYS

NEVER = -30_000
# Counts of contacts, stays and minor illnesses fade with a time constant of 180 days.
FADE = np.float32(np.exp(-STEP_DAYS / 180))
_SHORTEST_YEARS = 0.15
# A lab's slope a year is cut at these, so that two close values cannot make an extreme one.
_STEEPEST = np.array([3.0, 0.8, 40.0, 6.0, 3.0, 60.0, 60.0, 2.0], dtype=np.float32)
_COUNTED = {
    "contacts": (INDEX["contact"],),
    "stays": (INDEX["stay"], INDEX["second_stay"]),
    "minor": (INDEX["minor_illness"],),
}


@dataclass
class Events:
    """Events of one step, one a process and person: `row` int (E,), `process` int16, `day` int16 in the step.

    `value` float32 (E,): a laboratory value, a stay's length in days, otherwise 0.
    """

    row: np.ndarray
    process: np.ndarray
    day: np.ndarray
    value: np.ndarray

    def only(self, keep: np.ndarray) -> "Events":
        """Return the events where `keep` bool (E,) is true."""
        return Events(self.row[keep], self.process[keep], self.day[keep], self.value[keep])

    def plus(self, other: "Events") -> "Events":
        """Return both sets of events, these first."""
        return Events(
            np.concatenate([self.row, other.row]),
            np.concatenate([self.process, other.process]),
            np.concatenate([self.day, other.day]),
            np.concatenate([self.value, other.value]),
        )


@dataclass
class State:
    """What is known of N persons at the start of a step; days count from the first day of observation.

    `now` int32 (N,) first day of the step; `age` float32 (N,) years at day 0; `female` float32 (N,) 0 or 1;
    `first`, `last` int32 (P, N) days of the first and last event of a process, NEVER if none;
    `value`, `slope` float32 (L, N): last laboratory value outside stays (NaN if none), faded slope a year;
    `contacts`, `stays`, `minor` float32 (N,): faded counts.
    """

    now: np.ndarray
    age: np.ndarray
    female: np.ndarray
    first: np.ndarray
    last: np.ndarray
    value: np.ndarray
    slope: np.ndarray
    contacts: np.ndarray
    stays: np.ndarray
    minor: np.ndarray

    def take(self, columns: np.ndarray) -> "State":
        """Return a copy with these persons, which may repeat."""
        return State(*(np.take(getattr(self, field.name), columns, axis=-1) for field in fields(self)))

    def copy(self) -> "State":
        """Return an independent copy."""
        return State(*(getattr(self, field.name).copy() for field in fields(self)))


def blank(age: np.ndarray, female: np.ndarray) -> State:
    """Return the state of N persons of whom nothing is recorded yet."""
    n = len(age)
    return State(
        now=np.zeros(n, dtype=np.int32),
        age=age.astype(np.float32),
        female=female.astype(np.float32),
        first=np.full((len(PROCESSES), n), NEVER, dtype=np.int32),
        last=np.full((len(PROCESSES), n), NEVER, dtype=np.int32),
        value=np.full((len(LABORATORY), n), np.nan, dtype=np.float32),
        slope=np.zeros((len(LABORATORY), n), dtype=np.float32),
        contacts=np.zeros(n, dtype=np.float32),
        stays=np.zeros(n, dtype=np.float32),
        minor=np.zeros(n, dtype=np.float32),
    )


def advance(state: State, events: Events) -> None:
    """Take in the events of the step, in place, and move every person to the start of the next step."""
    day = state.now[events.row] + events.day
    known = state.first[events.process, events.row]
    lab = events.process >= FIRST_LAB
    _take_labs(state, events.only(lab), day[lab])
    state.first[events.process, events.row] = np.where(known == NEVER, day, known)
    state.last[events.process, events.row] = day
    for name, processes in _COUNTED.items():
        count = getattr(state, name)
        count *= FADE
        for process in processes:
            count[events.row[events.process == process]] += 1
    state.now += STEP_DAYS


def _take_labs(state: State, labs: Events, day: np.ndarray) -> None:
    kind = labs.process - FIRST_LAB
    before = state.value[kind, labs.row]
    years = (day - state.last[labs.process, labs.row]).astype(np.float32) / np.float32(365.25)
    rise = (labs.value - before) / np.maximum(years, np.float32(_SHORTEST_YEARS))
    rise = np.clip(rise, -_STEEPEST[kind], _STEEPEST[kind])
    slope = np.float32(0.5) * (state.slope[kind, labs.row] + rise)
    state.slope[kind, labs.row] = np.where(np.isnan(before), np.float32(0), slope)
    state.value[kind, labs.row] = labs.value
