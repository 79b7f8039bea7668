"""Published events, persons and periods against the landed rows, of a few persons written by hand."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from dbt_world import land_rows

from leakage.hand_written_site import LANDED, PUBLISHED, Tables, cell, look, published, write_site

EVENTS = "every_event_is_a_row_of_the_source"
PERSONS = "persons_and_periods_are_those_of_the_source"


@pytest.fixture(scope="module")
def landing(tmp_path_factory) -> Path:
    return land_rows(LANDED, tmp_path_factory.mktemp("landed") / "site")


@pytest.mark.parametrize(("name", "looked_at"), [(EVENTS, len(PUBLISHED)), (PERSONS, 8)])
def test_what_was_made_of_the_rows_by_hand_passes(tmp_path, landing, name, looked_at):
    row = look(write_site(tmp_path / "site", published()), name, landing)
    assert (row.looked_at, row.found) == (looked_at, 0)
    assert row.cannot_see


@pytest.mark.parametrize("name", [EVENTS, PERSONS])
def test_without_a_landed_source_nothing_was_looked_at(tmp_path, name):
    row = look(write_site(tmp_path / "site", published()), name, tmp_path / "gone")
    assert (row.looked_at, row.found, row.severity) == (0, 0, "block")


def row_left_out(tables: Tables) -> None:
    tables["clinical_event"] = tables["clinical_event"].iloc[1:]


def one_of_two_alike_left_out(tables: Tables) -> None:
    tables["clinical_event"] = tables["clinical_event"].drop(index=7)


def row_twice(tables: Tables) -> None:
    tables["clinical_event"] = pd.concat([tables["clinical_event"], tables["clinical_event"].tail(1)])


def later_birth(tables: Tables) -> None:
    tables["person"].loc[1, "birth_date"] = date(1951, 1, 1)


def other_sex(tables: Tables) -> None:
    tables["person"].loc[0, "gender_concept_id"] = 8532


def longer_period(tables: Tables) -> None:
    tables["observed_period"].loc[0, "observation_period_end_date"] = date(2021, 12, 31)


def first_period_alone(tables: Tables) -> None:
    tables["observed_period"] = tables["observed_period"].iloc[1:]


FAULTS = [
    (cell("value_as_number", 8.5), EVENTS, 2),
    (cell("value_as_number", None), EVENTS, 2),
    (cell("value_as_number", 2.0, of=5), EVENTS, 2),
    (cell("unit_concept_id", None), EVENTS, 2),
    (cell("value_as_concept_id", 8536, of=0), EVENTS, 2),
    (cell("visit_occurrence_id", None, of=5), EVENTS, 2),
    (cell("person_id", 2, of=5), EVENTS, 2),
    (cell("concept_id", 102, of=5), EVENTS, 2),
    (cell("type_concept_id", 1, of=5), EVENTS, 2),
    (cell("event_date", date(2015, 3, 1), of=5), EVENTS, 2),
    (cell("source_table", "condition_era", of=5), EVENTS, 2),
    (row_left_out, EVENTS, 1),
    (one_of_two_alike_left_out, EVENTS, 1),
    (row_twice, EVENTS, 1),
    (later_birth, PERSONS, 2),
    (other_sex, PERSONS, 2),
    (longer_period, PERSONS, 2),
    (first_period_alone, PERSONS, 1),
]


@pytest.mark.parametrize(
    ("fault", "name", "found"), FAULTS, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_fault_of_the_published_record_is_found(tmp_path, landing, fault, name, found):
    tables = published()
    fault(tables)
    row = look(write_site(tmp_path / "site", tables), name, landing)
    assert (row.found, row.severity) == (found, "block")
