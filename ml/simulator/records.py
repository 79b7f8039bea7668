"""From a block's log to coded records: concept ids, visits, repeated codes; still arrays, not yet tables."""

from dataclasses import dataclass

import numpy as np

from ml.simulator.concepts import codes
from ml.simulator.processes import CONDITIONS, HAZARDS, INDEX, LABORATORY, OBSERVATIONS, PROCESSES
from ml.simulator.world import Block

INPATIENT, OUTPATIENT, EMERGENCY = 9201, 9202, 9203
# A chronic condition is written down again at this share of later contacts.
_REPEAT_SHARE = 0.12
_REPEAT_AFTER_DAYS = 30
_NO_VALUE_SHARE = 0.02
_WORK_SHARE = 0.3
_OBESE = 30.0
# Asked for at a contact whatever the risk, never read by a hazard: mean, spread, decimals, share.
_EXTRA_LABS = {"heart_rate": (76.0, 9.0, 0, 0.35), "potassium": (4.3, 0.35, 1, 0.2)}
_DAYS = 100_000  # more than any day since 1970, for keys of (person, day)


@dataclass
class Records:
    """R rows of one kind: `row` int person of the block, `day` int days since 1970, `concept` int64.

    `value` float64, NaN for none; `process` int16, -1 where no process stands behind the row;
    `visit` int64: number of the visit within the block, -1 for none.
    """

    row: np.ndarray
    day: np.ndarray
    concept: np.ndarray
    value: np.ndarray
    process: np.ndarray
    visit: np.ndarray

    def ordered(self) -> "Records":
        """Return the rows by person, day, concept, process; rows equal in all four keep their order."""
        order = np.lexsort((self.process, self.concept, self.day, self.row))
        return Records(*(column[order] for column in vars(self).values()))


@dataclass
class Visits:
    """V visits by person and start: `row` int, `start`, `end` int days since 1970, `concept` int64."""

    row: np.ndarray
    start: np.ndarray
    end: np.ndarray
    concept: np.ndarray


def _records(row: np.ndarray, day: np.ndarray, concept: np.ndarray, process: np.ndarray) -> Records:
    return Records(
        row,
        day,
        concept.astype(np.int64),
        np.full(len(row), np.nan),
        process.astype(np.int16),
        np.full(len(row), -1, dtype=np.int64),
    )


def _joined(parts: list[Records]) -> Records:
    return Records(
        *(np.concatenate(column) for column in zip(*(vars(part).values() for part in parts), strict=True))
    )


def _coded(block: Block, day: np.ndarray, names: list[str], rng: np.random.Generator) -> Records:
    log, parts = block.log, []
    for name in names:
        number = INDEX[name]
        mine = np.flatnonzero(log.process == number)
        code = codes("admission_cause" if name == "admission" else name).draw(rng.random(len(mine)))
        part = _records(log.row[mine], day[mine], code, np.full(len(mine), number))
        if number >= INDEX[LABORATORY[0].name]:
            # A float32 value of two decimals becomes the float64 nearest to those decimals.
            part.value = np.round(log.value[mine].astype(np.float64), 2)
        parts.append(part)
    return _joined(parts)


def _repeats(block: Block, conditions: Records, rng: np.random.Generator) -> Records:
    """Return chronic conditions written down again at contacts, under the code they were given first."""
    n = len(block.persons.start)
    code = np.zeros((len(CONDITIONS), n), dtype=np.int64)
    known = (conditions.process >= 0) & (conditions.process < len(CONDITIONS))
    code[conditions.process[known], conditions.row[known]] = conditions.concept[known]
    contact = block.log.process == INDEX["contact"]
    row, day = block.log.row[contact], block.log.day[contact]
    parts = []
    for number, process in enumerate(CONDITIONS):
        if process.repeats:
            first = block.first[number, row]
            old = (first >= 0) & (first + _REPEAT_AFTER_DAYS < day)
            again = old & (rng.random(len(row)) < _REPEAT_SHARE)
            person = row[again]
            when = block.persons.start[person] + day[again]
            parts.append(_records(person, when, code[number, person], np.full(len(person), -1)))
    return _joined(parts)


def _measurements(block: Block, day: np.ndarray, rng: np.random.Generator) -> Records:
    """Return laboratory values, some asked for and never written down, and two that no hazard reads."""
    parts = [_coded(block, day, [process.name for process in LABORATORY], rng)]
    contact = np.flatnonzero(block.log.process == INDEX["contact"])
    for name, (mean, spread, decimals, share) in _EXTRA_LABS.items():
        mine = contact[rng.random(len(contact)) < share]
        code = codes(name).draw(rng.random(len(mine)))
        part = _records(block.log.row[mine], day[mine], code, np.full(len(mine), -1))
        part.value = np.round(rng.normal(mean, spread, len(mine)), decimals)
        parts.append(part)
    mine = contact[rng.random(len(contact)) < _NO_VALUE_SHARE]
    code = codes("hemoglobin").draw(rng.random(len(mine)))
    parts.append(_records(block.log.row[mine], day[mine], code, np.full(len(mine), -1)))
    return _joined(parts)


