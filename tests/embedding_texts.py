"""What the embedding tests share: texts of every length, a tiny encoder on disk, and an embedding of them."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from ml.artefact import manifest, sha256_file
from ml.embedding.encode import embed
from ml.embedding.encoder import encoder_configuration
from ml.embedding.plan import Sizes
from ml.embedding.store import EncoderConfiguration
from ml.models.loading import find_model
from ml.models.model import Model
from ml.models.registry import MODELS

WORDS = ("heart failure", "type 2 diabetes mellitus", "HbA1c 7.1 %", "metformin", "essential hypertension",
         "acute myocardial infarction", "creatinine 1.2 mg/dL", "Übelkeit", "weight loss")  # fmt: skip
SMALL = Sizes(batch_tokens=128, shard_tokens=300, shard_texts=4)


def make_texts(n: int = 40, seed: int = 5) -> list[str]:
    """Texts from one word to far beyond the context, one of them twice."""
    rng = np.random.default_rng(seed)
    lengths = np.geomspace(1, 120, n - 1).astype(int)
    texts = [f"{n}. " + "; ".join(rng.choice(WORDS, size)) for n, size in enumerate(lengths)]
    return [*texts, texts[3]]


def frame(texts: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "example_id": [f"e{n:03d}" for n in range(len(texts))],
            "text": texts,
            "text_sha256": [hashlib.sha256(text.encode()).hexdigest() for text in texts],
        }
    )


def write_texts(folder: Path, texts: list[str]) -> Path:
    """A file of texts as the input view writes it; small row groups, so that pieces are read."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "text.parquet"
    frame(texts).to_parquet(path, index=False, row_group_size=7)
    return path


def tiny_model(folder: Path, kind: str = "bert", **more) -> Model:
    """A random encoder of a few thousand weights beside MiniLM's own tokenizer."""
    import torch
    from transformers import AutoModel, AutoTokenizer, BertConfig, Qwen3Config

    tokenizer = AutoTokenizer.from_pretrained(find_model(MODELS["minilm"], None))
    common = {
        "vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": 128, "pad_token_id": 0,
    }  # fmt: skip
    torch.manual_seed(3)
    if kind == "bert":
        config = BertConfig(**common)
    else:
        config = Qwen3Config(**common, num_key_value_heads=2, head_dim=8, bos_token_id=1, eos_token_id=2)
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    files = tuple(sorted((file.name, sha256_file(file)) for file in folder.iterdir()))
    pooling = more.pop("pooling", "mean")
    return Model(name=f"tiny_{kind}", kind="generalist", title="Tiny", files=files, pooling=pooling,
                 max_tokens=128, smoke_only=True, **more)  # fmt: skip


def configuration(model: Model, **more) -> EncoderConfiguration:
    """One thread, as the tests run."""
    import dataclasses

    found = encoder_configuration(model, **{"max_tokens": 100, "device": "cpu", **more})
    return dataclasses.replace(found, threads=1)


def embedded(texts: Path, model: Model, folder: Path, root: Path, sizes: Sizes | None = None, **more):
    """Embed and return the index, the report and the folder of the store."""
    lines: list[str] = []
    index, report = embed(
        texts, model, folder, root, configuration(model, **more), progress=lines.append, sizes=sizes
    )
    assert bool(lines) == bool(report.computed)
    return index, report, root / report.store


def contents(store: Path) -> dict[str, str]:
    return manifest(store)
