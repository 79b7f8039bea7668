"""Vectors are the library's own, computed once, verified before use; wrong weights are refused."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.artefact import DamagedArtefactError, sha256_file
from ml.embedding.encode import embed, encoder_configuration
from ml.embedding.store import EmbeddingStore
from ml.models.loading import (
    find_model,
    load_encoder,
)
from ml.models.registry import MODELS

WORDS = ("heart failure", "type 2 diabetes mellitus", "HbA1c 7.1 %", "metformin", "essential hypertension",
         "acute myocardial infarction", "creatinine 1.2 mg/dL", "Übelkeit", "weight loss")  # fmt: skip


def make_texts(n: int = 40, seed: int = 5) -> pd.DataFrame:
    """Texts from one word to far beyond the context, one of them twice."""
    rng = np.random.default_rng(seed)
    lengths = np.geomspace(1, 120, n - 1).astype(int)
    texts = [f"{n}. " + "; ".join(rng.choice(WORDS, size)) for n, size in enumerate(lengths)]
    texts.append(texts[3])
    return frame(texts)


def frame(texts: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "example_id": [f"e{n:03d}" for n in range(len(texts))],
            "text": texts,
            "text_sha256": [hashlib.sha256(text.encode()).hexdigest() for text in texts],
        }
    )


def quiet(line: str) -> None:
    assert line


@pytest.fixture(scope="module")
def folder() -> Path:
    return find_model(MODELS["minilm"], None)


@pytest.fixture(scope="module")
def embedded(folder, tmp_path_factory):
    """Forty texts embedded once: the texts, the store, the index and the report."""
    texts, root = make_texts(), tmp_path_factory.mktemp("store")
    index, report = embed(texts, MODELS["minilm"], folder, root, max_tokens=128, progress=quiet)
    return texts, EmbeddingStore(root / report.store), index, report


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_vectors_are_those_of_sentence_transformers(embedded, folder):
    from sentence_transformers import SentenceTransformer

    texts, store, _, _ = embedded
    theirs = SentenceTransformer(str(folder), device="cpu")
    theirs.max_seq_length = 128
    expected = theirs.encode(texts["text"].tolist(), normalize_embeddings=True, show_progress_bar=False)
    found = store.read(texts["text_sha256"].tolist())
    assert found.shape == expected.shape == (40, 384)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-5
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 1e-5
    # The texts differ, so that agreement is no accident.
    assert np.abs(found[0] - found[10]).max() > 0.01


def test_the_report_says_how_the_texts_met_the_context(embedded, folder):
    texts, _, index, report = embedded
    _, tokenizer = load_encoder(MODELS["minilm"], folder)
    whole = {text: len(tokenizer(text, verbose=False)["input_ids"]) for text in texts["text"]}
    assert index["example_id"].tolist() == texts["example_id"].tolist()
    assert index["text_sha256"].tolist() == texts["text_sha256"].tolist()
    assert index["n_tokens"].tolist() == [min(128, whole[text]) for text in texts["text"]]
    assert index["n_tokens_cut"].tolist() == [max(0, whole[text] - 128) for text in texts["text"]]
    assert (report.texts, report.computed) == (39, 39)
    assert report.tokens == sum(min(128, n) for n in whole.values())
    assert report.texts_truncated == sum(n > 128 for n in whole.values()) > 3
    assert report.tokens_cut == sum(max(0, n - 128) for n in whole.values())


def test_an_identical_text_is_computed_once_and_has_one_vector(embedded):
    texts, store, _, report = embedded
    assert texts["text"].duplicated().sum() == 1
    assert report.computed == texts["text"].nunique()
    twin = texts.loc[texts["text"].duplicated(keep=False), "text_sha256"].tolist()
    first, second = store.read(twin)
    assert (first == second).all()


def snapshot(store: EmbeddingStore) -> dict[str, str]:
    return {file.name: sha256_file(file) for file in store.folder.iterdir()}


def test_a_second_call_computes_nothing_and_writes_nothing(embedded, folder):
    texts, store, index, report = embedded
    before = snapshot(store)
    lines: list[str] = []
    again, second = embed(texts, MODELS["minilm"], folder, store.folder.parent, max_tokens=128,
                          progress=lines.append)  # fmt: skip
    assert (second.computed, second.tokens, second.texts) == (0, 0, report.texts)
    assert lines == []
    assert again.equals(index)
    assert snapshot(store) == before


def test_only_a_new_text_is_computed_and_the_old_shards_stay(embedded, folder, tmp_path):
    texts, store, _, _ = embedded
    shutil.copytree(store.folder, tmp_path / store.folder.name)
    more = frame([*texts["text"], "a wholly new record"])
    _, report = embed(more, MODELS["minilm"], folder, tmp_path, max_tokens=128, progress=quiet)
    assert (report.computed, report.texts) == (1, 40)
    copy = EmbeddingStore(tmp_path / store.folder.name)
    assert snapshot(store).items() < snapshot(copy).items()
    assert len(snapshot(copy)) == len(snapshot(store)) + 1
    assert copy.read(more["text_sha256"].tolist()).shape == (41, 384)


def test_a_vector_does_not_depend_on_what_it_is_batched_with(embedded, folder, tmp_path):
    texts, store, _, _ = embedded
    together = store.read(texts["text_sha256"].tolist())
    some = [0, 12, 25, 38]
    for n in some:
        one = texts.iloc[[n]]
        _, report = embed(one, MODELS["minilm"], folder, tmp_path / str(n), max_tokens=128, progress=quiet)
        alone = EmbeddingStore(tmp_path / str(n) / report.store).read(one["text_sha256"].tolist())
        assert np.abs(alone[0] - together[n]).max() < 1e-5


def test_the_order_of_the_texts_changes_no_vector_and_no_shard(folder, tmp_path):
    texts = make_texts(12)
    stores = []
    for n, rows in enumerate((texts, texts.iloc[::-1])):
        _, report = embed(rows, MODELS["minilm"], folder, tmp_path / str(n), max_tokens=64, progress=quiet)
        stores.append(EmbeddingStore(tmp_path / str(n) / report.store))
    assert snapshot(stores[0]) == snapshot(stores[1])


@pytest.mark.parametrize("place", [0.3, 0.6])
def test_a_flipped_bit_in_a_shard_is_caught_before_use(embedded, tmp_path, place):
    texts, store, _, _ = embedded
    copy = EmbeddingStore(Path(shutil.copytree(store.folder, tmp_path / "store")))
    (shard,) = copy.folder.glob("shard-*.parquet")
    damaged = bytearray(shard.read_bytes())
    damaged[int(len(damaged) * place)] ^= 4
    shard.write_bytes(bytes(damaged))
    with pytest.raises(DamagedArtefactError, match="hint: delete shard-"):
        copy.read(texts["text_sha256"].tolist())


def test_a_text_without_a_vector_is_an_error_that_counts(embedded):
    texts, store, _, _ = embedded
    with pytest.raises(KeyError, match="1 of 40 texts"):
        store.read([*texts["text_sha256"].unique(), "0" * 64])


def test_vectors_come_in_the_order_that_was_asked_from_any_number_of_shards(tmp_path):
    configuration = encoder_configuration(MODELS["minilm"], max_tokens=128)
    store = EmbeddingStore.of(tmp_path, configuration)
    vectors = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    keys = [hashlib.sha256(bytes([n])).hexdigest() for n in range(30)]
    for start in range(0, 30, 7):
        store.append(keys[start : start + 7], vectors[start : start + 7])
    order = np.random.default_rng(1).integers(0, 30, 50)
    assert (store.read([keys[n] for n in order]) == vectors[order]).all()
    assert store.known() == set(keys)
    assert len(list(store.folder.glob("shard-*.parquet"))) == 5


def test_every_field_of_a_configuration_is_another_store(tmp_path):
    configuration = encoder_configuration(MODELS["minilm"], max_tokens=128)
    fields = {
        "model": "other", "files": (("a", "b"),), "pooling": "last_token", "max_tokens": 64,
        "truncation_side": "left", "instruction": "Judge:", "dtype": "bfloat16", "device": "cuda",
        "threads": 7, "bucket_tokens": 8, "library": "torch 0", "code": "0",
    }  # fmt: skip
    assert set(fields) == set(configuration.__dataclass_fields__)
    keys = {replace(configuration, **{name: value}).key for name, value in fields.items()}
    assert len(keys | {configuration.key}) == len(fields) + 1
    assert EmbeddingStore.of(tmp_path, configuration).folder.is_dir()


def test_a_context_beyond_the_models_own_is_refused():
    with pytest.raises(ValueError, match=r"513 is beyond the context of `minilm`\. Allowed: up to 512"):
        encoder_configuration(MODELS["minilm"], max_tokens=513)
