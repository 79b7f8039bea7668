"""MiniLM on the CPU: our embedding, store included, beside sentence-transformers' own `encode`.

    .venv/bin/python -m benchmarks.embedding_speed [--texts 300] [--pairs 11] [--threads 1]

Both embed the same texts of mixed length in one process, models loaded, with equal threads; the order
alternates from pair to pair. Ours is timed from a file of texts to verified vectors read back from a new
store: tokens, plan, shards and hashes included. Writes benchmarks/results/embedding_speed.json: the times of
each pair, the median of their ratio (ours / theirs) with a 95% interval by bootstrap over pairs, the load.
"""

import argparse
import csv
import dataclasses
import hashlib
import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml.artefact import write_json
from ml.embedding.encode import embed
from ml.embedding.encoder import Encoder, encoder_configuration
from ml.embedding.store import EmbeddingStore
from ml.models.loading import find_model
from ml.models.registry import MODELS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).with_name("results") / "embedding_speed.json"
MAX_TOKENS = 256  # what sentence-transformers reads of this model
LARGEST_DIFFERENCE = 1e-5
MEDIAN_LIMIT, INTERVAL_LIMIT = 1.00, 1.03
SEED = 20261121


def main() -> int:
    """Measure, write the results, and return 0 if every aim is met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # equal threads in the tokenizers too
    with tempfile.TemporaryDirectory(prefix="embedding-speed-") as folder:
        found = measure(Path(folder), n_texts=given.texts, n_pairs=given.pairs, threads=given.threads)
    write_json(RESULTS, found)
    print(RESULTS.read_text(encoding="utf-8"))
    return 0 if found["met"] else 1


def measure(folder: Path, *, n_texts: int, n_pairs: int, threads: int) -> dict[str, Any]:
    """Time `n_pairs` pairs after one warm-up pair; return everything that the results hold."""
    import torch
    from sentence_transformers import SentenceTransformer

    model = MODELS["minilm"]
    weights = find_model(model, None)
    texts = mixed_texts(n_texts)
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    path = folder / "text.parquet"
    ids = [f"e{n:05d}" for n in range(n_texts)]
    pd.DataFrame({"example_id": ids, "text": texts, "text_sha256": hashes}).to_parquet(path, index=False)
    described = encoder_configuration(model, max_tokens=MAX_TOKENS, device="cpu")
    configuration = dataclasses.replace(described, threads=threads)
    encoder = Encoder.load(model, weights, configuration)
    lengths = [len(own) for own in encoder.token_ids(texts)[0]]
    theirs = SentenceTransformer(str(weights), device="cpu")
    theirs.max_seq_length = MAX_TOKENS
    torch.set_num_threads(threads)
    stores = iter(range(10_000))

    def run_ours() -> np.ndarray:
        root = folder / f"store-{next(stores)}"
        _, report = embed(
            path, model, weights, root, configuration, progress=lambda line: None, encoder=encoder
        )
        assert report.computed == n_texts
        return EmbeddingStore(root / report.store).read(hashes)

    def run_theirs() -> np.ndarray:
        return theirs.encode(texts, normalize_embeddings=True, show_progress_bar=False)

    difference = float(np.abs(run_ours() - run_theirs()).max())
    rows = [timed_pair(run_ours, run_theirs, ours_first=n % 2 == 0) for n in range(n_pairs)]
    ratio = np.array([row["ours_s"] / row["theirs_s"] for row in rows])
    low, high = interval_of_median(ratio)
    median = float(np.median(ratio))
    aims = {
        "vectors_within_1e-5": difference <= LARGEST_DIFFERENCE,
        "median_at_most_1.00": median <= MEDIAN_LIMIT,
        "interval_at_most_1.03": high <= INTERVAL_LIMIT,
        "pairs_at_least_9": n_pairs >= 9,
    }
    return {
        "texts": n_texts,
        "tokens": {
            "mean": round(float(np.mean(lengths)), 1),
            "shortest": min(lengths),
            "longest": max(lengths),
        },
        "threads": threads,
        "median_ratio": round(median, 4),
        "interval_95": [round(low, 4), round(high, 4)],
        "largest_difference": difference,
        "texts_per_second": {
            who: round(n_texts / float(np.median([row[f"{who}_s"] for row in rows])), 1)
            for who in ("ours", "theirs")
        },
        "pairs": rows,
        "aims": aims,
        "met": all(aims.values()),
        "machine": {"cores": os.cpu_count(), "processor": platform.machine()},
        "libraries": {name: version(name) for name in ("sentence-transformers", "torch", "transformers")},
    }


def timed_pair(
    ours: Callable[[], np.ndarray], theirs: Callable[[], np.ndarray], *, ours_first: bool
) -> dict[str, Any]:
    """Time both, one after the other; `load` is the number of runnable processes over the last minute."""
    seconds = {}
    pair = [("ours_s", ours), ("theirs_s", theirs)]
    for name, run in pair if ours_first else pair[::-1]:
        started = time.perf_counter()
        run()
        seconds[name] = round(time.perf_counter() - started, 3)
    return {**dict(sorted(seconds.items())), "ours_first": ours_first, "load": round(os.getloadavg()[0], 1)}


def interval_of_median(ratio: np.ndarray) -> tuple[float, float]:
    """Return the 95% percentile interval of the median over 10,000 bootstrap draws of pairs."""
    draws = np.random.default_rng(SEED).choice(ratio, (10_000, len(ratio)))
    low, high = np.quantile(np.median(draws, axis=1), [0.025, 0.975])
    return float(low), float(high)


def mixed_texts(n: int) -> list[str]:
    """Make distinct texts of concept names, their lengths spread evenly on a logarithmic scale."""
    with (ROOT / "ml" / "simulator" / "concepts.csv").open(encoding="utf-8", newline="") as file:
        names = [row["concept_name"] for row in csv.DictReader(file)]
    rng = np.random.default_rng(SEED)
    sizes = np.exp(rng.uniform(0, np.log(40), n)).astype(int)
    return [
        f"{n}-year-old person.\n- " + "\n- ".join(rng.choice(names, size)) for n, size in enumerate(sizes)
    ]


if __name__ == "__main__":
    raise SystemExit(main())
