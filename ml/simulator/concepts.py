"""Concepts of the simulated source: `concepts.csv` and the hierarchy in `ancestors.csv`, read as they are."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

FIRST_LOCAL_ID = 2_000_000_000


@dataclass(frozen=True)
class Concept:
    """One row of OMOP `concept`, the process that records it (may be empty) and its share within it."""

    concept_id: int
    concept_name: str
    domain_id: str
    vocabulary_id: str
    concept_class_id: str
    standard_concept: str
    concept_code: str
    process: str
    share: float


@dataclass(frozen=True)
class Codes:
    """The codes of one process: `concept_ids` int64 (C,) and `upto` float64 (C,), their cumulative shares."""

    concept_ids: np.ndarray
    upto: np.ndarray

    def draw(self, uniform: np.ndarray) -> np.ndarray:
        """Return int64 concept ids for uniform numbers in [0, 1)."""
        return self.concept_ids[np.searchsorted(self.upto, uniform, side="right")]


@cache
def concepts() -> tuple[Concept, ...]:
    """Return every concept of the simulator, by concept id."""
    with Path(__file__).with_name("concepts.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            Concept(
                int(row["concept_id"]),
                row["concept_name"],
                row["domain_id"],
                row["vocabulary_id"],
                row["concept_class_id"],
                row["standard_concept"],
                row["concept_code"],
                row["process"],
                float(row["share"] or 0),
            )
            for row in csv.DictReader(file)
        ]
    return tuple(sorted(rows, key=lambda concept: concept.concept_id))


@cache
def codes(process: str) -> Codes:
    """Return the codes that a process records; raises KeyError if `concepts.csv` has none for it."""
    rows = [concept for concept in concepts() if concept.process == process]
    if not rows:
        raise KeyError(f"`concepts.csv` has no row for the process `{process}`")
    shares = np.array([concept.share for concept in rows])
    upto = np.cumsum(shares / shares.sum())
    upto[-1] = 1.0
    return Codes(np.array([concept.concept_id for concept in rows], dtype=np.int64), upto)


@cache
def names() -> dict[int, str]:
    """Return the name of every concept id."""
    return {concept.concept_id: concept.concept_name for concept in concepts()}


@cache
def ancestors() -> tuple[tuple[int, int, int, int], ...]:
    """Return (ancestor, descendant, min levels, max levels), each concept with itself included, in order."""
    with Path(__file__).with_name("ancestors.csv").open(encoding="utf-8", newline="") as file:
        links = [
            (int(row["ancestor_concept_id"]), int(row["descendant_concept_id"]))
            for row in csv.DictReader(file)
        ]
    parents: dict[int, list[int]] = {}
    for parent, child in links:
        parents.setdefault(child, []).append(parent)
    found: dict[tuple[int, int], tuple[int, int]] = {}

    def climb(start: int, at: int, levels: int) -> None:
        low, high = found.get((at, start), (levels, levels))
        found[(at, start)] = (min(low, levels), max(high, levels))
        for parent in parents.get(at, []):
            climb(start, parent, levels + 1)

    for concept in concepts():
        climb(concept.concept_id, concept.concept_id, 0)
    return tuple((above, below, *levels) for (above, below), levels in sorted(found.items()))
