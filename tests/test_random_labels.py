"""Labels dealt at random to count arms: dealt within splits, and nothing is learned from them."""

import shutil

import numpy as np
import pandas as pd
from published_world import make_world, write_world

from ml.inputs.examples import ExampleOptions, cut_examples
from ml.inputs.view import CountOptions
from ml.leakage.fits.permutation import random_evidence
from ml.random_labels import CountArm, deal_labels, write_random_labels


def test_random_labels_are_those_of_the_split_in_another_order_and_teach_nothing(tmp_path):
    write_world(tmp_path / "published", make_world(5, 240))
    examples = tmp_path / "tasks" / "first_1y" / "examples"
    cut_examples(tmp_path / "published", "first_1y", examples, ExampleOptions(None, 1))
    before = pd.read_parquet(examples / "example.parquet")
    after = pd.read_parquet(
        deal_labels(examples, tmp_path / "dealt", np.random.default_rng(1)) / "example.parquet"
    )
    pd.testing.assert_frame_equal(before.drop(columns="y_true"), after.drop(columns="y_true"))
    assert (before["y_true"].isna() == after["y_true"].isna()).all()
    assert (before.groupby("split")["y_true"].sum() == after.groupby("split")["y_true"].sum()).all()
    assert (before["y_true"].dropna().to_numpy() != after["y_true"].dropna().to_numpy()).sum() > 30
    counts = CountOptions(min_train_examples=2)
    arms = [
        CountArm("count_lr", "logistic_regression", counts, n_configurations=1, repetitions=4),
        CountArm("count_gbm", "lightgbm", counts, n_configurations=1, repetitions=2),
    ]
    file, of_other = write_random_labels(tmp_path, "first_1y", arms, seed=3, progress=lambda line: None)
    table = pd.read_parquet(file)
    held_out = before[(before["split"] == "held_out") & before["y_true"].notna()]
    assert table.groupby("repetition").size().tolist() == [len(held_out)] * 4
    assert table.groupby("repetition")["y_true"].sum().tolist() == [held_out["y_true"].sum()] * 4
    dealt = np.stack([own["y_true"].to_numpy() for _, own in table.groupby("repetition")])
    assert len(np.unique(dealt, axis=0)) == 4  # and not in their own order
    assert random_evidence(table, 1e-6).p_value > 1e-3
    assert sorted(path.name for path in examples.parent.iterdir()) == ["examples"]
    # what an arm scores does not depend on the arms that shared its dealings
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "tasks", other / "tasks")
    (alone,) = write_random_labels(other, "first_1y", arms[1:], seed=3, progress=lambda line: None)
    pd.testing.assert_frame_equal(pd.read_parquet(alone), pd.read_parquet(of_other))
    assert (pd.read_parquet(of_other)["y_true"] == table[table["repetition"] < 2]["y_true"]).all()
