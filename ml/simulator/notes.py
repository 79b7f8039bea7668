"""Short notes written from what was recorded at a visit, and from nothing else."""

from dataclasses import dataclass

import numpy as np

from ml.simulator.concepts import names
from ml.simulator.processes import INDEX
from ml.simulator.records import BOTH, EMERGENCY, INPATIENT, Coded

_SHARE = {INPATIENT: 1.0, BOTH: 1.0, EMERGENCY: 0.5}
_OUTPATIENT_SHARE = 0.06
_VALUES = {
    INDEX["systolic"]: "systolic blood pressure {:.0f} mmHg",
    INDEX["hba1c"]: "HbA1c {:.1f}%",
    INDEX["creatinine"]: "creatinine {:.2f} mg/dL",
    INDEX["hemoglobin"]: "haemoglobin {:.1f} g/dL",
}


@dataclass
class Notes:
    """M notes: `row` person of the block, `day` since 1970, `visit` number within the block, text, title."""

    row: np.ndarray
    day: np.ndarray
    visit: np.ndarray
    text: list[str]
    title: list[str]


def write_notes(coded: Coded, rng: np.random.Generator) -> Notes:
    """Write a note for every stay, dated at its end, and for some other visits."""
    visits = coded.visits
    share = np.full(len(visits.row), _OUTPATIENT_SHARE)
    for concept, of_kind in _SHARE.items():
        share[visits.concept == concept] = of_kind
    chosen = rng.random(len(visits.row)) < share
    said = _said(coded, chosen)
    number = np.flatnonzero(chosen)
    text, title = [], []
    for visit in number.tolist():
        kind, days = int(visits.concept[visit]), int(visits.end[visit] - visits.start[visit])
        opening, heading = _opening(kind, days)
        text.append(" ".join([opening, *said.get(visit, ["No new findings."])]))
        title.append(heading)
    return Notes(visits.row[number], visits.end[number], number, text, title)


def _opening(kind: int, days: int) -> tuple[str, str]:
    if kind in (INPATIENT, BOTH):
        return f"Hospital stay of {days} {'day' if days == 1 else 'days'}.", "Summary of the stay"
    if kind == EMERGENCY:
        return "Seen in the emergency room.", "Emergency note"
    return "Seen in the clinic.", "Clinic note"


def _said(coded: Coded, chosen: np.ndarray) -> dict[int, list[str]]:
    """Return the sentences about each chosen visit: its diagnoses, then its values."""
    said: dict[int, list[str]] = {}
    name = names()
    conditions = coded.tables["condition_occurrence"]
    mine = (conditions.visit >= 0) & chosen[conditions.visit]
    diagnoses: dict[int, list[str]] = {}
    for visit, concept in zip(
        conditions.visit[mine].tolist(), conditions.concept[mine].tolist(), strict=True
    ):
        diagnoses.setdefault(visit, []).append(name[concept])
    for visit, found in diagnoses.items():
        said[visit] = [f"Diagnoses: {'; '.join(dict.fromkeys(found))}."]
    values = coded.tables["measurement"]
    mine = (values.visit >= 0) & chosen[values.visit] & np.isin(values.process, list(_VALUES))
    measured: dict[int, list[str]] = {}
    rows = zip(
        values.visit[mine].tolist(), values.process[mine].tolist(), values.value[mine].tolist(), strict=True
    )
    for visit, process, value in rows:
        measured.setdefault(visit, []).append(_VALUES[process].format(value))
    for visit, found in measured.items():
        said.setdefault(visit, []).append(f"Measured: {', '.join(found)}.")
    return said
