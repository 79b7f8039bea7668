"""Embedding: every distinct text once, by a written plan that a resumed run finishes."""

import collections
import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml.artefact import DamagedArtefactError
from ml.code_key import code_key
from ml.embedding.encoder import Encoder
from ml.embedding.plan import Shard, Sizes, make_plan
from ml.embedding.store import EmbeddingStore, EncoderConfiguration
from ml.models.model import Model

TEXTS_AT_ONCE = 1024
SAMPLE_TEXTS = 32  # computed again when only our code changed
LARGEST_DIFFERENCE = 1e-5  # float32, in any number of a vector
LEAST_COSINE = 0.9999  # bfloat16


@dataclass(frozen=True)
class EmbeddingReport:
    """What one call computed; `store` is a folder's name, `tokens_cut` those beyond the context."""

    store: str
    texts: int
    computed: int
    tokens: int
    tokens_cut: int
    texts_compared: int
    accelerator_s: float


def embed(
    texts: Path,
    model: Model,
    folder: Path,
    store_root: Path,
    configuration: EncoderConfiguration,
    *,
    progress: Callable[[str], None],
    sizes: Sizes | None = None,
    encoder: Encoder | None = None,
) -> tuple[pd.DataFrame, EmbeddingReport]:
    """Put the vectors of all texts into the store, computing only those that it lacks.

    Args:
        texts: Parquet with the columns example_id, text, text_sha256; read in bounded pieces.
        folder: the model's verified weights.
        sizes: None takes what suits the device.
        encoder: of this configuration, where one is loaded already.

    Returns:
        one row an example (example_id, text_sha256, vector_sha256), and the report.
    """
    store = EmbeddingStore.of(store_root, configuration)
    keys = pq.read_table(texts, columns=["example_id", "text_sha256"]).to_pandas()
    wanted = set(keys["text_sha256"])
    n_compared = tokens = tokens_cut = 0
    with store.writing() as scratch:
        code = code_key("ml.embedding.encode")
        if not store.agrees_with(code):
            encoder = encoder or Encoder.load(model, folder, configuration)
            n_compared = _compare(store, encoder, texts, wanted, code, progress)
        done = store.done()
        missing = wanted - done.keys()
        if missing:
            encoder = encoder or Encoder.load(model, folder, configuration)
            shards = store.pending(wanted, done)
            ids = _TokenIds.write(encoder, texts, missing, scratch / "ids.arrow")
            tokens, tokens_cut = int(ids.n_tokens.sum()), ids.n_cut
            planned = {text for shard in shards for text in shard.text_sha256}
            if rest := sorted(missing - planned):
                n_tokens = ids.n_tokens[[ids.place[text] for text in rest]]
                plan = make_plan(rest, n_tokens, sizes or encoder.sizes, max_tokens=configuration.max_tokens)
                shards += store.add_plan(plan)
            _compute(store, encoder, ids, shards, progress)
    # The hash of each vector ties the index to what the store holds: other vectors, another data version.
    keys["vector_sha256"] = keys["text_sha256"].map(store.hashes(wanted))
    report = EmbeddingReport(
        store=store.folder.name,
        texts=len(wanted),
        computed=len(missing),
        tokens=tokens,
        tokens_cut=tokens_cut,
        texts_compared=n_compared,
        accelerator_s=encoder.accelerator_s if encoder else 0.0,
    )
    return keys.sort_values("example_id", ignore_index=True), report


def _compute(
    store: EmbeddingStore,
    encoder: Encoder,
    ids: "_TokenIds",
    shards: list[Shard],
    progress: Callable[[str], None],
) -> None:
    n_texts = sum(len(shard.text_sha256) for shard in shards)
    done, started = 0, time.monotonic()
    for shard in shards:
        vectors = [encoder.encode(ids.of(batch.text_sha256), batch.width) for batch in shard.batches]
        store.append(shard, np.concatenate(vectors))
        done += len(shard.text_sha256)
        rate = done / (time.monotonic() - started)
        left = (n_texts - done) / rate
        progress(f"embedded {done} of {n_texts} texts, {rate:.1f} a second, {left:.0f} s left")


