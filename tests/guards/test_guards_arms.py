"""Guards over arms and comparisons; what a refusal leaves; every guard is planted a fault."""

import dataclasses
import re
from pathlib import Path

import pytest
from adaptation_world import quiet
from test_arm import spec_of

import ml.arm
from guards.faults import run_lr, scores_changed, stops
from ml.adaptation import guards
from ml.arm import run_arm
from ml.models.model import Model


def test_random_weights_in_a_comparison(world, monkeypatch):
    row = Model(name="logistic_regression", kind="baseline", title="Random", smoke_only=True)
    monkeypatch.setitem(ml.arm.MODELS, "logistic_regression", row)
    spec = spec_of(world, "logistic_regression")
    with stops("smoke_only_in_comparison"):
        run_arm(dataclasses.replace(spec, is_compared=True), quiet)
    run_arm(spec, quiet)  # outside a comparison they may run


@pytest.mark.parametrize("regime", ["concat", "stack"])
def test_a_joined_arm_that_rests_on_random_weights_in_a_comparison(world, regime):
    spec = dataclasses.replace(spec_of(world, "logistic_regression"), regime=regime, is_compared=True)
    with stops("smoke_only_in_comparison"):
        run_arm(dataclasses.replace(spec, rests_on_smoke=True), quiet)


def test_no_fault_no_refusal(world):
    assert run_lr(world)["examples"] > 200


def test_a_refusal_leaves_no_prediction_and_no_model(world, monkeypatch):
    scores_changed(monkeypatch, lambda scores: scores * 2 - 1)
    with stops("score_not_probability"):
        run_lr(world)
    assert not list(world.glob("*.parquet"))
    assert not list(world.glob("*_fitted"))


def test_an_arm_that_joins_a_refused_one(world):
    part = spec_of(world, "lightgbm")
    Path(part.predictions).with_suffix(".refused.json").write_text("{}", encoding="utf-8")
    spec = dataclasses.replace(spec_of(world, "logistic_regression"), regime="stack", parts=(part,))
    with stops("part_refused") as refused:
        run_arm(spec, quiet)
    assert "`lightgbm`" in refused.value.reason


def test_every_guard_is_planted_a_fault():
    sources = [file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("test_*.py")]
    planted = {name for source in sources for name in re.findall(r'with stops\("(\w+)"\)', source)}
    assert planted == set(guards.GUARDS)
