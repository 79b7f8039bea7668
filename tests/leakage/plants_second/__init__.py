"""The second set of planted leaks, written without sight of the first one's acts and of all checks."""

from leakage.plants.plant import PLANTS, Plant
from leakage.plants_second import (
    coding,
    fits,
    history,
    horizon,
    marks,
    persons,
    refreshes,
    selection,
    timing,
    whole_record,
    windows,
)

SECOND: dict[str, Plant] = {
    name: plant for name, plant in PLANTS.items() if plant.act.__module__.startswith(__name__)
}

__all__ = [
    "SECOND",
    "coding",
    "fits",
    "history",
    "horizon",
    "marks",
    "persons",
    "refreshes",
    "selection",
    "timing",
    "whole_record",
    "windows",
]
