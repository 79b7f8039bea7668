"""Stored models on a fair site, and with one thing otherwise: scores, rounds, train, seeds, choice."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from dbt_world import PROJECT
from published_world import TASK

from leakage.fair_site import make_site, write_site
from ml import arm, arm_views
from ml.adaptation import heads
from ml.adaptation.draws import write_draws
from ml.adaptation.shown import Shown
from ml.arm import run_arm
from ml.arm_spec import ArmSpec, ViewSpec
from ml.artefact import write_json
from ml.inputs.examples import read_examples
from ml.leakage.registry import CHECKS
from ml.leakage.rows import LeakRow
from ml.leakage.shown import open_shown

ARMS = {"count_lr": "logistic_regression", "count_gbm": "lightgbm"}
SEED, COUNTS = 5, "count_features_counts"
MODELS, SEEDS = "stored_models_follow_from_train_and_tuning", "arms_have_the_seeds_of_the_draw"
CHOICE = "configurations_were_chosen_on_tuning"


def spec_of(root: Path, name: str) -> ArmSpec:
    return ArmSpec(
        arm=name,
        model=ARMS[name],
        regime="fit",
        views=(ViewSpec("counts", str(root / "tasks" / TASK.task / COUNTS)),),
        seeds=(SEED,),
        configurations=2,
        examples=str(root / "tasks" / TASK.task / "examples"),
        work=str(root / "work" / name),
        predictions=str(scores_of(root, name)),
        fitted=str(root / "fitted" / TASK.task / name),
    )


def scores_of(root: Path, name: str) -> Path:
    return root / "predictions" / TASK.task / f"{name}.parquet"


def fit(root: Path, name: str, **other: object) -> None:
    shutil.rmtree(root / "fitted" / TASK.task / name, ignore_errors=True)
    run_arm(replace(spec_of(root, name), **other), lambda line: None)


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    root = write_site(make_site(0, 900), tmp_path_factory.mktemp("models"))
    write_json(root / "tasks" / TASK.task / "examples" / "draw.json", {"max_examples": None, "seed": SEED})
    for name in ARMS:
        fit(root, name)
    return root


@pytest.fixture
def root(clean, tmp_path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "site"))


def look(root: Path, name: str, arms: tuple[str, ...] = tuple(ARMS)) -> LeakRow:
    (check,) = (check for check in CHECKS if check.name == name)
    with open_shown(root, TASK, seeds=PROJECT / "seeds", arms=arms) as shown:
        return check.run(shown)


@pytest.mark.parametrize("name", [MODELS, SEEDS, CHOICE])
def test_arms_as_the_platform_fits_them_raise_nothing(clean, name):
    row = look(clean, name)
    assert row.looked_at > 0
    assert row.found == 0


@pytest.mark.parametrize("name", ARMS)
def test_a_score_that_the_model_does_not_give_is_found(root, name):
    table = pd.read_parquet(scores_of(root, name))
    table.loc[[3, 40], "y_score_raw"] += 1e-4
    table.to_parquet(scores_of(root, name), index=False)
    row = look(root, MODELS)
    assert (row.found, row.arms) == (2, (name,))


def on_split(root: Path, monkeypatch, split: str) -> None:
    """Watch the rounds of boosting on a split."""
    watched: list[tuple[object, np.ndarray]] = []

    def show(view, examples, run) -> Shown:
        shown = arm_views.show(view, examples, run)
        rows = np.flatnonzero(shown.split == split)
        watched[:] = [(shown.matrix[rows], examples["y_true"].to_numpy(dtype=np.float64)[rows])]
        return shown

    original: Callable[..., bool] = heads._fit_lightgbm
    monkeypatch.setattr(arm, "show", show)
    monkeypatch.setattr(heads, "_fit_lightgbm", lambda *given: original(*given[:3], *watched[0]))
    fit(root, "count_gbm")


@pytest.mark.parametrize(("split", "found"), [("tuning", 0), ("held_out", 1), ("train", 1)])
def test_boosting_that_does_not_stop_on_tuning_is_found(root, monkeypatch, split, found):
    on_split(root, monkeypatch, split)
    assert look(root, MODELS).found == found


def test_rounds_that_the_curve_does_not_say_are_found(root):
    file = root / "fitted" / TASK.task / "count_gbm" / "fit.json"
    facts = json.loads(file.read_text(encoding="utf-8"))
    facts["runs"][0]["curve"].insert(0, 0.99)
    file.write_text(json.dumps(facts), encoding="utf-8")
    assert look(root, MODELS).found == 1


@pytest.mark.parametrize("name", ARMS)
@pytest.mark.parametrize("more", ["tuning", "held_out"])
def test_a_model_of_more_than_train_is_found(root, name, more):
    def show(view, examples, run) -> Shown:
        shown = arm_views.show(view, examples, run)
        may_fit = np.isin(shown.split, ["train", more])
        y_true = examples["y_true"].to_numpy(dtype=np.float64)
        same = {one: getattr(shown, one) for one in ("split", "person_id", "place", "matrix", "may_select")}
        return Shown.of(y_true, may_fit=may_fit, **same)

    with patch.object(arm, "show", show):
        fit(root, name)
    row = look(root, MODELS)
    assert (row.found, row.arms) == (1, (name,))


def test_counts_of_another_snapshot_are_found(root):
    path = root / "tasks" / TASK.task / COUNTS / "column.parquet"
    pd.read_parquet(path).iloc[:-1].to_parquet(path, index=False)
    cells = path.with_name("value.parquet")
    table = pd.read_parquet(cells)
    table[table["column"] < table["column"].max()].to_parquet(cells, index=False)
    assert look(root, MODELS).found == 2 * len(pd.read_parquet(scores_of(root, "count_lr")))


def test_an_arm_with_a_seed_of_its_own_is_found(root):
    fit(root, "count_gbm", seeds=(SEED + 4,))
    row = look(root, SEEDS)
    assert (row.found, row.severity, row.arms) == (1, "block", ("count_gbm",))
    assert look(root, SEEDS, ("count_gbm",)).found == 1  # the seed of the draw stands alone against it


def test_more_seeds_than_an_arm_without_chance_has_are_the_studys(root):
    fit(root, "count_gbm", seeds=(SEED, SEED + 1))
    assert (look(root, SEEDS).found, look(root, MODELS).found) == (0, 0)


def test_a_configuration_that_tuning_would_not_choose_is_found(root):
    file = root / "fitted" / TASK.task / "count_lr" / "fit.json"
    facts = json.loads(file.read_text(encoding="utf-8"))
    worse = min(facts["runs"][0]["trials"], key=lambda trial: trial["auroc"])
    facts["runs"][0]["configuration"] = {"C": worse["C"]}
    file.write_text(json.dumps(facts), encoding="utf-8")
    assert look(root, CHOICE).found == 1


def test_models_of_a_few_examples_are_held_against_their_scores_alone(root):
    draws = root / "draws.parquet"
    example = read_examples(root / "tasks" / TASK.task / "examples")
    write_draws(example, draws, draws=2, seed=SEED, largest=8)
    fit(root, "count_lr", k=(4, 8), draws=str(draws), n_draws=2)
    few = len(pd.read_parquet(scores_of(root, "count_lr")).query("draw == 0"))
    row = look(root, MODELS, ("count_lr",))
    assert (row.looked_at, row.found) == (few, 0)
    table = pd.read_parquet(scores_of(root, "count_lr"))
    table.loc[table["draw"] == 0, "y_score_raw"] += 1e-4
    table.to_parquet(scores_of(root, "count_lr"), index=False)
    assert look(root, MODELS, ("count_lr",)).found == few


def test_columns_that_are_scaled_by_more_than_train_are_found(root):
    """The scores and the loss are the same: only the scale is another."""
    from skops import io

    file = root / "fitted" / TASK.task / "count_lr" / "head.skops"
    head = io.load(file, trusted=["numpy.arcsinh"])
    head[0][-1].scale_ = head[0][-1].scale_ * 1.0001
    head[-1].coef_ = head[-1].coef_ * 1.0001
    io.dump(head, file)
    assert look(root, MODELS).found == 1
