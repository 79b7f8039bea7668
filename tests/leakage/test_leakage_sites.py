"""Numbers, places, codes and forms of results that tell a site are seen where the site tells cases."""

import numpy as np
import pandas as pd
import pytest

from leakage.persons_site import Plant, World
from ml.leakage.signals import sites
from ml.leakage.signals.formats import heaps, stretches
from ml.leakage.signals.sites import excluding

(CHECK,) = sites.CHECKS
LOCAL = 2_000_900_001


@pytest.fixture
def world() -> World:
    return World()


def number_persons(world: World, elsewhere: np.ndarray) -> None:
    """Number persons one after the other, those of elsewhere from another million on."""
    persons = world.site.example["person_id"]
    number = pd.Series(10**6 + np.arange(len(persons)) + 9 * 10**6 * elsewhere, index=persons)
    for table in (world.site.example, world.site.clinical_event, world.person, world.landed, world.visit):
        table["person_id"] = number[table["person_id"]].to_numpy()


def another_range(world: World) -> None:
    number_persons(world, world.drawn(0.7, 0.3))


def visits_of_another_range(world: World) -> None:
    persons = world.site.example["person_id"][world.drawn(0.7, 0.3)]
    events = world.site.clinical_event
    events.loc[events["person_id"].isin(persons), "visit_occurrence_id"] += 10**9


def a_surer_trifle_and_visits_of_another_range(world: World) -> None:
    """Half are cases. A sixth of them have other numbers; of the few with visits most have other ones."""
    example = world.site.example
    example["y_true"] = np.arange(len(example)) % 2
    number_persons(world, world.is_case & (np.arange(len(example)) % 12 < 2))
    events = world.site.clinical_event
    few = example["person_id"].where(np.arange(len(example)) < 160)
    events["visit_occurrence_id"] = (
        events["visit_occurrence_id"].astype("Int64").where(events["person_id"].isin(few))
    )
    elsewhere = example["person_id"][world.drawn(0.85, 0.15)]
    events.loc[events["person_id"].isin(elsewhere), "visit_occurrence_id"] += 10**9


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


PLANTS: list[Plant] = [
    another_range,
    visits_of_another_range,
    a_surer_trifle_and_visits_of_another_range,
    a_ward_of_cases,
    local_code,
    unit_without_name,
    results_as_words,
]


@pytest.mark.parametrize("plant", PLANTS)
def test_a_plant_is_seen(world, tmp_path, plant):
    plant(world)
    row = world.look(tmp_path, CHECK)
    assert row.found == 1
    assert not world.is_named_in(row)


def ranges_alike(world: World) -> None:
    number_persons(world, world.drawn(0.5, 0.5))


def newer_numbers_of_newer_persons(world: World) -> None:
    """A new system numbers from another million on, and cases are indexed later: the calendar, not a site."""
    late = world.site.example["index_date"] > world.site.example["index_date"].median()
    keep = late | ~world.is_case | (np.random.default_rng(8).random(len(late)) < 0.3)
    world.site.example["y_true"] = world.site.example["y_true"].where(keep, 0)
    number_persons(world, late.to_numpy())


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


FAIR: list[Plant] = [
    lambda world: None,
    ranges_alike,
    newer_numbers_of_newer_persons,
    local_code_alike,
    forms_alike,
    codes_of_one_sex,
]


@pytest.mark.parametrize("plant", FAIR)
def test_what_is_fair_raises_nothing(world, tmp_path, plant):
    plant(world)
    row = world.look(tmp_path, CHECK)
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
