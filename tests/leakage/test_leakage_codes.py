"""Codes, values and columns that tell cases from others, and codes that are new or busier just before."""

import numpy as np
import pytest

from leakage.fair_site import Site
from leakage.spoilt_fair_site import CHECKS, Plant, add_events, drawn, run, site_to_spoil


def proxy_of_last_week(site: Site) -> None:
    rng = np.random.default_rng(1)
    add_events(site, np.flatnonzero(site.is_case & (rng.random(len(site.example)) < 0.6)), 1, concept_id=1998)


def code_of_cases(site: Site) -> None:
    add_events(site, drawn(site, 0.55, 0.03), 300, concept_id=1996)


def result_of_cases(site: Site) -> None:
    add_events(site, drawn(site, 1, 1), 300, concept_id=1996)
    rows = site.event["concept_id"] == 1996
    cases = site.event["example_id"].isin(site.example["example_id"][drawn(site, 0.9, 0.05)])
    site.event.loc[rows, "value_as_concept_id"] = np.where(cases[rows], 45884084, 45878583)


def new_in_the_last_week(site: Site) -> None:
    add_events(site, drawn(site, 0.15, 0.01), 3, concept_id=1995)


def seen_in_the_last_days(site: Site) -> None:
    for day in (1, 2, 3, 5):
        add_events(site, drawn(site, 0.7, 0.1), day)


def label_as_column(site: Site) -> None:
    add_events(site, np.flatnonzero(site.is_case), 100, concept_id=1997)


def label_nearly_as_column(site: Site) -> None:
    add_events(site, drawn(site, 0.93, 0.05), 100, concept_id=1997)


def values_of_cases(site: Site) -> None:
    cases = site.event["example_id"].isin(site.example["example_id"][site.is_case])
    site.event.loc[cases & (site.event["concept_id"] == 1026), "value_as_number"] += 9


def a_surer_trifle_and_values_of_cases(site: Site) -> None:
    """Half are cases. A value of all has an AUROC of 0.845, short of the minimum; one of few has 1."""
    site.example["split"] = site.example["split"].replace("held_out", "train")
    site.example["y_true"] = np.arange(len(site.example)) % 2
    cases, others = np.flatnonzero(site.is_case), np.flatnonzero(~site.is_case)
    higher = cases[: int(0.69 * len(cases))]
    usual = np.setdiff1d(np.arange(len(site.example)), higher)
    for rows, concept, value in (
        (higher, 1990, 2.0),
        (usual, 1990, 1.0),
        (cases[:50], 1991, 2.0),
        (others[:50], 1991, 1.0),
    ):
        add_events(site, rows, 300, concept_id=concept, value_as_number=value, unit_name="mg/dL")


PLANTS: list[tuple[str, Plant]] = [
    ("no_code_gives_the_outcome_away", proxy_of_last_week),
    ("few_codes_tell_cases", code_of_cases),
    ("few_codes_tell_cases", result_of_cases),
    ("new_codes_come_to_all_alike", new_in_the_last_week),
    ("cases_are_not_busier_just_before", seen_in_the_last_days),
    ("no_feature_is_the_outcome", label_as_column),
    ("few_features_tell_cases", label_nearly_as_column),
    ("few_values_tell_cases", values_of_cases),
    ("few_values_tell_cases", a_surer_trifle_and_values_of_cases),
]


def test_every_check_has_a_plant():
    assert {name for name, _ in PLANTS} == {check.name for check in CHECKS["codes"]}


@pytest.mark.parametrize(("name", "plant"), PLANTS)
def test_a_plant_is_seen_by_its_check(tmp_path, name, plant):
    site = site_to_spoil()
    plant(site)
    assert run(site, tmp_path, name)[name] > 0


def test_what_blocks_is_not_found_where_only_its_warning_may(tmp_path):
    site = site_to_spoil()
    add_events(site, drawn(site, 0.45, 0.02), 300, concept_id=1996)
    blocks, warns = ("no_code_gives_the_outcome_away", "no_feature_is_the_outcome"), "few_codes_tell_cases"
    found = run(site, tmp_path, *blocks, warns)
    assert found[warns] > 0
    assert not any(found[name] for name in blocks)


def test_a_risk_factor_that_was_always_there_is_not_new(tmp_path):
    site = site_to_spoil()
    add_events(site, drawn(site, 0.45, 0.3), 400, concept_id=1994)
    add_events(site, drawn(site, 0.45, 0.3), 2, concept_id=1994)
    assert not any(run(site, tmp_path, "new_codes_come_to_all_alike", "few_codes_tell_cases").values())
