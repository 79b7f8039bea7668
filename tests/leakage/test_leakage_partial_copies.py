"""Records of two persons that share what few have: found with rows lost, days moved and dates shifted."""

import numpy as np
import pandas as pd
import pytest
from dbt_world import PROJECT
from published_world import TASK

from leakage.fair_site import Site, make_site, write_site
from ml.leakage.shown import open_shown
from ml.leakage.splits import partial_copies

(CHECK,) = partial_copies.CHECKS
OTHER = {"train": "held_out", "held_out": "train", "tuning": "train"}
FIRST = 9_000_000  # of the codes that a test adds


def found(site: Site, root) -> int:
    with open_shown(write_site(site, root), TASK, seeds=PROJECT / "seeds") as shown:
        row = CHECK.run(shown)
    assert row.looked_at > 0
    assert row.severity == "warn"
    return row.found


@pytest.fixture
def site() -> Site:
    return make_site(3)


def copy_persons(site: Site, n: int, *, lost: float, moved: float, shift: int, split=OTHER.get) -> None:
    """Give some other person, in the split that `split` says, most of the record of each of n persons."""
    rng = np.random.default_rng(1)
    record = site.clinical_event
    long = record.groupby("person_id").size().loc[lambda size: size > 14].index[:n]
    where = site.example.set_index("person_id")["split"]
    for person in long:
        wanted = where[(where == split(where[person])) & ~where.index.isin(long)].index
        twin = int(wanted[rng.integers(len(wanted))])
        own = record[record["person_id"] == person]
        own = own[rng.random(len(own)) >= lost].assign(person_id=twin)
        days = shift + (rng.random(len(own)) < moved).astype(int)
        own["event_date"] += pd.to_timedelta(days, "D")
        record = pd.concat([record[record["person_id"] != twin], own], ignore_index=True)
    site.clinical_event = record


@pytest.mark.parametrize(("lost", "moved", "shift"), [(0.0, 0.0, 0), (0.2, 0.14, 0), (0.1, 0.0, 41)])
def test_records_that_are_partly_copied_are_found(site, tmp_path, lost, moved, shift):
    copy_persons(site, 12, lost=lost, moved=moved, shift=shift)
    assert found(site, tmp_path) > 12


def test_a_copy_in_the_same_split_is_none_across(site, tmp_path):
    copy_persons(site, 12, lost=0.2, moved=0.1, shift=0, split=lambda own: own)
    assert found(site, tmp_path) == 0


def test_a_copy_that_the_cut_alone_has_is_found(site, tmp_path):
    """Each copied example gets the events of another but for a few."""
    example = site.example
    long = site.event.groupby("example_id").size().loc[lambda size: size > 13].index
    of = example.set_index("example_id")["split"]
    one = [of[of.index.isin(long) & (of == split)].index[:10] for split in ("train", "held_out")]
    copies = site.event[site.event["example_id"].isin(one[0])]
    copies = copies[np.random.default_rng(2).random(len(copies)) < 0.9]
    renamed = dict(zip(*one, strict=True))
    site.event = pd.concat(
        [
            site.event[~site.event["example_id"].isin(one[1])],
            copies.assign(example_id=copies["example_id"].map(renamed)),
        ]
    ).sort_values(["example_id", "days_before"], ascending=[True, False], ignore_index=True)
    assert found(site, tmp_path) > 10


def together(site: Site, n: int, *, persons: int, codes: int, days: int, apart: int) -> None:
    """Give n groups of persons the same codes on the same days, as a plan of treatment does."""
    rng = np.random.default_rng(4)
    ids = rng.permutation(site.example["person_id"].to_numpy())[: n * persons].reshape(n, persons)
    like = site.clinical_event.iloc[[0]]
    rows = [
        like.assign(
            person_id=person,
            concept_id=FIRST + code,
            domain="Procedure",
            event_date=pd.Timestamp("2011-01-01") + pd.to_timedelta(group * 3 + day * apart, "D"),
        )
        for group in range(n)
        for person in ids[group]
        for day in range(days)
        for code in range(codes)
    ]
    site.clinical_event = pd.concat([site.clinical_event, *rows], ignore_index=True)


@pytest.mark.parametrize(
    ("persons", "codes", "days", "apart", "is_found"),
    [
        (2, 8, 6, 20, True),
        (2, 3, 40, 20, False),  # a plan of few kinds of treatment
        (2, 8, 4, 30, False),  # four days
        (2, 8, 20, 2, False),  # one long stay
        (8, 8, 6, 20, False),  # what many have on one day is not rare
    ],
)
def test_what_a_pair_shares_by_a_plan_or_a_stay_is_no_copy(
    site, tmp_path, persons, codes, days, apart, is_found
):
    together(site, 10, persons=persons, codes=codes, days=days, apart=apart)
    assert (found(site, tmp_path) > 0) == is_found


def test_a_fair_site_has_none(site, tmp_path):
    assert found(site, tmp_path) == 0
