"""Guards over scores: finite, of everybody, the right way round, and the same when read again."""

import numpy as np
import pytest
import torch
from adaptation_world import LORA, N, model_of, setting_of, shown_texts
from safetensors.torch import load_file, save_file

from guards.faults import run_lr, scores_changed, stops
from ml.adaptation import guards, tuning
from ml.adaptation.regimes import REGIMES


def test_logits_given_as_probabilities(world, monkeypatch):
    scores_changed(monkeypatch, lambda scores: np.log(scores / (1 - scores)))
    with stops("score_not_probability"):
        run_lr(world)


def test_labels_flipped(world, monkeypatch):
    """As where column 0 of `predict_proba` is taken for the case."""
    scores_changed(monkeypatch, lambda scores: 1 - scores)
    with stops("labels_flipped") as refused:
        run_lr(world)
    assert "train" in refused.value.reason


def test_labels_flipped_in_tuning_alone():
    rng = np.random.default_rng(0)
    y_true = (rng.random(400) < 0.3).astype(float)
    scores = 1 / (1 + np.exp(-rng.normal(size=400) + y_true))
    with stops("labels_flipped"):
        guards.require_order(y_true, scores, split="tuning")
    guards.require_order(1 - y_true, scores, split="tuning")
    guards.require_order(y_true, rng.random(400), split="tuning")  # no skill is no fault


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_example_without_a_finite_score(world, monkeypatch, value):
    def spoil(scores):
        scores[[3, 5]] = value
        return scores

    scores_changed(monkeypatch, spoil)
    with stops("example_without_score"):
        run_lr(world)


def test_an_example_without_any_score(world, monkeypatch):
    scores_changed(monkeypatch, lambda scores: scores[:-1])
    with stops("example_without_score"):
        run_lr(world)


def test_a_reloaded_head_that_scores_otherwise(world, monkeypatch):
    def spoil(scores):
        scores[3] += 1e-6
        return scores

    scores_changed(monkeypatch, spoil)
    with stops("reloaded_scores_differ"):
        run_lr(world)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rare_outcomes_scored_otherwise_are_seen_and_rounding_is_not(dtype):
    """Probabilities of 0.004 and 0.008 are close; as odds they are another answer."""
    tolerance = tuning.LOGIT_TOLERANCE[dtype]
    rng = np.random.default_rng(2)
    logits = np.concatenate([rng.normal(-5, 1, 60), [-700.0, 36.0, 50.0]])
    scores = 1 / (1 + np.exp(-logits))
    noise = rng.uniform(-0.9, 0.9, len(logits)) * tolerance
    guards.require_equal_scores(scores, 1 / (1 + np.exp(-logits - noise)), tolerance=tolerance)
    with stops("reloaded_scores_differ"):
        guards.require_equal_scores(scores, 1 / (1 + np.exp(-logits - 3 * tolerance)), tolerance=tolerance)
    with stops("reloaded_scores_differ"):
        guards.require_equal_scores(scores, np.full(len(scores), np.nan), tolerance=tolerance)
    with stops("reloaded_scores_differ"):
        guards.require_equal_scores(np.array([1.0]), np.array([0.999]), tolerance=tolerance)


def test_a_reloaded_network_that_scores_otherwise(tiny, tmp_path):
    adapted = REGIMES["lora"](shown_texts(), setting_of(model_of("bert"), tiny["bert"], tmp_path, LORA))
    path = tmp_path / "model" / "adapter" / "adapter_model.safetensors"
    weights = load_file(path)
    save_file({name: weight * 1.01 for name, weight in weights.items()}, path)
    rows = np.arange(N)
    with stops("reloaded_scores_differ"):
        guards.require_equal_scores(adapted.y_score_raw, adapted.reload(rows), tolerance=adapted.tolerance)
