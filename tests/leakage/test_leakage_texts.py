"""Texts that name the outcome, hold the answer, or have a word that tells cases."""

import numpy as np
import pytest

from leakage.fair_site import Site
from leakage.spoilt_fair_site import CHECKS, Plant, drawn, run, site_to_spoil


def answer_in_text(site: Site) -> None:
    site.text = site.text + np.where(site.is_case, "\nOutcome: yes", "\nOutcome: no")


def outcome_named(site: Site) -> None:
    site.text.iloc[:5] += "\n- Heart failure [3 times]"


def word_of_cases(site: Site) -> None:
    site.text = site.text + np.where(site.is_case, "\n- Note seen", "")


def word_of_half_the_cases(site: Site) -> None:
    site.text = site.text + np.where(
        np.isin(np.arange(len(site.text)), drawn(site, 0.5, 0.02)), "\n- Seen", ""
    )


PLANTS: list[tuple[str, Plant]] = [
    ("no_text_names_the_outcome", answer_in_text),
    ("no_text_names_the_outcome", outcome_named),
    ("no_word_gives_the_outcome_away", word_of_cases),
    ("few_words_tell_cases", word_of_half_the_cases),
]


def test_every_check_has_a_plant():
    assert {name for name, _ in PLANTS} == {check.name for check in CHECKS["texts"]}


@pytest.mark.parametrize(("name", "plant"), PLANTS)
def test_a_plant_is_seen_by_its_check(tmp_path, name, plant):
    site = site_to_spoil()
    plant(site)
    assert run(site, tmp_path, name)[name] > 0
