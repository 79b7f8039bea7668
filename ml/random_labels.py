"""Arms on counts made again with labels dealt at random: what `ml.leakage.permutation` judges (L38)."""

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml.adaptation.budgets import configurations
from ml.adaptation.heads import choose
from ml.adaptation.shown import Setting, Shown
from ml.artefact import whole_file
from ml.inputs.count import read_count_columns, read_count_features, write_count_features
from ml.inputs.examples import read_examples
from ml.inputs.view import CountOptions
from ml.models.registry import MODELS
from ml.strict import read_fields


def write_random_labels(
    root: Path,
    task: str,
    *,
    arm: str,
    model: str,
    options: Mapping[str, Any],
    n_configurations: int,
    repetitions: int,
    seed: int,
    progress: Callable[[str], None],
) -> Path:
    """Write what an arm scores of held-out examples after labels were dealt at random; return the file.

    It is `random_labels/<task>/<arm>.parquet` below `root`: repetition, y_true (as dealt), y_score.

    Args:
        root: a home.
        task: whose cut.
        arm: of regime `fit`.
        model: row of the registry.
        options: of the count view that the arm reads.
        n_configurations: tried each time.
        repetitions: dealings of labels.
        seed: of the dealings and fits.
        progress: told what happens.
    """
    examples = root / "tasks" / task / "examples"
    counts = read_fields(CountOptions, options, where=f"the input of arm `{arm}`")
    tables = []
    for number, stream in enumerate(np.random.SeedSequence(seed).spawn(repetitions)):
        own = repeat(examples, counts, model, n_configurations, np.random.default_rng(stream))
        tables.append(own.assign(repetition=number)[["repetition", "y_true", "y_score"]])
        progress(f"{arm}: {number + 1} of {repetitions} fits on labels dealt at random")
    target = root / "random_labels" / task / f"{arm}.parquet"
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as temporary:
        pd.concat(tables).to_parquet(temporary, index=False)
    return target


def repeat(
    examples: Path, options: CountOptions, model: str, n_configurations: int, rng: np.random.Generator
) -> pd.DataFrame:
    """Deal the labels of a cut anew and make features, choice, fit and scores from them.

    Returns y_true as dealt and y_score of the held-out examples, in order of example_id.
    """
    with tempfile.TemporaryDirectory(dir=examples.parent, prefix=".random_labels.") as name:
        passing = Path(name)
        dealt, view = deal_labels(examples, passing / "examples", rng), passing / "view"
        write_count_features(dealt, view, options)
        example = read_examples(dealt)
        example = example[example["y_true"].notna()].sort_values("example_id", ignore_index=True)
        labels = example["y_true"].to_numpy(dtype=np.float64)
        split = example["split"].to_numpy(dtype=object)
        shown = Shown.of(
            labels,
            split=split,
            person_id=example["person_id"].to_numpy(),
            may_fit=split == "train",
            may_select=split == "tuning",
            place=np.zeros(len(example), dtype=np.int64),
            matrix=read_count_features(view, example["example_id"].tolist()),
            blocks=(("counts", len(read_count_columns(view))),),
        )
        setting = Setting(
            model=MODELS[model],
            folder=None,
            configurations=configurations(model, n_configurations),
            seed=int(rng.integers(2**31)),
            target=passing / "model",
            work=passing / "work",
            key="random labels",
            progress=lambda _: None,
        )
        scores = choose(model, shown, setting).y_score_raw
    held_out = split == "held_out"
    return pd.DataFrame({"y_true": labels[held_out].astype(np.int64), "y_score": scores[held_out]})


def deal_labels(examples: Path, target: Path, rng: np.random.Generator) -> Path:
    """Copy a cut with the known labels of each split permuted among its examples; return `target`."""
    shutil.copytree(examples, target)
    table = pd.read_parquet(examples / "example.parquet")
    known = table["y_true"].notna()
    y_true = table["y_true"].to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    for split in sorted(table["split"].unique()):
        rows = np.flatnonzero(known & (table["split"] == split))
        y_true[rows] = y_true[rng.permutation(rows)]
    table["y_true"] = pd.array(y_true, dtype="Int64")
    table.to_parquet(target / "example.parquet", index=False)
    return target
