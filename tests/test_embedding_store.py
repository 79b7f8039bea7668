"""The embedding store survives kills and notices damage; any changed field of its configuration misses."""

import dataclasses
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from embedding_texts import SMALL, configuration, contents, embedded, make_texts, tiny_model, write_texts

from ml.artefact import DamagedArtefactError
from ml.embedding.store import EmbeddingStore, read_embeddings


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


def in_a_child(work) -> int:
    """Run `work` in a forked process; return its process id."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    return child


def killed_itself_at(call: int, texts: Path, tiny, root: Path) -> bool:
    """Embed in a child that kills itself at its n-th look at the disk; whether it came so far."""

    def work() -> None:
        calls = iter(range(1, 10_000))
        for name in ("fsync", "replace", "rename"):
            real = getattr(os, name)

            def counted(*arguments, real=real, **more):
                if next(calls) == call:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **more)

            setattr(os, name, counted)
        embedded(texts, *tiny, root, SMALL)
        os._exit(0)

    _, status = os.waitpid(in_a_child(work), 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("call", [1, 4, 6, 7, 13, 22])
def test_after_a_kill_the_plan_is_finished_and_every_byte_is_the_same(done, texts, tiny, tmp_path, call):
    _, _, store = done
    assert killed_itself_at(call, texts, tiny, tmp_path)
    left = tmp_path / store.name
    assert not left.exists() or not contents(store).items() <= contents(left).items()
    _, report, resumed = embedded(texts, *tiny, tmp_path, SMALL)
    assert contents(resumed) == contents(store)
    assert report.computed > 0


@pytest.mark.slow
def test_after_many_kills_at_random_times_every_byte_is_the_same(done, texts, tiny, tmp_path):
    _, _, store = done
    rng = np.random.default_rng(11)
    started = time.monotonic()
    embedded(texts, *tiny, tmp_path / "timed", SMALL)
    takes = time.monotonic() - started
    kills = 0
    for n in range(40):
        root = tmp_path / str(n)
        while True:
            child = in_a_child(lambda root=root: (embedded(texts, *tiny, root, SMALL), os._exit(0)))
            time.sleep(rng.uniform(0, takes))
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            kills += os.WIFSIGNALED(status)
            if rng.random() < 0.5:
                break
        _, _, resumed = embedded(texts, *tiny, root, SMALL)
        assert contents(resumed) == contents(store)
    assert kills > 30


def test_a_plan_of_texts_that_are_gone_waits_and_keeps_nobody(done, texts, tiny, tmp_path):
    _, _, store = done
    assert killed_itself_at(13, texts, tiny, tmp_path)
    some = write_texts(tmp_path / "some", make_texts()[::2])
    _, report, left = embedded(some, *tiny, tmp_path, SMALL)
    assert EmbeddingStore(left).read(hashes(some)).shape[0] == 20
    assert len(list(left.glob("plan-*"))) == 2
    _, report, _ = embedded(texts, *tiny, tmp_path, SMALL)
    assert report.texts == 39
    stored = EmbeddingStore(left).done()
    assert len(stored) == 39
    assert sum(len(shard.text_sha256) for shard in {s[:2]: s for s in stored.values()}.values()) == 39
    vectors = [EmbeddingStore(one).read(hashes(texts)) for one in (store, left)]
    assert np.abs(vectors[0] - vectors[1]).max() < 1e-5


def test_two_writers_of_one_store_compute_each_text_once(texts, tiny, tmp_path):
    def work() -> None:
        embedded(texts, *tiny, tmp_path, SMALL)
        os._exit(0)

    children = [in_a_child(work) for _ in range(2)]
    assert [os.WEXITSTATUS(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    (store,) = (folder for folder in tmp_path.iterdir() if folder.is_dir())
    assert len(list(store.glob("plan-*"))) == 1


def copy_of(store: Path, root: Path) -> Path:
    return Path(shutil.copytree(store, root / store.name))


@pytest.mark.parametrize("what", ["shard", "plan"])
@pytest.mark.parametrize("place", [0.05, 0.3, 0.6, 0.95])
def test_a_flipped_bit_is_caught_before_use(done, texts, tiny, tmp_path, what, place):
    copy = copy_of(done[2], tmp_path)
    path = sorted(copy.glob(f"{what}-*.parquet"))[0]
    damaged = bytearray(path.read_bytes())
    damaged[int(len(damaged) * place)] ^= 4
    path.write_bytes(bytes(damaged))
    with pytest.raises(DamagedArtefactError, match=f"hint: delete {what}-"):
        EmbeddingStore(copy).read(hashes(texts))
    with pytest.raises(DamagedArtefactError, match=f"hint: delete {what}-"):
        embedded(texts, *tiny, tmp_path, SMALL)
    # Doing what the hint says gives back the same bytes.
    path.unlink()
    _, _, again = embedded(texts, *tiny, tmp_path, SMALL)
    if what == "shard":
        assert contents(again) == contents(done[2])


def test_vectors_that_are_not_those_of_the_index_are_refused(done, texts, tmp_path):
    index, _, store = done
    index.to_parquet(tmp_path / "good.parquet", index=False)
    ids = index["example_id"].tolist()[::-2]
    found = read_embeddings(tmp_path / "good.parquet", store, ids)
    by_id = dict(zip(pd.read_parquet(texts)["example_id"], hashes(texts), strict=True))
    assert (found == EmbeddingStore(store).read([by_id[i] for i in ids])).all()
    index.assign(vector_sha256=index["vector_sha256"].iloc[::-1].to_numpy()).to_parquet(
        tmp_path / "bad.parquet", index=False
    )
    with pytest.raises(DamagedArtefactError, match="vectors are not those of their index"):
        read_embeddings(tmp_path / "bad.parquet", store, ids)
    with pytest.raises(ValueError, match="1 of 2 examples have no vector"):
        read_embeddings(tmp_path / "good.parquet", store, [ids[0], "f" * 16])


def test_a_text_without_a_vector_is_an_error_that_counts(done, texts):
    with pytest.raises(KeyError, match="1 of 40 texts"):
        EmbeddingStore(done[2]).read([*set(hashes(texts)), "0" * 64])


def test_a_text_that_is_not_the_one_of_its_hash_is_refused(texts, tiny, tmp_path):
    wrong = pd.read_parquet(texts)
    wrong.loc[4, "text"] += " "
    wrong.to_parquet(tmp_path / "text.parquet", index=False)
    with pytest.raises(DamagedArtefactError, match="not the one that its hash names"):
        embedded(tmp_path / "text.parquet", *tiny, tmp_path, SMALL)


def test_every_field_of_a_configuration_is_another_store_and_misses(done, texts, tiny, tmp_path):
    right = configuration(tiny[0])
    fields = {
        "model": "other", "files": (("a", "b"),), "tokenizer": (("c", "d"),), "pooling": "last_token",
        "instruction": "Judge:", "dtype": "bfloat16", "max_tokens": 64, "truncation_side": "left",
        "device": "NVIDIA H200", "threads": 7, "bucket_tokens": 16, "library": "torch 0",
    }  # fmt: skip
    assert set(fields) == set(right.__dataclass_fields__)
    root = done[2].parent
    for name, value in fields.items():
        store = EmbeddingStore.of(tmp_path, dataclasses.replace(right, **{name: value}))
        assert store.folder.name != done[2].name
        assert not store.done()
    assert len(list(tmp_path.iterdir())) == len(fields)
    assert EmbeddingStore.of(root, right).done()


def test_a_changed_configuration_file_is_damage(done, tiny, tmp_path):
    copy = copy_of(done[2], tmp_path)
    described = copy / "configuration.json"
    described.write_text(described.read_text().replace('"mean"', '"cls"'))
    with pytest.raises(DamagedArtefactError, match=r"`configuration\.json` of the store"):
        EmbeddingStore.of(tmp_path, configuration(tiny[0]))
