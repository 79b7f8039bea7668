"""Arms on counts made again with labels dealt at random: what `ml.leakage.fits.permutation` judges (L38)."""

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class CountArm:
    """An arm of regime `fit` as its labels are dealt: row of the registry, options of the counts it reads."""

    arm: str
    model: str
    options: CountOptions
    n_configurations: int
    repetitions: int

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "CountArm":
        """Return it from plain values, `options` as the view stored them."""
        where = f"the input of arm `{row['arm']}`"
        return cls(**{**row, "options": read_fields(CountOptions, row["options"], where=where)})


def write_random_labels(
    root: Path, task: str, arms: Sequence[CountArm], *, seed: int, progress: Callable[[str], None]
) -> list[Path]:
    """Write what arms score of held-out examples after labels were dealt at random; return a file of each.

    It is `random_labels/<task>/<arm>.parquet` below `root`: repetition, y_true (as dealt), y_score. Arms that
    read the same counts share each dealing and its features.

    Args:
        root: a home.
        task: whose cut.
        arms: to fit; what each scores does not depend on the others.
        seed: of the dealings and fits.
        progress: told what happens.
    """
    examples = root / "tasks" / task / "examples"
    tables: dict[str, list[pd.DataFrame]] = {arm.arm: [] for arm in arms}
    most = max((arm.repetitions for arm in arms), default=0)
    for number, stream in enumerate(np.random.SeedSequence(seed).spawn(most)):
        for options in dict.fromkeys(arm.options for arm in arms if arm.repetitions > number):
            own = [arm for arm in arms if arm.options == options and arm.repetitions > number]
            for name, scored in repeat(examples, own, np.random.default_rng(stream)).items():
                columns = ["repetition", "y_true", "y_score"]
                tables[name].append(scored.assign(repetition=number)[columns])
                progress(f"{name}: fit {number + 1} on labels dealt at random")
    return [_write(root / "random_labels" / task / f"{name}.parquet", own) for name, own in tables.items()]


def _write(target: Path, tables: Sequence[pd.DataFrame]) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target) as temporary:
        pd.concat(tables).to_parquet(temporary, index=False)
    return target


def repeat(examples: Path, arms: Sequence[CountArm], rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Deal the labels of a cut anew and make features, choice, fit and scores of arms from them.

    Args:
        examples: the cut.
        arms: that read the same counts.
        rng: of the dealing and the fits.

    Returns y_true as dealt and y_score of the held-out examples, in order of example_id, by arm.
    """
    with tempfile.TemporaryDirectory(dir=examples.parent, prefix=".random_labels.") as name:
        passing = Path(name)
        dealt, view = deal_labels(examples, passing / "examples", rng), passing / "view"
        write_count_features(dealt, view, arms[0].options)
        example = read_examples(dealt)
        example = example[example["y_true"].notna()].sort_values("example_id", ignore_index=True)
        matrix = read_count_features(view, example["example_id"].tolist())
        width, seed = len(read_count_columns(view)), int(rng.integers(2**31))
        scores = {arm.arm: _scores(example, matrix, width, arm, seed, passing / arm.arm) for arm in arms}
    held_out = (example["split"] == "held_out").to_numpy()
    labels = example["y_true"].to_numpy(dtype=np.int64)[held_out]
    return {name: pd.DataFrame({"y_true": labels, "y_score": own[held_out]}) for name, own in scores.items()}


def _scores(
    example: pd.DataFrame, matrix: Any, width: int, arm: CountArm, seed: int, folder: Path
) -> np.ndarray:
    """Return what an arm scores of labelled examples; matrix (N, D), scores float64 (N,)."""
    split = example["split"].to_numpy(dtype=object)
    shown = Shown.of(
        example["y_true"].to_numpy(dtype=np.float64),
        split=split,
        person_id=example["person_id"].to_numpy(),
        may_fit=split == "train",
        may_select=split == "tuning",
        place=np.zeros(len(example), dtype=np.int64),
        matrix=matrix,
        blocks=(("counts", width),),
    )
    setting = Setting(
        model=MODELS[arm.model],
        folder=None,
        configurations=configurations(arm.model, arm.n_configurations),
        seed=seed,
        target=folder / "model",
        work=folder / "work",
        key="random labels",
        progress=lambda _: None,
    )
    return choose(arm.model, shown, setting).y_score_raw


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
