"""From a block's log to coded records: concept ids, visits, repeated codes; still arrays, not yet tables."""

from dataclasses import dataclass

import numpy as np

from ml.simulator.concepts import codes
from ml.simulator.processes import CONDITIONS, HAZARDS, INDEX, LABORATORY, OBSERVATIONS, PROCESSES
from ml.simulator.stays import CHARTED
from ml.simulator.world import Block

INPATIENT, OUTPATIENT, EMERGENCY, BOTH = 9201, 9202, 9203, 262
TRANSFERRED = 2_000_000_901
# How persons come to a stay: straight, through the emergency room in one visit, or in a visit of its own.
_THROUGH_EMERGENCY, _AFTER_EMERGENCY = 0.25, 0.15
# A chronic condition is written down again at this share of later contacts, and of later stays.
_REPEAT_SHARE, _REPEAT_SHARE_OF_STAYS = 0.12, 0.35
_REPEAT_AFTER_DAYS = 30
_NO_VALUE_SHARE = 0.02
_WORK_SHARE = 0.3
_OBESE = 30.0
# Asked for at a contact whatever the risk, never read by a hazard: mean, spread, decimals, share.
_EXTRA_LABS = {"heart_rate": (76.0, 9.0, 0, 0.35)}
# N-terminal pro-BNP: median and share of contacts at which it is asked for, by heart failure on record.
_NT_PRO_BNP = {True: (900.0, 0.15), False: (80.0, 0.005)}
_NT_PRO_BNP_SPREAD = 0.8
_ADMISSIONS = ("admission", "second_stay")
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
    """V visits by person and start: `row` int, `start`, `end` int days since 1970, `concept` int64.

    `transferred` bool (V,): it ended in a transfer to another hospital.
    """

    row: np.ndarray
    start: np.ndarray
    end: np.ndarray
    concept: np.ndarray
    transferred: np.ndarray


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
        uniform = rng.random(len(mine))
        code = codes("admission_cause" if name in _ADMISSIONS else name).draw(uniform)
        if number < len(CONDITIONS) and CONDITIONS[number].later:
            code = np.where(log.step[mine] == 0, codes(CONDITIONS[number].later).draw(uniform), code)
        part = _records(log.row[mine], day[mine], code, np.full(len(mine), number))
        if number >= INDEX[LABORATORY[0].name]:
            # A float32 value of two decimals becomes the float64 nearest to those decimals.
            part.value = np.round(log.value[mine].astype(np.float64), 2)
        parts.append(part)
    return _joined(parts)


def _repeats(block: Block, conditions: Records, rng: np.random.Generator) -> Records:
    """Return chronic conditions written down again at contacts and stays, under their first or later code."""
    n = len(block.persons.start)
    code = np.zeros((len(CONDITIONS), n), dtype=np.int64)
    known = (conditions.process >= 0) & (conditions.process < len(CONDITIONS))
    code[conditions.process[known], conditions.row[known]] = conditions.concept[known]
    process, last = block.log.process, block.log.day + block.log.value.astype(np.int32)
    stay = (process == INDEX["stay"]) | (process == INDEX["second_stay"])
    seen = (process == INDEX["contact"]) | stay
    # At a stay it is written down at its end.
    row, day, share = (
        block.log.row[seen],
        last[seen],
        np.where(stay, _REPEAT_SHARE_OF_STAYS, _REPEAT_SHARE)[seen],
    )
    parts = []
    for number, process in enumerate(CONDITIONS):
        if process.repeats:
            first = block.first[number, row]
            old = (first >= 0) & (first + _REPEAT_AFTER_DAYS < day)
            again = old & (rng.random(len(row)) < share)
            person = row[again]
            when = block.persons.start[person] + day[again]
            code_again = (
                codes(process.later).draw(rng.random(len(person))) if process.later else code[number, person]
            )
            parts.append(_records(person, when, code_again, np.full(len(person), -1)))
    return _joined(parts)


def _measurements(block: Block, day: np.ndarray, rng: np.random.Generator) -> Records:
    """Return laboratory values, some asked for and never written down, and those that no hazard reads."""
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
    return _joined([*parts, *_nt_pro_bnp(block, contact, day, rng), *_charts(block)])


