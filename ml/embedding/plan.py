"""The plan of an embedding: the missing texts, by (length bucket, hash), cut into shards and batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

BUCKET_TOKENS = 8


@dataclass(frozen=True)
class Sizes:
    """How much is computed at once. A batch holds at least one text, a shard at least one batch.

    Vectors agree within 1e-5 in float32 whatever the sizes are; the bytes of a store follow its plan.
    """

    bucket_tokens: int = BUCKET_TOKENS
    batch_tokens: int = 1024  # padding included; one core's cache: more is slower on a CPU
    shard_tokens: int = 1 << 20
    shard_texts: int = 2048


class Batch(NamedTuple):
    """Texts that are computed together, each padded to `width` tokens."""

    width: int
    text_sha256: list[str]


class Shard(NamedTuple):
    """One file of a store: the number of the shard in its plan, and its batches in order."""

    plan: str
    number: int
    batches: tuple[Batch, ...]

    @property
    def text_sha256(self) -> list[str]:
        """The texts of all batches, in the order of the file."""
        return [text for batch in self.batches for text in batch.text_sha256]


PLAN = pa.schema(
    [("shard", pa.int32()), ("batch", pa.int32()), ("width", pa.int32()), ("text_sha256", pa.string())]
)


def bucket(n_tokens: np.ndarray, bucket_tokens: int, max_tokens: int) -> np.ndarray:
    """Round lengths up to the bucket; never beyond the context, where a network may have no position.

    >>> bucket(np.array([1, 8, 9, 99]), 8, 100).tolist()
    [8, 8, 16, 100]
    """
    return np.minimum(-(-n_tokens // bucket_tokens) * bucket_tokens, max_tokens)


def make_plan(text_sha256: Sequence[str], n_tokens: np.ndarray, sizes: Sizes, *, max_tokens: int) -> pa.Table:
    """Return the plan as a table, one row a text in the order of computing; it depends on nothing else.

    A batch takes texts in order of (bucket, hash) while it stays within `batch_tokens`, and is padded to the
    bucket of its longest text.
    """
    width = bucket(n_tokens, sizes.bucket_tokens, max_tokens)
    order = sorted(range(len(text_sha256)), key=lambda n: (width[n], text_sha256[n]))
    rows: dict[str, list] = {name: [] for name in PLAN.names}
    shard, batch, start, in_shard, tokens_in_shard = 0, 0, 0, 0, 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop - start + 1) * width[order[stop]] <= sizes.batch_tokens:
            stop += 1
        n, widest = stop - start, int(width[order[stop - 1]])
        full = in_shard + n > sizes.shard_texts or tokens_in_shard + n * widest > sizes.shard_tokens
        if in_shard and full:
            shard, batch, in_shard, tokens_in_shard = shard + 1, 0, 0, 0
        rows["shard"] += [shard] * n
        rows["batch"] += [batch] * n
        rows["width"] += [widest] * n
        rows["text_sha256"] += [text_sha256[place] for place in order[start:stop]]
        batch, in_shard, tokens_in_shard = batch + 1, in_shard + n, tokens_in_shard + n * widest
        start = stop
    return pa.table(rows, schema=PLAN)


def shards_of(plan: str, table: pa.Table) -> list[Shard]:
    """Return the shards of a plan in order; `plan` is its name."""
    batches: dict[int, dict[int, Batch]] = {}
    columns = (table.column(name).to_pylist() for name in PLAN.names)
    for shard, batch, width, text in zip(*columns, strict=True):
        batches.setdefault(shard, {}).setdefault(batch, Batch(width, [])).text_sha256.append(text)
    return [Shard(plan, number, tuple(own.values())) for number, own in batches.items()]
