"""Sixty short texts that a tiny network can tell apart, and what a regime is shown of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ml.adaptation.checkpoint import Checkpoints
from ml.adaptation.lesson import Lesson, Recipe
from ml.adaptation.network import Lora, TextScorer, build_classifier, build_verbalizer
from ml.adaptation.shown import Setting, Shown, Texts
from ml.adaptation.training import Training
from ml.models.architecture import architecture_of
from ml.models.model import Model
from ml.models.smoke import write_smoke_model

N = 60
LORA = {"learning_rate": 1e-2, "rank": 4, "dropout": 0.1}
FULL = {"learning_rate": 1e-3, "batch_size": 16}
SPLIT = np.repeat(np.array(["train", "tuning", "held_out"], dtype=object), [30, 14, 16])
Y_TRUE = (np.arange(N) % 2).astype(np.float64)
QUESTION = "Will it?"


def quiet(line: str) -> None:
    assert line


def texts(seed: int = 0) -> list[str]:
    """Texts of five to thirty letters; cases and others share half of theirs."""
    rng = np.random.default_rng(seed)
    return [
        "".join(rng.choice(list("abcdef" if label else "defghi"), size=int(rng.integers(5, 30))))
        for label in Y_TRUE
    ]


def model_of(model_type: str, **changes: Any) -> Model:
    pooling = "mean" if architecture_of(model_type).kind == "encoder" else "last_token"
    row = {"pooling": pooling, "max_tokens": 4096, "architecture": model_type, **changes}
    return Model(name=f"tiny_{model_type}", kind="generalist", title=model_type, smoke_only=True, **row)


def write_tiny(model_type: str, folder: Path) -> Path:
    return write_smoke_model(model_type, folder / model_type)


def shown_texts(prefix: str = "", *, k: int = N) -> Shown:
    return Shown.of(
        Y_TRUE,
        split=SPLIT,
        person_id=np.arange(N),
        may_fit=(SPLIT == "train") & (np.arange(N) < 2 * k),
        may_select=SPLIT == "tuning",
        place=np.where(SPLIT == "train", np.arange(N) // 2 + 1, 0),
        texts=Texts(prefix, texts()),
    )


def setting_of(model: Model, folder: Path | None, where: Path, *tried: dict, **changes: Any) -> Setting:
    return Setting(
        model=model,
        folder=folder,
        configurations=tried or ({},),
        seed=3,
        target=where / "model",
        work=where / "work",
        key="here",
        progress=quiet,
        question=QUESTION,
        **changes,
    )


def recipe_of(**changes: Any) -> Recipe:
    given = {"learning_rate": 1e-2, "batch_size": 8, "max_epochs": 3, "patience": 3, "warmup_share": 0.1,
             "weight_decay": 0.01, **changes}  # fmt: skip
    return Recipe(**given)


def tiny_classifier(folder: Path, model_type: str, *, dropout: float = 0.1, seed: int = 3) -> TextScorer:
    return build_classifier(model_of(model_type), folder, lora=Lora(4, dropout), seed=seed)


def tiny_verbalizer(folder: Path, model_type: str, lora: Lora | None = None) -> TextScorer:
    return build_verbalizer(model_of(model_type), folder, lora=lora, seed=3)


def training_of(
    scorer: TextScorer,
    where: Path,
    recipe: Recipe | None = None,
    *,
    progress: Callable[[str], None] = quiet,
    key: str = "here",
    **changes: Any,
) -> Training:
    tokens = scorer.tokenizer(texts())["input_ids"]
    fit, tuning = np.flatnonzero(SPLIT == "train"), np.flatnonzero(SPLIT == "tuning")
    return Training(
        scorer,
        Lesson(tokens, Y_TRUE, fit, tuning),
        recipe or recipe_of(),
        seed=5,
        checkpoints=Checkpoints(where, key),
        work=where,
        progress=progress,
        **changes,
    )
