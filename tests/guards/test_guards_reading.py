"""Guards over reading and loading: padding, answers, tokenizers and weights."""

import json
import shutil

import numpy as np
import pytest
from adaptation_world import LORA, model_of, setting_of, shown_texts, tiny_classifier, tiny_verbalizer
from safetensors.torch import load_file, save_file

from guards.faults import stops
from ml.adaptation import guards, network
from ml.adaptation.regimes import REGIMES
from ml.adaptation.saved_network import load_network, save_network
from ml.adaptation.shown import Texts
from ml.models.loading import load_encoder, load_language_model


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
