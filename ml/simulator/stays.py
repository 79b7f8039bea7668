"""Hospital stays of a step: how long, how they end, a second one, and what is measured in them day by day.

A stay begins and ends within its step, so that all of it is known when the next step starts: until then it
depends on the state at the start of the step and on the days of the stay itself. At most two a step.
"""

from dataclasses import dataclass, fields

import numpy as np

from ml.simulator import laboratory
from ml.simulator.processes import INDEX, STEP_DAYS
from ml.simulator.state import Events, State
from ml.simulator.switches import Switches
from ml.simulator.view import View

# Share of stays that end in another hospital, and of those whose other hospital writes into this source.
_TRANSFERRED, _ONWARD = 0.06, 0.5
# Share of the days of a stay on which a value is taken, whatever the risk.
_CHARTED = 0.85
CHARTED = ("hemoglobin", "potassium")


@dataclass
class Stays:
    """S stays: `row` int (S,) person, `start`, `finish` int (S,) days of the step.

    `died`, `sent` bool (S,): did it end in death, in a transfer to another hospital.
    """

    row: np.ndarray
    start: np.ndarray
    finish: np.ndarray
    died: np.ndarray
    sent: np.ndarray

    def plus(self, other: "Stays") -> "Stays":
        """Return both sets of stays, these first."""
        return Stays(*(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))

    def at(self, row: np.ndarray, day: np.ndarray) -> np.ndarray:
        """Return int (E,): the number of the stay that spans each (person, day), -1 for none."""
        order = np.lexsort((self.start, self.row))
        begun = self.row[order].astype(np.int64) * STEP_DAYS + self.start[order]
        place = np.searchsorted(begun, row.astype(np.int64) * STEP_DAYS + day, side="right") - 1
        if len(order) == 0:
            return place
        found = order[np.maximum(place, 0)]
        spans = (place >= 0) & (self.row[found] == row) & (self.finish[found] >= day)
        return np.where(spans, found, -1)

    def events(self, process: str) -> Events:
        """Return them as events of a process, each on its first day, with its length in days."""
        length = (self.finish - self.start).astype(np.float32)
        return _events(self.row, process, self.start, length)


def mean_nights(v: View) -> np.ndarray:
    """Return the mean length of a stay before it is cut short, in nights after the first."""
    burden = (
        0.12 * np.clip(v.decade, -3, 3)
        + 0.5 * v.ever("heart_failure")
        + 0.5 * v.ever("chronic_kidney_disease")
        + 0.7 * v.ever("stroke")
        + 0.5 * v.ever("pancreatic_cancer")
        + 0.4 * v.ever("emphysema")
        + 0.4 * np.clip(12.5 - v.lab("hemoglobin"), 0, 3)
        + 0.5 * v.ever("alcoholism")
        + 0.15 * v.stays
    )
    return np.exp(0.85 + np.clip(burden, -0.6, 2.0))


def death_a_day(v: View) -> np.ndarray:
    """Return the probability of death on each day of a stay after the first."""
    log_odds = (
        -5.4
        + 0.45 * np.clip(v.decade, -3, 3)
        + 0.8 * v.ever("heart_failure")
        + 1.3 * v.ever("pancreatic_cancer")
        + 0.9 * v.ever("other_cancer")
        + 0.5 * v.ever("chronic_kidney_disease")
        + 0.4 * v.ever("emphysema")
        + 0.4 * np.clip(12 - v.lab("hemoglobin"), 0, 3)
    )
    return 1 / (1 + np.exp(-log_odds))


def return_a_day(v: View) -> np.ndarray:
    """Return the probability of a new stay on each day after a discharge, while the step lasts."""
    log_odds = (
        -5.5
        + 0.15 * np.clip(v.decade, -3, 3)
        + 1.1 * v.ever("heart_failure")
        + 0.7 * v.ever("emphysema")
        + 0.6 * v.ever("chronic_kidney_disease")
        + 0.8 * v.ever("pancreatic_cancer")
        + 0.5 * v.ever("alcoholism")
        + 0.5 * v.stays
    )
    return 1 / (1 + np.exp(-log_odds))


def look_at(v: View) -> None:
    """Read everything that a stay depends on, so that `v.read` names it."""
    for reading in (mean_nights, death_a_day, return_a_day):
        reading(v)


