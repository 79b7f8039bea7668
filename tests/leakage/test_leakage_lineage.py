"""Inputs of the past alone: each check passes a clean site, and finds the fault that it is there for."""

import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from published_world import Tables

from leakage.small_site import (
    BELOW_OUTCOME,
    COUNTS,
    TASK,
    TEXT,
    VISIT,
    add_events,
    edit,
    event_of,
    small_tables,
    write_site,
    write_views,
)
from leakage.spoilt_small_site import CHECKS, look, of_class
from ml.inputs.examples import ExampleOptions, cut_examples
from ml.leakage.inputs import lineage

NAMES = [check.name for check in lineage.CHECKS]


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return write_site(tmp_path_factory.mktemp("site") / "clean", small_tables())


@pytest.fixture
def tables() -> Tables:
    return small_tables()


@pytest.mark.parametrize("name", NAMES)
def test_a_clean_site_passes(clean, name):
    row = look(clean, name)
    assert (row.found, row.severity) == (0, "block")
    assert row.looked_at > 0 and row.cannot_see


def window_too_wide(tables: Tables) -> None:
    one, given, events = of_class(tables, 0), tables["example_input"], tables["clinical_event"]
    last = events.loc[events["person_id"] == one["person_id"], "event_no"].max()
    row = given["example_id"] == one["example_id"]
    given.loc[row, ["last_event_no", "n_events"]] = [last, last]


def of_the_index_day(tables: Tables) -> None:
    one = of_class(tables, 0)
    before = one["index_date"] - timedelta(days=1)
    add_events(tables, event_of(tables, one["person_id"], one["index_date"], available_date=before))


def bill_of_an_open_stay(tables: Tables) -> None:
    """A stay over the index, and a diagnosis of it that claims to have been known when it was made."""
    one = of_class(tables, 0)
    start, end = (one["index_date"] + timedelta(days=days) for days in (-4, 3))
    stay = {"visit_occurrence_id": 7, "concept_id": VISIT, "source_table": "visit_occurrence"}
    for domain, day in (("Visit", start), ("Visit end", end)):
        add_events(tables, event_of(tables, one["person_id"], day, domain=domain, **stay))
    add_events(tables, event_of(tables, one["person_id"], start, visit_occurrence_id=7))


def disposition_at_the_start(tables: Tables) -> None:
    one = of_class(tables, 0)
    visit = {"domain": "Visit", "concept_id": VISIT, "source_table": "visit_occurrence"}
    day = one["index_date"] - timedelta(days=4)
    add_events(tables, event_of(tables, one["person_id"], day, value_as_concept_id=4161979, **visit))


def era_as_an_input(tables: Tables) -> None:
    one = of_class(tables, 0)
    day = one["index_date"] - timedelta(days=4)
    add_events(tables, event_of(tables, one["person_id"], day, domain="Drug", source_table="drug_era"))


def set_without_descendants(tables: Tables) -> None:
    members = tables["concept_set_member"]
    tables["concept_set_member"] = members[members["concept_id"] != BELOW_OUTCOME]


TABLE_FAULTS = [
    (window_too_wide, "no_input_dated_after_the_index"),
    (window_too_wide, "input_is_all_that_was_known"),
    (window_too_wide, "inputs_are_made_of_the_past_alone"),
    (of_the_index_day, "no_input_dated_after_the_index"),
    (bill_of_an_open_stay, "no_input_final_after_the_index"),
    (bill_of_an_open_stay, "inputs_are_made_of_the_past_alone"),
    (disposition_at_the_start, "no_visit_shows_its_end"),
    (era_as_an_input, "inputs_come_from_raw_records"),
    (set_without_descendants, "outcome_concepts_can_be_recomputed"),
]


@pytest.mark.parametrize(("fault", "name"), TABLE_FAULTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_fault_of_the_snapshot_is_found(tmp_path, tables, fault, name):
    fault(tables)
    reads_views = name == "inputs_are_made_of_the_past_alone"
    row = look(write_site(tmp_path / "site", tables, with_views=reads_views), name)
    assert row.found > 0
    assert row.severity == "block"


def named_after_the_future(root: Path) -> None:
    path = root / "tasks" / TASK.task / COUNTS / "column.parquet"
    edit(path, lambda frame: frame.assign(feature=["days_to_period_end", *frame["feature"][1:]]))


def words_of_the_future(root: Path) -> None:
    path = root / "tasks" / TASK.task / TEXT / "text.parquet"
    table = pd.read_parquet(path, columns=["example_id", "text"])
    edit(path, lambda frame: table.assign(text=table["text"] + " Seen again."))


def sums_over_the_whole_record(root: Path) -> None:
    """Views made of a cut that knows no index; the cut beside them is right."""
    below = root / "tasks" / TASK.task
    path = root / "published" / "example_input.parquet"
    right = pd.read_parquet(path)
    last = (
        pd.read_parquet(root / "published" / "clinical_event.parquet").groupby("person_id")["event_no"].max()
    )
    edit(path, lambda frame: frame.assign(last_event_no=last.reindex(frame["person_id"]).to_numpy()))
    cut_examples(root / "published", TASK.task, below / "whole", ExampleOptions(None, 1))
    write_views(below / "whole", below)
    right.to_parquet(path, index=False)


def input_left_out(root: Path) -> None:
    edit(root / "tasks" / TASK.task / "examples" / "event.parquet", lambda frame: frame.iloc[1:])


def age_at_the_end(root: Path) -> None:
    path = root / "tasks" / TASK.task / "examples" / "example.parquet"
    edit(path, lambda frame: frame.assign(age=[frame["age"][0] + 1, *frame["age"][1:]]))


STORED_FAULTS = [
    (named_after_the_future, "no_column_of_the_future"),
    (words_of_the_future, "inputs_are_made_of_the_past_alone"),
    (sums_over_the_whole_record, "inputs_are_made_of_the_past_alone"),
    (input_left_out, "input_is_all_that_was_known"),
    (age_at_the_end, "age_and_sex_are_those_of_the_index"),
]


@pytest.mark.parametrize(
    ("fault", "name"), STORED_FAULTS, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_fault_of_what_is_stored_is_found(clean, tmp_path, fault, name):
    root = shutil.copytree(clean, tmp_path / "site")
    fault(root)
    row = look(root, name)
    assert row.found > 0
    assert row.arms == ()


def test_nothing_of_a_person_stands_in_a_row(tmp_path, tables):
    window_too_wide(tables)
    root = write_site(tmp_path / "site", tables)
    example = pd.read_parquet(root / "tasks" / TASK.task / "examples" / "example.parquet")
    secrets = {
        *example["example_id"],
        *map(str, example["person_id"]),
        *map(str, example["index_date"].dt.date),
    }
    for name in CHECKS:
        words = str(look(root, name).as_row())
        assert not any(secret in words for secret in secrets), name
    assert len(secrets) > len(np.unique(example["example_id"]))
