"""Examples of the published cohort that the cut has not: by the recorded draw, or by somebody's choice."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from leakage.small_site import TASK, edit, small_tables, write_site
from ml.inputs.examples import ExampleOptions, cut_examples
from ml.leakage import independence
from ml.leakage.shown import open_shown


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return write_site(tmp_path_factory.mktemp("left-out") / "site", small_tables(), with_views=False)


@pytest.fixture
def root(clean, tmp_path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "site"))


def examples(root: Path) -> Path:
    return root / "tasks" / TASK.task / "examples"


def left_out(root: Path) -> int:
    with open_shown(root, TASK, seeds=root / "seeds") as shown:
        row = independence.CHECKS[0].run(shown)
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