def _observations(block: Block, day: np.ndarray, rng: np.random.Generator) -> Records:
    """Return smoking and family history, obesity where the index written down says so, and full-time work."""
    log = block.log
    bmi = np.flatnonzero((log.process == INDEX["bmi"]) & (log.value >= _OBESE))
    working = np.flatnonzero((log.process == INDEX["contact"]) & (log.step == 0))
    working = working[rng.random(len(working)) < _WORK_SHARE]
    parts = [_coded(block, day, [process.name for process in OBSERVATIONS], rng)]
    for name, mine in (("obesity", bmi), ("full_time_work", working)):
        code = codes(name).draw(rng.random(len(mine)))
        parts.append(_records(log.row[mine], day[mine], code, np.full(len(mine), -1)))
    return _joined(parts)


def _key(row: np.ndarray, day: np.ndarray) -> np.ndarray:
    return row.astype(np.int64) * _DAYS + day


def _visits(block: Block, day: np.ndarray, attended: list[Records], rng: np.random.Generator) -> Visits:
    """Return the stays, and one visit for every other day on which something was done."""
    log = block.log
    stay = log.process == INDEX["stay"]
    stays = (log.row[stay], day[stay], day[stay] + log.value[stay].astype(np.int64))
    row = np.concatenate([part.row for part in attended])
    when = np.concatenate([part.day for part in attended])
    process = np.concatenate([part.process for part in attended])
    share = np.array([kind.emergency for kind in HAZARDS] + [0.0] * (len(PROCESSES) - len(HAZARDS) + 1))
    share[INDEX["admission"]] = 1
    urgent = rng.random(len(row)) < share[process]
    days, at = np.unique(_key(row, when), return_inverse=True)
    emergency = np.zeros(len(days), dtype=bool)
    np.logical_or.at(emergency, at, urgent)
    outside = _stay_of(days, *stays) < 0
    days, emergency = days[outside], emergency[outside]
    rows = np.concatenate([stays[0], days // _DAYS])
    start = np.concatenate([stays[1], days % _DAYS])
    end = np.concatenate([stays[2], days % _DAYS])
    kind = np.where(emergency, EMERGENCY, OUTPATIENT)
    concept = np.concatenate([np.full(len(stays[0]), INPATIENT), kind])
    order = np.lexsort((start, rows))
    return Visits(rows[order], start[order], end[order], concept[order])


def _stay_of(key: np.ndarray, row: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return for each (person, day) key the number of the visit that spans it, -1 for none."""
    if len(row) == 0:
        return np.full(len(key), -1, dtype=np.int64)
    begin = _key(row, start)
    order = np.argsort(begin, kind="stable")
    at = np.searchsorted(begin[order], key, side="right") - 1
    found = order[np.maximum(at, 0)]
    spans = (at >= 0) & (row[found] == key // _DAYS) & (end[found] >= key % _DAYS)
    return np.where(spans, found, -1)


@dataclass
class Coded:
    """All records of a block by table, with their visits."""

    visits: Visits
    tables: dict[str, Records]


def code_block(block: Block, rng: np.random.Generator) -> Coded:
    """Return the records of a block: its log, codes written again, and what no hazard reads."""
    day = block.persons.start[block.log.row].astype(np.int64) + block.log.day
    conditions = _coded(block, day, [process.name for process in CONDITIONS] + ["admission"], rng)
    conditions = _joined([conditions, _repeats(block, conditions, rng)])
    tables = {
        "condition_occurrence": conditions,
        "drug_exposure": _coded(block, day, [p.name for p in HAZARDS if p.kind == "drug"], rng),
        "procedure_occurrence": _coded(block, day, [p.name for p in HAZARDS if p.kind == "procedure"], rng),
        "measurement": _measurements(block, day, rng),
        "observation": _observations(block, day, rng),
    }
    attended = [table for name, table in tables.items() if name != "drug_exposure"]
    visits = _visits(block, day, attended, rng)
    ordered = {name: table.ordered() for name, table in tables.items()}
    for table in ordered.values():
        table.visit = _stay_of(_key(table.row, table.day), visits.row, visits.start, visits.end)
    return Coded(visits, ordered)
