"""Each guard is planted the fault that it is for, in a real run, and stops it by its name."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from adaptation_world import (
    LORA,
    SPLIT,
    Y_TRUE,
    N,
    model_of,
    quiet,
    recipe_of,
    setting_of,
    shown_texts,
    tiny_classifier,
    tiny_verbalizer,
    training_of,
    write_tiny,
)
from safetensors.torch import load_file, save_file
from sklearn.preprocessing import StandardScaler
from test_arm import spec_of, write_examples

import ml.arm
from ml.adaptation import guards, heads, network, tuning
from ml.adaptation.regimes import REGIMES
from ml.adaptation.saved_network import load_network, save_network
from ml.adaptation.shown import Texts
from ml.arm import run_arm
from ml.models.loading import load_encoder, load_language_model
from ml.models.model import Model
from ml.refusal import RefusalError


def stops(guard: str):
    """Expect a refusal by this name, with a reason."""
    assert guard in guards.GUARDS
    return pytest.raises(RefusalError, match=f"^{guard}: .{{10,}}")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guards")
    return {name: write_tiny(name, folder) for name in ("bert", "qwen3", "llama")}


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    monkeypatch.setattr(tuning, "THREADS", 1)


@pytest.fixture
def world(tmp_path):
    return write_examples(tmp_path / "w")


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


# Faults of published pipelines.


def test_lora_under_no_grad(tiny, tmp_path):
    """As in a vision benchmark: backbone and adapters run under `no_grad`, the head alone learns."""
    scorer = tiny_classifier(tiny["bert"], "bert")
    read = scorer.read

    def read_without_gradient(ids, mask):
        with torch.no_grad():
            return read(ids, mask)

    scorer.read = read_without_gradient
    with stops("nothing_trained") as refused:
        training_of(scorer, tmp_path).run()
    assert "adapter" in refused.value.reason


def test_test_rows_dropped(world, monkeypatch):
    """As where long or unparsed rows vanish: three held-out examples are not scored."""
    run_examples = ml.arm.run_examples

    def drop(labelled, spec, run):
        examples = run_examples(labelled, spec, run)
        return examples.drop(examples.index[examples["split"] == "held_out"][:3])

    monkeypatch.setattr(ml.arm, "run_examples", drop)
    with stops("held_out_differs"):
        run_lr(world)


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


def test_few_shot_examples_repeated_in_test(tiny, tmp_path):
    """The examples of the prompt are persons who are judged as well."""
    shown = shown_texts()
    shown.person_id = np.where(np.arange(N) == 50, 0, shown.person_id)  # held-out is person 0 of train too
    setting = setting_of(model_of("qwen3"), tiny["qwen3"], tmp_path, mode="in_context")
    with stops("few_shot_example_in_test"):
        REGIMES["verbalizer"](shown, setting)


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("splits", [("train", "held_out"), ("tuning", "held_out"), ("train", "tuning")])
def test_a_person_in_two_splits(world, splits, labelled):
    path = world / "examples" / "example.parquet"
    example = pd.read_parquet(path)
    one, other = (example.index[example["split"] == split][0] for split in splits)
    example.loc[other, "person_id"] = example.loc[one, "person_id"]
    if not labelled:  # its events may have been fitted on all the same
        example.loc[other, "y_true"] = None
    example.to_parquet(path, index=False)
    with stops("person_in_two_splits") as refused:
        run_lr(world)
    assert all(split in refused.value.reason for split in splits)


# Training.


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


# Scores.


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


# Reading and loading.


def last_position(hidden, mask, pooling, n_prefix=0):
    return hidden[:, -1]


def test_a_pooled_token_that_is_padding(tiny, tmp_path, monkeypatch):
    """As where `hidden[:, -1]` is taken of texts that are padded on the right."""
    monkeypatch.setattr(network, "pool", last_position)
    with stops("padding_read"):
        REGIMES["lora"](shown_texts(), setting_of(model_of("llama"), tiny["llama"], tmp_path, LORA))


def equally_long(shown):
    """Every text cut or filled to twelve letters: between real texts there is no padding."""
    return Texts("", [(text * 3)[:12] for text in shown.texts.texts])


@pytest.mark.parametrize("regime", ["lora", "verbalizer"])
def test_padding_is_noticed_although_all_texts_are_equally_long(tiny, tmp_path, monkeypatch, regime):
    monkeypatch.setattr(network, "pool", last_position)
    monkeypatch.setattr(network.Verbalizer, "padding_side", "right")
    shown = shown_texts()
    shown.texts = equally_long(shown)
    with stops("padding_read"):
        REGIMES[regime](shown, setting_of(model_of("llama"), tiny["llama"], tmp_path, LORA))


@pytest.mark.parametrize("sizes", [[7] * 9, [1] * 9, [512] * 9, [300, 301, 302], [2, 90], [5]])
@pytest.mark.parametrize("fewest", [1, 4])
def test_padding_is_probed_with_two_lengths_that_differ(sizes, fewest):
    lengths = []

    def read(given):
        lengths.append(list(map(len, given)))
        return np.ones((len(given), 2))

    tokens = [[3] * max(size, fewest) for size in sizes]
    guards.require_padding_unread(read, tokens, fewest=fewest, tolerance=1e-3)
    short, long = lengths[0]
    assert fewest <= short < long <= max(512, 2 * fewest)
    assert 2 * short <= long or short == fewest


def test_an_answer_read_at_padding(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(network.Verbalizer, "padding_side", "right")
    with stops("padding_read"):
        REGIMES["verbalizer"](shown_texts(), setting_of(model_of("qwen3"), tiny["qwen3"], tmp_path))


def test_a_tokenizer_that_spells_yes_in_pieces(tiny, tmp_path):
    shutil.copytree(tiny["qwen3"], tmp_path / "model")
    path = tmp_path / "model" / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    content["model"]["merges"] = [pair for pair in content["model"]["merges"] if pair[1].lower() != "s"]
    content["model"]["merges"] = [m for m in content["model"]["merges"] if "es" not in (m[0] + m[1]).lower()]
    for n, word in enumerate([one for one in vocabulary if one.lower().lstrip("Ġġ") == "yes"]):
        vocabulary[f"unused{n}"] = vocabulary.pop(word)
    path.write_text(json.dumps(content), encoding="utf-8")
    with stops("answer_not_one_token"):
        tiny_verbalizer(tmp_path / "model", "qwen3")


def test_weights_missing_on_load(tiny, tmp_path):
    shutil.copytree(tiny["llama"], tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    weights = load_file(path)
    del weights["lm_head.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    load_encoder(model_of("llama"), tmp_path / "model")  # the bare network has all of its own
    with stops("weights_differ"):
        load_language_model(model_of("llama"), tmp_path / "model")


def test_a_text_decoder_from_a_checkpoint_of_another_class(tiny, tmp_path):
    shutil.copytree(tiny["llama"], tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    weights = {name.replace("model.", "language_model.model."): w for name, w in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})
    with stops("weights_differ"):
        load_encoder(model_of("llama"), tmp_path / "model")


@pytest.mark.parametrize("change", ["missing", "unexpected"])
def test_an_adapter_that_does_not_fit(tiny, tmp_path, change):
    save_network(tiny_classifier(tiny["bert"], "bert"), tmp_path)
    path = tmp_path / "adapter" / "adapter_model.safetensors"
    weights = load_file(path)
    first = sorted(weights)[0]
    if change == "missing":
        del weights[first]
    else:
        weights[first.replace("layer.0", "layer.9")] = weights[first].clone()
    save_file(weights, path)
    with stops("weights_differ"):
        load_network(tmp_path, model_of("bert"), tiny["bert"])


def test_the_tokenizer_of_another_model_at_first(tiny, tmp_path):
    """Too few tokens for the network's embedding: nothing fails, and every word is another one."""
    shutil.copytree(tiny["llama"], tmp_path / "model")
    from transformers import LlamaConfig, LlamaForCausalLM

    size = json.loads((tmp_path / "model" / "config.json").read_text())
    size["vocab_size"] = 4000
    LlamaForCausalLM(LlamaConfig(**size)).save_pretrained(tmp_path / "model")
    with stops("tokenizer_of_another_model"):
        load_encoder(model_of("llama"), tmp_path / "model")


