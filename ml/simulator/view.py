"""Readings of the state that hazards are written with; every one is float32 (N,)."""

import numpy as np

from ml.simulator.processes import FIRST_LAB, GROUPS, INDEX, NSAIDS
from ml.simulator.state import State
from ml.simulator.switches import Switches

# What a hazard reads where a value was never measured: it then adds nothing.
TYPICAL = {
    "hba1c": 5.7,
    "creatinine": 0.95,
    "systolic": 130.0,
    "bmi": 28.0,
    "hemoglobin": 13.8,
    "glucose": 100.0,
    "ldl": 120.0,
    "potassium": 4.3,
}


class View:
    """A state read through the switches; `read` is filled with the processes that were looked at."""

    def __init__(self, state: State, switches: Switches):
        self.state = state
        self.on = switches
        self.n = len(state.now)
        self.decade = (state.age + state.now / np.float32(365.25) - np.float32(60)) / np.float32(10)
        self.female = state.female
        self.male = 1 - state.female
        self.read: set[str] = set()
        self._ever: dict[str, np.ndarray] = {}
        self._lab: dict[str, np.ndarray] = {}

    def _last(self, name: str) -> np.ndarray:
        self.read.add(name)
        return self.state.last[INDEX[name]]

    def _first(self, name: str) -> np.ndarray:
        self.read.add(name)
        return self.state.first[INDEX[name]]

    @property
    def contacts(self) -> np.ndarray:
        """Return the faded count of contacts."""
        self.read.add("contact")
        return self.state.contacts

    @property
    def stays(self) -> np.ndarray:
        """Return the faded count of stays."""
        self.read |= {"stay", "second_stay"}
        return self.state.stays

    @property
    def minor(self) -> np.ndarray:
        """Return the faded count of minor illnesses."""
        self.read.add("minor_illness")
        return self.state.minor

    def ever(self, name: str) -> np.ndarray:
        """Return 1 where the process was recorded before this step."""
        if name not in self._ever:
            self._ever[name] = (self._first(name) >= 0).astype(np.float32)
        return self._ever[name]

    def within(self, name: str, days: int) -> np.ndarray:
        """Return 1 where the last event is at most `days` before this step."""
        return (self.state.now - self._last(name) <= days).astype(np.float32)

    def any_within(self, names: tuple[str, ...], days: int) -> np.ndarray:
        """Return 1 where any of the processes was recorded in the last `days`."""
        self.read.update(names)
        last = self.state.last[[INDEX[name] for name in names]].max(axis=0)
        return (self.state.now - last <= days).astype(np.float32)

    def onset(self, name: str, days: float) -> np.ndarray:
        """Return what is left of the first record, fading with the time constant `days`; never switched."""
        age = (self.state.now - self._first(name)).astype(np.float32)
        return np.exp(age / np.float32(-days))

    def recent(self, name: str, days: float) -> np.ndarray:
        """Return what is left of the last record, fading with `days`; without recency 0.4 for ever."""
        if not self.on.recency:
            return np.float32(0.4) * self.ever(name)
        return self.recent_always(name, days)

    def recent_always(self, name: str, days: float) -> np.ndarray:
        """Return what is left of the last record, fading with `days`; never switched."""
        age = (self.state.now - self._last(name)).astype(np.float32)
        return np.exp(age / np.float32(-days))

    def discharged(self, days: float) -> np.ndarray:
        """Return what is left of the last stay, fading with `days` from its start; never switched."""
        return np.maximum(self.recent_always("stay", days), self.recent_always("second_stay", days))

    def after(self, later: str, earlier: str) -> np.ndarray:
        """Return 1 where `later` was first recorded after `earlier`, -1 if before, 0 if not both."""
        if not self.on.order:
            return np.zeros(self.n, dtype=np.float32)
        b, a = self._first(later), self._first(earlier)
        return np.where((a >= 0) & (b >= 0), np.sign(b - a), 0).astype(np.float32)

    def lab(self, name: str) -> np.ndarray:
        """Return the last value, or the typical one where there is none."""
        if name not in self._lab:
            self.read.add(name)
            value = self.state.value[INDEX[name] - FIRST_LAB]
            self._lab[name] = np.where(np.isnan(value), np.float32(TYPICAL[name]), value)
        return self._lab[name]

    def slope(self, name: str) -> np.ndarray:
        """Return the slope a year of a laboratory value; 0 without two values, or without trends."""
        if not self.on.trend:
            return np.zeros(self.n, dtype=np.float32)
        self.read.add(name)
        return self.state.slope[INDEX[name] - FIRST_LAB]

    def both(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return the product of two 0/1 readings; 0 without interactions."""
        return one * other * np.float32(self.on.interaction)

    def group(self, name: str) -> np.ndarray:
        """Return 1 where any code of a rare group was recorded; 0 without groups."""
        assert name in GROUPS
        return self.ever(name) * np.float32(self.on.rare_groups)

    def nsaid(self, days: int) -> np.ndarray:
        """Return 1 where a non-steroidal anti-inflammatory drug was given in the last `days`."""
        return self.any_within(NSAIDS, days)

    def busy(self) -> np.ndarray:
        """Return how much more than usual the person was seen lately; 0 without visits related to risk."""
        return (np.log1p(self.contacts) - np.float32(0.6)) * np.float32(self.on.risky_visits)

    def habit(self, count: np.ndarray) -> np.ndarray:
        """Return how a count feeds on itself, whatever the risk; 0 without benign variation."""
        return (np.log1p(count) - np.float32(0.4)) * np.float32(self.on.benign_variation)
