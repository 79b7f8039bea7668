"""The third set of planted leaks, written without sight of all checks and of the other sets' acts."""

from leakage.plants.plant import PLANTS, Plant
from leakage.plants_third import (
    arrivals,
    coded,
    eligibility,
    follow_up,
    learning,
    persons,
    refreshes,
    sites,
    whole_record,
)

THIRD: dict[str, Plant] = {
    name: plant for name, plant in PLANTS.items() if plant.act.__module__.startswith(__name__)
}

__all__ = [
    "THIRD",
    "arrivals",
    "coded",
    "eligibility",
    "follow_up",
    "learning",
    "persons",
    "refreshes",
    "sites",
    "whole_record",
]
