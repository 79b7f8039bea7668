"""Examples, splits and scores are those of the published snapshot, and splits those of the one before."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from leakage.small_site import ARM, TASK, edit, small_tables, write_site
from leakage.spoilt_small_site import CHECKS, look
from ml.leakage.shown import open_shown
from ml.leakage.splits import independence

NAMES = [check.name for check in independence.CHECKS]


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return write_site(tmp_path_factory.mktemp("site") / "clean", small_tables(), with_views=False)


@pytest.mark.parametrize("name", NAMES)
def test_a_clean_site_passes(clean, name):
    row = look(clean, name)
    assert (row.found, row.severity) == (0, "block")
    assert row.looked_at > 0 and row.cannot_see


def another_split(root: Path) -> None:
    path = root / "tasks" / TASK.task / "examples" / "example.parquet"
    edit(path, lambda frame: frame.assign(split=frame["split"].to_numpy()[::-1]))


def another_label(root: Path) -> None:
    path = root / "tasks" / TASK.task / "examples" / "example.parquet"
    edit(path, lambda frame: frame.assign(y_true=1 - frame["y_true"]))


def split_untold(root: Path) -> None:
    path = root / "tasks" / TASK.task / "examples" / "example.parquet"
    edit(path, lambda frame: frame.assign(split=frame["split"].where(frame.index > 0)))


def example_left_out_beside_one_without_an_id(root: Path) -> None:
    path = root / "tasks" / TASK.task / "examples" / "example.parquet"
    edit(path, lambda frame: frame.assign(example_id=frame["example_id"].where(frame.index > 0)))


def scores(change, name: str):
    def fault(root: Path) -> None:
        edit(root / "predictions" / TASK.task / f"{ARM}.parquet", change)

    fault.__name__ = name
    return fault


STORED_FAULTS = [
    (another_split, "examples_are_as_published"),
    (another_label, "examples_are_as_published"),
    (split_untold, "examples_are_as_published"),
    (example_left_out_beside_one_without_an_id, "examples_are_as_published"),
    *(
        (scores(change, name), "scores_are_of_these_examples")
        for name, change in {
            "no_held_out": lambda frame: frame[frame["split"] != "held_out"],
            "one_twice": lambda frame: pd.concat([frame, frame.head(1)]),
            "other_labels": lambda frame: frame.assign(y_true=1 - frame["y_true"]),
            "split_untold": lambda frame: frame.assign(split=frame["split"].where(frame.index > 0)),
            "of_another_snapshot": lambda frame: frame.assign(example_id="0"),
        }.items()
    ),
]


@pytest.mark.parametrize(
    ("fault", "name"), STORED_FAULTS, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_fault_of_what_is_stored_is_found(clean, tmp_path, fault, name):
    root = shutil.copytree(clean, tmp_path / "site")
    fault(root)
    row = look(root, name)
    assert row.found > 0
    assert row.arms == ((ARM,) if CHECKS[name].stage == "scores" else ())


@pytest.mark.parametrize("moves", [False, True])
def test_a_person_keeps_the_split_of_the_snapshot_before(clean, tmp_path, moves):
    root = write_site(tmp_path / "site", small_tables(), with_views=False)
    before = root / "snapshots" / "before"
    shutil.copytree(clean / "published", before)
    if moves:
        other = {"train": "held_out", "held_out": "train", "tuning": "tuning"}
        edit(before / "split.parquet", lambda frame: frame.assign(split=frame["split"].map(other)))
    with open_shown(root, TASK, seeds=root / "seeds") as shown:
        row = independence.CHECKS[0].run(shown)
        (moved,) = shown.row("select count(*) from example where split <> 'tuning'")
    assert (row.looked_at > moved > 0, row.found) == (True, moved if moves else 0)
