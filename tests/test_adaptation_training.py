"""The training loop against plain torch, and what it does when memory runs out or nothing improves."""

import re

import numpy as np
import pytest
import torch
from adaptation_world import (
    SPLIT,
    Y_TRUE,
    model_of,
    recipe_of,
    texts,
    tiny_classifier,
    training_of,
    write_tiny,
)
from sklearn.metrics import roc_auc_score

from ml.adaptation.checkpoint import random_state, restore_random_state
from ml.adaptation.lesson import hit_ceiling, rate_schedule
from ml.adaptation.network import Lora, build_classifier, save_memory
from ml.adaptation.scoring import ScoringPlan, score


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: write_tiny(name, tmp_path_factory.mktemp("training")) for name in ("bert", "llama")}


@pytest.fixture(scope="module")
def folder(folders):
    return folders["bert"]


def weights(scorer) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in scorer.trainable().items()}


def largest_difference(one, other) -> float:
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def by_hand(scorer, recipe, seed: int, epochs: int) -> dict[str, torch.Tensor]:
    """Train with nothing but torch: whole batches, the same order of rows, the same rate."""
    tokens = scorer.tokenizer(texts())["input_ids"]
    rows = np.flatnonzero(SPLIT == "train")
    steps = int(np.ceil(len(rows) / recipe.batch_size))
    optimiser = torch.optim.AdamW(scorer.trainable().values(), weight_decay=recipe.weight_decay)
    share = rate_schedule(recipe, steps * recipe.max_epochs)
    torch.manual_seed(seed)
    scorer.train()
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(rows)
        for place in range(steps):
            batch = order[place * recipe.batch_size : (place + 1) * recipe.batch_size]
            for group in optimiser.param_groups:
                group["lr"] = recipe.learning_rate * share(epoch * steps + place)
            logit = scorer(*scorer.collate([tokens[row] for row in batch]))
            p = torch.sigmoid(logit)
            y = torch.tensor(Y_TRUE[batch], dtype=torch.float32)
            loss = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(scorer.trainable().values(), 1.0)
            optimiser.step()
    return weights(scorer)


def test_training_is_what_plain_torch_makes_of_the_same_batches(folder, tmp_path):
    recipe = recipe_of(max_epochs=2, patience=2)
    scorer = tiny_classifier(folder, "bert")
    trained = training_of(scorer, tmp_path, recipe).run()
    expected = by_hand(tiny_classifier(folder, "bert"), recipe, 5, trained.best_epoch)
    assert largest_difference(weights(scorer), expected) < 1e-5
    assert largest_difference(weights(tiny_classifier(folder, "bert")), expected) > 1e-3
    assert trained.steps == 8


def still(folder):
    """A classifier without any dropout, whose gradient does not depend on how a batch is cut."""
    scorer = tiny_classifier(folder, "bert", dropout=0.0)
    for module in scorer.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return scorer


@pytest.mark.parametrize("micro_batch", [1, 3])
def test_accumulated_gradients_are_those_of_the_whole_batch(folder, tmp_path, micro_batch):
    whole, parts = still(folder), still(folder)
    training_of(whole, tmp_path / "whole").run()
    training_of(parts, tmp_path / "parts", micro_batch=micro_batch).run()
    assert largest_difference(weights(whole), weights(parts)) < 1e-4


def forward_passes(scorer) -> list[str]:
    """Name the attention of each layer whenever it runs; the list grows as the network trains."""
    calls: list[str] = []
    for name, module in scorer.backbone.named_modules():
        if re.search(r"layers?\.\d+\.(attention|self_attn)$", name):
            module.register_forward_hook(lambda *_, name=name: calls.append(name))
    return calls


@pytest.mark.parametrize("model_type", ["bert", "llama"])
@pytest.mark.parametrize("is_lora", [True, False])
def test_activations_are_recomputed_and_change_nothing(folders, tmp_path, model_type, is_lora):
    lora = Lora(4, 0.1) if is_lora else None
    plain, recomputed = (
        build_classifier(model_of(model_type), folders[model_type], lora=lora, seed=3) for _ in range(2)
    )
    save_memory(recomputed)
    recipe = recipe_of(max_epochs=1, learning_rate=1e-3)
    calls, kept = [], []
    for scorer, name in ((plain, "plain"), (recomputed, "recomputed")):
        calls.append(forward_passes(scorer))
        training = training_of(scorer, tmp_path / name, recipe)
        kept.append(kept_for_backward(training))
        training.run()
    # Scoring tuning runs each layer once in both; a step runs it once, and once again when recomputed.
    steps, n_layers = training.now.step, len(set(calls[0]))
    assert n_layers == 2
    assert len(calls[1]) - len(calls[0]) == n_layers * (steps + 2)  # rehearsed, and looked at above
    assert kept[1] < kept[0] / 2
    assert largest_difference(weights(plain), weights(recomputed)) < 1e-6


