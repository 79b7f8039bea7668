"""Arms on counts made again with labels dealt at random: what `ml.leakage.permutation` judges (L38)."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

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

# At 180 held-out cases of 900 four see a mean AUROC of 0.57 and more, twenty one of 0.53 and more.
REPETITIONS = {"full": 20, "smoke": 4}


def write_random_labels(
    examples: Path,
    target: Path,
    options: CountOptions,
    *,
    model: str,
    n_configurations: int,
    repetitions: int,
    seed: int,
    progress: Callable[[str], None],
) -> dict[str, int]:
    """Write held-out scores of an arm fitted on dealt labels, a row an example and repetition; return counts.

    Args:
        examples: the task's cut.
        target: Parquet file: repetition, y_true (as dealt), y_score.
        options: of the count view that the arm reads.
        model: row of the registry, of regime `fit`.
        n_configurations: tried, as by the arm.
        repetitions: dealings of labels.
        seed: of the dealings and fits.
        progress: told what happens.
    """
    streams = np.random.SeedSequence(seed).spawn(repetitions)
    tables = []
    for number, stream in enumerate(streams):
        tables.append(repeat(examples, options, model, n_configurations, np.random.default_rng(stream)))
        progress(f"{model}: {number + 1} of {repetitions} fits on labels dealt at random")
    table = pd.concat([table.assign(repetition=number) for number, table in enumerate(tables)])
    with whole_file(target) as temporary:
        table[["repetition", "y_true", "y_score"]].to_parquet(temporary, index=False)
    return {"repetitions": repetitions, "examples": len(tables[0])}


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
