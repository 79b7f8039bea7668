"""An arm fits on train, chooses on tuning, and scores as scikit-learn and LightGBM themselves do."""

import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import MaxAbsScaler

import ml.arm
from ml.adaptation.budgets import LIGHTGBM_CEILING, LIGHTGBM_PATIENCE
from ml.adaptation.regimes import REGIMES
from ml.adaptation.shown import Adapted
from ml.arm import run_arm
from ml.arm_spec import ArmSpec, ViewSpec
from ml.refusal import RefusalError
from ml.schema import SCHEMAS, SPLITS

N, FEATURES, SEED = 300, 12, 11


def quiet(line: str) -> None:
    assert line


def write_examples(folder: Path, y_true: np.ndarray | None = None) -> Path:
    """A cut by hand: 300 examples of 200 persons, some without a label, and their count features."""
    rng = np.random.default_rng(3)
    matrix = sparse.random(N, FEATURES, density=0.5, random_state=4, format="csr")
    matrix.data = np.ceil(matrix.data * 6) - 2.0  # negative values too, as a laboratory has them
    matrix.eliminate_zeros()
    risk = np.asarray(matrix @ rng.normal(size=FEATURES)).ravel() * 0.6
    labels = (risk + rng.logistic(size=N) > 0.7).astype(float)
    labels[rng.random(N) < 0.1] = np.nan
    order = rng.permutation(N)
    person = np.arange(N) % 200
    example = pd.DataFrame(
        {
            "example_id": [f"{n:016x}" for n in order],
            "person_id": person - 100,
            "index_date": pd.Timestamp("2015-01-01"),
            "split": np.array(SPLITS)[np.searchsorted([100, 150], person * 7919 % 200, side="right")],
            "y_true": pd.array(labels if y_true is None else y_true, dtype="Float64").astype("Int64"),
            "age": 50,
            "sex": "male",
            "n_events": 3,
        }
    )
    (folder / "examples").mkdir(parents=True)
    (folder / "counts").mkdir()
    shuffled = rng.permutation(N)  # the view has its own order of rows
    example.to_parquet(folder / "examples" / "example.parquet", index=False)
    example.iloc[shuffled][["example_id"]].to_parquet(folder / "counts" / "row.parquet", index=False)
    names = pd.DataFrame({"feature": [f"f{n}" for n in range(FEATURES)], "stands_for": [[]] * FEATURES})
    names.to_parquet(folder / "counts" / "column.parquet", index=False)
    cells = matrix[shuffled].tocoo()
    value = pd.DataFrame({"row": cells.row, "column": cells.col, "value": cells.data})
    value.to_parquet(folder / "counts" / "value.parquet", index=False)
    return folder


MODELS = {"prior": "none", "logistic_regression": "counts", "lightgbm": "counts"}