def kept_for_backward(training) -> int:
    """Bytes that one forward pass keeps for the backward pass, weights left out."""
    held: dict[int, int] = {}
    weights_at = {weight.data_ptr() for weight in training.scorer.parameters()}

    def hold(tensor):
        if tensor.data_ptr() not in weights_at:
            held[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    before = random_state()
    with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
        training.scorer.train()
        loss = training.scorer(*training.scorer.collate(training.lesson.tokens[:8])).sum()
    loss.backward()
    training.optimiser.zero_grad(set_to_none=True)
    restore_random_state(before)
    return sum(held.values())


class Scarce:
    """Memory for `room` texts at once, from the n-th call of the network on."""

    def __init__(self, scorer, *, room: int, after: int):
        self.calls, self.failed, self.sizes = 0, 0, []
        self.room, self.after = room, after
        self.read = scorer.read
        scorer.read = self

    def __call__(self, ids, mask):
        self.calls += 1
        if torch.is_grad_enabled() and self.calls > self.after and len(ids) > self.room:
            torch.rand(7)  # what a failed step used of the generator
            self.failed += 1
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.sizes.append(len(ids))
        return self.read(ids, mask)


def test_out_of_memory_halves_the_micro_batch_and_leaves_no_trace(folder, tmp_path):
    plenty, scarce = still(folder), still(folder)
    training_of(plenty, tmp_path / "plenty").run()
    memory = Scarce(scarce, room=2, after=4)
    said: list[str] = []
    trained = training_of(scarce, tmp_path / "scarce", progress=said.append).run()
    assert (memory.failed, trained.halvings) == (2, 2)  # 8 texts, then 4, then 2
    assert largest_difference(weights(plenty), weights(scarce)) < 1e-4
    assert [line for line in said if "out of memory" in line and line.endswith("is 2 now")]


def test_the_state_before_a_failed_step_is_restored(folder, tmp_path):
    # With dropout on, a generator that was not set back would draw another mask at the same micro-batch.
    first, second = (tiny_classifier(folder, "bert") for _ in range(2))
    training_of(first, tmp_path / "first", micro_batch=4).run()
    memory = Scarce(second, room=4, after=1)  # the rehearsal is the first call
    training_of(second, tmp_path / "second", micro_batch=8).run()
    assert memory.failed == 1
    assert largest_difference(weights(first), weights(second)) == 0


def test_memory_that_runs_out_at_the_second_micro_batch_leaves_no_trace_of_the_first(folder, tmp_path):
    """With dropout on, to the bit: the step is the one that half the micro-batch takes at once."""
    plenty, scarce = (tiny_classifier(folder, "bert") for _ in range(2))
    calm = training_of(plenty, tmp_path / "calm", micro_batch=4)
    step = calm._step

    def halved_at_the_second_step():
        calm.now.micro_batch = 2 if calm.now.step else 4
        step()

    calm._step = halved_at_the_second_step
    calm.run()
    interrupted = training_of(scarce, tmp_path / "interrupted", micro_batch=4)
    read, sizes = scarce.read, []

    def fails_once(ids, mask):
        found = read(ids, mask)
        sizes.append(len(ids))
        # The rehearsal, the two halves of step 1, the first half of step 2; its second half finds no memory.
        if len(sizes) == 5:
            assert sizes == [2, 4, 4, 4, 4]
            assert any(weight.grad is not None for weight in scarce.trainable().values())
            raise torch.OutOfMemoryError("CUDA out of memory")
        return found

    scarce.read = fails_once
    trained = interrupted.run()
    assert (trained.halvings, interrupted.now.micro_batch) == (1, 2)
    assert sizes[5:9] == [2, 2, 2, 2]  # the same eight texts, in twice as many parts
    assert largest_difference(weights(plenty), weights(scarce)) == 0


def test_memory_that_runs_out_in_the_optimiser_goes_back_to_the_checkpoint(folder, tmp_path):
    plenty, scarce = still(folder), still(folder)
    training_of(plenty, tmp_path / "plenty").run()
    training = training_of(scarce, tmp_path / "scarce")
    calls = []

    def fails_once(*_):
        calls.append(1)
        if len(calls) == 6:  # in the second epoch, after the weights have moved
            raise torch.OutOfMemoryError("CUDA out of memory")

    training.optimiser.register_step_post_hook(fails_once)
    trained = training.run()
    assert trained.halvings == 1
    assert len(calls) > trained.steps == 12
    assert largest_difference(weights(plenty), weights(scarce)) < 1e-4


def test_memory_too_small_for_one_text_is_an_error(folder, tmp_path):
    scorer = still(folder)
    Scarce(scorer, room=0, after=1)
    with pytest.raises(torch.OutOfMemoryError):
        training_of(scorer, tmp_path).run()


def test_another_error_is_not_taken_for_memory(folder, tmp_path, monkeypatch):
    scorer = still(folder)
    training = training_of(scorer, tmp_path)

    def broken(*_):
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(training, "_accumulate", broken)
    with pytest.raises(RuntimeError, match="shapes do not match"):
        training.run()


def test_scoring_goes_on_with_smaller_batches_when_memory_runs_out(folder):
    scorer = still(folder)
    tokens = scorer.tokenizer(texts())["input_ids"]
    expected = score(scorer, tokens)
    read, sizes = scorer.read, []

    def scarce(ids, mask):
        if len(ids) > 7:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(ids))
        return read(ids, mask)

    scorer.read = scarce
    assert np.abs(score(scorer, tokens) - expected).max() < 1e-6
    assert max(sizes) <= 7 < len(tokens)


