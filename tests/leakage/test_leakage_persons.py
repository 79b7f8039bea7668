"""Fields told of cases or of the living alone are seen; those that are untold of anybody are not."""

import numpy as np
import pandas as pd
import pytest

from leakage.persons_site import Plant, World
from ml.leakage.signals import persons

(CHECK,) = persons.CHECKS


@pytest.fixture
def world() -> World:
    return World()


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


def birthday_written_over(world: World) -> None:
    world.person.loc[world.dead & world.drawn(0.5, 0.5), ["month_of_birth", "day_of_birth"]] = [7, 1]


PLANTS: list[Plant] = [
    sex_blanked,
    sex_named_unknown,
    day_of_birth_removed,
    place_known_of_cases,
    birthday_written_over,
]


@pytest.mark.parametrize("plant", PLANTS)
def test_a_plant_is_seen(world, tmp_path, plant):
    plant(world)
    row = world.look(tmp_path, CHECK)
    assert row.found == 1
    assert not world.is_named_in(row)


def men_die(world: World) -> None:
    world.person["gender_concept_id"] = np.where(world.dead, 8507, 8532)


def many_untold(world: World) -> None:
    world.person.loc[world.drawn(0.5, 0.5), ["gender_concept_id", "month_of_birth"]] = [0, None]


FAIR: list[Plant] = [lambda world: None, men_die, many_untold]


@pytest.mark.parametrize("plant", FAIR)
def test_what_is_fair_raises_nothing(world, tmp_path, plant):
    plant(world)
    row = world.look(tmp_path, CHECK)
    assert row.looked_at > 0
    assert row.found == 0
