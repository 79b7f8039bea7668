"""Vectors are the library's own, computed once, whatever the batches; changed code is compared first."""

import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from embedding_texts import SMALL, configuration, contents, embedded, make_texts, tiny_model, write_texts

from ml.embedding import encode, encoder
from ml.embedding.plan import Sizes
from ml.embedding.store import EmbeddingStore
from ml.models.loading import find_model
from ml.models.registry import MODELS


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A tiny encoder: its row and its folder."""
    folder = tmp_path_factory.mktemp("tiny")
    return tiny_model(folder), folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts"), make_texts())


@pytest.fixture(scope="module")
def done(tiny, texts, tmp_path_factory):
    """Forty texts embedded once without a break, in small shards: index, report and store."""
    return embedded(texts, *tiny, tmp_path_factory.mktemp("store"), SMALL)


def hashes(texts: Path) -> list[str]:
    return pd.read_parquet(texts)["text_sha256"].tolist()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_vectors_are_those_of_sentence_transformers(texts, tmp_path):
    from sentence_transformers import SentenceTransformer

    model = MODELS["minilm"]
    folder = find_model(model, None)
    _, _, store = embedded(texts, model, folder, tmp_path, max_tokens=128)
    theirs = SentenceTransformer(str(folder), device="cpu")
    theirs.max_seq_length = 128
    read = pd.read_parquet(texts)["text"].tolist()
    expected = theirs.encode(read, normalize_embeddings=True, show_progress_bar=False)
    found = EmbeddingStore(store).read(hashes(texts))
    assert found.shape == expected.shape == (40, 384)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-5
    # The texts differ, so that agreement is no accident.
    assert np.abs(found[0] - found[10]).max() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_minilm_agrees_with_itself_across_batch_sizes(texts, tmp_path, dtype):
    model = MODELS["minilm"]
    folder = find_model(model, None)
    found = []
    for n, sizes in enumerate((SMALL, Sizes(batch_tokens=1), Sizes(bucket_tokens=16, batch_tokens=4096))):
        _, _, store = embedded(texts, model, folder, tmp_path / str(n), sizes, dtype=dtype)
        found.append(EmbeddingStore(store).read(hashes(texts)))
    for other in found[1:]:
        assert np.abs(found[0] - other).max() < 1e-5 or dtype == "bfloat16"
        assert (found[0] * other).sum(1).min() > 0.9999


@pytest.mark.parametrize("kind", ["bert", "qwen3"])
@pytest.mark.parametrize("pooling", ["mean", "last_token", "cls", "mean_no_instruction"])
def test_vectors_are_those_of_one_text_at_a_time_without_padding(tmp_path, kind, pooling):
    import torch
    from transformers import AutoModel, AutoTokenizer

    model = tiny_model(tmp_path / "model", kind, pooling=pooling)
    texts = write_texts(tmp_path, make_texts(20))
    prefix = "Judge this record: "
    _, _, store = embedded(texts, model, tmp_path / "model", tmp_path / "store", SMALL, prefix=prefix)
    found = EmbeddingStore(store).read(hashes(texts))
    network = AutoModel.from_pretrained(tmp_path / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    n_prefix = len(tokenizer(prefix)["input_ids"]) - 1  # [SEP] comes last
    for text, vector in zip(pd.read_parquet(texts)["text"], found, strict=True):
        ids = tokenizer(prefix + text, truncation=True, max_length=100, return_tensors="pt")
        with torch.inference_mode():
            hidden = network(**ids).last_hidden_state[0].numpy()
        pooled = {
            "mean": hidden.mean(0), "last_token": hidden[-1], "cls": hidden[0],
            "mean_no_instruction": hidden[n_prefix:].mean(0),
        }[pooling]  # fmt: skip
        np.testing.assert_allclose(vector, pooled / np.linalg.norm(pooled), atol=1e-5)


def test_a_causal_network_needs_no_mask_and_an_encoder_does(tmp_path, monkeypatch):
    texts = write_texts(tmp_path, make_texts(20))
    for kind in ("bert", "qwen3"):
        model = tiny_model(tmp_path / kind, kind, pooling="last_token")
        loaded = encoder.Encoder.load(model, tmp_path / kind, configuration(model))
        assert loaded._is_causal == (kind == "qwen3")
        _, _, plain = embedded(texts, model, tmp_path / kind, tmp_path / "plain")
        monkeypatch.setattr(encoder.Encoder, "_is_causal", False)
        _, _, masked = embedded(texts, model, tmp_path / kind, tmp_path / "masked")
        monkeypatch.undo()
        vectors = [EmbeddingStore(store).read(hashes(texts)) for store in (plain, masked)]
        assert np.abs(vectors[0] - vectors[1]).max() < 1e-5


def test_the_report_says_what_was_computed_and_cut(done, texts, tiny):
    from transformers import AutoTokenizer

    index, report, _ = done
    tokenizer = AutoTokenizer.from_pretrained(tiny[1])
    read = pd.read_parquet(texts)
    whole = [len(ids) for ids in tokenizer(read["text"].unique().tolist(), verbose=False)["input_ids"]]
    assert index[["example_id", "text_sha256"]].equals(read[["example_id", "text_sha256"]])
    assert (report.texts, report.computed) == (39, 39)
    assert report.tokens == sum(min(100, n) for n in whole)
    assert report.tokens_cut == sum(max(0, n - 100) for n in whole) > 100


def test_an_identical_text_is_computed_once_and_has_one_vector(done, texts):
    index, report, store = done
    read = pd.read_parquet(texts)
    assert read["text"].duplicated().sum() == 1
    assert report.computed == read["text"].nunique()
    twin = read.loc[read["text"].duplicated(keep=False), "example_id"].tolist()
    assert index.set_index("example_id").loc[twin, "vector_sha256"].nunique() == 1
    stored = list(EmbeddingStore(store).done())
    assert len(stored) == len(set(stored)) == 39


def test_a_second_call_computes_nothing_and_writes_nothing(done, texts, tiny):
    index, report, store = done
    before = contents(store)
    again, second, _ = embedded(texts, *tiny, store.parent, SMALL)
    assert (second.computed, second.tokens, second.texts) == (0, 0, report.texts)
    assert again.equals(index)
    assert contents(store) == before


def test_only_a_new_text_is_computed_and_the_old_shards_stay(done, tiny, tmp_path):
    _, _, store = done
    shutil.copytree(store, tmp_path / store.name)
    more = write_texts(tmp_path, [*make_texts(), "a wholly new record"])
    _, report, copy = embedded(more, *tiny, tmp_path, SMALL)
    assert (report.computed, report.texts) == (1, 40)
    assert contents(store).items() < contents(copy).items()
    assert len(contents(copy)) == len(contents(store)) + 2  # a plan and its shard
    assert EmbeddingStore(copy).read(hashes(more)).shape == (41, 16)


@pytest.mark.parametrize("batch_tokens", [1, 64, 700, 100_000])
def test_across_batch_sizes_vectors_agree_within_1e5(done, texts, tiny, tmp_path, batch_tokens):
    _, _, store = done
    sizes = Sizes(bucket_tokens=16 if batch_tokens == 64 else 8, batch_tokens=batch_tokens)
    _, _, other = embedded(texts, *tiny, tmp_path, sizes)
    vectors = [EmbeddingStore(one).read(hashes(texts)) for one in (store, other)]
    assert np.abs(vectors[0] - vectors[1]).max() < 1e-5


def test_in_bf16_vectors_agree_to_a_cosine_of_0_9999_across_batch_sizes(texts, tiny, tmp_path):
    found = []
    for n, sizes in enumerate((SMALL, Sizes(batch_tokens=1), Sizes(bucket_tokens=16, batch_tokens=4096))):
        _, _, store = embedded(texts, *tiny, tmp_path / str(n), sizes, dtype="bfloat16")
        found.append(EmbeddingStore(store).read(hashes(texts)))
    for other in found[1:]:
        assert (found[0] * other).sum(1).min() > 0.9999
    _, _, store = embedded(texts, *tiny, tmp_path / "float32", SMALL)
    exact = EmbeddingStore(store).read(hashes(texts))
    assert 0 < np.abs(found[0] - exact).max() < 0.05


def test_the_order_of_the_texts_changes_no_byte(done, texts, tiny, tmp_path):
    _, _, store = done
    backwards = tmp_path / "text.parquet"
    pd.read_parquet(texts).iloc[::-1].to_parquet(backwards, index=False)
    _, _, other = embedded(backwards, *tiny, tmp_path, SMALL)
    assert contents(other) == contents(store)
    assert len(list(store.glob("shard-*"))) > 8


def copy_of(store: Path, root: Path) -> Path:
    return Path(shutil.copytree(store, root / store.name))


def test_when_only_our_code_changed_a_sample_is_compared_and_every_vector_kept(
    done, texts, tiny, tmp_path, monkeypatch
):
    copy = copy_of(done[2], tmp_path)
    monkeypatch.setattr(encode, "code_key", lambda module: "f" * 64)
    index, report, _ = embedded(texts, *tiny, tmp_path, SMALL)
    assert (report.computed, report.texts_compared) == (0, 32)
    assert index.equals(done[0])
    noted = {name for name in contents(copy) if name not in contents(done[2])}
    assert noted == {f"code-{'f' * 16}.json"}
    _, second, _ = embedded(texts, *tiny, tmp_path, SMALL)
    assert second.texts_compared == 0


def test_code_that_computes_other_vectors_sets_the_old_ones_aside(done, texts, tiny, tmp_path, monkeypatch):
    copy = copy_of(done[2], tmp_path)
    real = encoder.Encoder.encode
    monkeypatch.setattr(encode, "code_key", lambda module: "f" * 64)
    monkeypatch.setattr(encoder.Encoder, "encode", lambda self, ids, width: -real(self, ids, width))
    index, report, _ = embedded(texts, *tiny, tmp_path, SMALL)
    assert report.computed == 39
    assert not set(index["vector_sha256"]) & set(done[0]["vector_sha256"])
    aside = copy.with_name(f"{copy.name}.superseded-1")
    assert contents(aside) == contents(done[2])


def test_vectors_of_other_code_are_set_aside_where_no_stored_text_is_at_hand(tiny, tmp_path, monkeypatch):
    one, other = (write_texts(tmp_path / name, [f"{name} {n}" for n in range(3)]) for name in ("one", "two"))
    index, _, store = embedded(one, *tiny, tmp_path)
    real = encoder.Encoder.encode
    monkeypatch.setattr(encode, "code_key", lambda module: "f" * 64)
    monkeypatch.setattr(encoder.Encoder, "encode", lambda self, ids, width: -real(self, ids, width))
    for _ in range(2):  # the second time its own texts are at hand
        embedded(other, *tiny, tmp_path)
    again, report, _ = embedded(one, *tiny, tmp_path)
    assert report.computed == 3
    assert not set(again["vector_sha256"]) & set(index["vector_sha256"])
    aside = store.with_name(f"{store.name}.superseded-1")
    assert set(EmbeddingStore(aside).hashes(hashes(one)).values()) == set(index["vector_sha256"])


def test_texts_of_every_plan_are_compared():
    plan_of = {f"{n:064x}": "old" for n in range(1000)} | {"f" * 64: "young", "e" * 64: "younger"}
    sample = encode._sample(plan_of)
    assert len(sample) == len(set(sample)) == 32
    assert {plan_of[text] for text in sample} == {"old", "young", "younger"}


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_text_beyond_its_context_is_cut_on_the_side_of_the_configuration(tmp_path, side):
    model = tiny_model(tmp_path / "model", "bert")
    described = configuration(model, max_tokens=5, truncation_side=side)
    loaded = encoder.Encoder.load(model, tmp_path / "model", described)
    text = make_texts()[20]
    ((cut,), n_cut) = loaded.token_ids([text])
    whole = loaded.tokenizer(text)["input_ids"]
    kept = whole[-4:-1] if side == "left" else whole[1:4]
    assert cut == [whole[0], *kept, whole[-1]]
    assert n_cut == len(whole) - 5 > 0


def test_a_configuration_names_every_library_that_shapes_a_vector():
    described = encoder.encoder_configuration(MODELS["minilm"], max_tokens=64)
    for name in ("torch", "transformers", "tokenizers"):
        assert f"{name} {version(name)}" in described.library


def test_a_batch_that_finds_no_memory_is_halved(done, texts, tiny, tmp_path, monkeypatch):
    import torch

    real = encoder.Encoder._encode
    sizes: list[int] = []

    def crowded(self, ids, width):
        sizes.append(len(ids))
        if len(ids) > 2:
            raise torch.OutOfMemoryError("planted")
        return real(self, ids, width)

    monkeypatch.setattr(encoder.Encoder, "_encode", crowded)
    _, _, store = embedded(texts, *tiny, tmp_path, SMALL)
    assert max(sizes) > 2
    vectors = [EmbeddingStore(one).read(hashes(texts)) for one in (done[2], store)]
    assert np.abs(vectors[0] - vectors[1]).max() < 1e-5


def test_a_context_beyond_the_models_own_is_refused():
    with pytest.raises(ValueError, match=r"513 is beyond the context of `minilm`\. Allowed: up to 512"):
        encoder.encoder_configuration(MODELS["minilm"], max_tokens=513)
