"""Both sets of plants, and which plants of the first no check can honestly see.

The first set is in `plants/`; the second, added when the checks were done, in `plants_second/`.
"""

import csv
import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from leakage.plants import PLANTS, Plant

SETS = ("first", "second")
MEASURED = SETS[-1]  # by what its plants show nothing has been improved
SECOND = "plants_second"
ARGUED = Path(__file__).with_name("argued.csv")


@cache
def sets() -> Mapping[str, str]:
    """Return the set that each plant is of, by its name; every module of both sets is imported for it."""
    folder = Path(__file__).with_name(SECOND)
    if folder.is_dir():
        for module in pkgutil.iter_modules([str(folder)]):
            importlib.import_module(f"leakage.{SECOND}.{module.name}")
    return {
        name: SETS[plant.act.__module__.startswith(f"leakage.{SECOND}")] for name, plant in PLANTS.items()
    }


def plant_named(name: str) -> Plant:
    """Return a plant of either set; PLANTS alone knows only the modules that were imported.

    Raises:
        KeyError: there is none of this name.
    """
    sets()
    return PLANTS[name]


@cache
def argued() -> Mapping[str, str]:
    """Return why no check can honestly see a plant, by its name, for those of `argued.csv`.

    Raises:
        ValueError: a row names no plant, one of the set that measures, one twice, or says nothing.
    """
    with ARGUED.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    why = {row["plant"]: row["why"].strip() for row in rows}
    improved_on = {name for name, which in sets().items() if which != MEASURED}
    if len(why) < len(rows) or not all(why.values()) or why.keys() - improved_on:
        raise ValueError(f"{ARGUED.name}: each row is a plant that does not measure, once, with a sentence")
    return why
