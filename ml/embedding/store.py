"""The embedding store: append-only plans and shards of vectors, one folder an encoder configuration."""

import dataclasses
import fcntl
import hashlib
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml.artefact import DamagedArtefactError, read_json, sha256_json, whole_file, write_json
from ml.embedding.plan import Shard, shards_of


@dataclass(frozen=True)
class EncoderConfiguration:
    """All that shapes a vector; any changed field is another folder of the store.

    Our own code is no field: where it alone changed, a sample is computed again (`ml.embedding.encode`).
    """

    model: str
    files: tuple[tuple[str, str], ...]
    tokenizer: tuple[tuple[str, str], ...]
    pooling: str
    instruction: str
    dtype: str
    max_tokens: int
    truncation_side: str
    device: str
    threads: int
    bucket_tokens: int
    library: str

    @classmethod
    def of(cls, plain: dict[str, Any]) -> "EncoderConfiguration":
        """Build it from its JSON form, where pairs are lists."""
        pairs = {name: tuple(tuple(row) for row in plain[name]) for name in ("files", "tokenizer")}
        return cls(**{**plain, **pairs})

    @property
    def key(self) -> str:
        """Short name of this configuration."""
        return sha256_json(dataclasses.asdict(self))[:16]


def store_folder(root: Path, configuration: EncoderConfiguration) -> Path:
    """Return where the vectors of a configuration lie below `root`."""
    return root / f"{configuration.model}-{configuration.key}"


