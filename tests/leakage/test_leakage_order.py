"""Order of rows and ids, units, and how much of a record was cut: none of them tells cases."""

import numpy as np
import pandas as pd
import pytest
from dbt_world import PROJECT
from published_world import TASK

from leakage.fair_site import Site, write_site
from leakage.spoilt_fair_site import CHECKS, Plant, add_events, keep_examples, run, site_to_spoil
from ml.leakage.shown import open_shown


def rows_by_label(site: Site) -> None:
    keep_examples(site, np.argsort(~site.is_case, kind="stable"))


def first_row_twice(site: Site) -> None:
    keep_examples(site, [0, 0, *range(1, 1500)])


def sorted_by_label(site: Site) -> None:
    site.cohort = site.cohort.merge(site.label[["example_id", "y_true"]]).sort_values("y_true")


def another_unit_for_cases(site: Site) -> None:
    cases = site.event["example_id"].isin(site.example["example_id"][site.is_case])
    site.event.loc[cases & (site.event["unit_name"] == "mg/dL"), "unit_name"] = "mg per dL"


def measure(site: Site, rows: np.ndarray, concept: int, unit: str) -> None:
    measured = {"domain": "Measurement", "value_as_number": 5.0, "unit_name": unit}
    add_events(site, rows, 300, concept_id=concept, **measured)


def a_surer_trifle_and_a_unit_of_cases(site: Site) -> None:
    """A unit that a thirteenth of the cases have, of all; one that most cases have, of few measured."""
    cases, others = np.flatnonzero(site.is_case), np.flatnonzero(~site.is_case)
    measure(site, np.arange(len(site.example)), 1990, "usual")
    measure(site, cases[::13], 1990, "trifle")
    few_cases, few_others = cases[:50], others[:50]
    measure(site, np.append(few_cases[:40], few_others[:10]), 1991, "of cases")
    measure(site, np.append(few_cases[40:], few_others[10:]), 1991, "of others")


def only_others_cut(site: Site) -> None:
    site.cut.loc[site.is_case, "n_events_kept"] = site.cut["n_events_in_view"]


PLANTS: list[tuple[str, Plant]] = [
    ("rows_stand_in_order_of_their_ids", rows_by_label),
    ("rows_stand_in_order_of_their_ids", first_row_twice),
    ("order_says_nothing_of_the_outcome", sorted_by_label),
    ("units_do_not_tell_cases", another_unit_for_cases),
    ("units_do_not_tell_cases", a_surer_trifle_and_a_unit_of_cases),
    ("cutting_does_not_tell_cases", only_others_cut),
]


def test_every_check_has_a_plant():
    assert {name for name, _ in PLANTS} == {check.name for check in CHECKS["order"]}


@pytest.mark.parametrize(("name", "plant"), PLANTS)
def test_a_plant_is_seen_by_its_check(tmp_path, name, plant):
    site = site_to_spoil()
    plant(site)
    assert run(site, tmp_path, name)[name] > 0


def test_an_example_that_a_view_lacks_is_counted_beside_a_row_without_an_id(tmp_path):
    name = "rows_stand_in_order_of_their_ids"
    root = write_site(site_to_spoil(), tmp_path / "site")
    for path in root.rglob("text.parquet"):
        table = pd.read_parquet(path).iloc[10:]
        table.loc[10, "example_id"] = None
        table.sort_values("example_id", na_position="first").to_parquet(path, index=False)
    (check,) = (check for check in CHECKS["order"] if check.name == name)
    with open_shown(root, TASK, seeds=PROJECT / "seeds") as shown:
        assert check.run(shown).found >= 11


def test_examples_that_stand_twice_get_a_verdict_from_every_check(tmp_path):
    site = site_to_spoil()
    keep_examples(site, [*range(1500), *range(60)])
    site.example.loc[1500:, "split"] = "held_out"
    raised = ("cutting_does_not_tell_cases", "no_feature_is_the_outcome", "order_says_nothing_of_the_outcome")
    found = run(site, tmp_path, "rows_stand_in_order_of_their_ids", *raised)
    assert found["rows_stand_in_order_of_their_ids"] > 0
    assert not any(found[name] for name in raised)
