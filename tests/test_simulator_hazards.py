"""Hazards: recorded rates follow them, switches touch what they say, they read nothing but the record."""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest

from ml.simulator import stays, world
from ml.simulator.enrolment import draw_persons, enrol
from ml.simulator.hazards import needed, probabilities, reads
from ml.simulator.processes import ENDS, FIRST_LAB, HAZARDS, INDEX, PROCESSES
from ml.simulator.state import NEVER, State, advance
from ml.simulator.step import Step, draw
from ml.simulator.switches import TOUCHES, Switches

EVERYTHING = Switches()


def some_states(n: int = 3000, steps: int = 60) -> State:
    """Return states of N persons after some years, all kept in observation."""
    rng = np.random.default_rng(5)
    persons = draw_persons(n, rng)
    state = persons.state()
    advance(state, enrol(state, rng))
    for _ in range(steps):
        step = draw(
            state,
            EVERYTHING,
            rng,
            left=np.full(n, 10_000),
            leave_out=frozenset(process.name for process in ENDS),
        )
        advance(state, step.events)
    return state


@pytest.fixture(scope="module")
def state() -> State:
    return some_states()


def test_recorded_rates_follow_the_hazards(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, expected, variance = (np.zeros(len(HAZARDS)) for _ in range(3))
    real: Callable[..., Step] = draw

    def counting(state: State, *arguments: object, **options: object) -> Step:
        step = real(state, *arguments, **options)
        going = ~over[: len(step.end)] if len(step.end) == len(over) else np.ones(len(step.end), dtype=bool)
        share = (step.end + 1) / 30
        chance = step.chance * share * going
        expected[:] += chance.sum(axis=1)
        variance[:] += (chance * (1 - chance)).sum(axis=1)
        events = step.events.only(going[step.events.row] & (step.events.process < len(HAZARDS)))
        np.add.at(seen, events.process, 1)
        if len(step.end) == len(over):
            over[:] |= step.ended
        return step

    # A death in a stay ends the step after an event has opened the stay, which no rate here allows for.
    monkeypatch.setattr(stays, "death_a_day", lambda v: np.full(v.n, 1e-12))
    n = 1500
    over = np.zeros(n, dtype=bool)
    monkeypatch.setattr(world, "draw", counting)
    # Nobody is dropped from the arrays before all have ended, so that rows stay persons.
    monkeypatch.setattr(world, "_CROWDED", 1e-9)
    block, _ = world.simulate(n, np.random.SeedSequence(21), EVERYTHING)
    z = (seen - expected) / np.sqrt(np.maximum(variance, 1e-9))
    drawn = [number for number, process in enumerate(HAZARDS) if process.kind != "end"]
    assert min(expected[drawn]) > 30
    assert np.abs(z[drawn]).max() < 4.2, dict(zip([p.name for p in HAZARDS], z.round(1), strict=True))
    assert abs(float((z[drawn] ** 2).mean()) - 1) < 0.7
    later = block.log.step > 0
    logged = np.bincount(block.log.process[later], minlength=len(PROCESSES))[: len(HAZARDS)]
    assert (logged[drawn] == seen[drawn]).all()


def test_each_switch_changes_the_hazards_it_says_and_no_other(state: State) -> None:
    names = [field.name for field in fields(Switches)]
    assert set(names) == set(TOUCHES)
    assert len(names) == 7
    before = probabilities(state, EVERYTHING)
    for name in names:
        after = probabilities(state, replace(EVERYTHING, **{name: False}))
        changed = {HAZARDS[number].name for number in np.flatnonzero((before != after).any(axis=1))}
        assert changed == TOUCHES[name], name


def test_hypertension_after_kidney_disease_raises_heart_failure_and_before_lowers_it(state: State) -> None:
    late, early = np.full(len(state.now), 900), np.full(len(state.now), 400)
    chance = []
    for first, second in ((early, late), (late, early)):
        changed = state.copy()
        changed.first[INDEX["chronic_kidney_disease"]] = first
        changed.first[INDEX["hypertension"]] = second
        changed.first[INDEX["heart_failure"]] = NEVER
        chance.append(probabilities(changed, EVERYTHING)[INDEX["heart_failure"]])
    assert (chance[0] > 2 * chance[1]).mean() > 0.95


def test_the_same_last_value_means_more_risk_on_a_rising_slope(state: State) -> None:
    for lab, outcome, rise in (
        ("creatinine", "heart_failure", 0.3),
        ("hba1c", "pancreatic_cancer", 0.8),
        ("hemoglobin", "gastrointestinal_bleed", -1.0),
    ):
        flat, steep = state.copy(), state.copy()
        flat.slope[INDEX[lab] - FIRST_LAB] = 0
        steep.slope[INDEX[lab] - FIRST_LAB] = rise
        number = INDEX[outcome]
        risks = [probabilities(changed, EVERYTHING)[number] for changed in (flat, steep)]
        possible = risks[0] > 0
        assert (risks[1] > risks[0])[possible].mean() > 0.99, outcome


def test_a_hazard_reads_only_the_processes_it_says(state: State) -> None:
    rng = np.random.default_rng(1)
    declared = {process.name: reads(process.name, EVERYTHING) for process in HAZARDS}
    counted = {"contacts": "contact", "stays": "stay", "minor": "minor_illness"}
    for number, process in enumerate(PROCESSES):
        changed = state.copy()
        mixed = rng.permutation(len(state.now))
        changed.first[number], changed.last[number] = state.first[number][mixed], state.last[number][mixed]
        if number >= FIRST_LAB:
            changed.value[number - FIRST_LAB] = state.value[number - FIRST_LAB][mixed]
            changed.slope[number - FIRST_LAB] = state.slope[number - FIRST_LAB][mixed]
        for name, of in counted.items():
            if of == process.name:
                setattr(changed, name, getattr(state, name)[mixed])
        moved = (probabilities(changed, EVERYTHING) != probabilities(state, EVERYTHING)).any(axis=1)
        for reader in np.flatnonzero(moved):
            name = HAZARDS[reader].name
            assert process.name in declared[name] or process.name == name, (name, process.name)


def test_what_is_needed_for_an_outcome_is_closed_under_reading() -> None:
    inside = needed((INDEX["heart_failure"],), EVERYTHING)
    assert {"heart_failure", "death", "loss", "creatinine", "contact", "stay", "admission"} <= inside
    assert {"benign_skin_lesion", "echocardiogram", "levothyroxine"}.isdisjoint(inside)
    for process in HAZARDS:
        if process.name in inside:
            assert reads(process.name, EVERYTHING) <= inside, process.name


def test_nothing_happens_on_the_days_after_the_enrolment_of_the_first_step() -> None:
    nobody = draw_persons(10, np.random.default_rng(0)).state()
    assert not probabilities(nobody, EVERYTHING).any()


def test_the_rest_of_a_known_step_has_the_conditional_distribution(state: State) -> None:
    few = state.take(np.arange(400))
    n, known_to, number = 400, 11, INDEX["contact"]
    rng = np.random.default_rng(2)
    options = {"left": np.full(n, 10_000)}
    late, free, conditional = 0, 0, 0
    for _ in range(60):
        whole = draw(few, EVERYTHING, rng, **options).events
        day = np.full(n, 99)
        mine = whole.process == number
        day[whole.row[mine]] = whole.day[mine]
        free += int((day > known_to).sum())
        late += int(((day > known_to) & (day < 99)).sum())
        nothing = whole.only(np.zeros(len(whole.row), dtype=bool))
        rest = draw(few, EVERYTHING, rng, known_to=np.full(n, known_to), known=nothing, **options).events
        assert rest.day.min() > known_to
        conditional += int((rest.process == number).sum())
    rates = late / free, conditional / (60 * n)
    assert abs(rates[0] - rates[1]) < 4 * np.sqrt(rates[0] * (1 / free + 1 / (60 * n)))
