"""Examples of the published cohort that the cut has not: by the recorded draw, or by somebody's choice."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from leakage.small_site import ARM, TASK, edit, small_tables, write_site
from ml.inputs.examples import ExampleOptions, cut_examples
from ml.leakage.fits import fitting
from ml.leakage.rows import LeakCheck
from ml.leakage.shown import open_shown
from ml.leakage.splits import independence


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return write_site(tmp_path_factory.mktemp("left-out") / "site", small_tables(), with_views=False)


@pytest.fixture
def root(clean, tmp_path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "site"))


def examples(root: Path) -> Path:
    return root / "tasks" / TASK.task / "examples"


def left_out(root: Path, check: LeakCheck = independence.CHECKS[0]) -> int:
    with open_shown(root, TASK, seeds=root / "seeds") as shown:
        row = check.run(shown)
    assert (row.looked_at > 0, row.severity) == (True, "block")
    return row.found


@pytest.mark.parametrize("limit", [None, 100, 40])
@pytest.mark.parametrize("seed", [1, 2])
def test_whom_the_recorded_draw_leaves_out_is_no_violation(root, limit, seed):
    cut_examples(root / "published", TASK.task, examples(root), ExampleOptions(limit, seed))
    assert (len(pd.read_parquet(examples(root) / "example.parquet")) < 110) == (limit is not None)
    assert left_out(root) == 0


@pytest.mark.parametrize("limit", [None, 60])
def test_whoever_else_is_left_out_is_found_labelled_or_not(root, limit):
    cut_examples(root / "published", TASK.task, examples(root), ExampleOptions(limit, 1))
    table = pd.read_parquet(examples(root) / "example.parquet")
    gone = [
        *table[table["y_true"].notna()]["example_id"][::9],
        *table[table["y_true"].isna()]["example_id"][:1],
    ]
    edit(examples(root) / "example.parquet", lambda frame: frame[~frame["example_id"].isin(gone)])
    assert left_out(root) == len(gone) > 5


def test_another_draw_than_the_recorded_one_is_found(root):
    cut_examples(root / "published", TASK.task, examples(root), ExampleOptions(50, 1))
    draw = examples(root) / "draw.json"
    draw.write_text(json.dumps({"max_examples": 50, "seed": 2}), encoding="utf-8")
    assert left_out(root) > 10


@pytest.mark.parametrize(("run", "found"), [("seed1", 1), ("seed1-k8-draw0", 0)])
@pytest.mark.parametrize("purpose", ["fit", "select", "recalibrate"])
def test_a_person_whom_a_fit_passed_over_is_found_but_in_a_fit_of_a_few(root, run, found, purpose):
    def passed_over(log: pd.DataFrame) -> pd.DataFrame:
        return log.drop(log.index[log["purpose"] == purpose][3]).assign(run=run)

    edit(root / "fitted" / TASK.task / ARM / "fit_log.parquet", passed_over)
    assert left_out(root, fitting.CHECKS[1]) == found


@pytest.mark.parametrize(("split", "of_few"), [("train", 0), ("tuning", 1), ("held_out", 1)])
@pytest.mark.parametrize("k", [None, 8])
def test_an_example_without_a_score_is_found_but_of_train_in_a_fit_of_a_few(root, split, of_few, k):
    def without(scores: pd.DataFrame) -> pd.DataFrame:
        scores = scores.drop(scores.index[scores["split"] == split][2])
        return scores.assign(k=pd.array([k] * len(scores), dtype="Int64"))

    edit(root / "predictions" / TASK.task / f"{ARM}.parquet", without)
    assert left_out(root, independence.CHECKS[1]) == (1 if k is None else of_few)
