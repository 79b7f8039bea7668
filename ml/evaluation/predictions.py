"""Predictions of a task arranged for scoring: one matrix of runs for each arm and number of shots."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.evaluation.metrics import RANKING_METRICS, FloatArray
from ml.evaluation.verdict import HeldOutMismatchError

PREDICTION_COLUMNS = (
    "example_id",
    "person_id",
    "split",
    "y_true",
    "y_score",
    "y_score_raw",
    "seed",
    "k",
    "draw",
)
SCORED_SPLITS = ("tuning", "held_out")


@dataclass(frozen=True)
class ScoredSet:
    """One arm on one split at one number of shots; rows of the matrices are its runs.

    Attributes:
        arm: its name.
        split: "tuning" or "held_out".
        k: cases (and non-cases) it was trained on; None: all labels.
        examples: example_id, person_id, y_true, sorted by example_id; N rows.
        runs: (seed, draw) of each of the S runs.
        score: float64 (S, N), y_score.
        score_raw: float64 (S, N), y_score_raw.
    """

    arm: str
    split: str
    k: int | None
    examples: pd.DataFrame
    runs: tuple[tuple[int | None, int | None], ...]
    score: FloatArray
    score_raw: FloatArray

    @property
    def y_true(self) -> npt.NDArray[np.float64]:
        """Labels, float64 (N,)."""
        return self.examples["y_true"].to_numpy(dtype=np.float64)

    @property
    def person_id(self) -> npt.NDArray[np.int64]:
        """Whose examples they are, int64 (N,)."""
        return self.examples["person_id"].to_numpy(dtype=np.int64)

    def scores_for(self, metric: str) -> FloatArray:
        """The scores that a metric reads, float64 (S, N): raw ones for the order, else recalibrated ones."""
        return self.score_raw if metric in RANKING_METRICS else self.score

    @property
    def name(self) -> str:
        """The arm, with its number of shots where it has one."""
        return self.arm if self.k is None else f"{self.arm} (k={self.k})"


def arrange(predictions: Mapping[str, pd.DataFrame]) -> list[ScoredSet]:
    """Split every arm's predictions by split and k; every run must hold the same examples.

    Raises:
        ValueError: a column is missing, a label is null, or the runs of an arm differ in their examples.
    """
    found: list[ScoredSet] = []
    for arm, table in cast(Mapping[str, Any], predictions).items():
        missing = [column for column in PREDICTION_COLUMNS if column not in table.columns]
        if missing:
            raise ValueError(f"predictions of `{arm}` lack the columns {missing}")
        n_null = int(table["y_true"].isna().sum())
        if n_null:
            raise ValueError(f"predictions of `{arm}` hold {n_null} rows without a `y_true`")
        for split in SCORED_SPLITS:
            rows = table[table["split"] == split]
            for k in sorted(rows["k"].unique(), key=lambda value: -1 if pd.isna(value) else value):
                part = rows[rows["k"].isna()] if pd.isna(k) else rows[rows["k"] == k]
                found.append(_arrange_runs(arm, split, None if pd.isna(k) else int(k), part))
    return found


def held_out_hash(examples: pd.DataFrame) -> str:
    """sha256 over the sorted (example_id, person_id, y_true) of a set of examples."""
    ordered = examples.sort_values("example_id")
    lines = zip(ordered["example_id"], ordered["person_id"], ordered["y_true"], strict=True)
    text = "\n".join(f"{example},{int(person)},{int(label)}" for example, person, label in lines)
    return hashlib.sha256(text.encode()).hexdigest()


def require_equal_held_out(sets: list[ScoredSet]) -> None:
    """Refuse to go on unless all sets hold the same held-out examples, persons and labels.

    Raises:
        HeldOutMismatchError: they differ; the message gives counts and hashes only.
    """
    hashes = {one.name: held_out_hash(one.examples) for one in sets}
    if len(set(hashes.values())) > 1:
        seen = ", ".join(f"`{one.name}` {len(one.examples)} examples {hashes[one.name][:12]}" for one in sets)
        raise HeldOutMismatchError(
            f"arms of one task were scored on different held-out examples: {seen}\n\n"
            "hint: score every arm on all labelled held-out examples; a failed row is an error"
        )


def _arrange_runs(arm: str, split: str, k: int | None, rows: Any) -> ScoredSet:
    examples: pd.DataFrame | None = None
    runs: list[tuple[int | None, int | None]] = []
    scores: list[FloatArray] = []
    raw: list[FloatArray] = []
    for (seed, draw), run in rows.groupby(["seed", "draw"], dropna=False, sort=True):
        ordered = run.sort_values("example_id").reset_index(drop=True)
        if ordered["example_id"].duplicated().any():
            raise ValueError(f"a run of `{arm}` scores an example of {split} twice")
        mine = ordered[["example_id", "person_id", "y_true"]]
        if examples is None:
            examples = mine
        elif held_out_hash(examples) != held_out_hash(mine):
            raise HeldOutMismatchError(
                f"the runs of `{arm}` hold different {split} examples: {len(examples)} and {len(mine)}"
            )
        runs.append((_whole(seed), _whole(draw)))
        scores.append(ordered["y_score"].to_numpy(dtype=np.float64))
        raw.append(ordered["y_score_raw"].to_numpy(dtype=np.float64))
    if examples is None:
        raise ValueError(f"`{arm}` has no prediction in {split}")
    return ScoredSet(arm, split, k, examples, tuple(runs), np.vstack(scores), np.vstack(raw))


def _whole(value: Any) -> int | None:
    return None if pd.isna(value) else int(value)
