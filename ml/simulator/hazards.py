"""Probabilities of a step: every hazard, from the state and the switches alone."""

import numpy as np

from ml.simulator import care, illness, laboratory, outcomes, stays
from ml.simulator.processes import ENDS, HAZARDS, LABORATORY, N_HAZARDS
from ml.simulator.state import State, blank
from ml.simulator.switches import Switches
from ml.simulator.view import View

# No process is more likely than this in 30 days, so that a step is short beside every waiting time.
_FASTEST = np.float32(np.log(2.3))
_OUTCOMES = {
    "heart_failure": outcomes.heart_failure,
    "pancreatic_cancer": outcomes.pancreatic_cancer,
    "gastrointestinal_bleed": outcomes.gastrointestinal_bleed,
    "death": outcomes.death,
    "loss": outcomes.loss,
    "contact": care.contact,
    "admission": care.admission,
}
_HAZARD_NAMES = frozenset(process.name for process in HAZARDS)
_COURSES = ("ibuprofen", "naproxen", "diclofenac", "celecoxib", "prednisone", "acetaminophen")


def log_hazard(view: View, name: str) -> np.ndarray:
    """Return the log of the hazard a step of one process, float (N,)."""
    if name in _OUTCOMES:
        return _OUTCOMES[name](view)
    if name in illness.CONDITION_HAZARDS:
        return illness.CONDITION_HAZARDS[name](view)
    if name in illness.PROCEDURE_HAZARDS:
        return illness.PROCEDURE_HAZARDS[name](view)
    return care.course(view, name) if name in _COURSES else care.long_term(view, name)


def reads(name: str, switches: Switches) -> frozenset[str]:
    """Return the processes whose records the hazard of `name` looks at."""
    nobody = View(blank(np.zeros(1), np.zeros(1)), switches)
    log_hazard(nobody, name)
    return frozenset(nobody.read)


def needed(outcomes: tuple[int, ...], switches: Switches) -> frozenset[str]:
    """Return the processes on which the outcomes and the ends of observation depend, directly or not.

    Rolling forward without the rest changes no risk. Outcomes themselves count only where others read them.
    """
    nobody = View(blank(np.zeros(1), np.zeros(1)), switches)
    laboratory.set_points(nobody)
    of_labs = frozenset(nobody.read) | {"contact"}
    of_stays = _of_stays(switches)
    found: set[str] = set()
    todo = {HAZARDS[number].name for number in outcomes} | {process.name for process in ENDS}
    labs = {process.name for process in LABORATORY}
    while todo:
        name = todo.pop()
        found.add(name)
        if name in labs:
            todo |= of_labs - found
        elif name in ("stay", "second_stay"):
            todo |= of_stays - found
        elif name in _HAZARD_NAMES:
            todo |= reads(name, switches) - found
    return frozenset(found)


def _of_stays(switches: Switches) -> frozenset[str]:
    """Return the processes that open a stay, and those that its course depends on."""
    nobody = View(blank(np.zeros(1), np.zeros(1)), switches)
    stays.look_at(nobody)
    opening = {process.name for process in HAZARDS if process.inpatient > 0} | {"admission"}
    return frozenset(nobody.read | opening)


def probabilities(state: State, switches: Switches, *, leave_out: frozenset[str] = frozenset()) -> np.ndarray:
    """Return float32 (H, N): the probability of each process of HAZARDS in the coming step.

    0 where a process happens once and has happened, in the first step (which only records the enrolment),
    and for the processes in `leave_out`.
    """
    view = View(state, switches)
    chance = np.zeros((N_HAZARDS, view.n), dtype=np.float32)
    for number, process in enumerate(HAZARDS):
        if process.name not in leave_out:
            chance[number] = np.minimum(log_hazard(view, process.name), _FASTEST)
    np.exp(chance, out=chance)
    np.negative(chance, out=chance)
    np.exp(chance, out=chance)
    np.subtract(np.float32(1), chance, out=chance)
    for number, process in enumerate(HAZARDS):
        if process.name in leave_out:
            chance[number] = 0
        elif not process.again:
            chance[number] *= state.first[number] < 0
    if (state.now == 0).any():
        chance *= state.now > 0
    return chance
