"""Cohort, index days and labels of the record: each check passes a clean site, and finds its fault."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from published_world import OUTCOME, TAR_DAYS, Tables

from leakage.small_site import TASK, add_events, event_of, number, small_tables, write_site
from leakage.spoilt_small_site import look, of_class
from ml.leakage.cohort import cohort, labels
from ml.leakage.record.calendar import NO_END

NAMES = [check.name for module in (labels, cohort) for check in module.CHECKS]


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> Path:
    return write_site(tmp_path_factory.mktemp("site") / "clean", small_tables(), with_views=False)


@pytest.fixture
def tables() -> Tables:
    return small_tables()


@pytest.mark.parametrize("name", NAMES)
def test_a_clean_site_passes(clean, name):
    row = look(clean, name)
    assert (row.found, row.severity) == (0, "block")
    assert row.looked_at > 0 and row.cannot_see


def outcome_of(tables: Tables, y_true: int | None, days: int, known_after: int = 0) -> None:
    one = of_class(tables, y_true)
    day = one["index_date"] + timedelta(days=days)
    known = day + timedelta(days=known_after)
    add_events(tables, event_of(tables, one["person_id"], day, concept_id=OUTCOME, available_date=known))


def prevalent_case(tables: Tables) -> None:
    outcome_of(tables, 1, -30, known_after=60)


def non_case_with_an_outcome(tables: Tables) -> None:
    outcome_of(tables, 0, TAR_DAYS)


def lost_with_an_outcome(tables: Tables) -> None:
    outcome_of(tables, None, 20)


def case_with_an_earlier_outcome(tables: Tables) -> None:
    outcome_of(tables, 1, 1)


def case_without_an_event(tables: Tables) -> None:
    """The column that says when still does."""
    one, events = of_class(tables, 1), tables["clinical_event"]
    mine = (events["person_id"] == one["person_id"]) & (events["concept_id"] == OUTCOME)
    tables["clinical_event"] = events[~mine]
    number(tables)


def case_after_death(tables: Tables) -> None:
    one = of_class(tables, 1)
    day = one["index_date"] + timedelta(days=100)
    death = {"domain": "Death", "concept_id": 0, "source_table": "death"}
    add_events(tables, event_of(tables, one["person_id"], day, **death))


def entry_known_later(tables: Tables) -> None:
    events, one = tables["clinical_event"], of_class(tables, 0)
    events.loc[events["event_id"] == one["entry_event_id"], "available_date"] += timedelta(days=9)
    number(tables)


def only_who_came_back(tables: Tables) -> None:
    """The cohort asks for an event after the index."""
    events = tables["clinical_event"].merge(tables["cohort"][["person_id", "index_date"]], on="person_id")
    later = events.loc[events["event_date"] > events["index_date"] + timedelta(days=240), "person_id"]
    assert 0 < tables["cohort"]["person_id"].isin(later).sum() < len(tables["cohort"])
    for name in ("cohort", "label", "example_input"):
        tables[name] = tables[name][tables[name]["person_id"].isin(later)]


def data_end_too_early(tables: Tables) -> None:
    day = tables["cohort"]["index_date"].min() + timedelta(days=TAR_DAYS)
    tables["study_period"][["data_end", "last_tar_end_date"]] = day


FAULTS = [
    (prevalent_case, "no_labelled_example_had_the_outcome_before"),
    (non_case_with_an_outcome, "label_is_found_in_the_record"),
    (lost_with_an_outcome, "label_is_found_in_the_record"),
    (case_with_an_earlier_outcome, "label_is_found_in_the_record"),
    (case_without_an_event, "label_is_found_in_the_record"),
    (case_after_death, "label_is_found_in_the_record"),
    (entry_known_later, "index_is_the_day_its_entry_was_known"),
    (entry_known_later, "cohort_is_found_in_the_record"),
    (only_who_came_back, "cohort_is_found_in_the_record"),
    (data_end_too_early, "time_at_risk_is_over_by_the_end_of_the_data"),
]


@pytest.mark.parametrize(("fault", "name"), FAULTS, ids=lambda value: getattr(value, "__name__", value))
def test_a_fault_of_the_snapshot_is_found(tmp_path, tables, fault, name):
    fault(tables)
    row = look(write_site(tmp_path / "site", tables, with_views=False), name)
    assert row.found > 0
    assert row.severity == "block"


def test_a_design_that_breaks_a_check_by_name_has_it_listed(clean):
    broken = replace(TASK, design="reproduction", breaks="label_is_found_in_the_record")
    assert look(clean, "label_is_found_in_the_record", broken).severity == "warn"


def test_without_an_end_of_the_data_no_time_at_risk_runs_past_it(tmp_path, tables):
    name = "time_at_risk_is_over_by_the_end_of_the_data"
    tables["study_period"]["coding_lag_days"] = np.array([30_000], dtype=np.int32)
    tables["study_period"][["data_end", "last_tar_end_date"]] = None
    row = look(write_site(tmp_path / "site", tables, with_views=False), name)
    assert row.looked_at > 0 and row.found == 0 and NO_END in row.cannot_see
