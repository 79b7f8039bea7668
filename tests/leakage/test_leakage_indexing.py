"""Days and visits at which cases and others are indexed, the calendar of both, and records of two humans."""

import numpy as np
import pandas as pd
import pytest

from leakage.fair_site import OUTCOME, Site
from leakage.spoilt_fair_site import CHECKS, Plant, keep_examples, run, site_to_spoil


def cases_at_their_diagnosis(site: Site) -> None:
    rows = site.clinical_event["concept_id"] == OUTCOME
    index = site.example.set_index("person_id")["index_date"]
    site.clinical_event.loc[rows, "event_date"] = index[site.clinical_event["person_id"][rows]].to_numpy()


def others_at_their_last_visit(site: Site) -> None:
    others = site.example["person_id"][~site.is_case]
    later = (site.clinical_event["domain"] == "Visit") & site.clinical_event["person_id"].isin(others)
    site.clinical_event = site.clinical_event[~later]


def last_months_not_yet_coded(site: Site) -> None:
    late = site.example["index_date"] > site.example["index_date"].max() - pd.Timedelta(180, "D")
    site.example.loc[late, "y_true"] = 0


def merged(site: Site) -> None:
    visits = site.clinical_event["visit_occurrence_id"].to_numpy(copy=True)
    visits[::40] = visits[1::40][: len(visits[::40])]
    site.clinical_event["visit_occurrence_id"] = visits


def early_negatives_dropped(site: Site) -> None:
    early = site.example["index_date"] < site.example["index_date"].median()
    drop = early & ~site.is_case & (np.random.default_rng(2).random(len(early)) < 0.9)
    keep_examples(site, ~drop.to_numpy())


def winter_negatives_dropped(site: Site) -> None:
    winter = site.example["index_date"].dt.month.isin([12, 1, 2])
    drop = winter & ~site.is_case & (np.random.default_rng(2).random(len(winter)) < 0.9)
    keep_examples(site, ~drop.to_numpy())


PLANTS: list[tuple[str, Plant]] = [
    ("the_index_visit_does_not_tell_cases", cases_at_their_diagnosis),
    ("cases_and_non_cases_are_indexed_alike", others_at_their_last_visit),
    ("prevalence_holds_to_the_last_index_days", last_months_not_yet_coded),
    ("records_are_of_one_human", merged),
    ("few_records_are_merged", merged),
    ("the_calendar_says_little", early_negatives_dropped),
    ("the_calendar_says_little", winter_negatives_dropped),
]


def test_every_check_has_a_plant():
    assert {name for name, _ in PLANTS} == {check.name for check in CHECKS["indexing"]}


@pytest.mark.parametrize(("name", "plant"), PLANTS)
def test_a_plant_is_seen_by_its_check(tmp_path, name, plant):
    site = site_to_spoil()
    plant(site)
    assert run(site, tmp_path, name)[name] > 0


@pytest.mark.parametrize(("late", "fires"), [(48, False), (60, True)])
def test_windows_without_a_case_are_paid_for(tmp_path, late, fires):
    """No case among so many of the last 180 days, and only one person in the last 90."""
    site = site_to_spoil()
    keep_examples(site, np.arange(late + 300))
    site.example["split"] = site.example["split"].replace("held_out", "train")
    site.example["y_true"] = (np.arange(late + 300) >= late + 240).astype(int)
    days = np.repeat([0, 120, 300], [1, late - 1, 300])
    site.example["index_date"] = pd.Timestamp("2020-01-01") - pd.to_timedelta(days, "D")
    name = "prevalence_holds_to_the_last_index_days"
    assert run(site, tmp_path, name)[name] == fires
