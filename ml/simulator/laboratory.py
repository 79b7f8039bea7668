"""Laboratory values: a new one follows from the last recorded one, its recorded slope, and noise."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ml.simulator.processes import INDEX, LABORATORY
from ml.simulator.state import State
from ml.simulator.switches import Switches
from ml.simulator.view import View

_N_LABS = len(LABORATORY)


@dataclass(frozen=True)
class Lab:
    """How one laboratory value behaves; noise is a standard deviation a square root of a year.

    `carried`: share of the slope a year that goes on; `pull`: share of the way to the set point gone a year.
    `asked`: share of contacts at which it is measured, whatever the risk.
    """

    name: str
    spread: float
    low: float
    high: float
    decimals: int
    carried: float
    pull: float
    noise: float
    asked: float


LABS = (
    Lab("hba1c", 0.45, 4.2, 14.0, 1, 0.8, 0.5, 0.40, 0.5),
    Lab("creatinine", 0.25, 0.4, 6.0, 2, 0.8, 0.5, 0.16, 0.6),
    Lab("systolic", 13.0, 90.0, 210.0, 0, 0.2, 1.2, 9.0, 1.0),
    Lab("bmi", 4.5, 15.0, 55.0, 1, 0.6, 0.3, 1.0, 0.5),
    Lab("hemoglobin", 1.1, 6.0, 18.5, 1, 0.6, 0.8, 0.7, 0.4),
    Lab("glucose", 15.0, 55.0, 400.0, 0, 0.2, 1.5, 14.0, 0.35),
    Lab("ldl", 28.0, 30.0, 260.0, 0, 0.2, 0.8, 18.0, 0.3),
    Lab("potassium", 0.32, 2.5, 8.0, 1, 0.1, 3.0, 0.30, 0.2),
)
assert tuple(lab.name for lab in LABS) == tuple(process.name for process in LABORATORY)


def _column(field: str) -> np.ndarray:
    return np.array([[getattr(lab, field)] for lab in LABS], dtype=np.float32)


_SPREAD, _LOW, _HIGH, _CARRIED, _PULL, _NOISE, _ASKED = (
    _column(field) for field in ("spread", "low", "high", "carried", "pull", "noise", "asked")
)
_SCALE = np.array([[10.0**lab.decimals] for lab in LABS], dtype=np.float32)


# A supply counts as taken for so many days.
_TAKING = 120
_SET_POINTS: dict[str, Callable[[View], np.ndarray]] = {
    "hba1c": lambda v: (
        5.65
        + 1.1 * v.ever("type_2_diabetes")
        - 0.3 * v.within("metformin", _TAKING)
        + 0.02 * (v.lab("bmi") - 28)
    ),
    "creatinine": lambda v: 0.92 + 0.4 * v.ever("chronic_kidney_disease") + 0.06 * v.male,
    "systolic": lambda v: (
        128.0
        + 12.0 * v.ever("hypertension")
        - 6.0 * v.within("lisinopril", _TAKING)
        - 5.0 * v.within("amlodipine", _TAKING)
    ),
    "bmi": lambda v: 28.3 - 3.0 * v.ever("weight_loss") - 4.0 * v.ever("pancreatic_cancer"),
    "hemoglobin": lambda v: (
        14.3 - 0.9 * v.female - 1.5 * v.ever("anemia") - 0.5 * v.ever("chronic_kidney_disease")
    ),
    "glucose": lambda v: 98.0 + 22.0 * (v.lab("hba1c") - 5.65),
    "ldl": lambda v: 124.0 + 12.0 * v.ever("hyperlipidemia") - 35.0 * v.within("simvastatin", _TAKING),
    "potassium": lambda v: (
        4.2
        + 0.35 * v.ever("chronic_kidney_disease")
        + 0.5 * np.clip(v.lab("creatinine") - 1.1, 0, 1.5)
        + 0.2 * v.within("lisinopril", _TAKING)
        + 0.35 * v.within("spironolactone", _TAKING)
        + 0.3 * v.within("lisinopril", _TAKING) * v.ever("chronic_kidney_disease")
        - 0.25 * v.within("furosemide", _TAKING)
        + 0.1 * v.ever("type_2_diabetes")
    ),
}


def set_point(v: View, lab: str) -> np.ndarray:
    """Return float (N,): where a value is pulled to, from recorded diagnoses, drugs and values."""
    return _SET_POINTS[lab](v)


def set_points(v: View) -> np.ndarray:
    """Return float32 (L, N): where each value is pulled to."""
    return np.stack([set_point(v, lab.name) for lab in LABS]).astype(np.float32)


def measure(
    state: State, rows: np.ndarray, days: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Draw the values of M contacts: `rows` int (M,) persons, `days` int (M,) days since observation start.

    Returns (lab int (V,), contact int (V,), value float32 (V,)), values rounded as they are written down.
    """
    target = set_points(View(state, Switches()))[:, rows]
    last = state.value[:, rows]
    slope = state.slope[:, rows]
    since = days - state.last[INDEX["hba1c"] : INDEX["hba1c"] + _N_LABS, rows]
    years = since.astype(np.float32) / np.float32(365.25)
    noise = rng.standard_normal(last.shape, dtype=np.float32)
    asked = rng.random(last.shape, dtype=np.float32) < _ASKED
    moved = last + np.minimum(years, 2) * (_CARRIED * slope) + (1 - np.exp(-years * _PULL)) * (target - last)
    moved += noise * _NOISE * np.sqrt(np.clip(years, 0.08, 2))
    fresh = target + noise * _SPREAD
    value = np.clip(np.where(np.isnan(last), fresh, moved), _LOW, _HIGH)
    value = np.round(value * _SCALE) / _SCALE
    lab, contact = np.nonzero(asked)
    return lab, contact, value[lab, contact].astype(np.float32)
