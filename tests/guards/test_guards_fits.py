"""Guards over fitting: on whom, and whether anything was learned."""

import numpy as np
import pytest
import torch
from adaptation_world import (
    SPLIT,
    Y_TRUE,
    recipe_of,
    shown_texts,
    tiny_classifier,
    tiny_verbalizer,
    training_of,
)
from safetensors.torch import load_file
from sklearn.preprocessing import StandardScaler

from guards.faults import arm_with, run_lr, stops
from ml.adaptation import heads


def test_lora_under_no_grad(tiny, tmp_path):
    """As in a vision benchmark: backbone and adapters run under `no_grad`, the head alone learns."""
    scorer = tiny_classifier(tiny["bert"], "bert")
    read = scorer.read

    def read_without_gradient(input_ids, attention_mask):
        with torch.no_grad():
            return read(input_ids, attention_mask)

    scorer.read = read_without_gradient
    with stops("nothing_trained") as refused:
        training_of(scorer, tmp_path).run()
    assert "adapter" in refused.value.reason


def test_no_tensor_moves(tiny, tmp_path):
    with stops("nothing_trained") as refused:
        training_of(tiny_classifier(tiny["bert"], "bert"), tmp_path, recipe_of(learning_rate=0.0)).run()
    assert "moved" in refused.value.reason


def test_nothing_is_trainable(tiny, tmp_path):
    scorer = tiny_verbalizer(tiny["qwen3"], "qwen3")
    scorer.backbone.lm_head.weight.requires_grad_(True)
    training = training_of(scorer, tmp_path)
    training.weights = {}
    with stops("nothing_trained"):
        training._rehearse()


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite(tiny, tmp_path, loss):
    scorer = tiny_classifier(tiny["bert"], "bert")
    logit, calls = scorer.logit, []

    def spoiled(read):
        calls.append(1)
        return logit(read) * (loss if len(calls) == 4 else 1.0)

    scorer.logit = spoiled
    with stops("loss_not_finite"):
        training_of(scorer, tmp_path).run()
    kept = [load_file(path) for path in tmp_path.rglob("trainable.safetensors")]
    assert kept
    assert all(bool(torch.isfinite(weight).all()) for weights in kept for weight in weights.values())


@pytest.mark.parametrize("what", ["labels", "columns"])
@pytest.mark.parametrize("purpose", ["fit", "select", "recalibrate"])
def test_fitted_on_a_person_outside_train(world, monkeypatch, purpose, what):
    def peek(shown, adapted):
        getattr(shown, what)(np.flatnonzero(shown.split == "held_out")[:2], purpose)
        return adapted

    arm_with(monkeypatch, peek)
    with stops("fitted_outside_train") as refused:
        run_lr(world)
    assert " 2 examples" in refused.value.reason


def test_scaled_on_everyone(world, monkeypatch):
    """As where columns are scaled before the split is made: no label is read for it."""
    fit = heads._fit

    def scale_all(tried, shown, tuning, y_tuning):
        StandardScaler(with_mean=False).fit(shown.columns(np.arange(len(shown)), "fit"))
        return fit(tried, shown, tuning, y_tuning)

    monkeypatch.setattr(heads, "_fit", scale_all)
    with stops("fitted_outside_train"):
        run_lr(world)


def test_recalibrated_on_held_out(world, monkeypatch):
    def widen(shown, adapted):
        held_out = shown.split == "held_out"
        shown.may_select |= held_out
        shown._y_true[held_out] = np.arange(held_out.sum()) % 2
        return adapted

    arm_with(monkeypatch, widen)
    with stops("fitted_outside_train") as refused:
        run_lr(world)
    assert "recalibrated on" in refused.value.reason


def test_fitted_on_tuning(world, monkeypatch):
    def peek(shown, adapted):
        shown.labels(shown.tuning_rows, "fit")
        return adapted

    arm_with(monkeypatch, peek)
    with stops("fitted_outside_train"):
        run_lr(world)


def test_a_label_that_may_not_be_read_is_no_label():
    shown = shown_texts()
    assert np.isnan(shown.labels(np.flatnonzero(SPLIT == "held_out"), "fit")).all()
    assert (shown.labels(np.flatnonzero(SPLIT == "train"), "fit") == Y_TRUE[SPLIT == "train"]).all()