def draw_stays(
    state: State,
    switches: Switches,
    rng: np.random.Generator,
    *,
    opened: np.ndarray,
    end: np.ndarray,
    known: Events | None,
    known_to: np.ndarray | None,
    deadly: bool,
) -> tuple[Stays, Events]:
    """Draw the stays of a step; returns them and their events (stays, transfers, second stays).

    `opened` int (N,): day on which the first stay is opened, STEP_DAYS or more for none; `end` int (N,): last
    observed day of the step without them; `known`, `known_to` as for a step; `deadly`: may one end in death.
    """
    rows = np.flatnonzero(opened < STEP_DAYS)
    first = _stays(state, rows, opened[rows], end, switches, rng, deadly=deadly, moving=True)
    left, since = first, first.finish
    if known is not None and known_to is not None:
        before = _known(known)
        left, since = (
            left.plus(before),
            np.concatenate([since, np.maximum(before.finish, known_to[before.row])]),
        )
    daily = return_a_day(View(state.take(left.row), switches))
    wait = 1 + np.floor(np.log1p(-rng.random(len(left.row))) / np.log1p(-daily))
    onward = left.sent & (since == left.finish) & (rng.random(len(left.row)) < _ONWARD)
    begin = (since + np.where(onward, 1, wait)).astype(np.int64)
    again = ~left.died & (begin <= end[left.row])
    second = _stays(state, left.row[again], begin[again], end, switches, rng, deadly=deadly, moving=False)
    sent = first.row[first.sent]
    transfers = _events(sent, "transfer", first.finish[first.sent], np.zeros(len(sent), np.float32))
    events = first.events("stay").plus(transfers).plus(second.events("second_stay"))
    return first.plus(second), events


def chart(
    state: State, events: Events, switches: Switches, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Draw the daily values of the step's stays: (row int, lab int, day int, value float), (V,) each.

    `lab` numbers CHARTED. Values start around the last one taken outside a stay, or around the set point, and
    only the next day's reads them.
    """
    mine = (events.process == INDEX["stay"]) | (events.process == INDEX["second_stay"])
    row, start = events.row[mine], events.day[mine].astype(np.int64)
    days = events.value[mine].astype(np.int64) + 1
    if len(row) == 0:
        return row, row, start, np.zeros(0)
    v = View(state.take(row), switches)
    shape = (len(CHARTED), len(row), int(days.max()))
    noise = rng.standard_normal(shape, dtype=np.float32)
    value = np.empty(shape, dtype=np.float32)
    hemoglobin, potassium = value
    fall = 0.05 + 0.1 * v.ever("chronic_kidney_disease") + 0.15 * v.within("warfarin", 120)
    fall = fall + 0.1 * v.nsaid(90) + 0.1 * v.ever("pancreatic_cancer")
    target = laboratory.set_point(v, "potassium")
    hemoglobin[:, 0] = v.lab("hemoglobin") - 0.7 + 0.6 * noise[0, :, 0]
    potassium[:, 0] = target + 0.48 * noise[1, :, 0]
    for day in range(1, shape[2]):
        hemoglobin[:, day] = hemoglobin[:, day - 1] - fall + 0.35 * noise[0, :, day]
        back = 0.6 * (potassium[:, day - 1] - target)
        potassium[:, day] = target + back + 0.40 * noise[1, :, day]
    asked = (rng.random(shape, dtype=np.float32) < _CHARTED) & (np.arange(shape[2]) < days[:, None])
    lab, stay, day = np.nonzero(asked)
    low, high = np.array([5.0, 2.5]), np.array([18.5, 8.0])
    return row[stay], lab, start[stay] + day, np.round(np.clip(value[asked], low[lab], high[lab]), 1)


def _stays(
    state: State,
    rows: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    switches: Switches,
    rng: np.random.Generator,
    *,
    deadly: bool,
    moving: bool,
) -> Stays:
    """Draw stays from their first day to their natural end, to that of the step, or to that of life."""
    v = View(state.take(rows), switches)
    start = start.astype(np.int64)
    nights = 1 + np.floor(rng.exponential(size=len(rows)) * mean_nights(v)).astype(np.int64)
    fatal = 1 + np.floor(np.log1p(-rng.random(len(rows))) / np.log1p(-death_a_day(v)))
    finish = np.minimum(start + nights, end[rows])
    died = np.logical_and(deadly, start + fatal <= finish)
    finish = np.where(died, start + fatal, finish).astype(np.int64)
    sent = ~died & (start + nights == finish) & (rng.random(len(rows)) < _TRANSFERRED * moving)
    return Stays(rows, start, finish, died, sent)


def _known(known: Events) -> Stays:
    """Return the known first stays that no second one has followed yet."""
    over = np.isin(known.row, known.row[known.process == INDEX["second_stay"]])
    mine = (known.process == INDEX["stay"]) & ~over
    row, start = known.row[mine], known.day[mine].astype(np.int64)
    sent = np.isin(row, known.row[known.process == INDEX["transfer"]])
    finish = start + known.value[mine].astype(np.int64)
    return Stays(row, start, finish, np.zeros(len(row), dtype=bool), sent)


def _events(row: np.ndarray, process: str, day: np.ndarray, value: np.ndarray) -> Events:
    return Events(row, np.full(len(row), INDEX[process], dtype=np.int16), day.astype(np.int16), value)
