"""Whole arms on texts and on vectors, by tiny random networks, beside what a bare library makes of them."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from adaptation_world import SPLIT, Y_TRUE, N, quiet, texts
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_arm import killed

from ml.adaptation import budgets, tuning
from ml.adaptation.saved_network import load_network
from ml.arm import run_arm
from ml.arm_spec import ArmSpec, ViewSpec
from ml.artefact import read_json, write_json
from ml.embedding.encode import embed
from ml.embedding.encoder import encoder_configuration
from ml.models.registry import MODELS
from ml.models.smoke import write_smoke_model

SEED = 3
ENCODERS = ("smoke_llama", "smoke_qwen3")
SHOWN_ORDER = np.random.default_rng(1).permutation(N)  # the input's own order of rows


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    """Sixty persons in order of their ids, their texts, and the vectors of two encoders."""
    folder = tmp_path_factory.mktemp("networks")
    ids = [f"{n:016x}" for n in range(N)]
    example = pd.DataFrame(
        {
            "example_id": ids, "person_id": np.arange(N), "index_date": pd.Timestamp("2015-01-01"),
            "split": SPLIT, "y_true": pd.array(Y_TRUE, dtype="Float64").astype("Int64"), "age": 50,
            "sex": "male", "n_events": 3,
        }
    )  # fmt: skip
    (folder / "examples").mkdir()
    example.to_parquet(folder / "examples" / "example.parquet", index=False)
    (folder / "text").mkdir()
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in texts()]
    text = pd.DataFrame({"example_id": ids, "text": texts(), "text_sha256": hashes, "n_tokens": 9})
    text.iloc[SHOWN_ORDER].to_parquet(folder / "text" / "text.parquet", index=False)
    write_json(folder / "text" / "view.json", {"prefix": ""})
    for name in ENCODERS:
        model, weights = MODELS[name], folder / "models" / name
        write_smoke_model(model.architecture, weights)
        described = encoder_configuration(model, max_tokens=64, device="cpu")
        one_thread = dataclasses.replace(described, threads=1)
        index, report = embed(
            folder / "text" / "text.parquet", model, weights, folder / "store", one_thread, progress=quiet
        )
        index.to_parquet(folder / f"{name}.parquet", index=False)
        write_json(folder / f"{name}.json", report.store)
    return folder


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(budgets, "MAX_EPOCHS", 2)
    monkeypatch.setattr(tuning, "THREADS", 1)


def spec_of(world: Path, arm: str, **given) -> ArmSpec:
    return ArmSpec(
        arm=arm,
        seeds=(SEED,),
        configurations=2,
        examples=str(world / "examples"),
        work=str(world / f"{arm}_work"),
        predictions=str(world / f"{arm}_scores.parquet"),
        fitted=str(world / f"{arm}_fitted"),
        models_folder=str(world / "models"),
        **given,
    )


def frozen(world: Path, name: str) -> ArmSpec:
    store = read_json(world / f"{name}.json")
    view = ViewSpec("vectors", str(world / f"{name}.parquet"), str(world / "store" / store))
    return spec_of(world, name, model=name, regime="frozen", views=(view,))


def on_texts(world: Path) -> ArmSpec:
    views = (ViewSpec("text", str(world / "text")),)
    return spec_of(world, "lora", model="smoke_llama", regime="lora", views=views)


def scores(spec: ArmSpec) -> np.ndarray:
    found = pd.read_parquet(spec.predictions)
    assert found["example_id"].tolist() == [f"{n:016x}" for n in range(N)]
    assert found["y_true"].tolist() == Y_TRUE.tolist()
    return found["y_score_raw"].to_numpy()


def vectors_by_hand(world: Path, name: str) -> np.ndarray:
    """The last token's hidden state of each text alone, at unit length, by transformers."""
    from transformers import AutoModel, AutoTokenizer

    network = AutoModel.from_pretrained(world / "models" / name).eval()
    tokenizer = AutoTokenizer.from_pretrained(world / "models" / name)
    with torch.inference_mode():
        last = [network(**tokenizer(text, return_tensors="pt")).last_hidden_state[0, -1] for text in texts()]
    return torch.nn.functional.normalize(torch.stack(last), dim=1).numpy().astype(np.float64)


def head(strength: float):
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=5000))


def test_an_arm_on_texts_leaves_the_scores_of_its_best_network_and_no_checkpoint(world, monkeypatch):
    spec = on_texts(world)
    killed(spec, monkeypatch)
    left = {path.name for path in (Path(spec.work) / f"seed{SEED}").iterdir()}
    assert left == {"facts.json", "fit_log.parquet", "model", "predictions.parquet"}
    facts = run_arm(spec, quiet)
    assert not Path(spec.work).exists()
    trials = [trial["auroc"] for trial in facts["trials"]]
    assert len(trials) == 2
    found = scores(spec)
    tuned = SPLIT == "tuning"
    assert max(trials) == pytest.approx(roc_auc_score(Y_TRUE[tuned], found[tuned]), abs=1e-6)
    network = load_network(Path(spec.fitted), MODELS["smoke_llama"], world / "models" / "smoke_llama")
    tokens = network.tokenizer(texts())["input_ids"]
    with torch.inference_mode():
        alone = [float(torch.sigmoid(network(*network.collate([own])).double())) for own in tokens]
    assert np.abs(found - alone).max() < 1e-6
    assert np.ptp(found) > 0.01


def test_an_arm_on_vectors_scores_as_scikit_learn_on_the_hidden_states(world):
    spec = frozen(world, "smoke_llama")
    strength = run_arm(spec, quiet)["configuration"]["C"]
    vectors, train = vectors_by_hand(world, "smoke_llama"), SPLIT == "train"
    expected = head(strength).fit(vectors[train], Y_TRUE[train]).predict_proba(vectors)[:, 1]
    assert np.abs(scores(spec) - expected).max() < 1e-4
    assert np.ptp(expected) > 0.05


def test_a_stack_reads_each_of_two_arms_in_its_own_column(world):
    parts = tuple(frozen(world, name) for name in ENCODERS)
    strengths = [run_arm(part, quiet)["configuration"]["C"] for part in parts]
    spec = spec_of(world, "stack", model="logistic_regression", regime="stack", views=(), parts=parts)
    chosen = run_arm(spec, quiet)["configuration"]["C"]
    train = np.flatnonzero(SPLIT == "train")
    columns = []
    for part, strength in zip(parts, strengths, strict=True):
        vectors, own = vectors_by_hand(world, part.model), scores(part).copy()
        folds = StratifiedGroupKFold(5, shuffle=True, random_state=SEED)
        for inside, outside in folds.split(train, Y_TRUE[train], train):
            fitted = head(strength).fit(vectors[train[inside]], Y_TRUE[train[inside]])
            own[train[outside]] = fitted.predict_proba(vectors[train[outside]])[:, 1]
        columns.append(np.log(own / (1 - own)))
    joined = np.column_stack(columns)
    expected = head(chosen).fit(joined[train], Y_TRUE[train]).predict_proba(joined)[:, 1]
    assert np.abs(scores(spec) - expected).max() < 1e-3
    swapped = head(chosen).fit(joined[train], Y_TRUE[train]).predict_proba(joined[:, ::-1])[:, 1]
    assert np.abs(scores(spec) - swapped).max() > 0.01