def _compare(
    store: EmbeddingStore,
    encoder: Encoder,
    texts: Path,
    wanted: Collection[str],
    code: str,
    progress: Callable[[str], None],
) -> int:
    """Keep the vectors of other code if a sample of them is what this code computes; else set them aside.

    Without a stored text at hand nothing can be compared: what nobody wants now is set aside as well.
    """
    done = store.done()
    known = _sample({text: done[text].plan for text in wanted & done.keys()})
    if not known:
        if done:
            progress("the code changed and no stored text is here to compare: its vectors are set aside")
            store.set_aside()
        store.note_code(code, texts_compared=0, largest_difference=0.0)
        return 0
    found = {
        sha256: encoder.encode([np.asarray(own)], len(own))[0]
        for hashes, read in _distinct(texts, set(known))
        for sha256, own in zip(hashes, encoder.token_ids(read)[0], strict=True)
    }
    stored, again = store.read(known), np.stack([found[text] for text in known])
    difference = float(np.abs(stored - again).max())
    cosine = float((stored * again).sum(1).min())
    same = (
        cosine > LEAST_COSINE
        if encoder.configuration.dtype == "bfloat16"
        else difference <= LARGEST_DIFFERENCE
    )
    if same:
        store.note_code(code, texts_compared=len(known), largest_difference=difference)
    else:
        progress(f"the code computes other vectors (difference {difference:.2g}): all are made again")
        store.set_aside()
        store.note_code(code, texts_compared=0, largest_difference=0.0)
    return len(known)


def _sample(plan_of: Mapping[str, str]) -> list[str]:
    """Take texts of every plan in turn, by hash: each plan may be the work of other code."""
    in_plan: collections.Counter[str] = collections.Counter()
    turns = []
    for text in sorted(plan_of):
        in_plan[plan_of[text]] += 1
        turns.append((in_plan[plan_of[text]], text))
    return [text for _, text in sorted(turns)[:SAMPLE_TEXTS]]


@dataclass(frozen=True)
class _TokenIds:
    """Token ids of texts in a memory-mapped file: each text is tokenised once, and none stays in memory."""

    table: pa.Table
    place: dict[str, int]
    n_tokens: np.ndarray
    n_cut: int

    @classmethod
    def write(cls, encoder: Encoder, texts: Path, missing: Collection[str], path: Path) -> "_TokenIds":
        schema = pa.schema([("ids", pa.large_list(pa.int32()))])
        place: dict[str, int] = {}
        n_tokens: list[int] = []
        n_cut = 0
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for hashes, read in _distinct(texts, missing):
                ids, cut = encoder.token_ids(read)
                writer.write_batch(pa.record_batch([pa.array(ids, schema.field("ids").type)], schema=schema))
                place.update({sha256: len(place) + n for n, sha256 in enumerate(hashes)})
                n_tokens += [len(own) for own in ids]
                n_cut += cut
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
        return cls(table, place, np.asarray(n_tokens, dtype=np.int64), n_cut)

    def of(self, text_sha256: list[str]) -> list[np.ndarray]:
        """Return the ids of texts in their order."""
        column = self.table.column("ids")
        return [column[self.place[text]].values.to_numpy() for text in text_sha256]


def _distinct(texts: Path, chosen: Collection[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield hashes and texts of those chosen, each once, some at a time.

    Raises:
        DamagedArtefactError: a text is not the one of its hash.
    """
    seen: set[str] = set()
    file = pq.ParquetFile(texts)
    for batch in file.iter_batches(TEXTS_AT_ONCE, columns=["text_sha256", "text"]):
        hashes, read = [], []
        for sha256, text in zip(
            *(batch.column(name).to_pylist() for name in ("text_sha256", "text")), strict=True
        ):
            if sha256 in chosen and sha256 not in seen:
                if hashlib.sha256(text.encode()).hexdigest() != sha256:
                    raise DamagedArtefactError("A text is not the one that its hash names")
                seen.add(sha256)
                hashes.append(sha256)
                read.append(text)
        if hashes:
            yield hashes, read
