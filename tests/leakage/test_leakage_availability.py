"""When the published record was known, against the landed rows of a few persons written by hand."""

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from dbt_world import land_rows

from leakage.hand_written_site import LANDED, OFFICE, PUBLISHED, STAY, cell, look, published, write_site

EARLY = "no_event_is_known_too_early"
WAITS = "bills_wait_for_the_end_of_their_stay"
OLDER = "rows_are_not_older_than_their_visit"


@pytest.fixture(scope="module")
def landing(tmp_path_factory) -> Path:
    return land_rows(LANDED, tmp_path_factory.mktemp("landed") / "site")


def test_what_was_made_of_the_rows_by_hand_passes(tmp_path, landing):
    row = look(write_site(tmp_path / "site", published()), EARLY, landing)
    assert (row.looked_at, row.found) == (len(PUBLISHED), 0)
    assert row.cannot_see


FAULTS = [
    (cell("available_date", date(2015, 3, 8), of=5), 1),
    (cell("available_date", date(2015, 3, 8), of=10), 1),
    (cell("available_date", date(2015, 3, 8), of=1), 1),
    (cell("available_date", date(2015, 4, 1), of=13), 1),
    (cell("available_date", None, of=11), 1),
]


@pytest.mark.parametrize(("fault", "found"), FAULTS, ids=lambda value: getattr(value, "__name__", None))
def test_a_fault_of_the_published_record_is_found(tmp_path, landing, fault, found):
    tables = published()
    fault(tables)
    row = look(write_site(tmp_path / "site", tables), EARLY, landing)
    assert (row.found, row.severity) == (found, "block")


def test_an_event_that_is_known_late_is_not_known_early(tmp_path, landing):
    tables = published()
    tables["clinical_event"]["available_date"] += timedelta(days=400)
    assert look(write_site(tmp_path / "site", tables), EARLY, landing).found == 0


@pytest.mark.parametrize(("lag", "found"), [(0, 0), (3, 3)])
def test_a_lag_is_for_results_without_a_day_of_their_own(tmp_path, landing, lag, found):
    """Two of the four results have one; the third event that is known too early is the drug."""
    root = write_site(tmp_path / "site", published())
    rules = (root / "seeds" / "availability.csv").read_text(encoding="utf-8")
    rules = rules.replace("result_date,0", f"result_date,{lag}").replace(
        "drug_exposure,,own_date,0", f"drug_exposure,,own_date,{lag}"
    )
    (root / "seeds" / "availability.csv").write_text(rules, encoding="utf-8")
    assert look(root, EARLY, landing).found == found


@pytest.mark.parametrize(
    ("visit_id", "day", "open_stay", "found"),
    [(10, 2, None, 0), (10, 2, 20, 1), (None, 2, None, 3), (999, 2, None, 3), (None, 9, None, 0)],
)
def test_bills_that_do_not_wait_for_a_stay_are_counted(tmp_path, landing, visit_id, day, open_stay, found):
    """A row of the last day is final on it; the stay of person 2 has no end."""
    tables = published()
    events = tables["clinical_event"]
    events.loc[8, "visit_occurrence_id"] = open_stay
    mine = (events["person_id"] == -1) & (events["source_table"] == "condition_occurrence")
    events.loc[mine, "visit_occurrence_id"] = visit_id
    events.loc[mine, ["event_date", "available_date"]] = date(2015, 3, day)
    row = look(write_site(tmp_path / "site", tables), WAITS, landing)
    assert (row.looked_at, row.found, row.severity) == (6, found, "warn")


@pytest.mark.parametrize(
    ("concept", "first", "last", "day", "procedure_of", "known_later", "found"),
    [
        (9203, 1, 1, 1, 10, 0, 0),  # the emergency part of a stay that has a bill of its own
        (9203, 1, 1, 1, 11, 0, 4),  # all bills of the stay hang on it
        (9203, 1, 1, 2, 10, 0, 3),  # it was over
        (9203, 1, 1, 2, 10, 9, 0),  # it was over, but nothing was known before the stay was
        (OFFICE, 2, 3, 2, 10, 0, 0),  # a consultation
        (OFFICE, 3, 3, 2, 10, 0, 3),  # one that was to come
        (STAY, 1, 9, 2, 10, 0, 0),  # another stay that lasts as long
    ],
)
def test_bills_of_a_visit_that_ends_before_the_stay_are_counted(
    tmp_path, landing, concept, first, last, day, procedure_of, known_later, found
):
    """Person -1 is in hospital from the first to the ninth, with three diagnoses and a procedure."""
    tables = published()
    events = tables["clinical_event"]
    events.loc[8, "visit_occurrence_id"] = None
    events.loc[[5, 6, 7], "visit_occurrence_id"] = 11
    events.loc[[5, 6, 7], "event_date"] = date(2015, 3, day)
    events.loc[[5, 6, 7], "available_date"] = date(2015, 3, day + known_later)
    events.loc[10, "visit_occurrence_id"] = procedure_of
    events.loc[10, "available_date"] = date(2015, 3, 8)
    more = events.loc[[0, 1]].assign(
        event_id=[100, 101], visit_occurrence_id=11, event_date=[date(2015, 3, n) for n in (first, last)],
        value_as_concept_id=None,
    )  # fmt: skip
    more["concept_id"] = concept
    tables["clinical_event"] = pd.concat([events, more.astype(events.dtypes)], ignore_index=True)
    tables["concept_set_member"].loc[3] = ["inpatient_or_emergency_visit", 9203]
    row = look(write_site(tmp_path / "site", tables), WAITS, landing)
    assert (row.found, row.severity) == (found, "warn")


@pytest.mark.parametrize(("starts", "known", "found"), [(4, 4, 0), (5, 4, 3), (5, 5, 0), (3, 4, 0)])
def test_rows_that_are_older_than_their_visit_are_counted(tmp_path, landing, starts, known, found):
    """Three diagnoses of the third of March, known on another day, of a visit that begins on one."""
    tables = published()
    events = tables["clinical_event"]
    events["visit_occurrence_id"] = pd.array([None] * len(events), dtype="Int64")
    events.loc[[5, 6, 7], "visit_occurrence_id"] = 11
    events.loc[[5, 6, 7], "event_date"] = date(2015, 3, 3)
    events.loc[[5, 6, 7], "available_date"] = date(2015, 3, known)
    visit = events.loc[[0]].assign(event_id=100, visit_occurrence_id=11, event_date=date(2015, 3, starts))
    visit["concept_id"] = OFFICE
    tables["clinical_event"] = pd.concat([events, visit.astype(events.dtypes)], ignore_index=True)
    row = look(write_site(tmp_path / "site", tables), OLDER, landing)
    assert (row.looked_at, row.found, row.severity) == (3, found, "warn")