class EmbeddingStore:
    """Vectors by text hash, float32, of one encoder configuration.

    Files: `configuration.json`; `plan-<sha256>.parquet`, what was to be computed and in which batches;
    `shard-<plan>-<number>-<sha256>.parquet`, what was; `code-<key>.json`, which code its vectors agree with.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    @classmethod
    def of(cls, root: Path, configuration: EncoderConfiguration) -> "EmbeddingStore":
        """Return the store of a configuration below `root`, made if it is new.

        Raises:
            DamagedArtefactError: the folder says that it holds another configuration.
        """
        folder = store_folder(root, configuration)
        described = folder / "configuration.json"
        if not described.exists():
            write_json(described, dataclasses.asdict(configuration))
        elif sha256_json(read_json(described))[:16] != configuration.key:
            raise DamagedArtefactError(f"`configuration.json` of the store `{folder.name}` changed")
        return cls(folder)

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """Hold the store as its only writer; yield a scratch folder, empty now and gone afterwards.

        What a killed writer left half written goes first. A second writer waits.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock, scratch = (self.folder.with_name(f".{self.folder.name}.{what}") for what in ("lock", "scratch"))
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            for left in self.folder.glob(".*.tmp"):
                left.unlink()
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            try:
                yield scratch
            finally:
                shutil.rmtree(scratch)

    def add_plan(self, table: pa.Table) -> list[Shard]:
        """Write a plan whole, named by the sha256 of its bytes; return its shards."""
        name = self._write(table, "plan")
        return shards_of(name, table)

    def append(self, shard: Shard, vectors: np.ndarray) -> None:
        """Write one shard whole; its name holds its plan, its number and the sha256 of its bytes.

        Args:
            shard: of a plan of this store.
            vectors: float32 (N, D), in the order of `shard.text_sha256`.
        """
        table = pa.table(
            {
                "text_sha256": pa.array(shard.text_sha256, pa.string()),
                "vector": pa.FixedSizeListArray.from_arrays(
                    pa.array(vectors.astype(np.float32).ravel()), vectors.shape[1]
                ),
            }
        )
        self._write(table, _stem(shard))

    def done(self) -> dict[str, Shard]:
        """Return the finished shard of every text that has a vector."""
        return {text: shard for shard in self._shards(finished=True) for text in shard.text_sha256}

    def pending(self, texts: Collection[str], done: Collection[str]) -> list[Shard]:
        """Return the unfinished shards that can be: all their texts are here, none has a vector."""
        return [
            shard
            for shard in self._shards(finished=False)
            if all(text in texts and text not in done for text in shard.text_sha256)
        ]

    def read(self, text_sha256: Sequence[str]) -> np.ndarray:
        """Return the vectors of N texts in their order, float32 (N, D), from verified shards.

        Raises:
            DamagedArtefactError: the bytes of a shard or a plan changed since they were written.
            KeyError: a text has no vector.
        """
        wanted: dict[str, list[int]] = {}
        for row, text in enumerate(text_sha256):
            wanted.setdefault(text, []).append(row)
        found: np.ndarray | None = None
        for texts, vectors in self._holding(wanted):
            if found is None:
                found = np.empty((len(text_sha256), vectors.shape[1]), dtype=np.float32)
            for text, vector in zip(texts, vectors, strict=True):
                found[wanted.get(text, [])] = vector
        if found is None:
            raise KeyError("No text was asked for")
        return found

    def hashes(self, texts: Collection[str]) -> dict[str, str]:
        """Return the sha256 of the vector of each text, a shard at a time; raises as `read`."""
        return {
            text: sha256_vector(vector)
            for shard_texts, vectors in self._holding(texts)
            for text, vector in zip(shard_texts, vectors, strict=True)
            if text in texts
        }

    def agrees_with(self, code: str) -> bool:
        """Whether its vectors were made by this code, or a sample of them was compared with it."""
        return (self.folder / f"code-{code[:16]}.json").exists()

    def note_code(self, code: str, **compared: float) -> None:
        """Write down that the vectors agree with this code, and on how many texts."""
        write_json(self.folder / f"code-{code[:16]}.json", {"code": code, **compared})

    def set_aside(self) -> None:
        """Move every vector out of the way: the code that is in force would compute others."""
        number = 1
        while (aside := self.folder.with_name(f"{self.folder.name}.superseded-{number}")).exists():
            number += 1
        configuration = (self.folder / "configuration.json").read_bytes()
        self.folder.rename(aside)
        with whole_file(self.folder / "configuration.json") as temporary:
            temporary.write_bytes(configuration)

    def _write(self, table: pa.Table, stem: str) -> str:
        """Write a table whole under its stem and the sha256 of its bytes; return that hash."""
        stream = pa.BufferOutputStream()
        pq.write_table(table, stream, compression="none")
        content = stream.getvalue().to_pybytes()
        sha256 = hashlib.sha256(content).hexdigest()
        with whole_file(self.folder / f"{stem}-{sha256}.parquet") as temporary:
            temporary.write_bytes(content)
        return sha256

    def _holding(self, texts: Collection[str]) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yield the texts and vectors of every shard that holds some of these, verified.

        Raises:
            DamagedArtefactError: the bytes of a shard or a plan changed since they were written.
            KeyError: a text has no vector.
        """
        done = self.done()
        missing = sum(text not in done for text in texts)
        if missing:
            raise KeyError(f"{missing} of {len(texts)} texts have no vector in the store")
        for shard in {done[text][:2]: done[text] for text in texts}.values():
            yield self._read_shard(shard)

    def _read_shard(self, shard: Shard) -> tuple[list[str], np.ndarray]:
        (path,) = self.folder.glob(f"{_stem(shard)}-*.parquet")
        table = pq.read_table(pa.BufferReader(_verified(path)))
        width = table["vector"].type.list_size
        vectors = table["vector"].combine_chunks().flatten().to_numpy().reshape(-1, width)
        return table["text_sha256"].to_pylist(), vectors

    def _shards(self, *, finished: bool) -> list[Shard]:
        """Return the shards of every plan that are there, or those that are not, in a fixed order."""
        there = {path.name.rpartition("-")[0] for path in self.folder.glob("shard-*.parquet")}
        return [
            shard
            for path in sorted(self.folder.glob("plan-*.parquet"))
            for shard in shards_of(_sha256_of(path), pq.read_table(pa.BufferReader(_verified(path))))
            if (_stem(shard) in there) == finished
        ]


def read_embeddings(index: Path, store: Path, example_id: Sequence[str]) -> np.ndarray:
    """Return the vectors of N examples in their order, float32 (N, D).

    Raises:
        ValueError: an example is not in the index.
        DamagedArtefactError: a shard, or a vector of the index, is not what was written.
    """
    frame = pd.read_parquet(index)
    places = pd.Index(frame["example_id"]).get_indexer(pd.Index(example_id))
    if (places < 0).any():  # -1 would read the last row: another person's vector
        raise ValueError(f"{int((places < 0).sum())} of {len(places)} examples have no vector in their index")
    chosen = frame.iloc[places]
    vectors = EmbeddingStore(store).read(chosen["text_sha256"].tolist())
    differ = sum(
        sha256_vector(vector) != sha256
        for vector, sha256 in zip(vectors, chosen["vector_sha256"], strict=True)
    )
    if differ:
        raise DamagedArtefactError(f"{differ} of {len(vectors)} vectors are not those of their index")
    return vectors


def sha256_vector(vector: np.ndarray) -> str:
    """Hash the bytes of one vector."""
    return hashlib.sha256(vector.tobytes()).hexdigest()


def _stem(shard: Shard) -> str:
    return f"shard-{shard.plan[:16]}-{shard.number:05d}"


def _sha256_of(path: Path) -> str:
    """Return the sha256 that a file carries in its name."""
    return path.stem.rpartition("-")[2]


def _verified(path: Path) -> bytes:
    """Return the bytes of a file whose name carries their sha256."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != _sha256_of(path):
        raise DamagedArtefactError(
            f"A {path.name.partition('-')[0]} of the embedding store changed since it was written"
            f"\n\nhint: delete {path.name}; its texts are embedded again"
        )
    return content
