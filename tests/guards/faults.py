"""Faults put into a run, and the refusal by name that each must end in."""

import dataclasses
from pathlib import Path

import pytest
from adaptation_world import quiet
from test_arm import spec_of

from ml.adaptation import guards
from ml.adaptation.regimes import REGIMES
from ml.arm import run_arm
from ml.refusal import RefusalError


def stops(guard: str):
    """Expect a refusal by this name, with a reason."""
    assert guard in guards.GUARDS
    return pytest.raises(RefusalError, match=f"^{guard}: .{{10,}}")


def arm_with(monkeypatch, change):
    """Let the regime `fit` be followed by a fault before the arm sees its result."""
    fit = REGIMES["fit"]
    monkeypatch.setitem(REGIMES, "fit", lambda shown, setting: change(shown, fit(shown, setting)))


def scores_changed(monkeypatch, change):
    arm_with(
        monkeypatch,
        lambda _, adapted: dataclasses.replace(adapted, y_score_raw=change(adapted.y_score_raw.copy())),
    )


def run_lr(world: Path):
    return run_arm(spec_of(world, "logistic_regression"), quiet)
