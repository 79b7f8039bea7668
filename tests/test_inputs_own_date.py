"""The own-date cut holds what happened before the index, and is the ordinary cut where nothing was late."""

from datetime import timedelta

import pandas as pd
import pytest
from published_world import TASK, make_world, write_world

from ml.inputs.examples import ExampleOptions, cut_examples
from ml.inputs.own_date import write_own_date_snapshot

OPTIONS = ExampleOptions(60, 1)


def own_date_cut(folder, tables, *, includes_index_day=False):
    """The ordinary cut and the own-date one of the same examples."""
    published = write_world(folder / "published", tables)
    cut_examples(published, TASK.task, folder / "examples", OPTIONS)
    (folder / "own").mkdir()
    write_own_date_snapshot(
        published, folder / "examples", TASK.task, folder / "own", includes_index_day=includes_index_day
    )
    cut_examples(folder / "own", TASK.task, folder / "cut", OPTIONS)
    return folder / "examples", folder / "cut"


@pytest.fixture
def tables():
    return make_world(5, 120)


@pytest.mark.parametrize("includes_index_day", [False, True])
def test_an_input_is_what_happened_before_the_index(tmp_path, tables, includes_index_day):
    _, cut = own_date_cut(tmp_path, tables, includes_index_day=includes_index_day)
    example, event = (pd.read_parquet(cut / f"{name}.parquet") for name in ("example", "event"))
    happened = tables["clinical_event"].set_index("event_id")
    looked, late = 0, 0
    for row in example.itertuples():
        last = row.index_date.date() - timedelta(days=0 if includes_index_day else 1)
        theirs = happened[happened["person_id"] == row.person_id]
        expected = theirs[theirs["event_date"] <= last]
        late += int((expected["available_date"] > last).sum())
        assert set(event.loc[event["example_id"] == row.example_id, "event_id"]) == set(expected.index)
        assert row.n_events == len(expected)
        looked += len(expected)
    assert looked > 100
    assert late > 5


def test_where_nothing_was_known_late_it_is_the_ordinary_cut(tmp_path, tables):
    events = tables["clinical_event"]
    events["available_date"] = events["event_date"]
    events = events.sort_values(["person_id", "event_date", "event_id"], ignore_index=True)
    events["event_no"] = events.groupby("person_id").cumcount() + 1
    given, cohort = tables["example_input"], tables["cohort"].set_index("example_id")["index_date"]
    for n, row in given.iterrows():
        index = cohort[row["example_id"]]
        own = events[(events["person_id"] == row["person_id"]) & (events["event_date"] < index)]["event_no"]
        given.loc[n, "n_events"] = len(own)
        given.loc[n, "first_event_no"] = own.min() if len(own) else pd.NA
        given.loc[n, "last_event_no"] = own.max() if len(own) else pd.NA
    tables["clinical_event"] = events[list(tables["clinical_event"])]
    ordinary, own_date = own_date_cut(tmp_path, tables)
    files = sorted(file.name for file in ordinary.iterdir())
    assert files == sorted(file.name for file in own_date.iterdir())
    assert {"example.parquet", "event.parquet"} <= set(files)
    assert (ordinary / "draw.json").read_bytes() == (own_date / "draw.json").read_bytes()
    for name in (name for name in files if name.endswith(".parquet")):
        left, right = pd.read_parquet(ordinary / name), pd.read_parquet(own_date / name)
        pd.testing.assert_frame_equal(left, right, check_dtype=False)


def test_examples_and_labels_are_the_same_ones(tmp_path, tables):
    ordinary, own_date = own_date_cut(tmp_path, tables)
    left, right = (pd.read_parquet(folder / "example.parquet") for folder in (ordinary, own_date))
    pd.testing.assert_frame_equal(left.drop(columns="n_events"), right.drop(columns="n_events"))
    assert (left["n_events"] <= right["n_events"]).all()
    assert (left["n_events"] < right["n_events"]).any()
