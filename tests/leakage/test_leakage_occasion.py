"""A code that is recorded just before an index alone, beside ones of ordinary care."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from leakage.small_site import TASK, Tables, add_events, event_of, small_tables, write_site
from ml.leakage.rows import LeakRow
from ml.leakage.shown import open_shown
from ml.leakage.signals import occasion

SCORE, PERSONS = 4321, 60


def measured(tables: Tables, days: int, *, persons: int = PERSONS, **cells: object) -> None:
    """Give persons a result so many days before their index."""
    first = tables["cohort"].head(persons)
    pairs = zip(first["person_id"], first["index_date"], strict=True)
    rows = [
        event_of(tables, person, index - timedelta(days=days),
                 **{"concept_id": SCORE, "domain": "Measurement", "source_table": "measurement", **cells})
        for person, index in pairs
    ]  # fmt: skip
    more = pd.concat(rows, ignore_index=True)
    more["event_id"] += np.arange(len(more))
    add_events(tables, more)


def look(tables: Tables, folder) -> LeakRow:
    root = write_site(folder / "site", tables, with_views=False)
    (check,) = occasion.CHECKS
    with open_shown(root, TASK, seeds=root / "seeds") as shown:
        assert check.applies(TASK, shown.kinds)
        return check.run(shown)


def test_a_code_of_the_last_weeks_alone_is_found(tmp_path):
    tables = small_tables()
    measured(tables, 12)
    row = look(tables, tmp_path)
    assert (row.found, row.severity) == (1, "warn")
    assert row.looked_at > PERSONS


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(lambda tables: None, id="nothing is measured near an index"),
        pytest.param(lambda tables: measured(tables, 12, persons=19), id="too few persons"),
        pytest.param(lambda tables: measured(tables, 40), id="weeks before"),
        pytest.param(lambda tables: measured(tables, 0), id="on the index day"),
        pytest.param(lambda tables: measured(tables, 12, domain="Condition"), id="a diagnosis"),
    ],
)
def test_what_is_measured_at_other_times_is_not(tmp_path, more):
    tables = small_tables()
    measured(tables, 200, concept_id=SCORE + 1)
    more(tables)
    assert look(tables, tmp_path).found == 0


def test_a_code_that_a_quarter_have_at_other_times_too_is_not(tmp_path):
    tables = small_tables()
    measured(tables, 12)
    measured(tables, -100, persons=15)
    assert look(tables, tmp_path).found == 0
