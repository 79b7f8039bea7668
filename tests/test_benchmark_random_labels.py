"""Labels dealt at random to heads on vectors: an honest one learns nothing, one that reads held-out does."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from adaptation_world import quiet

from benchmarks.random_labels import judged
from ml.adaptation.shown import Shown
from ml.arm_spec import ArmSpec, ViewSpec
from ml.artefact import write_json
from ml.embedding.encode import embed
from ml.embedding.encoder import encoder_configuration
from ml.models.registry import MODELS
from ml.models.smoke import write_smoke_model

N, DEALINGS, MODEL = 120, 12, "smoke_llama"


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ArmSpec:
    """An arm on the vectors that a tiny network gives to texts of random letters."""
    folder = tmp_path_factory.mktemp("frozen")
    rng = np.random.default_rng(1)
    ids = [f"{n:016x}" for n in range(N)]
    example = pd.DataFrame(
        {
            "example_id": ids, "person_id": np.arange(N), "index_date": pd.Timestamp("2015-01-01"),
            "split": rng.choice(["train", "tuning", "held_out"], N, p=[0.5, 0.2, 0.3]),
            "y_true": pd.array(rng.integers(0, 2, N), dtype="Int64"), "age": 50, "sex": "male", "n_events": 3,
        }
    )  # fmt: skip
    (folder / "examples").mkdir()
    example.to_parquet(folder / "examples" / "example.parquet", index=False)
    texts = ["".join(rng.choice(list("abcdefghi"), size=12)) for _ in ids]
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    (folder / "text").mkdir()
    text = pd.DataFrame({"example_id": ids, "text": texts, "text_sha256": hashes, "n_tokens": 12})
    text.to_parquet(folder / "text" / "text.parquet", index=False)
    write_json(folder / "text" / "view.json", {"prefix": ""})
    model, weights = MODELS[MODEL], write_smoke_model(MODELS[MODEL].architecture, folder / "models" / MODEL)
    described = dataclasses.replace(encoder_configuration(model, max_tokens=64, device="cpu"), threads=1)
    index, report = embed(
        folder / "text" / "text.parquet", model, weights, folder / "store", described, progress=quiet
    )
    index.to_parquet(folder / "index.parquet", index=False)
    view = ViewSpec("vectors", str(folder / "index.parquet"), str(folder / "store" / report.store))
    return ArmSpec(
        arm="frozen", model=MODEL, regime="frozen", views=(view,), seeds=(1,), configurations=3,
        examples=str(folder / "examples"), work="", predictions="", fitted="",
    )  # fmt: skip


def test_nothing_is_learned_and_the_dealings_differ(spec: ArmSpec, tmp_path: Path):
    said: list[str] = []
    row = judged(spec, DEALINGS, seed=1, work=tmp_path, n_arms=1, progress=said.append)
    assert row["repetitions"] + row["stopped_by_a_guard"] == DEALINGS
    assert len(said) == row["repetitions"] >= DEALINGS - 1
    assert not row["learned"]
    assert 0.4 < row["mean_auroc"] < 0.6
    assert not list(tmp_path.iterdir())
    assert row != judged(spec, DEALINGS, seed=2, work=tmp_path, n_arms=1, progress=quiet)


def test_a_head_that_is_fitted_on_held_out_too_is_seen(spec: ArmSpec, tmp_path: Path):
    def everyone(shown: Shown) -> np.ndarray:
        return np.flatnonzero(shown.split != "tuning")

    def in_silence(shown: Shown, rows: np.ndarray, purpose: str) -> None:
        assert len(rows) and purpose

    def with_all_labels(y_true: np.ndarray, **what: Any) -> Shown:
        return Shown(**what, _y_true=y_true)

    with (
        patch.object(Shown, "of", with_all_labels),
        patch.object(Shown, "fit_rows", property(everyone)),
        patch.object(Shown, "_remember", in_silence),
    ):
        row = judged(spec, DEALINGS, seed=1, work=tmp_path, n_arms=1, progress=quiet)
    assert row["learned"]
    assert row["mean_auroc"] > 0.6
