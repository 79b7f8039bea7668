"""Names of codes that say the outcome has been: on the fair site, and name by name."""

import numpy as np
import pytest

from leakage.fair_site import Site
from leakage.spoilt_fair_site import CHECKS, Plant, add_events, run, site_to_spoil
from ml.leakage.inputs import named


def history_of(site: Site) -> None:
    add_events(site, np.arange(40), 50, concept_id=1999, concept_name="History of heart failure")


def sequela_of(site: Site) -> None:
    add_events(
        site, np.arange(3), 50, concept_id=1999, concept_name="Oedema secondary to chronic heart failure"
    )


PLANTS: list[tuple[str, Plant]] = [
    ("no_outcome_named_in_history", history_of),
    ("no_outcome_named_in_history", sequela_of),
]


def test_every_check_has_a_plant():
    assert {name for name, _ in PLANTS} == {check.name for check in CHECKS["named"]}


@pytest.mark.parametrize(("name", "plant"), PLANTS)
def test_a_plant_is_seen_by_its_check(tmp_path, name, plant):
    site = site_to_spoil()
    plant(site)
    assert run(site, tmp_path, name)[name] > 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("History of congestive heart failure", True),
        ("Pleural effusion due to heart failure", True),
        ("Anemia following gastrointestinal hemorrhage", True),
        ("Haemorrhages of gastrointestinal tract, late effects", True),
        ("Heart failure follow-up", True),
        ("Heart failure, in remission", True),
        ("Family history of heart failure", False),
        ("At risk of heart failure", False),
        ("No history of heart failure", False),
        ("Heart failure due to hypertension", False),
        ("Status post repair of heart valve", False),
        ("Anemia following hemorrhage of uterus", False),
        ("Respiratory failure due to disease of heart", False),  # its words stand on two sides
    ],
)
def test_names_that_say_the_outcome_has_been(name, expected):
    outcomes = named.shortest(["Heart failure", "Acute heart failure", "Gastrointestinal hemorrhage"])
    assert outcomes == [{"failure", "heart"}, {"gastrointestinal", "hemorrhage"}]
    assert named.says_it_has_been(name, outcomes) is expected
