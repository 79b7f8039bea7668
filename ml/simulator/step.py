"""One step of the world: draw what happens in 30 days, given the state at their start."""

from dataclasses import dataclass

import numpy as np

from ml.simulator import laboratory
from ml.simulator.hazards import probabilities
from ml.simulator.processes import DRUGS, FIRST_LAB, HAZARDS, INDEX, N_HAZARDS, STEP_DAYS
from ml.simulator.state import Events, State
from ml.simulator.switches import Switches

_LAST = STEP_DAYS - 1
_NONE = 127
_INPATIENT = np.array([process.inpatient for process in HAZARDS], dtype=np.float32)
_INPATIENT[INDEX["admission"]] = 1
_FIRST_DRUG, _AFTER_DRUGS = INDEX[DRUGS[0].name], INDEX[DRUGS[-1].name] + 1
_MEAN_NIGHTS = 4.0


@dataclass
class Step:
    """What a step brought to N persons.

    `chance` float32 (H, N): the probabilities it was drawn from (of what is left of the step where a part of
    it was known); `events`; `end` int (N,): last observed day of the step, 29 if observation goes on;
    `died`, `ended` bool (N,): observation ended by death, or by anything.
    """

    chance: np.ndarray
    events: Events
    end: np.ndarray
    died: np.ndarray
    ended: np.ndarray


def draw(
    state: State,
    switches: Switches,
    rng: np.random.Generator,
    *,
    left: np.ndarray,
    known_to: np.ndarray | None = None,
    known: Events | None = None,
    leave_out: frozenset[str] = frozenset(),
    outcomes: tuple[int, ...] = (),
) -> Step:
    """Draw a step. `left` int (N,): days from the step's start to the world's last day.

    `known_to` int (N,): the part of the step up to this day, -1 for none, is known to hold exactly `known`;
    the rest is drawn given that. `leave_out` processes and the numbers in `outcomes` are not drawn; the
    latter keep their probability in `chance`.
    """
    chance = probabilities(state, switches, leave_out=leave_out)
    if known_to is not None and known is not None:
        past = (known_to + 1).astype(np.float32) / STEP_DAYS
        chance = chance * (1 - past) / (1 - chance * past)
        drawn = known.process < N_HAZARDS
        chance[known.process[drawn], known.row[drawn]] = 0
    hit = rng.random(chance.shape, dtype=np.float32) < chance
    for number in outcomes:
        hit[number] = False
    process, row = np.divmod(np.flatnonzero(hit), len(state.now))
    earliest = np.zeros(len(row)) if known_to is None else known_to[row] + 1.0
    day = (earliest + rng.random(len(row)) * (STEP_DAYS - earliest)).astype(np.int16)
    end, died, ended = _ends(process, row, day, left)
    kept = (day <= end[row]) & (process != INDEX["death"]) & (process != INDEX["loss"])
    events = Events(
        row[kept], process[kept].astype(np.int16), day[kept], np.zeros(int(kept.sum()), np.float32)
    )
    events = _with_stays(events, end, known, rng)
    return Step(chance, _with_labs(state, events, rng), end, died, ended)


def _ends(
    process: np.ndarray, row: np.ndarray, day: np.ndarray, left: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the last observed day, whether it is a death's, whether observation ended."""
    death, loss = np.full(len(left), _NONE), np.full(len(left), _NONE)
    for number, target in ((INDEX["death"], death), (INDEX["loss"], loss)):
        mine = process == number
        target[row[mine]] = day[mine]
    stop = np.minimum(np.minimum(death, loss), left)
    return np.minimum(stop, _LAST), (death == stop) & (stop <= _LAST), stop <= _LAST


def _with_stays(events: Events, end: np.ndarray, known: Events | None, rng: np.random.Generator) -> Events:
    """Add the step's stay: one at most, opened by the first admission, over by the end of the step.

    Drugs given in a stay are recorded on its last day, when it is left.
    """
    opening = rng.random(len(events.row), dtype=np.float32) < _INPATIENT[events.process]
    if known is not None:
        had = np.isin(events.row, known.row[known.process == INDEX["stay"]])
        opening &= ~had
    start = np.full(len(end), _NONE, dtype=np.int16)
    np.minimum.at(start, events.row[opening], events.day[opening])
    rows = np.flatnonzero(start < _NONE)
    nights = 1 + rng.exponential(_MEAN_NIGHTS, len(rows)).astype(np.int16)
    finish = np.full(len(end), -1, dtype=np.int16)
    finish[rows] = np.minimum(start[rows] + nights, end[rows])
    drug = (events.process >= _FIRST_DRUG) & (events.process < _AFTER_DRUGS)
    inside = drug & (events.day >= start[events.row]) & (events.day <= finish[events.row])
    day = np.where(inside, finish[events.row], events.day)
    stays = Events(
        rows,
        np.full(len(rows), INDEX["stay"], dtype=np.int16),
        start[rows],
        (finish[rows] - start[rows]).astype(np.float32),
    )
    return Events(events.row, events.process, day, events.value).plus(stays)


def _with_labs(state: State, events: Events, rng: np.random.Generator) -> Events:
    """Add the laboratory values of the contacts."""
    contact = events.process == INDEX["contact"]
    rows, days = events.row[contact], events.day[contact]
    lab, at, value = laboratory.measure(state, rows, state.now[rows] + days, rng)
    labs = Events(rows[at], (FIRST_LAB + lab).astype(np.int16), days[at], value)
    return events.plus(labs)
