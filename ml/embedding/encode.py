"""Texts through a frozen encoder: padded to length buckets, pooled by mask, L2-normalised."""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml.code_key import code_key
from ml.embedding.store import EmbeddingStore, EncoderConfiguration
from ml.models.loading import load_encoder
from ml.models.model import Model

THREADS = 2  # torch sums in another order with another number: a vector depends on it, so it is fixed
BUCKET_TOKENS = 16
BATCH_TEXTS = 32
SHARD_TEXTS = 512


@dataclass(frozen=True)
class EmbeddingReport:
    """What one call computed, and how the texts met the encoder's context; `store` is a folder's name."""

    store: str
    texts: int
    computed: int
    tokens: int
    texts_truncated: int
    tokens_cut: int


def encoder_configuration(model: Model, *, max_tokens: int) -> EncoderConfiguration:
    """Describe the encoder of `model` on this machine's CPU, reading up to `max_tokens`."""
    from importlib.metadata import version

    if model.max_tokens is not None and max_tokens > model.max_tokens:
        raise ValueError(
            f"`max_tokens` {max_tokens} is beyond the context of `{model.name}`."
            f" Allowed: up to {model.max_tokens}"
        )
    return EncoderConfiguration(
        model=model.name,
        files=model.files,
        pooling=model.pooling,
        max_tokens=max_tokens,
        truncation_side="right",  # texts are most recent first: what is cut is the oldest
        instruction="",
        dtype="float32",
        device="cpu",
        threads=THREADS,
        bucket_tokens=BUCKET_TOKENS,
        library=f"torch {version('torch')}, transformers {version('transformers')}",
        code=code_key("ml.embedding.encode"),
    )


def embed(
    texts: pd.DataFrame,
    model: Model,
    folder: Path,
    store_root: Path,
    *,
    max_tokens: int,
    progress: Callable[[str], None],
) -> tuple[pd.DataFrame, EmbeddingReport]:
    """Put the vectors of all texts into the store, computing only those that it lacks.

    Args:
        texts: columns example_id, text, text_sha256.

    Returns:
        one row an example (example_id, text_sha256, n_tokens, n_tokens_cut, vector_sha256), and the report.
    """
    import torch

    torch.set_num_threads(THREADS)
    network, tokenizer = load_encoder(model, folder)
    store = EmbeddingStore.of(store_root, encoder_configuration(model, max_tokens=max_tokens))
    lengths = _token_counts(tokenizer, texts, max_tokens)
    missing = lengths[~lengths["text_sha256"].isin(store.known())]
    done, started = 0, time.monotonic()
    for shard in _shards(missing, BUCKET_TOKENS):
        vectors = np.concatenate([_encode(network, tokenizer, batch) for batch in _batches(shard)])
        store.append(shard["text_sha256"].tolist(), vectors)
        done += len(shard)
        rate = done / (time.monotonic() - started)
        left = (len(missing) - done) / rate
        progress(f"embedded {done} of {len(missing)} texts, {rate:.0f} a second, {left:.0f} s left")
    # The hash of each vector ties the index to what the store holds: other vectors, another data version.
    lengths["vector_sha256"] = [
        hashlib.sha256(vector.tobytes()).hexdigest() for vector in store.read(lengths["text_sha256"].tolist())
    ]
    index = texts[["example_id", "text_sha256"]].merge(
        lengths[["text_sha256", "n_tokens", "n_tokens_cut", "vector_sha256"]],
        on="text_sha256",
        validate="many_to_one",
    )
    report = EmbeddingReport(
        store=store.folder.name,
        texts=len(lengths),
        computed=len(missing),
        tokens=int(missing["n_tokens"].sum()),
        texts_truncated=int((lengths["n_tokens_cut"] > 0).sum()),
        tokens_cut=int(lengths["n_tokens_cut"].sum()),
    )
    return index.sort_values("example_id", ignore_index=True), report


def _token_counts(tokenizer: Any, texts: pd.DataFrame, max_tokens: int) -> pd.DataFrame:
    """Tokenise each distinct text once: the ids that are shown, their number and how many were cut."""
    distinct = texts.drop_duplicates("text_sha256").sort_values("text_sha256", ignore_index=True)
    whole = tokenizer(distinct["text"].tolist(), truncation=False, verbose=False)["input_ids"]
    cut = tokenizer(distinct["text"].tolist(), truncation=True, max_length=max_tokens)["input_ids"]
    return pd.DataFrame(
        {
            "text_sha256": distinct["text_sha256"],
            "input_ids": cut,
            "n_tokens": [len(ids) for ids in cut],
            "n_tokens_cut": [len(a) - len(b) for a, b in zip(whole, cut, strict=True)],
        }
    )


def _shards(missing: pd.DataFrame, bucket: int) -> Iterator[pd.DataFrame]:
    """Cut the missing texts, by (length bucket, hash), into shards: the plan depends on nothing else."""
    planned = missing.assign(bucket=-(-missing["n_tokens"] // bucket) * bucket)
    planned = planned.sort_values(["bucket", "text_sha256"], ignore_index=True)
    for start in range(0, len(planned), SHARD_TEXTS):
        yield planned.iloc[start : start + SHARD_TEXTS]


def _batches(shard: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for _, same_length in shard.groupby("bucket", sort=True):
        for start in range(0, len(same_length), BATCH_TEXTS):
            yield same_length.iloc[start : start + BATCH_TEXTS]


def _encode(network: Any, tokenizer: Any, batch: pd.DataFrame) -> np.ndarray:
    """Encode one batch, padded to its bucket; mean over real tokens, unit length; float32 (N, D)."""
    import torch

    width = int(batch["bucket"].iloc[0])
    padded = tokenizer.pad(
        {"input_ids": batch["input_ids"].tolist()},
        padding="max_length",
        max_length=width,
        return_tensors="pt",
    )
    with torch.inference_mode():
        hidden = network(**padded).last_hidden_state
        mask = padded["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(mean, dim=1).numpy()
