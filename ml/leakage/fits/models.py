"""Stored models against what they were made of: inputs, labels of train and tuning, seeds (L27, L28, L35).

A model is read from its own file with the library that wrote it, never with the code that fitted it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ml.artefact import read_json
from ml.inputs.examples import DRAW_FILE
from ml.leakage.fits.scores import runs_of
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.signals.columns import rows_of
from ml.leakage.statistics.column_auroc import column_aurocs

BOOSTER, HEAD = "model.txt", "head.skops"
TRUSTED = ("numpy.arcsinh",)  # beside what skops trusts: the one function that a head of counts has
# Of a probability; on the machine that made it a stored model says the same to 1e-9.
SCORE_TOLERANCE = 1e-6
SCALE_TOLERANCE = 1e-9
# LightGBM watches tuning in bundled columns, where two that never met in train may hide each other.
CURVE_TOLERANCE = 0.005
# Of the mean gradient: three times what scikit-learn's solvers stop at.
GRADIENT_TOLERANCE = 3e-4

Matrix = sparse.csr_matrix
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StoredModel:
    """A fitted model over counts: its file read, how many columns it knows, what it scores."""

    fitted: Any
    width: int
    score: Callable[[Matrix], Scores]

    @property
    def is_boosted(self) -> bool:
        """Whether it is trees of LightGBM."""
        return hasattr(self.fitted, "num_trees")


def seeds_differ(shown: Shown) -> list[Finding]:
    """Compare each arm's seeds with the longest list of the task, and the first with the seed of the draw."""
    seeds = {arm: [facts["seed"] for facts in _fit(shown, arm)["runs"]] for arm in shown.arms}
    distinct = {arm: list(dict.fromkeys(own)) for arm, own in seeds.items()}
    draw = shown.examples / DRAW_FILE
    of_draw = [read_json(draw)["seed"]] if draw.exists() else []
    longest = max([of_draw, *distinct.values()], key=len)
    if of_draw and longest[:1] != of_draw:
        longest = of_draw
    return [
        Finding(len(seeds[arm]), sum(a != b for a, b in zip(own, longest, strict=False)), arm=arm)
        for arm, own in distinct.items()
    ]


def models_differ(shown: Shown) -> list[Finding]:
    """Make again what the kept models over counts say, the rounds of trees and the minimum of regressions."""
    found = []
    for arm in shown.arms:
        fit = _fit(shown, arm)
        view = [view for view in shown.of_kind("counts") if _reads_alone(fit, view.name)]
        if not view:
            continue
        for facts, own in runs_of(shown, arm):
            model = _read_model(shown, arm, fit, facts)
            if model is None:
                continue
            matrix = rows_of(view[0], own["example_id"])
            wrong = _scored_otherwise(model, matrix, own)
            if facts["k"] is None and not wrong:
                refit = _stopped_elsewhere if model.is_boosted else _fitted_elsewhere
                wrong += refit(model, matrix, own, facts)
            found.append(Finding(len(own), wrong, arm=arm))
    return found


def _fit(shown: Shown, arm: str) -> dict[str, Any]:
    return read_json(shown.root / "fitted" / shown.task.task / arm / "fit.json")


def _reads_alone(fit: dict[str, Any], view: str) -> bool:
    return [one["name"] for one in fit.get("views", ()) if one["kind"] == "counts"] == [view] and len(
        fit["views"]
    ) == 1


def _read_model(shown: Shown, arm: str, fit: dict[str, Any], facts: dict[str, Any]) -> StoredModel | None:
    """Return the model of a run, if it was kept in a form that is read here."""
    few = "" if facts["k"] is None else f"-k{facts['k']}-draw{facts['draw']}"
    run = f"seed{facts['seed']}{few}"
    if run not in fit["kept"]:
        return None
    below = shown.root / "fitted" / shown.task.task / arm
    folder: Path = below if len(fit["runs"]) == 1 else below / run
    if (folder / BOOSTER).exists():
        from lightgbm import Booster

        booster = Booster(model_file=folder / BOOSTER)
        return StoredModel(
            booster, booster.num_feature(), lambda rows: np.asarray(booster.predict(rows), dtype=np.float64)
        )
    if (folder / HEAD).exists():
        from skops import io

        head: Any = io.load(folder / HEAD, trusted=list(TRUSTED))
        return StoredModel(head, int(head.n_features_in_), lambda rows: head.predict_proba(rows)[:, 1])
    return None


