"""Weights are found, compared with their registry row and loaded whole, or refused with what to do."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ml.artefact import sha256_file
from ml.models.loading import (
    FORBIDDEN_SUFFIXES,
    ModelNotFoundError,
    WrongWeightsError,
    find_model,
    load_encoder,
    verify,
)
from ml.models.model import Model
from ml.models.registry import MODELS, ROWS


@pytest.fixture(scope="module")
def folder() -> Path:
    return find_model(MODELS["minilm"], None)


def toy(folder: Path, **changes) -> Model:
    """A model folder of small files with its registry row."""
    folder.mkdir(parents=True)
    for name in ("model.safetensors", "config.json"):
        (folder / name).write_text(name, encoding="utf-8")
    files = tuple((file.name, sha256_file(file)) for file in sorted(folder.iterdir()))
    return replace(Model(name="toy", kind="generalist", title="Toy", files=files), **changes)


def test_a_right_folder_is_found_by_the_models_name_and_by_the_hubs(tmp_path):
    model = toy(tmp_path / "toy", hub="somebody/toy-base")
    assert find_model(model, tmp_path) == tmp_path / "toy"
    (tmp_path / "toy").rename(tmp_path / "toy-base")
    assert find_model(model, tmp_path) == tmp_path / "toy-base"


def test_a_file_with_another_hash_is_refused(tmp_path):
    model = toy(tmp_path / "toy")
    (tmp_path / "toy" / "config.json").write_text("changed", encoding="utf-8")
    with pytest.raises(WrongWeightsError, match=r"`config\.json` of model `toy` has sha256 \w{16}"):
        find_model(model, tmp_path)


def test_a_missing_file_is_refused(tmp_path):
    model = toy(tmp_path / "toy")
    (tmp_path / "toy" / "model.safetensors").unlink()
    with pytest.raises(WrongWeightsError, match=r"`toy` lacks `model\.safetensors`"):
        verify(model, tmp_path / "toy")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.PKL", "modeling_toy.py"])
def test_a_file_that_can_run_code_is_refused(tmp_path, name):
    model = toy(tmp_path / "toy")
    (tmp_path / "toy" / name).write_bytes(b"x")
    with pytest.raises(WrongWeightsError, match="can run code"):
        verify(model, tmp_path / "toy")


def test_pickles_and_code_are_on_the_list_of_what_is_refused():
    assert {".bin", ".pt", ".pth", ".pkl", ".ckpt", ".py"} <= FORBIDDEN_SUFFIXES


def test_a_model_that_is_nowhere_says_what_to_do(tmp_path):
    model = Model(name="toy", kind="generalist", title="Toy", hub="somebody/toy", package="no-such-toy")
    with pytest.raises(ModelNotFoundError) as missing:
        find_model(model, tmp_path)
    for words in ("`toy`", "hint:", "pip install no-such-toy", "SECOND_OPINION_MODELS", "--download",
                  "somebody/toy"):  # fmt: skip
        assert words in str(missing.value)
    with pytest.raises(ModelNotFoundError, match="SECOND_OPINION_MODELS"):
        find_model(Model(name="toy", kind="generalist", title="Toy"), None)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    """A one-layer encoder with the tokenizer of MiniLM, saved as safetensors."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    torch.manual_seed(0)
    target = tmp_path_factory.mktemp("tiny")
    tokenizer = AutoTokenizer.from_pretrained(find_model(MODELS["minilm"], None))
    tokenizer.save_pretrained(target)
    size = BertConfig(vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                      intermediate_size=16)  # fmt: skip
    BertModel(size).save_pretrained(target)
    return target


def test_a_whole_encoder_loads_in_float32_and_for_inference(tiny):
    network, _ = load_encoder(MODELS["minilm"], tiny)
    assert not network.training
    assert {str(weight.dtype) for weight in network.parameters()} == {"torch.float32"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("change", ["missing", "unexpected", "mismatched"])
def test_weights_that_do_not_fit_the_network_are_refused(tiny, tmp_path, change):
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny, tmp_path / "broken")
    path = tmp_path / "broken" / "model.safetensors"
    weights = load_file(path)
    name = "encoder.layer.0.output.dense.weight"
    if change == "missing":
        del weights[name]
    elif change == "unexpected":
        weights["encoder.layer.7.output.dense.weight"] = weights[name].clone()
    else:
        weights[name] = weights[name][:, :8].clone()
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(WrongWeightsError, match=f"1 {change} keys on load"):
        load_encoder(MODELS["minilm"], tmp_path / "broken")


def test_a_folder_with_pickled_weights_only_is_not_loaded(tiny, tmp_path):
    import torch
    from safetensors.torch import load_file

    shutil.copytree(tiny, tmp_path / "pickled")
    weights = load_file(tmp_path / "pickled" / "model.safetensors")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        load_encoder(MODELS["minilm"], tmp_path / "pickled")


def test_the_registry_says_where_every_encoder_comes_from():
    assert len(ROWS) >= 4
    assert len({row.name for row in ROWS}) == len(ROWS)
    encoders = [row for row in ROWS if row.kind != "baseline"]
    assert encoders
    for row in encoders:
        assert row.files, row.name
        assert row.licence, row.name
        assert row.parameters, row.name
        assert any(name.endswith(".safetensors") for name, _ in row.files)
        assert all(len(sha256) == 64 for _, sha256 in row.files)


def test_the_parameters_of_minilm_are_as_many_as_the_registry_says(folder):
    network, _ = load_encoder(MODELS["minilm"], folder)
    assert sum(weight.numel() for weight in network.parameters()) == MODELS["minilm"].parameters


def test_the_pooling_of_minilm_is_what_its_folder_says(folder):
    pooling = json.loads((folder / "1_Pooling" / "config.json").read_text(encoding="utf-8"))
    assert pooling["pooling_mode_mean_tokens"] is True
    assert MODELS["minilm"].pooling == "mean"