def spec_of(folder: Path, model: str) -> ArmSpec:
    return ArmSpec(
        arm=model,
        model=model,
        regime="fit",
        views=(ViewSpec("counts", str(folder / "counts")),) if MODELS[model] == "counts" else (),
        seeds=(SEED,),
        configurations=3,
        examples=str(folder / "examples"),
        work=str(folder / f"{model}_work"),
        predictions=str(folder / f"{model}.parquet"),
        fitted=str(folder / f"{model}_fitted"),
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Every baseline carried out once: facts and predictions by model, and the folder."""
    folder = write_examples(tmp_path_factory.mktemp("arm"))
    facts = {model: run_arm(spec_of(folder, model), quiet) for model in MODELS}
    return folder, facts, {model: pd.read_parquet(folder / f"{model}.parquet") for model in MODELS}


def shown(folder: Path) -> tuple[pd.DataFrame, sparse.csr_matrix]:
    """Labelled examples in order of their ids, and their features, read independently."""
    example = pd.read_parquet(folder / "examples" / "example.parquet")
    example = example[example["y_true"].notna()].sort_values("example_id", ignore_index=True)
    rows = pd.read_parquet(folder / "counts" / "row.parquet")["example_id"].tolist()
    value = pd.read_parquet(folder / "counts" / "value.parquet")
    dense = np.zeros((len(rows), FEATURES))
    dense[value["row"], value["column"]] = value["value"]
    place = {example_id: n for n, example_id in enumerate(rows)}
    return example, sparse.csr_matrix(dense[[place[e] for e in example["example_id"]]])


@pytest.mark.parametrize("model", MODELS)
def test_predictions_are_one_finite_row_a_labelled_example(done, model):
    folder, facts, predictions = done
    found = predictions[model]
    example, _ = shown(folder)
    assert list(found.columns) == list(SCHEMAS["predictions"])
    assert found["example_id"].tolist() == example["example_id"].tolist()
    assert found["person_id"].tolist() == example["person_id"].tolist()
    assert found["split"].tolist() == example["split"].tolist()
    assert found["y_true"].tolist() == example["y_true"].tolist()
    assert 200 < len(found) < N
    assert facts[model]["examples"] == len(found)
    for column in ("y_score", "y_score_raw"):
        assert found[column].between(0, 1).all()
    assert set(found["seed"]) == {SEED}
    assert found["k"].isna().all()
    assert found["draw"].isna().all()


def rows_of(example: pd.DataFrame, split: str) -> np.ndarray:
    return np.flatnonzero(example["split"] == split)


def test_the_prior_scores_everyone_with_the_prevalence_of_train(done):
    folder, _, predictions = done
    example, _ = shown(folder)
    train = example.loc[rows_of(example, "train"), "y_true"]
    assert np.allclose(predictions["prior"]["y_score_raw"], train.mean(), atol=1e-12)
    tuning = example.loc[rows_of(example, "tuning"), "y_true"]
    assert np.allclose(predictions["prior"]["y_score"], tuning.mean(), atol=1e-9)


def logistic_scores(folder: Path, strength: float, **options: Any) -> tuple[pd.DataFrame, np.ndarray]:
    example, matrix = shown(folder)
    train = rows_of(example, "train")
    spread = matrix.copy()
    spread.data = np.arcsinh(spread.data)
    scaler = MaxAbsScaler().fit(spread[train])
    head = LogisticRegression(C=strength, max_iter=5000, **options)
    head.fit(scaler.transform(spread[train]), example["y_true"].to_numpy(float)[train])
    return example, head.predict_proba(scaler.transform(spread))[:, 1]


def test_logistic_regression_scores_as_scikit_learn_fitted_on_train_alone(done):
    folder, facts, predictions = done
    strength = facts["logistic_regression"]["configuration"]["C"]
    scores = predictions["logistic_regression"]["y_score_raw"]
    _, expected = logistic_scores(folder, strength, solver="newton-cg")
    assert np.abs(scores - expected).max() < 1e-9
    _, by_another_solver = logistic_scores(folder, strength)
    assert np.abs(scores - by_another_solver).max() < 1e-3


def test_the_configuration_is_the_best_of_tuning_and_every_trial_is_kept(done):
    folder, facts, _ = done
    trials = facts["logistic_regression"]["trials"]
    assert len({trial["C"] for trial in trials}) == 3
    for trial in trials:
        example, scores = logistic_scores(folder, trial["C"])
        tuning = rows_of(example, "tuning")
        expected = roc_auc_score(example["y_true"].to_numpy(float)[tuning], scores[tuning])
        assert trial["auroc"] == pytest.approx(expected, abs=1e-6)
    best = max(trials, key=lambda trial: trial["auroc"])
    assert facts["logistic_regression"]["configuration"] == {"C": best["C"]}


def test_lightgbm_scores_as_lightgbm_itself_with_the_chosen_configuration(done):
    from lightgbm import LGBMClassifier, early_stopping

    folder, facts, predictions = done
    example, matrix = shown(folder)
    train, tuning = rows_of(example, "train"), rows_of(example, "tuning")
    labels = example["y_true"].to_numpy(float)
    model = LGBMClassifier(
        **facts["lightgbm"]["configuration"], n_estimators=LIGHTGBM_CEILING, subsample=0.8, subsample_freq=1,
        colsample_bytree=0.5, random_state=SEED, n_jobs=1, deterministic=True, force_row_wise=True,
        verbosity=-1,
    )  # fmt: skip
    stop = early_stopping(LIGHTGBM_PATIENCE, first_metric_only=True, verbose=False)
    model.fit(matrix[train], labels[train], eval_X=(matrix[tuning],), eval_y=(labels[tuning],),
              eval_metric="auc", callbacks=[stop])  # fmt: skip
    expected = model.predict_proba(matrix)[:, 1]
    assert np.abs(predictions["lightgbm"]["y_score_raw"] - expected).max() < 1e-9
    assert np.ptp(expected) > 0.1
    assert facts["lightgbm"]["converged"] is True


@pytest.mark.parametrize("model", ["logistic_regression", "lightgbm"])
def test_y_score_is_the_logistic_recalibration_fitted_on_tuning(done, model):
    _, facts, predictions = done
    found = predictions[model]
    tuning = (found["split"] == "tuning").to_numpy()
    logit = np.log(found["y_score_raw"] / (1 - found["y_score_raw"])).to_numpy()[:, None]
    plain = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    plain.fit(logit[tuning], found["y_true"][tuning])
    expected = plain.predict_proba(logit)[:, 1]
    # The recalibration's own words allow its slope to move by less than 1e-3.
    assert facts[model]["recalibration_slope"] == pytest.approx(plain.coef_[0, 0], rel=1e-3)
    assert facts[model]["recalibration_intercept"] == pytest.approx(plain.intercept_[0], abs=1e-3)
    assert np.abs(found["y_score"] - expected).max() < 1e-3


@pytest.mark.parametrize("model", MODELS)
def test_no_held_out_label_influences_anything(done, tmp_path, model):
    folder, facts, predictions = done
    example = pd.read_parquet(folder / "examples" / "example.parquet")
    labels = example["y_true"].to_numpy(float, na_value=np.nan)
    held_out = np.flatnonzero((example["split"] == "held_out") & example["y_true"].notna())
    labels[held_out] = 1 - labels[held_out]
    other = write_examples(tmp_path / "other", labels)
    facts_other = run_arm(spec_of(other, model), quiet)
    found = pd.read_parquet(other / f"{model}.parquet")
    assert facts_other.pop("held_out_sha256") != facts[model]["held_out_sha256"]
    assert facts_other == {name: fact for name, fact in facts[model].items() if name != "held_out_sha256"}
    assert (found["y_true"] != predictions[model]["y_true"]).sum() == len(held_out) > 20
    for column in ("y_score", "y_score_raw"):
        assert (found[column] == predictions[model][column]).all()


def test_a_train_label_does_influence_the_scores(done, tmp_path):
    folder, _, predictions = done
    example = pd.read_parquet(folder / "examples" / "example.parquet")
    labels = example["y_true"].to_numpy(float, na_value=np.nan)
    train = np.flatnonzero((example["split"] == "train") & example["y_true"].notna())
    labels[train[:20]] = 1 - labels[train[:20]]
    other = write_examples(tmp_path / "other", labels)
    run_arm(spec_of(other, "logistic_regression"), quiet)
    found = pd.read_parquet(other / "logistic_regression.parquet")
    assert (found["y_score_raw"] != predictions["logistic_regression"]["y_score_raw"]).any()


@pytest.mark.parametrize("model", MODELS)
def test_a_second_run_gives_the_same_bytes(done, tmp_path, model):
    folder, _, _ = done
    other = write_examples(tmp_path / "other")
    run_arm(spec_of(other, model), quiet)
    assert (other / f"{model}.parquet").read_bytes() == (folder / f"{model}.parquet").read_bytes()


@pytest.mark.parametrize("model", MODELS)
def test_the_saved_model_reloads_to_the_same_scores(done, model):
    folder, _, predictions = done
    _, matrix = shown(folder)
    fitted = folder / f"{model}_fitted"
    assert not [file for file in fitted.iterdir() if file.suffix in (".pkl", ".joblib", ".pickle")]
    if model == "lightgbm":
        from lightgbm import Booster

        scores = Booster(model_file=fitted / "model.txt").predict(matrix)
    else:
        from skops import io

        head = io.load(fitted / "head.skops", trusted=["numpy.arcsinh"])
        given = np.zeros((matrix.shape[0], 1)) if model == "prior" else matrix
        scores = head.predict_proba(given)[:, 1]
    assert np.abs(np.asarray(scores) - predictions[model]["y_score_raw"]).max() < 1e-9


@pytest.mark.parametrize("model", MODELS)
def test_the_record_of_the_fit_says_who_was_used_for_what(done, model):
    folder, facts, predictions = done
    fit = json.loads((folder / f"{model}_fitted" / "fit.json").read_text(encoding="utf-8"))
    assert (fit["fitted_on"], fit["selected_on"]) == ("train", "tuning")
    assert fit["persons"] == predictions[model].groupby("split")["person_id"].nunique().to_dict()
    assert [run["configuration"] for run in fit["runs"]] == [facts[model]["configuration"]]
    log = pd.read_parquet(folder / f"{model}_fitted" / fit["log"])
    serves = {"fit": "train", "select": "tuning", "recalibrate": "tuning"}
    for purpose, split in serves.items():
        persons = predictions[model].loc[predictions[model]["split"] == split, "person_id"]
        assert log.loc[log["purpose"] == purpose, "person_id"].tolist() == sorted(set(persons))
    assert set(log["purpose"]) == set(serves)
    assert set(log["run"]) == {f"seed{SEED}"}


def patched(monkeypatch, change) -> None:
    """Let the regime's result be changed by a test before the arm sees it."""
    fit = REGIMES["fit"]
    monkeypatch.setitem(REGIMES, "fit", lambda *arguments: change(fit(*arguments)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_refused_and_nothing_is_written(tmp_path, monkeypatch, value):
    folder = write_examples(tmp_path / "w")

    def spoil(adapted: Adapted) -> Adapted:
        scores = adapted.y_score_raw.copy()
        scores[[3, 5]] = value
        return replace(adapted, y_score_raw=scores)

    patched(monkeypatch, spoil)
    with pytest.raises(RefusalError, match=r"2 of \d+ examples have no finite score") as refused:
        run_arm(spec_of(folder, "logistic_regression"), quiet)
    assert refused.value.guard == "example_without_score"
    assert sorted(path.name for path in folder.iterdir() if "work" not in path.name) == ["counts", "examples"]


def test_a_model_that_reloads_to_other_scores_is_refused_and_nothing_is_written(tmp_path, monkeypatch):
    folder = write_examples(tmp_path / "w")

    def spoil(adapted: Adapted) -> Adapted:
        scores = adapted.y_score_raw.copy()
        scores[3] += 1e-6
        return replace(adapted, y_score_raw=scores)

    patched(monkeypatch, spoil)
    with pytest.raises(RefusalError) as refused:
        run_arm(spec_of(folder, "logistic_regression"), quiet)
    assert refused.value.guard == "reloaded_scores_differ"
    assert sorted(path.name for path in folder.iterdir() if "work" not in path.name) == ["counts", "examples"]


def killed(spec: ArmSpec, monkeypatch) -> None:
    """Carry out an arm until all is trained and nothing is kept but its unfinished work."""

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ml.arm, "_write_fitted", die)
        with pytest.raises(KeyboardInterrupt):
            run_arm(spec, quiet)


def test_work_left_under_another_split_is_not_taken_up(done, tmp_path, monkeypatch):
    *_, predictions = done
    other = write_examples(tmp_path / "other")
    path = other / "examples" / "example.parquet"
    example = pd.read_parquet(path)
    swapped = example["split"].replace({"train": "held_out", "held_out": "train"})
    example.assign(split=swapped).to_parquet(path, index=False)
    spec = spec_of(other, "logistic_regression")
    killed(spec, monkeypatch)
    assert (Path(spec.work) / f"seed{SEED}" / "predictions.parquet").exists()
    example.to_parquet(path, index=False)
    run_arm(spec, quiet)
    found = pd.read_parquet(spec.predictions)
    pd.testing.assert_frame_equal(found, predictions["logistic_regression"])


@pytest.mark.parametrize("change", ["nothing", "library", "device"])
def test_work_left_by_other_libraries_or_another_device_is_not_taken_up(tmp_path, monkeypatch, change):
    folder = write_examples(tmp_path / "w")
    spec = spec_of(folder, "logistic_regression")
    killed(spec, monkeypatch)
    if change == "library":
        monkeypatch.setattr(
            ml.arm, "version", lambda name: "0.1" if name == "scikit-learn" else version(name)
        )
    if change == "device":
        monkeypatch.setattr(ml.arm, "device", lambda: torch.device("meta"))
    fitted = []
    patched(monkeypatch, lambda adapted: fitted.append(1) or adapted)
    run_arm(spec, quiet)
    assert len(fitted) == (0 if change == "nothing" else 1)
