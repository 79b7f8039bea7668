"""Cases and others who come by different ways are seen: thinner records, blanks, sites; fair ones are not."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dbt_world import PROJECT
from published_world import TASK

from leakage.fair_site import Site, make_site, write_site
from ml.leakage.rows import LeakRow
from ml.leakage.shown import open_shown
from ml.leakage.signals import depth, persons, sites
from ml.leakage.signals.depth import stop_of
from ml.leakage.signals.formats import heaps, stretches
from ml.leakage.signals.sites import excluding
from ml.leakage.statistics.shares import most_apart, table_smallest
from ml.leakage.statistics.tails import table_tail

CHECKS = {check.name: check for module in (depth, persons, sites) for check in module.CHECKS}
RECORDED, UNTOLD, SITES = (
    "cases_and_others_are_recorded_alike",
    "what_is_not_told_of_a_person_says_little",
    "sites_do_not_tell_cases",
)
LOCAL = 2_000_900_001


class World:
    """A fair site, its persons as published and as landed, and where each was last seen."""

    def __init__(self, site: Site) -> None:
        rng = np.random.default_rng(6)
        n = len(site.example)
        self.site = deepcopy(site)
        self.person = pd.DataFrame(
            {
                "person_id": site.example["person_id"],
                "gender_concept_id": rng.choice([8507, 8532], n),
                "month_of_birth": pd.array(rng.integers(1, 13, n), dtype="Int64"),
                "day_of_birth": pd.array(rng.integers(1, 29, n), dtype="Int64"),
                "race_concept_id": rng.choice([0, 8527], n),
                "ethnicity_concept_id": 0,
            }
        )
        self.landed = pd.DataFrame(
            {
                "person_id": site.example["person_id"],
                "location_id": pd.array(rng.integers(1, 5, n), dtype="Int64"),
                "provider_id": pd.array(rng.integers(1, 500, n), dtype="Int64"),
                "care_site_id": pd.array([None] * n, dtype="Int64"),
                **dict.fromkeys(
                    [f"{name}_source_value" for name in ("person", "gender", "race", "ethnicity")], "a"
                ),
            }
        )
        self.visit = pd.DataFrame(
            {
                "visit_occurrence_id": np.arange(n),
                "person_id": site.example["person_id"],
                "visit_start_date": site.example["index_date"] - pd.Timedelta(3, "D"),
                "provider_id": pd.array(rng.integers(1, 500, n), dtype="Int64"),
                "care_site_id": pd.array(rng.integers(1, 4, n), dtype="Int64"),
            }
        )
        dead = site.example["person_id"][rng.random(n) < 0.3]
        deaths = pd.DataFrame(
            {"person_id": dead, "domain": "Death", "event_date": pd.Timestamp("2030-01-01")}
        )
        self.site.clinical_event = pd.concat([site.clinical_event, deaths], ignore_index=True)
        self.dead = site.example["person_id"].isin(dead).to_numpy()

    @property
    def is_case(self) -> np.ndarray:
        return self.site.is_case

    def drawn(self, cases: float, others: float) -> np.ndarray:
        """Who is of a share of the cases or of one of the others."""
        share = np.where(self.is_case, cases, others)
        return np.random.default_rng(7).random(len(share)) < share

    def look(self, root: Path, name: str) -> LeakRow:
        """Write everything and run one check."""
        write_site(self.site, root)
        landing = root / "landing"
        landing.mkdir()
        self.person.to_parquet(root / "published" / "person.parquet", index=False)
        self.landed.to_parquet(landing / "person.parquet", index=False)
        days = {"visit_start_date": "date32[day][pyarrow]"}
        self.visit.astype(days).to_parquet(landing / "visit_occurrence.parquet", index=False)
        with open_shown(root, TASK, seeds=PROJECT / "seeds", n_tasks=4, landing=landing) as shown:
            return CHECKS[name].run(shown)


@pytest.fixture(scope="module")
def fair() -> Site:
    return make_site(3)


@pytest.fixture
def world(fair: Site) -> World:
    return World(fair)


def lose(world: World, of: np.ndarray, gone: np.ndarray) -> None:
    """Lose the events of some examples for which `gone` holds."""
    event = world.site.event
    lost = event["example_id"].isin(world.site.example["example_id"][of]) & gone
    world.site.event = event[~lost].reset_index(drop=True)


def purged(world: World) -> None:
    lose(world, world.drawn(0, 0.7), (world.site.event["days_before"] > 365).to_numpy())


def no_laboratory(world: World) -> None:
    lose(world, world.drawn(0, 0.8), (world.site.event["domain"] == "Measurement").to_numpy())


def newest_results_lost(world: World) -> None:
    event = world.site.event
    own = event[event["domain"] == "Measurement"].sample(frac=3, replace=True, random_state=1)
    own = own.assign(days_before=np.random.default_rng(1).integers(1, 900, len(own)))
    world.site.event = pd.concat([event, own], ignore_index=True)
    recent = (world.site.event["domain"] == "Measurement") & (world.site.event["days_before"] <= 365)
    lose(world, world.drawn(0, 0.9), recent.to_numpy())


def row_limit(world: World) -> None:
    events = world.site.clinical_event
    others = world.site.example["person_id"][~world.is_case]
    number = events.groupby("person_id").cumcount()
    world.site.clinical_event = events[~(events["person_id"].isin(others) & (number >= 14))]


def sex_blanked(world: World) -> None:
    world.person.loc[world.dead & world.drawn(0.5, 0.5), "gender_concept_id"] = 0


def sex_named_unknown(world: World) -> None:
    world.person.loc[world.drawn(0.4, 0.1), "gender_concept_id"] = 8551
    unknown = pd.DataFrame({"concept_id": [8551], "concept_name": ["UNKNOWN"]})
    world.site.concept = pd.concat([world.site.concept, unknown], ignore_index=True)


def day_of_birth_removed(world: World) -> None:
    world.person.loc[world.drawn(0.5, 0.1), "day_of_birth"] = None


def place_known_of_cases(world: World) -> None:
    world.landed.loc[world.drawn(0.8, 0.2), "care_site_id"] = 3


def another_range(world: World) -> None:
    persons = world.site.example["person_id"]
    number = pd.Series(10**6 + np.arange(len(persons)) + 9 * 10**6 * world.drawn(0.7, 0.3), index=persons)
    for table in (world.site.example, world.site.clinical_event, world.person, world.landed, world.visit):
        table["person_id"] = number[table["person_id"]].to_numpy()


def visits_of_another_range(world: World) -> None:
    persons = world.site.example["person_id"][world.drawn(0.7, 0.3)]
    events = world.site.clinical_event
    events.loc[events["person_id"].isin(persons), "visit_occurrence_id"] += 10**9


def a_ward_of_cases(world: World) -> None:
    world.visit.loc[world.drawn(0.5, 0.1), "care_site_id"] = 99


def local_code(world: World) -> None:
    event = world.site.event
    there = event["example_id"].isin(world.site.example["example_id"][world.drawn(0.7, 0.3)])
    event.loc[there & (event["concept_id"] == 1026), "concept_id"] = LOCAL


def unit_without_name(world: World) -> None:
    event = world.site.event
    event.loc[event["concept_id"] == 1027, "unit_name"] = None
    there = event["example_id"].isin(world.site.example["example_id"][world.drawn(0.7, 0.3)])
    event.loc[there & (event["concept_id"] == 1027), "value_as_number"] += 1000


def results_as_words(world: World) -> None:
    event = world.site.event
    there = event["example_id"].isin(world.site.example["example_id"][world.drawn(0.7, 0.3)])
    event.loc[there & (event["concept_id"] == 1027), "value_as_number"] = None


def birthday_written_over(world: World) -> None:
    world.person.loc[world.dead & world.drawn(0.5, 0.5), ["month_of_birth", "day_of_birth"]] = [7, 1]


PLANTS: list[tuple[str, Callable[[World], None]]] = [
    (RECORDED, purged),
    (RECORDED, no_laboratory),
    (RECORDED, newest_results_lost),
    (RECORDED, row_limit),
    (UNTOLD, sex_blanked),
    (UNTOLD, sex_named_unknown),
    (UNTOLD, day_of_birth_removed),
    (UNTOLD, place_known_of_cases),
    (SITES, another_range),
    (SITES, visits_of_another_range),
    (SITES, a_ward_of_cases),
    (SITES, local_code),
    (SITES, unit_without_name),
    (SITES, results_as_words),
    (UNTOLD, birthday_written_over),
]


@pytest.mark.parametrize(("name", "plant"), PLANTS)
def test_a_plant_is_seen_by_its_check(world, tmp_path, name, plant):
    plant(world)
    row = world.look(tmp_path, name)
    assert row.found == 1
    ids = set(world.site.example["example_id"]) | set(world.site.example["person_id"].astype(str))
    assert not any(one in row.note + row.cannot_see for one in ids)


def purged_alike(world: World) -> None:
    lose(world, world.drawn(0.7, 0.7), (world.site.event["days_before"] > 365).to_numpy())


def seen_more_often_of_late(world: World) -> None:
    """Cases come twice as often in the last year, and are found to have more each time."""
    event = world.site.event
    cases = event["example_id"].isin(world.site.example["example_id"][world.is_case])
    more = event[cases & (event["days_before"] <= 365)]
    days = np.random.default_rng(2).integers(1, 366, len(more))
    world.site.event = pd.concat([event, more.assign(days_before=days)], ignore_index=True)


def all_stop_alike(world: World) -> None:
    events = world.site.clinical_event
    world.site.clinical_event = events[events.groupby("person_id").cumcount() < 14]


def men_die(world: World) -> None:
    world.person["gender_concept_id"] = np.where(world.dead, 8507, 8532)


def many_untold(world: World) -> None:
    world.person.loc[world.drawn(0.5, 0.5), ["gender_concept_id", "month_of_birth"]] = [0, None]


def ranges_alike(world: World) -> None:
    persons = world.site.example["person_id"]
    number = pd.Series(10**6 + np.arange(len(persons)) + 9 * 10**6 * world.drawn(0.5, 0.5), index=persons)
    for table in (world.site.example, world.site.clinical_event, world.person, world.landed, world.visit):
        table["person_id"] = number[table["person_id"]].to_numpy()


def newer_numbers_of_newer_persons(world: World) -> None:
    """A new system numbers from another million on, and cases are indexed later: the calendar, not a site."""
    late = world.site.example["index_date"] > world.site.example["index_date"].median()
    keep = late | ~world.is_case | (np.random.default_rng(8).random(len(late)) < 0.3)
    world.site.example["y_true"] = world.site.example["y_true"].where(keep, 0)
    persons = world.site.example["person_id"]
    number = pd.Series(
        10**6 + np.arange(len(persons)) + 9 * 10**6 * late.to_numpy(), index=persons.to_numpy()
    )
    for table in (world.site.example, world.site.clinical_event, world.person, world.landed, world.visit):
        table["person_id"] = number[table["person_id"].to_numpy()].to_numpy()


def local_code_alike(world: World) -> None:
    event = world.site.event
    there = event["example_id"].isin(world.site.example["example_id"][world.drawn(0.5, 0.5)])
    event.loc[there & (event["concept_id"] == 1026), "concept_id"] = LOCAL


def forms_alike(world: World) -> None:
    """Half of the results lost their unit, a third are words, of cases as of others."""
    event = world.site.event
    one = event["concept_id"] == 1027
    event.loc[one, "unit_name"] = None
    for share, value in ((0.5, 1000), (0.3, np.nan)):
        of = event["example_id"].isin(world.site.example["example_id"][world.drawn(share, share)])
        event.loc[of & one, "value_as_number"] += value


def codes_of_one_sex(world: World) -> None:
    """Men have one test and women another, and most cases are men."""
    event, example = world.site.event, world.site.example
    example["sex"] = np.where(world.drawn(0.8, 0.4), "male", "female")
    women = event["example_id"].isin(example["example_id"][example["sex"] == "female"])
    event.loc[women & (event["concept_id"] == 1026), "concept_id"] = LOCAL


FAIR: list[tuple[str, Callable[[World], None]]] = [
    (RECORDED, lambda world: None),
    (RECORDED, purged_alike),
    (RECORDED, seen_more_often_of_late),
    (RECORDED, all_stop_alike),
    (UNTOLD, lambda world: None),
    (UNTOLD, men_die),
    (UNTOLD, many_untold),
    (SITES, lambda world: None),
    (SITES, ranges_alike),
    (SITES, newer_numbers_of_newer_persons),
    (SITES, local_code_alike),
    (SITES, forms_alike),
    (SITES, codes_of_one_sex),
]


@pytest.mark.parametrize(("name", "plant"), FAIR)
def test_what_is_fair_raises_nothing(world, tmp_path, name, plant):
    plant(world)
    row = world.look(tmp_path, name)
    assert row.looked_at > 0
    assert row.found == 0


def test_numbers_lie_in_stretches_where_a_twentieth_of_the_range_is_free():
    far = np.concatenate([np.arange(500), 10_000 + np.arange(300), 20_000 + np.arange(10)])
    found = stretches(far, 0.05, 40)
    assert found.sum(axis=1).tolist() == [500, 300]  # ten persons are no site
    assert found[0, 499]
    assert not found[0, 500]
    assert not len(stretches(np.random.default_rng(0).integers(-(2**60), 2**60, 1000), 0.05, 50))
    assert not len(stretches(np.array([]), 0.05, 0))
    assert not len(stretches(np.full(30, 7), 0.05, 0))


def test_values_lie_in_heaps_where_a_unit_has_no_name():
    rng = np.random.default_rng(0)
    glucose = rng.lognormal(np.log(100), 0.2, 300)
    mixed = np.append(glucose, rng.lognormal(np.log(5.5), 0.2, 200))
    assert sorted(heaps(mixed, 25).sum(axis=1)) == [200, 300]
    assert not len(heaps(glucose, 15))
    assert not len(heaps(rng.lognormal(4, 1.5, 300), 15))
    assert not len(heaps(rng.normal(0, 3, 300), 15))
    assert not len(heaps(rng.integers(0, 11, 300).astype(float), 15))  # a scale of eleven steps


def test_codes_that_a_sex_or_age_keeps_apart_are_no_pair():
    is_first = np.arange(400) % 2 == 0
    has = np.array([is_first, ~is_first, np.ones(400, dtype=bool)])
    assert excluding(has, np.zeros(400, dtype=np.int64)) == [(0, 1)]
    assert excluding(has, is_first.astype(np.int64)) == []


@pytest.mark.parametrize("seed", range(3))
def test_records_that_thin_out_do_not_stop(seed):
    rng = np.random.default_rng(seed)
    rows = rng.poisson(rng.gamma(4, 6, 800))
    assert stop_of(*np.unique(rows, return_counts=True), beyond=400)[0] > 1e-3
    limited = np.unique(np.minimum(rows, 25), return_counts=True)
    assert stop_of(*limited, beyond=25) == (1.0, 0.0)  # all stop alike
    chance, share = stop_of(*limited, beyond=26)
    assert chance < 1e-9
    assert share > 0.5


def test_the_strongest_of_many_things_is_judged_by_its_exact_table():
    group = np.arange(200) < 50
    has = np.array([group ^ (np.arange(200) % 10 == 0), np.arange(200) % 2 == 0, np.ones(200, dtype=bool)])
    evidence = most_apart(group, has, 0.01, 0.1, "difference")
    both, present = int((has[0] & group).sum()), int(has[0].sum())
    assert evidence.effect == pytest.approx(both / 50 - (present - both) / 150)
    assert evidence.p_value == pytest.approx(2 * float(table_tail(both, present, 50, 200)))
    assert most_apart(group, has[2:], 0.01, 0.1, "difference").p_value == 1.0
    smallest = table_smallest(present, 50, 200, 0.005)
    assert 0 < smallest < evidence.effect
    assert evidence.smallest <= smallest


@pytest.mark.parametrize("seed", range(40))
def test_labels_dealt_at_random_raise_nothing(seed):
    """Once in 250 times one of 40 would be told from chance at this level."""
    rng = np.random.default_rng(seed)
    has = rng.random((30, 300)) < rng.random((30, 1))
    evidence = most_apart(rng.random(300) < 0.2, has, 1e-4, 0.0, "difference")
    assert evidence.p_value > 1e-4
