"""From an arm's inputs on disk to what its regime sees in one run."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from ml.adaptation.draws import places, possible
from ml.adaptation.shown import Shown, Texts
from ml.arm_spec import ArmSpec, ViewSpec
from ml.embedding.store import read_embeddings
from ml.inputs.count import read_count_features
from ml.inputs.text import read_patient_texts
from ml.refusal import RefusalError


@dataclass(frozen=True)
class Run:
    """One run of an arm: a seed, and a draw at k where labels are few."""

    seed: int
    k: int | None = None
    draw: int | None = None

    @property
    def name(self) -> str:
        """Name of its folder."""
        few = "" if self.k is None else f"-k{self.k}-draw{self.draw}"
        return f"seed{self.seed}{few}"

    @property
    def key(self) -> dict[str, int | None]:
        """Its columns in predictions."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class View:
    """An arm's inputs for N labelled examples: a matrix with its blocks, or texts."""

    matrix: Any = None
    blocks: tuple[tuple[str, int], ...] = ()
    texts: Texts | None = None

    @property
    def width(self) -> int | None:
        """Columns of the matrix."""
        return None if self.matrix is None else int(self.matrix.shape[1])


def runs_of(spec: ArmSpec) -> list[Run]:
    """Return the runs of an arm, those of its first seed before the others.

    Raises:
        RefusalError: no `k` of the arm has enough cases and non-cases (`too_few_to_draw`).
    """
    if not spec.k:
        return [Run(seed) for seed in spec.seeds]
    assert spec.draws is not None
    known = possible(pd.read_parquet(spec.draws), spec.k, draws=spec.n_draws)
    if not known:
        raise RefusalError("too_few_to_draw", f"train or tuning has fewer than {min(spec.k)} a class to draw")
    return [Run(seed, k, draw) for seed in spec.seeds for k in known for draw in range(spec.n_draws)]


def read_view(views: Sequence[ViewSpec], example_id: pd.Series) -> View:
    """Read an arm's inputs in the order of `example_id`; several matrices stand side by side."""
    if not views:
        return View(np.zeros((len(example_id), 1)), (("none", 1),))
    if views[0].kind == "text":
        found = read_patient_texts(Path(views[0].path), example_id.tolist())
        return View(texts=Texts(found.prefix, found.texts))
    matrices = [_matrix(view, example_id.tolist()) for view in views]
    blocks = tuple((view.kind, matrix.shape[1]) for view, matrix in zip(views, matrices, strict=True))
    return View(matrices[0] if len(matrices) == 1 else sparse.hstack(matrices, format="csr"), blocks)


def run_examples(labelled: pd.DataFrame, spec: ArmSpec, run: Run) -> pd.DataFrame:
    """Return the examples of a run with their place in its draw, without train beyond the draw."""
    if run.k is None or run.draw is None:
        return labelled.assign(place=0)
    table = pd.read_parquet(str(spec.draws))
    placed = labelled.assign(place=places(table, labelled["example_id"], draw=run.draw, k=run.k))
    return placed[(placed["split"] != "train") | (placed["place"] > 0)]


def show(view: View, examples: pd.DataFrame, run: Run) -> Shown:
    """Return what a regime sees; `examples` keeps the positions of the view in its index."""
    rows = examples.index.to_numpy()
    drawn = (examples["place"] > 0).to_numpy() | (run.k is None)
    split = examples["split"].to_numpy(dtype=object)
    return Shown.of(
        examples["y_true"].to_numpy(dtype=np.float64),
        split=split,
        person_id=examples["person_id"].to_numpy(),
        may_fit=(split == "train") & drawn,
        may_select=(split == "tuning") & drawn,
        place=examples["place"].to_numpy(),
        matrix=None if view.matrix is None else view.matrix[rows],
        blocks=view.blocks,
        texts=view.texts and Texts(view.texts.prefix, [view.texts.texts[row] for row in rows]),
    )


def _matrix(view: ViewSpec, example_id: list[str]) -> Any:
    if view.kind == "counts":
        return read_count_features(Path(view.path), example_id)
    assert view.store is not None
    return read_embeddings(Path(view.path), Path(view.store), example_id)
