"""Views and arms that were fitted on more than they may: none on a clean site, and each on its fault."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from leakage.small_site import ARM, TASK, edit, small_tables, write_site, write_views
from leakage.spoilt_small_site import CHECKS, look
from ml.leakage.fits import fitting

NAMES = [check.name for check in fitting.CHECKS]


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return write_site(tmp_path_factory.mktemp("site") / "clean", small_tables())


@pytest.mark.parametrize("name", NAMES)
def test_a_clean_site_passes(clean, name):
    row = look(clean, name)
    assert (row.found, row.severity) == (0, "block")
    assert row.looked_at > 0 and row.cannot_see


def fitted_on_tuning_as_well(root: Path) -> None:
    below = root / "tasks" / TASK.task
    path = below / "examples" / "example.parquet"
    right = pd.read_parquet(path)
    edit(path, lambda frame: frame.assign(split=frame["split"].replace("tuning", "train")))
    write_views(below / "examples", below)
    right.to_parquet(path, index=False)


def read_from_held_out(purpose: str):
    def fault(root: Path) -> None:
        split = pd.read_parquet(root / "published" / "split.parquet")
        one = split.loc[split["split"] == "held_out", "person_id"].iloc[0]
        path = root / "fitted" / TASK.task / ARM / "fit_log.parquet"
        more = pd.DataFrame({"person_id": [one], "purpose": purpose, "run": "seed1"})
        edit(path, lambda frame: pd.concat([frame, more], ignore_index=True))

    fault.__name__ = f"held_out_to_{purpose}"
    return fault


STORED_FAULTS = [
    (fitted_on_tuning_as_well, "views_are_fitted_on_train"),
    (read_from_held_out("fit"), "arms_are_fitted_on_train_and_chosen_on_tuning"),
    (read_from_held_out("select"), "arms_are_fitted_on_train_and_chosen_on_tuning"),
    (read_from_held_out("guess"), "arms_are_fitted_on_train_and_chosen_on_tuning"),
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
