"""Every architecture class, tiny and random: embed, LoRA, full, verbalizer, save, reload, equal scores."""

import dataclasses
import json
import re

import numpy as np
import pytest
import torch
from adaptation_world import FULL, LORA, SPLIT, Y_TRUE, model_of, setting_of, shown_texts, texts, write_tiny
from sklearn.metrics import roc_auc_score

from ml.adaptation import budgets, tuning
from ml.adaptation.network import Lora, build_classifier
from ml.adaptation.regimes import REGIMES
from ml.embedding.encoder import Encoder, encoder_configuration
from ml.embedding.pooling import pool
from ml.models.architecture import ARCHITECTURES, architecture_of
from ml.models.loading import load_encoder, load_language_model
from ml.models.smoke import CONFIGURATIONS

pytestmark = pytest.mark.slow  # together
CLASSES = tuple(CONFIGURATIONS)
DECODERS = tuple(name for name in CLASSES if architecture_of(name).kind == "decoder")
EVERY_ROW = np.arange(len(Y_TRUE))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes")
    return {name: write_tiny(name, folder) for name in CLASSES}


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(budgets, "MAX_EPOCHS", 3)
    monkeypatch.setattr(tuning, "THREADS", 1)


def test_the_classes_are_those_that_the_platform_supports():
    named = {"bert", "modernbert", "megatron-bert", "qwen3", "qwen2", "mistral", "llama", "gpt_oss"}
    assert set(CLASSES) == set(ARCHITECTURES) == named | {"gemma3", "gemma3_text"}


@pytest.mark.parametrize("name", CLASSES)
def test_a_text_is_embedded_alike_alone_and_beside_a_longer_one(tiny, name):
    network, tokenizer = load_encoder(model_of(name), tiny[name])
    short, long = (tokenizer(text)["input_ids"] for text in ("abc", "abc def ghi " * 4))
    ids = torch.tensor([short + [tokenizer.pad_token_id] * (len(long) - len(short)), long])
    mask = torch.tensor([[1] * len(short) + [0] * (len(long) - len(short)), [1] * len(long)])
    pooling = model_of(name).pooling
    with torch.inference_mode():
        hidden = network(input_ids=ids, attention_mask=mask).last_hidden_state
        alone = network(input_ids=torch.tensor([short])).last_hidden_state
    expected = alone[0].mean(0) if pooling == "mean" else alone[0, -1]
    assert (pool(hidden, mask, pooling)[0] - expected).abs().max() < 1e-5
    assert torch.isfinite(hidden[mask.bool()]).all()


@pytest.mark.parametrize("regime", ["lora", "full"])
@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_adapted_saved_and_reloaded_to_equal_scores(tiny, tmp_path, name, regime):
    setting = setting_of(model_of(name), tiny[name], tmp_path, LORA if regime == "lora" else FULL)
    adapted = REGIMES[regime](shown_texts(), setting)
    assert adapted.y_score_raw.shape == Y_TRUE.shape
    assert np.abs(adapted.reload(EVERY_ROW) - adapted.y_score_raw).max() < 1e-6
    train = SPLIT == "train"
    assert roc_auc_score(Y_TRUE[train], adapted.y_score_raw[train]) > 0.7
    assert adapted.used["steps"] > 0 < adapted.used["petaflops"]
    saved = {path.suffix for path in setting.target.rglob("*") if path.is_file()}
    assert saved <= {".safetensors", ".json", ".md"}
    if regime == "full":  # what was saved loads as any checkpoint does
        network, _ = load_encoder(model_of(name), setting.target / "backbone")
        start, _ = load_encoder(model_of(name), tiny[name])
        moved = [not torch.equal(a, b) for a, b in zip(network.parameters(), start.parameters(), strict=True)]
        assert sum(moved) > len(moved) / 2
    else:
        described = json.loads((setting.target / "adapter" / "adapter_config.json").read_text())
        assert described["base_model_name_or_path"] == f"tiny_{name}"  # a name, no path of this machine


