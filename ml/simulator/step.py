"""One step of the world: draw what happens in 30 days, given the state at their start."""

from dataclasses import dataclass

import numpy as np

from ml.simulator import laboratory
from ml.simulator.hazards import probabilities
from ml.simulator.processes import DRUGS, FIRST_LAB, HAZARDS, INDEX, N_HAZARDS, STEP_DAYS
from ml.simulator.state import Events, State
from ml.simulator.stays import Stays, draw_stays
from ml.simulator.switches import Switches

_LAST = STEP_DAYS - 1
_NONE = 127
_INPATIENT = np.array([process.inpatient for process in HAZARDS], dtype=np.float32)
_INPATIENT[INDEX["admission"]] = 1
_FIRST_DRUG, _AFTER_DRUGS = INDEX[DRUGS[0].name], INDEX[DRUGS[-1].name] + 1


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
    stays, of_stays = draw_stays(
        state,
        switches,
        rng,
        opened=_opened(events, known, rng, len(left)),
        end=end,
        known=known,
        known_to=known_to,
        deadly="death" not in leave_out,
    )
    fatal = stays.row[stays.died]
    end[fatal], died[fatal], ended[fatal] = stays.finish[stays.died], True, True
    events = _drugs_at_discharge(events.only(events.day <= end[events.row]), stays)
    labs = _labs(state, events, stays, rng)
    return Step(chance, events.plus(of_stays).plus(labs), end, died, ended)


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


def _opened(events: Events, known: Events | None, rng: np.random.Generator, n: int) -> np.ndarray:
    """Return int64 (N,): the day on which an event opens the step's first stay, STEP_DAYS where none does."""
    opening = rng.random(len(events.row), dtype=np.float32) < _INPATIENT[events.process]
    if known is not None:
        opening &= ~np.isin(events.row, known.row[known.process == INDEX["stay"]])
    opened = np.full(n, STEP_DAYS, dtype=np.int64)
    np.minimum.at(opened, events.row[opening], events.day[opening])
    return opened


def _drugs_at_discharge(events: Events, stays: Stays) -> Events:
    """Move the drugs given in a stay to its last day, when they are recorded."""
    day = events.day.copy()
    drugs = np.flatnonzero((events.process >= _FIRST_DRUG) & (events.process < _AFTER_DRUGS))
    inside = stays.at(events.row[drugs], events.day[drugs])
    day[drugs[inside >= 0]] = stays.finish[inside[inside >= 0]]
    return Events(events.row, events.process, day, events.value)


def _labs(state: State, events: Events, stays: Stays, rng: np.random.Generator) -> Events:
    """Return the laboratory values of the contacts outside stays."""
    contact = np.flatnonzero(events.process == INDEX["contact"])
    contact = contact[stays.at(events.row[contact], events.day[contact]) < 0]
    rows, days = events.row[contact], events.day[contact]
    lab, at, value = laboratory.measure(state, rows, state.now[rows] + days, rng)
    return Events(rows[at], (FIRST_LAB + lab).astype(np.int16), days[at], value)
