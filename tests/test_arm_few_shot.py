"""Arms that learn from draws, join others, or run with several seeds: what they are fitted on."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler
from test_arm import MODELS, quiet, shown, spec_of, write_examples

import ml.arm
from ml.adaptation import heads
from ml.adaptation.draws import write_draws
from ml.adaptation.guards import require_finite_loss
from ml.adaptation.heads import estimator
from ml.adaptation.regimes import REGIMES
from ml.arm import run_arm
from ml.arm_spec import ArmSpec, ViewSpec
from ml.arm_views import runs_of
from ml.inputs.examples import read_examples
from ml.refusal import RefusalError

K, DRAWS = (3, 6), 2


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = write_examples(tmp_path_factory.mktemp("few"))
    example = read_examples(folder / "examples")
    write_draws(example, folder / "draws.parquet", draws=DRAWS, seed=5, largest=max(K))
    return folder


def few(folder: Path, model: str, **changes) -> ArmSpec:
    spec = dataclasses.replace(
        spec_of(folder, model), k=K, draws=str(folder / "draws.parquet"), n_draws=DRAWS, configurations=1
    )
    spec = dataclasses.replace(spec, **changes)
    return dataclasses.replace(spec, fitted=str(Path(spec.predictions).with_suffix("")))


def table(spec: ArmSpec) -> pd.DataFrame:
    return pd.read_parquet(spec.predictions)


@pytest.fixture(scope="module")
def few_lr(world):
    spec = few(world, "logistic_regression", predictions=str(world / "few_lr.parquet"))
    return spec, run_arm(spec, quiet), table(spec)


def test_a_learning_curve_has_one_run_a_k_and_draw(world, few_lr):
    _, facts, found = few_lr
    assert facts["runs"] == len(K) * DRAWS
    assert facts["skipped_k"] == []
    example, _ = shown(world)
    judged = example[example["split"] != "train"]
    for (k, _), rows in found.groupby(["k", "draw"]):
        assert (rows["split"] == "train").sum() == 2 * k
        others = rows[rows["split"] != "train"]
        assert sorted(others["example_id"]) == sorted(judged["example_id"])
        assert rows.loc[rows["split"] == "train", "y_true"].sum() == k
        assert (rows["y_score"] == rows["y_score_raw"]).all()  # discrimination only


def test_a_run_is_fitted_on_its_draw_and_on_nothing_else(world, few_lr):
    _, _, found = few_lr
    draws = pd.read_parquet(world / "draws.parquet")
    example, matrix = shown(world)
    place = {one: n for n, one in enumerate(example["example_id"])}
    for (k, draw), rows in found.groupby(["k", "draw"]):
        drawn = draws[(draws["draw"] == draw) & (draws["place"] <= k) & (draws["split"] == "train")]
        fit = sorted(place[one] for one in drawn["example_id"])
        head = estimator("logistic_regression", {"C": 0.01}, seed=0, blocks=())
        head.fit(matrix[fit], example["y_true"].to_numpy(float)[fit])
        expected = head.predict_proba(matrix[[place[one] for one in rows["example_id"]]])[:, 1]
        assert np.abs(rows["y_score_raw"] - expected).max() < 1e-9


def test_a_k_with_too_few_cases_is_left_out_and_said(world):
    spec = few(world, "logistic_regression", k=(3, 500), predictions=str(world / "skipped.parquet"))
    assert run_arm(spec, quiet)["skipped_k"] == [500]
    assert set(table(spec)["k"]) == {3}


def test_several_seeds_are_several_runs_of_the_chosen_configuration(world):
    seeds = (11, 12, 13)
    spec = dataclasses.replace(
        spec_of(world, "lightgbm"), seeds=seeds, predictions=str(world / "seeds.parquet"), configurations=2
    )
    facts = run_arm(spec, quiet)
    found = table(spec)
    assert found.groupby("seed")["example_id"].nunique().to_dict() == dict.fromkeys(seeds, facts["examples"])
    wide = found.pivot(index="example_id", columns="seed", values="y_score_raw")
    assert (wide[11] != wide[12]).any()
    fit = json.loads((Path(spec.fitted) / "fit.json").read_text(encoding="utf-8"))
    assert [len(run["trials"]) for run in fit["runs"]] == [2, 1, 1]
    assert all(run["configuration"] == fit["runs"][0]["configuration"] for run in fit["runs"])
    assert fit["kept"] == ["seed11"]
    assert (Path(spec.fitted) / "seed11" / "model.txt").exists()


def test_runs_of_an_arm_are_seeds_by_shots_by_draws(world):
    runs = runs_of(few(world, "lightgbm", seeds=(1, 2)))
    assert len(runs) == len({run.name for run in runs}) == 2 * len(K) * DRAWS
    assert [run.seed for run in runs] == [1] * 4 + [2] * 4


def stacked(world: Path, parts: tuple[ArmSpec, ...], **changes) -> ArmSpec:
    spec = dataclasses.replace(
        spec_of(world, "logistic_regression"),
        arm="stacked",
        regime="stack",
        views=(),
        configurations=1,
        work=str(world / "stack_work"),
        predictions=str(world / "stacked.parquet"),
        fitted=str(world / "stacked_fitted"),
        parts=parts,
    )
    return dataclasses.replace(spec, **changes)


def test_a_stack_is_fitted_on_scores_out_of_sample(world):
    parts = tuple(spec_of(world, model) for model in ("logistic_regression", "lightgbm"))
    chosen = {part.model: run_arm(part, quiet)["configuration"] for part in parts}
    spec = stacked(world, parts)
    run_arm(spec, quiet)
    example, matrix = shown(world)
    labels = example["y_true"].to_numpy(float)
    train = np.flatnonzero(example["split"] == "train")
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=spec.seeds[0])
    columns = {part.model: table(part)["y_score_raw"].to_numpy().copy() for part in parts}
    # The linear arm by hand; the boosted one needs its tuning for early stopping and is trusted here.
    out_of_sample = columns["logistic_regression"].copy()
    groups = example["person_id"].to_numpy()[train]
    for inside, outside in folds.split(train, labels[train], groups):
        assert not set(groups[inside]) & set(groups[outside])
        head = estimator("logistic_regression", chosen["logistic_regression"], seed=0, blocks=())
        head.fit(matrix[train[inside]], labels[train[inside]])
        out_of_sample[train[outside]] = head.predict_proba(matrix[train[outside]])[:, 1]
    alone = stacked(world, (parts[0], parts[0]), arm="twice", predictions=str(world / "twice.parquet"))
    run_arm(dataclasses.replace(alone, fitted=str(world / "twice_fitted")), quiet)
    logit = np.log(out_of_sample / (1 - out_of_sample))
    features = np.column_stack([logit, logit])
    scaler = StandardScaler().fit(features[train])
    head = LogisticRegression(C=1.0, max_iter=5000).fit(scaler.transform(features[train]), labels[train])
    expected = head.predict_proba(scaler.transform(features))[:, 1]
    assert np.abs(table(alone)["y_score_raw"].to_numpy() - expected).max() < 1e-6
    in_sample = columns["logistic_regression"][train]
    assert np.abs(in_sample - out_of_sample[train]).max() > 0.01


@pytest.mark.parametrize(
    "where", ["nowhere", "in a part", "in a fold of a part", "in its own head", "in a joined head"]
)
def test_an_arm_of_arms_says_that_one_of_its_fits_did_not_converge(world, monkeypatch, where):
    """Each fit is planted in turn; what is given up on is the fit, its guards and scores are real."""
    regime = "concat" if where == "in a joined head" else "stack"
    folder = world / where.replace(" ", "_")
    folder.mkdir()
    parts = tuple(
        dataclasses.replace(
            spec_of(world, model), predictions=str(folder / model), fitted=str(folder / f"{model}_fit")
        )
        for model in ("logistic_regression", "lightgbm")
    )
    fit, n_fits = REGIMES["fit"], []

    def given_up(shown_, setting):
        n_fits.append(setting.target)
        adapted = fit(shown_, setting)
        mine = {"in a part": 1, "in a fold of a part": len(parts) + 3}.get(where)
        return dataclasses.replace(adapted, converged=len(n_fits) != mine)

    monkeypatch.setitem(REGIMES, "fit", given_up)
    said = [run_arm(part, quiet)["converged"] for part in parts]
    assert said == [where != "in a part", True]
    if where.endswith("head"):
        monkeypatch.setattr(
            heads, "LogisticRegression", lambda **given: LogisticRegression(**given | {"max_iter": 1})
        )
    view = ViewSpec("counts", str(world / "counts"))
    views = (view, view) if regime == "concat" else ()
    spec = stacked(
        folder, parts if regime == "stack" else (), regime=regime, views=views, examples=parts[0].examples
    )
    assert run_arm(spec, quiet)["converged"] is (where == "nowhere")


def test_a_stack_of_two_a_class_leaves_each_out_once(world):
    parts = tuple(
        few(world, model, k=(2,), predictions=str(world / f"two_{model}.parquet"))
        for model in ("logistic_regression", "lightgbm")
    )
    for part in parts:
        run_arm(part, quiet)
    spec = stacked(world, parts, k=(2,), draws=parts[0].draws, n_draws=DRAWS)
    assert run_arm(spec, quiet)["runs"] == DRAWS


def test_a_run_that_diverges_stops_the_arm_and_is_named(world, monkeypatch):
    spec = few(world, "lightgbm", seeds=(11, 12), k=(3,), predictions=str(world / "diverged.parquet"))
    fit = REGIMES["fit"]

    def diverges(shown_, setting):
        if setting.key == "seed12-k3-draw0":
            require_finite_loss(float("nan"), 5)
        return fit(shown_, setting)

    monkeypatch.setitem(REGIMES, "fit", diverges)
    with pytest.raises(RefusalError) as refused:
        run_arm(spec, quiet)
    assert refused.value.guard == "loss_not_finite"
    assert refused.value.reason == "run 3 of 4 (seed 12, k 3, draw 0): the loss at step 5 is nan"
    assert not Path(spec.predictions).exists()


def test_a_stack_joins_the_run_of_the_same_draw(world, few_lr):
    part, _, own = few_lr
    other = few(world, "lightgbm", predictions=str(world / "few_gbm.parquet"))
    run_arm(other, quiet)
    spec = stacked(
        world,
        (part, other),
        k=K,
        draws=part.draws,
        n_draws=DRAWS,
        predictions=str(world / "few_stack.parquet"),
    )
    run_arm(spec, quiet)
    found = table(spec)
    keys = ["example_id", "k", "draw"]
    assert len(found.merge(own, on=keys)) == len(found) == len(own)


def test_joined_counts_stand_side_by_side(world):
    view = ViewSpec("counts", str(world / "counts"))
    spec = dataclasses.replace(
        spec_of(world, "logistic_regression"),
        regime="concat",
        views=(view, view),
        predictions=str(world / "joined.parquet"),
    )
    assert run_arm(spec, quiet)["features"] == 2 * 12


def test_a_killed_arm_keeps_its_finished_runs(world, monkeypatch):
    spec = few(
        world,
        "logistic_regression",
        predictions=str(world / "killed.parquet"),
        work=str(world / "killed_work"),
    )
    fit, calls = REGIMES["fit"], []

    def dies_at_the_third(shown_, setting):
        calls.append(setting.target.parent.name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return fit(shown_, setting)

    monkeypatch.setitem(REGIMES, "fit", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run_arm(spec, quiet)
    assert not Path(spec.predictions).exists()
    run_arm(spec, quiet)
    assert len(calls) == 3 + 2  # the third again, and the fourth
    assert calls[2] == calls[3]
    assert not Path(spec.work).exists()
    whole = few(world, "logistic_regression", predictions=str(world / "whole.parquet"))
    run_arm(whole, quiet)
    assert Path(spec.predictions).read_bytes() == Path(whole.predictions).read_bytes()


def test_work_of_other_inputs_is_not_taken_up(world, monkeypatch):
    spec = few(world, "logistic_regression", work=str(world / "other_work"))
    work = ml.arm._open_work(spec, read_labelled(world))
    (work / "left").write_text("x", encoding="utf-8")
    assert (ml.arm._open_work(spec, read_labelled(world)) / "left").exists()
    changed = dataclasses.replace(spec, configurations=4)
    assert not (ml.arm._open_work(changed, read_labelled(world)) / "left").exists()


def read_labelled(folder: Path) -> pd.DataFrame:
    example = read_examples(folder / "examples")
    return example[example["y_true"].notna()].sort_values("example_id", ignore_index=True)


def test_a_spec_travels_through_json():
    spec = stacked(Path("w"), (few(Path("w"), "lightgbm"),))
    assert ArmSpec.of(json.loads(json.dumps(dataclasses.asdict(spec)))) == spec
    moved = dataclasses.replace(spec, work="elsewhere", predictions="elsewhere", fitted="elsewhere")
    assert moved.content == spec.content
    assert dataclasses.replace(spec, mode="lora").content != spec.content
    assert set(MODELS) >= {"lightgbm"}