def test_scores_are_those_of_each_text_alone_in_the_order_given(folder):
    scorer = still(folder).eval()
    tokens = scorer.tokenizer(texts())["input_ids"]
    with torch.inference_mode():
        alone = [float(torch.sigmoid(scorer(*scorer.collate([one])))) for one in tokens]
    assert np.abs(score(scorer, tokens) - alone).max() < 1e-6
    assert len({len(one) for one in tokens}) > 5
    assert scorer.training is False


def test_a_batch_holds_no_more_padded_tokens_than_it_may():
    plan = ScoringPlan([[1] * n for n in (3, 50, 7, 20, 20, 1)], batch_tokens=50)
    assert plan.batch(0) == [1]
    assert plan.batch(1) == [3, 4]
    assert plan.batch(3) == [2, 0, 5]


def test_training_stops_when_tuning_no_longer_improves_and_keeps_the_best(folder, tmp_path):
    scorer = tiny_classifier(folder, "bert")
    training = training_of(scorer, tmp_path, recipe_of(max_epochs=12, patience=2))
    trained = training.run()
    aurocs = training.now.aurocs
    assert trained.converged
    assert trained.epochs == len(aurocs) == trained.best_epoch + 2 < 12
    tuning = np.flatnonzero(SPLIT == "tuning")
    tokens = scorer.tokenizer(texts())["input_ids"]
    again = roc_auc_score(Y_TRUE[tuning], score(scorer, [tokens[row] for row in tuning]))
    assert again == max(aurocs) == trained.best_auroc


def test_a_training_that_ends_at_its_ceiling_while_it_improves_is_not_converged(folder, tmp_path):
    scorer = tiny_classifier(folder, "bert")
    recipe = recipe_of(max_epochs=3, patience=3, learning_rate=1e-4)
    trained = training_of(scorer, tmp_path, recipe).run()
    assert trained.epochs == 3
    assert not trained.converged


@pytest.mark.parametrize(
    ("best", "last", "expected"), [(20, 20, True), (16, 20, True), (15, 20, False), (3, 8, False)]
)
def test_the_ceiling_was_hit_unless_early_stopping_had_its_patience(best, last, expected):
    assert hit_ceiling(best, last, ceiling=20, patience=5) is expected


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_rate_is_that_of_transformers(schedule):
    from transformers import get_scheduler

    share = rate_schedule(recipe_of(schedule=schedule, warmup_share=0.0), 40)
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([weight], lr=1.0)
    theirs = get_scheduler(schedule, optimiser, num_warmup_steps=0, num_training_steps=40)
    for step in range(40):
        assert share(step) == pytest.approx(theirs.get_last_lr()[0], abs=1e-9)
        optimiser.step()
        theirs.step()


def test_the_rate_rises_to_its_height_and_falls(folder):
    share = rate_schedule(recipe_of(warmup_share=0.2), 50)
    rates = [share(step) for step in range(50)]
    assert rates[:10] == sorted(rates[:10])
    assert 0 < rates[0] < 0.1 < 0.9 < max(rates) <= 1
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.01