def test_the_tokenizer_of_another_model_on_reload(tiny, tmp_path):
    save_network(tiny_classifier(tiny["bert"], "bert"), tmp_path / "fitted")
    shutil.copytree(tiny["bert"], tmp_path / "model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny["llama"] / name, tmp_path / "model" / name)
    with stops("tokenizer_of_another_model"):
        load_network(tmp_path / "fitted", model_of("bert"), tmp_path / "model")


# Arms.


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


def test_too_few_examples_to_draw(world):
    from ml.adaptation.draws import write_draws
    from ml.inputs.examples import read_examples

    example = read_examples(world / "examples")
    write_draws(example, world / "draws.parquet", draws=2, seed=1, largest=500)
    spec = dataclasses.replace(
        spec_of(world, "logistic_regression"), k=(500,), draws=str(world / "draws.parquet"), n_draws=2
    )
    with stops("too_few_to_draw"):
        run_arm(spec, quiet)


@pytest.mark.parametrize("split", ["train", "tuning"])
@pytest.mark.parametrize("label", [0, 1])
def test_a_split_of_one_class(world, split, label):
    file = Path(spec_of(world, "logistic_regression").examples) / "example.parquet"
    example = pd.read_parquet(file)
    own = (example["split"] == split) & example["y_true"].notna()
    example.loc[own, "y_true"] = label
    example.to_parquet(file, index=False)
    with stops("one_class") as refused:
        run_arm(spec_of(world, "logistic_regression"), quiet)
    assert split in refused.value.reason


@pytest.mark.parametrize(("mode", "n_shown"), [("zero_shot", 0), ("in_context", 4), ("lora", 0)])
def test_a_prompt_that_is_longer_than_the_model_reads(tiny, tmp_path, mode, n_shown):
    model = model_of("qwen3", max_tokens=60)
    with stops("prompt_too_long") as refused:
        tried = [LORA] if mode == "lora" else []
        REGIMES["verbalizer"](shown_texts(k=2), setting_of(model, tiny["qwen3"], tmp_path, *tried, mode=mode))
    assert re.search(
        rf"with {n_shown} examples in it has \d+ tokens, the model reads 60", refused.value.reason
    )


@pytest.mark.parametrize("of_one_person", [False, True])
def test_too_few_persons_to_leave_some_out(world, of_one_person):
    """A stack of one case: its scores cannot be out of sample; nor with two of the same person."""
    path = world / "examples" / "example.parquet"
    example = pd.read_parquet(path)
    train = example.index[example["split"] == "train"]
    cases = example.index[(example["person_id"] == example["person_id"][train].mode()[0])]
    example.loc[train, "y_true"] = 0
    example.loc[cases if of_one_person else cases[:1], "y_true"] = 1
    assert len(cases) == 2
    example.to_parquet(path, index=False)
    parts = tuple(spec_of(world, model) for model in ("logistic_regression", "lightgbm"))
    for part in parts:
        run_arm(part, quiet)
    spec = dataclasses.replace(spec_of(world, "logistic_regression"), regime="stack", parts=parts, views=())
    with stops("too_few_to_fold"):
        run_arm(spec, quiet)


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
    source = Path(__file__).read_text(encoding="utf-8")
    assert set(re.findall(r'with stops\("(\w+)"\)', source)) == set(guards.GUARDS)
