"""What looks at the small site, clean or with a fault in it, and the example that a fault is made of."""

from pathlib import Path

import pandas as pd
from published_world import Tables

from leakage.small_site import TASK
from ml.leakage.cohort import cohort, labels
from ml.leakage.fits import fitting
from ml.leakage.inputs import lineage
from ml.leakage.rows import LeakRow
from ml.leakage.shown import open_shown
from ml.leakage.splits import independence
from ml.task_definition import Task

CHECKS = {
    check.name: check
    for module in (lineage, labels, cohort, independence, fitting)
    for check in module.CHECKS
}  # fmt: skip


def look(root: Path, name: str, task: Task = TASK) -> LeakRow:
    """Run a check on what is stored below a folder."""
    with open_shown(root, task, seeds=root / "seeds") as shown:
        return CHECKS[name].run(shown)


def of_class(tables: Tables, y_true: int | None) -> pd.Series:
    """The first example with this label, as a row of the cohort; one with events before its index."""
    label, given = tables["label"], tables["example_input"].set_index("example_id")
    known = label["y_true"].isna() if y_true is None else label["y_true"] == y_true
    shown = label["example_id"].map(given["n_events"]) > 2
    example = label.loc[known.fillna(False) & shown, "example_id"].iloc[0]
    return tables["cohort"].set_index("example_id", drop=False).loc[example]
