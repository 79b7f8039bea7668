"""What a refresh brings of closed days and what it takes away, from the snapshot before."""

import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest
from published_world import Tables

from leakage.small_site import TASK, add_events, edit, event_of, small_tables, write_site
from ml.leakage.record import arrival
from ml.leakage.record.calendar import NO_END
from ml.leakage.shown import open_shown


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return write_site(tmp_path_factory.mktemp("site") / "clean", small_tables(), with_views=False)


@pytest.fixture
def tables() -> Tables:
    return small_tables()


@pytest.mark.parametrize(("days", "found"), [(-30, 25), (400, 0)])
def test_rows_that_a_refresh_brings_of_closed_days_are_late(clean, tmp_path, tables, days, found):
    with open_shown(clean, TASK, seeds=clean / "seeds") as shown:
        assert arrival.CHECKS[0].run(shown).looked_at == 0
    end = tables["study_period"]["data_end"].iloc[0]
    for person in tables["person"]["person_id"].head(25):
        add_events(tables, event_of(tables, person, end + timedelta(days=days)))
    root = write_site(tmp_path / "site", tables, with_views=False)
    shutil.copytree(clean / "published", root / "snapshots" / "before")
    with open_shown(root, TASK, seeds=root / "seeds") as shown:
        row = arrival.CHECKS[0].run(shown)
    assert (row.looked_at, row.found, row.severity) == (25, found, "warn")


@pytest.mark.parametrize(("taken", "found"), [(3, 0), (30, 30)])
def test_rows_stay_in_the_record(clean, tmp_path, tables, taken, found):
    root = write_site(tmp_path / "site", tables, with_views=False)
    before = tables["clinical_event"]
    (code,) = before.loc[before["concept_id"] > 0, "concept_id"].mode()[:1]
    assert (before["concept_id"] == code).sum() > 200
    gone = before.index[before["concept_id"] == code][:taken]
    with open_shown(root, TASK, seeds=root / "seeds") as shown:
        assert arrival.CHECKS[1].run(shown).looked_at == 0
    shutil.copytree(clean / "published", root / "snapshots" / "before")
    edit(root / "published" / "clinical_event.parquet", lambda frame: frame.drop(index=gone))
    with open_shown(root, TASK, seeds=root / "seeds") as shown:
        row = arrival.CHECKS[1].run(shown)
    assert (row.looked_at > taken, row.found, row.severity) == (True, found, "warn")


@pytest.mark.parametrize("check", arrival.CHECKS, ids=lambda check: check.name)
def test_shifted_dates_say_nothing_of_a_refresh(clean, tmp_path, tables, check):
    """Some persons' dates lie decades later: a day before the last of all is no closed day."""
    for person in tables["person"]["person_id"].head(25):
        add_events(tables, event_of(tables, person, date(2090, 1, 1)))
    root = write_site(tmp_path / "site", tables, with_views=False)
    before = root / "snapshots" / "before"
    shutil.copytree(root / "published", before)
    for folder in (before, root / "published"):
        edit(
            folder / "study_period.parquet", lambda table: table.assign(data_end=None, last_tar_end_date=None)
        )
    edit(before / "clinical_event.parquet", lambda table: table.iloc[::2])
    edit(root / "published" / "clinical_event.parquet", lambda table: table.iloc[200:])
    with open_shown(root, TASK, seeds=root / "seeds") as shown:
        row = check.run(shown)
    assert (row.looked_at, row.found, row.note) == (0, 0, NO_END)