def _scored_otherwise(model: StoredModel, matrix: Matrix, own: pd.DataFrame) -> int:
    """Count examples to which a model gives another score than the stored one."""
    _, width = matrix.shape  # pyright: ignore[reportGeneralTypeIssues]
    if model.width != width:
        return len(own)
    said = own["y_score_raw"].to_numpy(dtype=np.float64)
    return int((~(np.abs(model.score(matrix) - said) <= SCORE_TOLERANCE)).sum())


def _stopped_elsewhere(model: StoredModel, matrix: Matrix, own: pd.DataFrame, facts: dict[str, Any]) -> int:
    """Whether trees had more than train, their rounds are not those of the curve, or it is not tuning's."""
    curve, tuning = np.array(facts["curve"]), (own["split"] == "tuning").to_numpy()
    n_rounds = int(np.argmax(curve)) + 1
    grown_on = [
        tree["tree_structure"].get("internal_count", 0) for tree in model.fitted.dump_model()["tree_info"]
    ]
    if model.fitted.num_trees() > n_rounds or max(grown_on) > (own["split"] == "train").sum():
        return 1
    if model.fitted.num_trees() < n_rounds:
        curve, n_rounds = curve[[n_rounds - 1]], 1  # rounds without a split left no tree: the last alone
        scores = model.score(matrix[tuning])[:, None]
    else:
        rounds = [
            model.fitted.predict(matrix[tuning], start_iteration=number, num_iteration=1, raw_score=True)
            for number in range(n_rounds)
        ]
        scores = np.cumsum(np.column_stack(rounds), axis=1)
    y_true = own["y_true"].to_numpy(dtype=np.float64)[tuning]
    again = column_aurocs(sparse.csr_matrix(scores), y_true)
    return int(not np.abs(again - curve[:n_rounds]).max() <= CURVE_TOLERANCE)


def _fitted_elsewhere(model: StoredModel, matrix: Matrix, own: pd.DataFrame, facts: dict[str, Any]) -> int:
    """Whether columns are scaled otherwise than train says, or the penalised loss on train is not least."""
    from sklearn.base import clone

    *scaler, last = model.fitted
    if not facts["converged"] or type(last).__name__ != "LogisticRegression":
        return 0
    train = (own["split"] == "train").to_numpy()
    given: Any = matrix[train]
    y_true = own["y_true"].to_numpy(dtype=np.float64)[train]
    for step in scaler:
        unfitted: Any = clone(step)
        again = unfitted.fit_transform(given)
        if not abs(again - step.transform(given)).max() <= SCALE_TOLERANCE:
            return 1
        given = again
    residual = last.predict_proba(given)[:, 1] - y_true
    slope = given.T @ residual / len(y_true) + last.coef_[0] / (last.C * len(y_true))
    return int(max(np.abs(slope).max(), abs(residual.mean())) > GRADIENT_TOLERANCE)


CHECKS = (
    LeakCheck(
        "arms_have_the_seeds_of_the_draw",
        ("L28",),
        "blocks",
        "Every arm of a task was run with the same seeds, as far as it has any, and the first is the one that"
        " the examples were drawn with: none has seeds of its own.",
        "The best of several seeds that is written down as the study's; what such a choice gains is less than"
        " chance alone moves an AUROC by, so that no score shows it.",
        seeds_differ,
        stage="scores",
    ),
    LeakCheck(
        "stored_models_follow_from_train_and_tuning",
        ("L27", "L28", "L35", "L38", "L39"),
        "warns",
        "Each kept model over one count view gives the stored scores; a boosted one has the rounds at which"
        " tuning was best, its curve is tuning's, and no tree was grown on more examples than train has; a"
        " logistic regression has the scale of train and is at the minimum of its loss on train.",
        "Models over texts and vectors, stacks, few-shot fits; trees grown on other persons who are as few; a"
        f" curve within {CURVE_TOLERANCE} of tuning's.",
        models_differ,
        stage="scores",
        applies=lambda task, kinds: "counts" in kinds,
        otherwise="no arm reads counts",
    ),
)