@pytest.mark.parametrize("mode", ["zero_shot", "in_context", "lora"])
@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_answers_and_answers_alike_after_reloading(tiny, tmp_path, name, mode):
    tried = [LORA] if mode == "lora" else []
    setting = setting_of(model_of(name), tiny[name], tmp_path, *tried, mode=mode)
    shown = shown_texts(k=2) if mode == "in_context" else shown_texts()
    adapted = REGIMES["verbalizer"](shown, setting)
    assert ((adapted.y_score_raw > 0) & (adapted.y_score_raw < 1)).all()
    assert np.ptp(adapted.y_score_raw) > 1e-3
    assert np.abs(adapted.reload(EVERY_ROW) - adapted.y_score_raw).max() < 1e-6
    if mode == "lora":
        train = SPLIT == "train"
        assert roc_auc_score(Y_TRUE[train], adapted.y_score_raw[train]) > 0.7


@pytest.mark.parametrize("name", CLASSES)
def test_lora_adapts_every_layer_of_the_text_and_nothing_else(tiny, name):
    scorer = build_classifier(model_of(name), tiny[name], lora=Lora(4, 0.0), seed=1)
    trained = [one for one in scorer.trainable() if "lora_" in one]
    layers = {int(number) for one in trained for number in re.findall(r"layers?\.(\d+)\.", one)}
    n_layers = scorer.backbone.config.get_text_config().num_hidden_layers
    assert layers == set(range(n_layers))
    assert not [one for one in trained if "vision" in one or "pooler" in one]
    others = {one for one in scorer.trainable() if "lora_" not in one}
    assert others == {"head.weight", "head.bias"}


def test_lora_of_a_multimodal_decoder_leaves_its_vision_tower_alone(tiny):
    from adaptation_world import tiny_verbalizer

    scorer = tiny_verbalizer(tiny["gemma3"], "gemma3", Lora(4, 0.0))
    assert any("vision_tower" in name for name, _ in scorer.named_parameters())
    assert scorer.trainable()
    assert not [name for name in scorer.trainable() if "vision" in name]


def test_the_text_part_of_a_multimodal_checkpoint_is_its_language_model(tiny):
    network, _ = load_encoder(model_of("gemma3"), tiny["gemma3"])
    whole, _ = load_language_model(model_of("gemma3"), tiny["gemma3"])
    theirs = dict(whole.model.language_model.named_parameters())
    ours = dict(network.named_parameters())
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())


@pytest.mark.parametrize("prefix", ["", "Judge: "])
@pytest.mark.parametrize("name", ["bert", "llama"])
def test_trained_and_frozen_leave_the_same_tokens_out_of_a_mean(tiny, tmp_path, name, prefix):
    model = dataclasses.replace(model_of(name), pooling="mean_no_instruction")
    described = encoder_configuration(model, max_tokens=512, prefix=prefix, device="cpu")
    encoder = Encoder.load(model, tiny[name], dataclasses.replace(described, threads=1))
    scorer = build_classifier(model, tiny[name], lora=None, seed=1, prefix=prefix).eval()
    ids = [np.asarray(own) for own in encoder.token_ids(texts()[:4])[0]]
    frozen = encoder.encode(ids, max(map(len, ids)))
    with torch.inference_mode():
        trained = torch.nn.functional.normalize(scorer.read(*scorer.collate(ids)), dim=1).numpy()
        hidden = [scorer.backbone(input_ids=torch.tensor(own[None])).last_hidden_state[0] for own in ids]
    assert np.abs(trained - frozen).max() < 1e-6
    # By where the tokenizer itself says that a token begins; [SEP] comes after the text and stays.
    begins = scorer.tokenizer(prefix + "abc", return_offsets_mapping=True)["offset_mapping"]
    n_before = next(n for n, (first, last) in enumerate(begins) if last > first >= len(prefix))
    own = torch.stack([one[n_before if prefix else 0 :].mean(0) for one in hidden])
    assert np.abs(frozen - torch.nn.functional.normalize(own, dim=1).numpy()).max() < 1e-6


def test_the_length_of_an_instruction_is_saved_with_the_network(tiny, tmp_path):
    model = dataclasses.replace(model_of("bert"), pooling="mean_no_instruction")
    adapted = REGIMES["lora"](shown_texts("Judge: "), setting_of(model, tiny["bert"], tmp_path, LORA))
    network = json.loads((tmp_path / "model" / "network.json").read_text())
    assert network["n_prefix"] == 1 + len("Judge: ")  # [CLS], then a byte a token
    assert np.abs(adapted.reload(EVERY_ROW) - adapted.y_score_raw).max() < 1e-6
