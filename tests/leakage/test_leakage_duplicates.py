"""Records and texts that stand in two splits: copies are seen, and what is alike by chance does not block."""

import numpy as np
import pandas as pd
import pytest

from leakage.fair_site import Site
from leakage.spoilt_fair_site import CHECKS, Plant, run, site_to_spoil


def cloned(site: Site) -> None:
    train = site.example[site.example["split"] == "train"]["person_id"].iloc[:40].tolist()
    held_out = site.example[site.example["split"] == "held_out"]["person_id"].iloc[:40].tolist()
    rows = site.clinical_event[~site.clinical_event["person_id"].isin(held_out)]
    copies = rows[rows["person_id"].isin(train)].copy()
    copies["person_id"] = copies["person_id"].map(dict(zip(train, held_out, strict=True)))
    copies["event_date"] += pd.Timedelta(100, "D")
    copies["visit_occurrence_id"] += 10**9
    site.clinical_event = pd.concat([rows, copies], ignore_index=True)


def text_copied(site: Site, changed: str = "") -> None:
    train = np.flatnonzero((site.example["split"] == "train") & (site.text.str.len() > 150))[:40]
    held_out = np.flatnonzero(site.example["split"] == "held_out")[:40]
    body = site.text.iloc[train].str.split("\n", n=1).str[1].to_numpy()
    site.text.iloc[held_out] = ["80-year-old male.\n" + one + changed for one in body]


def text_copied_and_changed(site: Site) -> None:
    text_copied(site, " again")


PLANTS: list[tuple[str, Plant]] = [
    ("one_human_is_one_person", cloned),
    ("texts_stand_in_one_split", text_copied),
    ("texts_stand_in_one_split", text_copied_and_changed),
    ("few_texts_stand_in_two_splits", text_copied),
]


def test_every_check_has_a_plant():
    assert {name for name, _ in PLANTS} == {check.name for check in CHECKS["duplicates"]}


@pytest.mark.parametrize(("name", "plant"), PLANTS)
def test_a_plant_is_seen_by_its_check(tmp_path, name, plant):
    site = site_to_spoil()
    plant(site)
    assert run(site, tmp_path, name)[name] > 0


def test_texts_alike_by_chance_are_told_and_do_not_block(tmp_path):
    site = site_to_spoil()
    rng = np.random.default_rng(4)  # pairs of persons, whatever their splits
    for one, other in rng.permutation(len(site.text))[:400].reshape(-1, 2):
        site.text.iloc[other] = site.text.iloc[one].replace("male", "person")
    found = run(site, tmp_path)
    assert found["few_texts_stand_in_two_splits"] > 0
    assert not found["texts_stand_in_one_split"]