def _nt_pro_bnp(
    block: Block, contact: np.ndarray, day: np.ndarray, rng: np.random.Generator
) -> list[Records]:
    """Return natriuretic peptides asked for at contacts: often and high where heart failure is on record."""
    first = block.first[INDEX["heart_failure"], block.log.row[contact]]
    failing = (first >= 0) & (first < block.log.day[contact])
    parts = []
    for known, (median, share) in _NT_PRO_BNP.items():
        mine = contact[(failing == known) & (rng.random(len(contact)) < share)]
        code = codes("nt_pro_bnp").draw(rng.random(len(mine)))
        part = _records(block.log.row[mine], day[mine], code, np.full(len(mine), -1))
        part.value = np.round(median * np.exp(_NT_PRO_BNP_SPREAD * rng.standard_normal(len(mine))))
        parts.append(part)
    return parts


def _charts(block: Block) -> list[Records]:
    """Return the values taken day by day in stays."""
    charts, parts = block.charts, []
    for lab, name in enumerate(CHARTED):
        mine = charts.lab == lab
        row = charts.row[mine]
        code = np.full(len(row), codes(name).concept_ids[0])
        when = block.persons.start[row].astype(np.int64) + charts.day[mine]
        part = _records(row, when, code, np.full(len(row), -1))
        part.value = np.round(charts.value[mine].astype(np.float64), 1)
        parts.append(part)
    return parts


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
    stays = _inpatient(block, day, rng)
    row = np.concatenate([part.row for part in attended])
    when = np.concatenate([part.day for part in attended])
    process = np.concatenate([part.process for part in attended])
    share = np.array([kind.emergency for kind in HAZARDS] + [0.0] * (len(PROCESSES) - len(HAZARDS) + 1))
    share[INDEX["admission"]] = 1
    urgent = rng.random(len(row)) < share[process]
    days, at = np.unique(_key(row, when), return_inverse=True)
    emergency = np.zeros(len(days), dtype=bool)
    np.logical_or.at(emergency, at, urgent)
    outside = _stay_of(days, stays.row, stays.start, stays.end) < 0
    days, emergency = days[outside], emergency[outside]
    kind = np.where(emergency, EMERGENCY, OUTPATIENT)
    others = _day_visits(days // _DAYS, days % _DAYS, kind)
    # Of an admission, some first had a visit to the emergency room, on its day and with nothing written down.
    before = (stays.concept == INPATIENT) & (rng.random(len(stays.row)) < _AFTER_EMERGENCY)
    before &= ~_onward(stays)
    rooms = _day_visits(stays.row[before], stays.start[before], np.full(int(before.sum()), EMERGENCY))
    visits = [
        np.concatenate(column)
        for column in zip(*(vars(v).values() for v in (rooms, others, stays)), strict=True)
    ]
    order = np.lexsort((visits[1], visits[0]))
    return Visits(*(column[order] for column in visits))


def _inpatient(block: Block, day: np.ndarray, rng: np.random.Generator) -> Visits:
    """Return the stays of the log, by person and start."""
    log = block.log
    stay = np.flatnonzero((log.process == INDEX["stay"]) | (log.process == INDEX["second_stay"]))
    stay = stay[np.lexsort((day[stay], log.row[stay]))]
    row, start = log.row[stay], day[stay]
    end = start + log.value[stay].astype(np.int64)
    sent = log.process == INDEX["transfer"]
    transferred = np.isin(_key(row, end), _key(log.row[sent], day[sent]))
    concept = np.where(rng.random(len(stay)) < _THROUGH_EMERGENCY, BOTH, INPATIENT)
    stays = Visits(row, start, end, concept, transferred)
    stays.concept[_onward(stays)] = INPATIENT
    return stays


def _onward(stays: Visits) -> np.ndarray:
    """Return where a stay goes on from a transfer: it starts on the day after one, of the same person."""
    after = np.zeros(len(stays.row), dtype=bool)
    same = stays.row[1:] == stays.row[:-1]
    after[1:] = same & stays.transferred[:-1] & (stays.start[1:] == stays.end[:-1] + 1)
    return after


def _day_visits(row: np.ndarray, day: np.ndarray, concept: np.ndarray) -> Visits:
    return Visits(row, day, day, concept, np.zeros(len(row), dtype=bool))


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
    conditions = _coded(block, day, [process.name for process in CONDITIONS] + list(_ADMISSIONS), rng)
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
