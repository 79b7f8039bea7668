"""The first set of planted leaks, written without sight of what looks for them."""

from leakage.plants import (
    availability,
    fitting,
    identity,
    index,
    labels,
    outcome,
    record_end,
    shortcuts,
    snapshots,
)
from leakage.plants.plant import PLANTS, Plant

__all__ = [
    "PLANTS",
    "Plant",
    "availability",
    "fitting",
    "identity",
    "index",
    "labels",
    "outcome",
    "record_end",
    "shortcuts",
    "snapshots",
]
