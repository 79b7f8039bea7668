"""The training loop against plain torch, and what it does when memory runs out or nothing improves."""

import numpy as np
import pytest
import torch
from adaptation_world import (
    SPLIT,
    Y_TRUE,
    recipe_of,
    texts,
    tiny_classifier,
    training_of,
    write_tiny,
)
from sklearn.metrics import roc_auc_score

from ml.adaptation.lesson import hit_ceiling, rate_schedule
from ml.adaptation.network import save_memory
from ml.adaptation.scoring import ScoringPlan, score


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny("bert", tmp_path_factory.mktemp("training"))


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


def test_recomputed_activations_change_nothing(folder, tmp_path):
    plain, recomputed = still(folder), still(folder)
    save_memory(recomputed)
    training_of(plain, tmp_path / "plain").run()
    training_of(recomputed, tmp_path / "recomputed").run()
    assert largest_difference(weights(plain), weights(recomputed)) < 1e-6


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
