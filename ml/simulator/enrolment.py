"""The persons of a block and what is recorded of them on their first day."""

from dataclasses import dataclass

import numpy as np

from ml.simulator import laboratory
from ml.simulator.processes import FIRST_LAB, INDEX
from ml.simulator.state import Events, State, blank

FIRST_DAY = np.datetime64("2010-01-01")
LAST_DAY = np.datetime64("2024-12-31")
_ENTRY_YEARS = 9
_YEAR = 365.25

# Share of 60-year-olds with the condition on record at enrolment, and its growth in a decade of age.
_HISTORY: dict[str, tuple[float, float]] = {
    "type_2_diabetes": (0.04, 1.2),
    "hypertension": (0.14, 1.3),
    "hyperlipidemia": (0.10, 1.2),
    "chronic_kidney_disease": (0.06, 1.3),
    "myocardial_infarction": (0.02, 1.5),
    "atrial_fibrillation": (0.02, 1.6),
    "emphysema": (0.03, 1.3),
    "anemia": (0.04, 1.1),
    "reflux": (0.07, 1.0),
    "osteoarthritis": (0.10, 1.5),
    "depression": (0.08, 0.9),
    "hypothyroidism": (0.05, 1.1),
    "alcoholism": (0.03, 0.9),
    "gout": (0.02, 1.2),
    "peptic_ulcer": (0.02, 1.1),
    "gallstone": (0.02, 1.1),
    "other_diabetes": (0.006, 0.8),
}
# Share of those with diabetes at enrolment who have a complication of it on record.
_COMPLICATED = 0.2
_SMOKERS = 0.22
_FAMILY_HISTORY = 0.08


@dataclass
class Persons:
    """N persons: `start`, `birth` int32 (N,) days since 1970; `female` float32 (N,) 0 or 1."""

    start: np.ndarray
    birth: np.ndarray
    female: np.ndarray

    def state(self) -> State:
        """Return the state before anything is recorded."""
        return blank((self.start - self.birth).astype(np.float32) / np.float32(_YEAR), self.female)

    def left(self) -> np.ndarray:
        """Return int32 (N,): days from the first observed day to the world's last."""
        return (LAST_DAY.astype(np.int32) - self.start).astype(np.int32)


def draw_persons(n: int, rng: np.random.Generator) -> Persons:
    """Draw N persons, adults of 18 to 88, who enter over nine years."""
    start = FIRST_DAY.astype(np.int32) + rng.integers(0, int(_ENTRY_YEARS * _YEAR), n)
    age = np.clip(rng.normal(59, 11.5, n), 18.1, 88)
    female = (rng.random(n) < 0.52).astype(np.float32)
    return Persons(start.astype(np.int32), (start - age * _YEAR).astype(np.int32), female)


def enrol(state: State, rng: np.random.Generator) -> Events:
    """Draw the first day: a contact with its values, older conditions, smoking, family history."""
    n = len(state.now)
    decade = (state.age - 60) / 10
    found = [(INDEX["contact"], np.arange(n))]
    for name, (share, growth) in _HISTORY.items():
        chance = np.minimum(share * growth**decade, 0.5)
        found.append((INDEX[name], np.flatnonzero(rng.random(n) < chance)))
    diabetic = dict(found)[INDEX["type_2_diabetes"]]
    complicated = rng.random(len(diabetic)) < _COMPLICATED
    found.append((INDEX["diabetic_complication"], diabetic[complicated]))
    found.append((INDEX["smoker"], np.flatnonzero(rng.random(n) < _SMOKERS)))
    found.append((INDEX["family_history"], np.flatnonzero(rng.random(n) < _FAMILY_HISTORY)))
    lab, row, value = laboratory.measure(state, np.arange(n), np.zeros(n, dtype=np.int32), rng)
    rows = np.concatenate([rows for _, rows in found] + [row])
    process = np.concatenate([np.full(len(rows), number) for number, rows in found] + [FIRST_LAB + lab])
    values = np.zeros(len(rows), dtype=np.float32)
    values[len(rows) - len(value) :] = value
    return Events(rows, process.astype(np.int16), np.zeros(len(rows), dtype=np.int16), values)
