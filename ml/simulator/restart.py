"""Restart the world at a person and day by replaying the log: there is no other state."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from ml.simulator.enrolment import Persons
from ml.simulator.processes import INDEX, PROCESSES, STEP_DAYS
from ml.simulator.source import EVENTS_FILE, PERSONS_FILE, WORLD_FILE, WORLD_VERSION
from ml.simulator.state import Events, State, advance
from ml.simulator.switches import Switches


@dataclass
class Restart:
    """N restarts: the `state` at the start of each one's step, and what is known of that step.

    `known_to` int (N,): day of the step up to which it is known; `known`: its events until then;
    `left` int (N,): days from the step's start to the world's last day; `ended`, `died` bool (N,): was
    observation over by the end of the index day, and by death.
    """

    state: State
    known_to: np.ndarray
    known: Events
    left: np.ndarray
    ended: np.ndarray
    died: np.ndarray

    def take(self, columns: np.ndarray) -> "Restart":
        """Return the restarts of these columns, which may repeat."""
        row, at = _spread(self.known.row, columns, len(self.left))
        known = Events(at, self.known.process[row], self.known.day[row], self.known.value[row])
        return Restart(
            self.state.take(columns),
            self.known_to[columns],
            known,
            self.left[columns],
            self.ended[columns],
            self.died[columns],
        )


def read_switches(world_directory: Path) -> Switches:
    """Return the switches that a world was made with; raises ValueError for a world of another version."""
    world = json.loads((world_directory / WORLD_FILE).read_text(encoding="utf-8"))
    if world["version"] != WORLD_VERSION or world["processes"] != [process.name for process in PROCESSES]:
        raise ValueError(
            f"This world has version {world['version']!r}, the simulator is at {WORLD_VERSION}\n\n"
            "hint: simulate the source again"
        )
    return Switches(**world["switches"])


def restart(world_directory: Path, person_id: np.ndarray, index_day: np.ndarray) -> Restart:
    """Restart the world at the end of `index_day` (days since 1970) for each of N persons, who may repeat.

    Raises ValueError for a person who is not in the world, a day outside the person's observation period, and
    a day inside a stay: what a stay will bring is on record only when it ends.
    """
    wanted = np.unique(person_id)
    only = ds.field("person_id").isin(wanted.tolist())
    people = pq.read_table(world_directory / PERSONS_FILE, filters=only)
    if people.num_rows != len(wanted):
        raise ValueError(f"{len(wanted) - people.num_rows} of {len(wanted)} persons are not in this world")
    at = np.searchsorted(people["person_id"].to_numpy(), person_id)
    persons = Persons(*(people[name].to_numpy()[at] for name in ("start", "birth", "female")))
    day = index_day - persons.start
    last_day = people["last_day"].to_numpy()[at]
    outside = (day < 0) | (day > last_day)
    if outside.any():
        raise ValueError(
            f"{int(outside.sum())} of {len(day)} index days lie outside their observation period"
        )
    step = day // STEP_DAYS
    log = pq.read_table(world_directory / EVENTS_FILE, filters=only)
    columns = {name: log[name].to_numpy() for name in log.column_names}
    row, column = _spread(columns["person_id"], person_id, None)
    events = {name: values[row] for name, values in columns.items()} | {"column": column}
    seen = (events["step"] < step[column]) | (
        (events["step"] == step[column]) & (events["day"] <= day[column])
    )
    events = {name: values[seen] for name, values in events.items()}
    now = events["step"] == step[events["column"]]
    state = _replay(persons.state(), {name: values[~now] for name, values in events.items()}, step)
    known = _events({name: values[now] for name, values in events.items()})
    known_to = (day % STEP_DAYS).astype(np.int64)
    stay = (known.process == INDEX["stay"]) | (known.process == INDEX["second_stay"])
    staying = stay & (known.day + known.value > known_to[known.row])
    if staying.any():
        raise ValueError(
            f"{int(staying.sum())} of {len(day)} index days lie inside a stay\n\n"
            "hint: index at the end of the stay, when its diagnoses are known"
        )
    ended = day == last_day
    died = ended & people["died"].to_numpy()[at]
    return Restart(state, known_to, known, persons.left() - STEP_DAYS * step, ended, died)


def _spread(owner: np.ndarray, wanted: np.ndarray, size: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return (positions in `owner`, number of the wanted one) for every row of every wanted owner."""
    order = np.argsort(owner, kind="stable")
    low = np.searchsorted(owner, wanted, side="left", sorter=order)
    high = np.searchsorted(owner, wanted, side="right", sorter=order)
    count = high - low
    number = np.repeat(np.arange(len(wanted)), count)
    within = np.arange(len(number)) - np.repeat(np.cumsum(count) - count, count)
    return order[low[number] + within], number


def _events(columns: dict[str, np.ndarray]) -> Events:
    day = columns["day"] - STEP_DAYS * columns["step"].astype(np.int32)
    return Events(columns["column"], columns["process"], day.astype(np.int16), columns["value"])


def _replay(state: State, events: dict[str, np.ndarray], step: np.ndarray) -> State:
    """Take in every step before each one's own; returns the states in the order given."""
    order = np.argsort(events["step"], kind="stable")
    events = {name: values[order] for name, values in events.items()}
    bounds = np.searchsorted(events["step"], np.arange(int(step.max()) + 2))
    done, where = [], []
    column = np.arange(len(step))
    place = np.arange(len(step))
    for number in range(int(step.max()) + 1):
        ready = step[column] == number
        if ready.any():
            done.append(state.take(np.flatnonzero(ready)))
            where.append(column[ready])
            state, column = state.take(np.flatnonzero(~ready)), column[~ready]
            place = np.full(len(step), -1)
            place[column] = np.arange(len(column))
        part = {name: values[bounds[number] : bounds[number + 1]] for name, values in events.items()}
        part["column"] = place[part["column"]]
        advance(state, _events(part))
    return _together(done).take(np.argsort(np.concatenate(where)))


def _together(states: list[State]) -> State:
    return State(
        *(np.concatenate(parts, axis=-1) for parts in zip(*(vars(s).values() for s in states), strict=True))
    )
