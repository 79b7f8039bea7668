"""The sets of plants, a folder each, and which plants no check can honestly see.

Each set was written by somebody else who had read no check: the first beside them, each other one when they
were done. The checks were improved on all but the last, which measures them.
"""

import csv
import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from leakage.plants import PLANTS, Plant

FOLDERS = {"first": "plants", "second": "plants_second", "third": "plants_third"}
SETS = tuple(FOLDERS)
MEASURED = SETS[-1]  # by what its plants show nothing has been improved
# Beside the record: an argument is about what a run found.
ARGUED = Path(__file__).parents[2] / "benchmarks" / "leakage_argued.csv"


@cache
def sets() -> Mapping[str, str]:
    """Return the set that each plant is of, by its name; every module of every set is imported for it."""
    for name in FOLDERS.values():
        for module in pkgutil.iter_modules([str(Path(__file__).with_name(name))]):
            importlib.import_module(f"leakage.{name}.{module.name}")
    of_folder = {f"leakage.{folder}": which for which, folder in FOLDERS.items()}
    return {name: of_folder[plant.act.__module__.rpartition(".")[0]] for name, plant in PLANTS.items()}


def plant_named(name: str) -> Plant:
    """Return a plant of any set; PLANTS alone knows only the modules that were imported.

    Raises:
        KeyError: there is none of this name.
    """
    sets()
    return PLANTS[name]


@cache
def argued() -> Mapping[str, str]:
    """Return why no check can honestly see a plant, by its name, for those of `ARGUED`.

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
