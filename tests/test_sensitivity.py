"""The refit of count baselines on own dates: same seed and grid, and no difference without a cause."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest
from published_world import TASK, make_world, write_world
from sklearn.metrics import roc_auc_score

from ml.arm import run_arm
from ml.arm_spec import ArmSpec, ViewSpec
from ml.inputs.count import write_count_features
from ml.inputs.examples import ExampleOptions, cut_examples
from ml.inputs.own_date import write_own_date_snapshot
from ml.inputs.view import CountOptions
from ml.sensitivity import RefitArm, own_date_sensitivity

OPTIONS = CountOptions(min_train_examples=2)
MODELS = {"count_lr": "logistic_regression", "count_gbm": "lightgbm"}


def silent(_: str) -> None:
    """Say nothing."""


def analysed(folder: Path, *, all_on_time: bool) -> tuple[Path, pd.DataFrame]:
    """Fit two arms on a small world and refit them; return where, and the metrics."""
    tables = make_world(3, 260)
    if all_on_time:
        events = tables["clinical_event"]
        events["available_date"] = events["event_date"]
    published = write_world(folder / "published", tables)
    own = folder / "own"
    own.mkdir()
    cut_examples(published, TASK.task, folder / "examples", ExampleOptions(None, 1))
    write_own_date_snapshot(published, folder / "examples", TASK.task, own, includes_index_day=False)
    cut_examples(own, TASK.task, folder / "cut", ExampleOptions(None, 1))
    # Without late events the ordinary cut is that of own dates; the world's own inputs know of late ones.
    ordinary = folder / ("cut" if all_on_time else "examples")
    write_count_features(ordinary, folder / "counts", OPTIONS)
    for name, model in MODELS.items():
        spec = ArmSpec(
            arm=name, model=model, regime="fit", views=(ViewSpec("counts", str(folder / "counts")),),
            seeds=(7,), configurations=2, examples=str(ordinary), work=str(folder / "work"),
            predictions=str(folder / f"{name}.parquet"), fitted=str(folder / "fitted" / name),
        )  # fmt: skip
        run_arm(spec, silent)
    arms = tuple(
        RefitArm(name, model, "counts", dataclasses.asdict(OPTIONS), str(folder / f"{name}.parquet"))
        for name, model in MODELS.items()
    )
    facts = own_date_sensitivity(
        TASK.task, folder / "cut", arms, folder / "refits", folder / "metrics.parquet",
        configurations=2, n_bootstrap=100, seed=5, progress=silent,
    )  # fmt: skip
    assert len(facts["results"]) == 2 * len(MODELS)
    return folder, pd.read_parquet(folder / "metrics.parquet").set_index(["arm", "metric"])


@pytest.mark.slow
def test_the_metrics_are_those_of_the_refitted_predictions(tmp_path):
    folder, metrics = analysed(tmp_path, all_on_time=False)
    for name in MODELS:
        own, plain = (pd.read_parquet(folder / part / f"{name}.parquet") for part in ("refits", "."))
        assert set(own["seed"]) == set(plain["seed"]) == {7}
        assert own["example_id"].tolist() == plain["example_id"].tolist()
        assert own["y_score"].tolist() != plain["y_score"].tolist()
        held = [rows[rows["split"] == "held_out"] for rows in (plain, own)]
        first, second = (roc_auc_score(rows["y_true"], rows["y_score"]) for rows in held)
        assert metrics.loc[(name, "auroc_own_date"), "value"] == pytest.approx(second)
        difference = metrics.loc[(name, "auroc_own_date_difference")]
        assert difference["value"] == pytest.approx(second - first)
        assert difference["ci_low"] < difference["ci_high"]
    assert sorted(file.name for file in (folder / "refits").iterdir()) == [
        "count_gbm.parquet", "count_lr.parquet", "fitted",
    ]  # fmt: skip


@pytest.mark.slow
def test_where_nothing_was_late_the_refit_is_the_arm_itself(tmp_path):
    folder, metrics = analysed(tmp_path, all_on_time=True)
    for name in MODELS:
        own, plain = (pd.read_parquet(folder / part / f"{name}.parquet") for part in ("refits", "."))
        pd.testing.assert_frame_equal(own, plain)
        difference = metrics.loc[(name, "auroc_own_date_difference")]
        assert (difference["value"], difference["ci_low"], difference["ci_high"]) == (0, 0, 0)
