"""Records that are thinner, shorter or stopped at a limit in one class alone are seen; fair ones are not."""

import numpy as np
import pandas as pd
import pytest

from leakage.persons_site import Plant, World
from ml.leakage.signals import depth
from ml.leakage.signals.depth import stop_of, stops

(CHECK,) = depth.CHECKS


@pytest.fixture
def world() -> World:
    return World()


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


PLANTS: list[Plant] = [purged, no_laboratory, newest_results_lost, row_limit]


@pytest.mark.parametrize("plant", PLANTS)
def test_a_plant_is_seen(world, tmp_path, plant):
    plant(world)
    row = world.look(tmp_path, CHECK)
    assert row.found == 1
    assert not world.is_named_in(row)


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


FAIR: list[Plant] = [lambda world: None, purged_alike, seen_more_often_of_late, all_stop_alike]


@pytest.mark.parametrize("plant", FAIR)
def test_what_is_fair_raises_nothing(world, tmp_path, plant):
    plant(world)
    row = world.look(tmp_path, CHECK)
    assert row.looked_at > 0
    assert row.found == 0


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


def test_a_surer_trifle_hides_no_stop():
    """A third of the longest records stop at 50 rows, of many; most at 20, of few."""
    trifle = pd.DataFrame({"n": np.arange(40, 51), "persons": [60] * 10 + [300], "source_table": "a"})
    stop = pd.DataFrame({"n": np.arange(16, 21), "persons": [5] * 4 + [30], "source_table": "b"})
    of_cases = pd.DataFrame({"n": [60, 60], "persons": 1, "source_table": ["a", "b"], "y_true": 1})
    own = pd.concat([trifle, stop]).assign(y_true=0)
    evidence = stops(pd.concat([own, of_cases]).assign(scope="the whole record"), 1000, part=1e-5)
    assert evidence.effect == pytest.approx(0.6)
    assert evidence.p_value < 1e-5
    assert stop_of(trifle["n"].to_numpy(), trifle["persons"].to_numpy(), 60)[0] < evidence.p_value


@pytest.mark.parametrize("persons", [3, 8, 30])
def test_chance_stops_records_no_more_often_than_it_is_said_to(persons):
    """Numbers of rows as common as one another up to a last one: the hardest where longer ones are rarer."""
    rng = np.random.default_rng(persons)
    drawn = rng.integers(1, 16, (1500, persons))
    chances = np.array([stop_of(*np.unique(own, return_counts=True), beyond=16)[0] for own in drawn])
    for level in (0.3, 0.1, 0.05, 0.01):
        assert (chances <= level).mean() <= level + 3 * np.sqrt(level / len(chances))


def test_one_person_is_no_stop():
    assert stop_of(np.array([4, 40]), np.array([9, 1]), beyond=60) == (1.0, 1.0)


def test_so_many_persons_are_needed_as_is_said():
    own = pd.DataFrame({"n": [10, 11], "persons": 1, "source_table": "a", "scope": "all", "y_true": [0, 1]})
    said = stops(own, 2, part=1e-4).limits
    assert "fewer than 10 persons" in said
    assert stop_of(np.array([10]), np.array([9]), beyond=11)[0] > 1e-4
    assert stop_of(np.array([10]), np.array([10]), beyond=11)[0] < 1e-4
