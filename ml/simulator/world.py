"""Run the world forward for a block of persons and keep the log of what was recorded."""

from dataclasses import dataclass

import numpy as np

from ml.simulator.enrolment import Persons, draw_persons, enrol
from ml.simulator.processes import PROCESSES, STEP_DAYS
from ml.simulator.state import NEVER, Events, advance
from ml.simulator.stays import chart
from ml.simulator.step import draw
from ml.simulator.switches import Switches

# Persons are dropped from the arrays when a tenth of them is no longer observed.
_CROWDED = 0.9


@dataclass
class Log:
    """Every event of a block, by step: `row` int32 (E,), `step` int16, `process` int16, `day` int32, `value`.

    `day` counts from the person's first observed day.
    """

    row: np.ndarray
    step: np.ndarray
    process: np.ndarray
    day: np.ndarray
    value: np.ndarray


@dataclass
class Charts:
    """Values taken day by day in stays: `row` int32 (V,), `lab` int8 in CHARTED, `day` int32, `value`.

    No hazard reads them, so the log does not hold them.
    """

    row: np.ndarray
    lab: np.ndarray
    day: np.ndarray
    value: np.ndarray


@dataclass
class Block:
    """N persons, their log, and how it ended: `last_day` int32 (N,) since the start, `died` bool (N,)."""

    persons: Persons
    log: Log
    charts: Charts
    last_day: np.ndarray
    died: np.ndarray
    first: np.ndarray


def simulate(n: int, seed: np.random.SeedSequence, switches: Switches) -> tuple[Block, np.random.Generator]:
    """Run N persons from first to last observed day; also return the generator, for the tables."""
    rng = np.random.Generator(np.random.PCG64DXSM(seed))
    persons = draw_persons(n, rng)
    state, left = persons.state(), persons.left()
    active = np.arange(n)
    going = np.ones(n, dtype=bool)
    last_day, died = np.zeros(n, dtype=np.int32), np.zeros(n, dtype=bool)
    first = np.full((len(PROCESSES), n), NEVER, dtype=np.int32)
    log: list[tuple[np.ndarray, ...]] = []
    charts: list[tuple[np.ndarray, ...]] = []
    step = 0
    while len(active):
        start = STEP_DAYS * step
        if step:
            drawn = draw(state, switches, rng, left=left - start)
            events, ended = drawn.events, drawn.ended & going
            last_day[active[ended]] = start + drawn.end[ended]
            died[active[ended]] = drawn.died[ended]
            events = events.only(going[events.row])
            row, lab, day, value = chart(state, events, switches, rng)
            charts.append(
                (active[row].astype(np.int32), lab.astype(np.int8), (start + day).astype(np.int32), value)
            )
        else:
            events, ended = enrol(state, rng), np.zeros(n, dtype=bool)
        log.append(_entry(events, active, step))
        advance(state, events)
        going &= ~ended
        if going.mean() < _CROWDED:
            first[:, active] = state.first
            kept = np.flatnonzero(going)
            state, left, active, going = state.take(kept), left[kept], active[kept], going[kept]
        step += 1
    return Block(persons, _joined(log), _charted(charts), last_day, died, first), rng


def _entry(events: Events, active: np.ndarray, step: int) -> tuple[np.ndarray, ...]:
    size = len(events.row)
    return (
        active[events.row].astype(np.int32),
        np.full(size, step, dtype=np.int16),
        events.process,
        (STEP_DAYS * step + events.day).astype(np.int32),
        events.value,
    )


def _joined(parts: list[tuple[np.ndarray, ...]]) -> Log:
    row, step, process, day, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((process, step, row))
    return Log(row[order], step[order], process[order], day[order], value[order])


def _charted(parts: list[tuple[np.ndarray, ...]]) -> Charts:
    row, lab, day, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((lab, day, row))
    return Charts(row[order], lab[order], day[order], value[order])
