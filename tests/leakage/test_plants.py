"""Plants do what they say, and leave the clean site alone; `leakage.evidence` plants all of them in full."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from leakage import evidence
from leakage.plants import PLANTS, Plant
from leakage.sets import SETS, sets
from leakage.site import Site, Sites
from ml.artefact import manifest

# One dbt compilation serves all tests of the group.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("definitions")]
TASK, SEED, PERSONS = "dhf_1y", 3, 2000
OF_TASK = [PLANTS[name] for name in sets() if PLANTS[name].task == TASK]
# In code and in data; `make proof-leakage` plants every one in full.
WHOLE = ("L02_index_day_is_shown", "L27_arms_fitted_on_held_out_too", "L34_text_tells_the_outcome")


@pytest.fixture(scope="module")
def sites() -> Iterator[Sites]:
    made = Sites(tasks=(TASK,))
    before = manifest(made.clean(SEED, PERSONS).root)
    yield made
    assert manifest(made.clean(SEED, PERSONS).root) == before  # plants change copies, never the clean site
    made.close()


def planted(sites: Sites, plant: Plant) -> Site:
    site = sites.copy(SEED, PERSONS)
    plant(site, np.random.default_rng(SEED))
    return site


def changed(site: Site, clean: Site) -> list[Path]:
    """Return the files that are no longer those of the clean site: a file is written anew, or linked."""
    files = [file for file in site.root.rglob("*") if file.is_file()]
    twins = [clean.root / file.relative_to(site.root) for file in files]
    return [
        file for file, twin in zip(files, twins, strict=True) if not (twin.exists() and twin.samefile(file))
    ]


def test_each_set_is_wide_and_each_plant_can_be_counted():
    for which in SETS:
        kinds = {PLANTS[name].leak for name, of in sets().items() if of == which}
        assert len(kinds) >= 26, which
        assert kinds <= {f"L{n:02d}" for n in range(1, 40)}
    assert {*evidence.FOUND, *evidence.BY_SCORES} == set(PLANTS)


@pytest.mark.parametrize("plant", OF_TASK, ids=lambda plant: plant.name)
def test_a_plant_changes_what_its_level_says(sites: Sites, plant: Plant, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Site, "rebuild", lambda *_: None)  # what follows is not asked here
    site = planted(sites, plant)
    own_seeds = site.seeds != sites.clean(SEED, PERSONS).seeds
    assert bool(site.sql or site.code or own_seeds) == (plant.level == "code")
    if plant.level == "data":
        assert changed(site, sites.clean(SEED, PERSONS))
    sites.forget(site)


@pytest.mark.parametrize("name", WHOLE)
def test_a_plant_leaves_what_it_says(sites: Sites, name: str):
    plant, clean = PLANTS[name], sites.clean(SEED, PERSONS)
    site = planted(sites, plant)
    assert evidence.found(site, plant) > evidence.found(clean, plant)
    assert site.code.keys() == ({"ml.arm.show"} if name.startswith("L27") else set())
    sites.forget(site)


def test_a_text_that_is_not_there_cannot_be_mutated(sites: Sites):
    with pytest.raises(ValueError, match="stands 0 times in `cohort`"):
        sites.copy(SEED, PERSONS).mutate("cohort", "no such text", "")
