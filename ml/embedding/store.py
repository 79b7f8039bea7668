"""The embedding store: append-only shards of (text sha256, vector), one folder an encoder configuration."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ml.artefact import DamagedArtefactError, sha256_file, sha256_json, whole_file, write_json


@dataclass(frozen=True)
class EncoderConfiguration:
    """All that shapes a vector; any changed field is another folder of the store."""

    model: str
    files: tuple[tuple[str, str], ...]
    pooling: str
    max_tokens: int
    truncation_side: str
    instruction: str
    dtype: str
    device: str
    threads: int
    bucket_tokens: int
    library: str
    code: str

    @property
    def key(self) -> str:
        """Short name of this configuration."""
        return sha256_json(dataclasses.asdict(self))[:16]


def store_folder(root: Path, configuration: EncoderConfiguration) -> Path:
    """Return where the vectors of a configuration lie below `root`."""
    return root / f"{configuration.model}-{configuration.key}"


class EmbeddingStore:
    """Vectors by text hash, float32, of one encoder configuration."""

    def __init__(self, folder: Path):
        self.folder = folder

    @classmethod
    def of(cls, root: Path, configuration: EncoderConfiguration) -> "EmbeddingStore":
        """Return the store of a configuration below `root`, made if it is new."""
        folder = store_folder(root, configuration)
        folder.mkdir(parents=True, exist_ok=True)
        described = folder / "configuration.json"
        if not described.exists():
            write_json(described, dataclasses.asdict(configuration))
        return cls(folder)

    def known(self) -> set[str]:
        """Return the hashes of the texts that have a vector."""
        return {
            text
            for shard in self._shards()
            for text in pq.read_table(shard, columns=["text_sha256"])["text_sha256"].to_pylist()
        }

    def append(self, text_sha256: list[str], vectors: np.ndarray) -> None:
        """Write one shard whole; its name is the sha256 of its bytes.

        Args:
            text_sha256: N hashes, in the order of the vectors.
            vectors: float32 (N, D).
        """
        table = pa.table(
            {
                "text_sha256": pa.array(text_sha256, pa.string()),
                "vector": pa.FixedSizeListArray.from_arrays(
                    pa.array(vectors.astype(np.float32).ravel()), vectors.shape[1]
                ),
            }
        )
        unnamed = self.folder / "unnamed.parquet"
        with whole_file(unnamed) as temporary:
            pq.write_table(table, temporary, compression="none")
        unnamed.rename(self.folder / f"shard-{sha256_file(unnamed)}.parquet")

    def read(self, text_sha256: list[str]) -> np.ndarray:
        """Return the vectors of N texts in their order, float32 (N, D), from verified shards.

        Raises:
            DamagedArtefactError: a shard's bytes changed since it was written.
            KeyError: a text has no vector.
        """
        wanted = set(text_sha256)
        found: dict[str, np.ndarray] = {}
        for shard in self._shards():
            if f"shard-{sha256_file(shard)}.parquet" != shard.name:
                raise DamagedArtefactError(
                    "A shard of the embedding store changed since it was written"
                    f"\n\nhint: delete {shard.name}; its texts are embedded again"
                )
            table = pq.read_table(shard)
            width = table["vector"].type.list_size
            vectors = table["vector"].combine_chunks().flatten().to_numpy().reshape(-1, width)
            for text, vector in zip(table["text_sha256"].to_pylist(), vectors, strict=True):
                if text in wanted:
                    found[text] = vector
        missing = wanted - found.keys()
        if missing:
            raise KeyError(f"{len(missing)} of {len(wanted)} texts have no vector in the store")
        return np.stack([found[text] for text in text_sha256])

    def _shards(self) -> list[Path]:
        return sorted(self.folder.glob("shard-*.parquet"))
