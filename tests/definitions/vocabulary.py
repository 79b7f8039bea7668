"""Concepts made for the tests: small families with every kind of member and of relative left out."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

Row = dict[str, Any]

# Test set: the first of its ten ids (a site's own range), its domain.
FAMILIES: dict[str, tuple[int, str]] = {
    "t_sign": (2_000_001_000, "Condition"),
    "t_disease": (2_000_001_010, "Condition"),
    "t_comorbidity": (2_000_001_020, "Condition"),
    "t_drug": (2_000_001_030, "Drug"),
    "t_other_drug": (2_000_001_040, "Drug"),
    "t_procedure": (2_000_001_050, "Procedure"),
    "t_lab": (2_000_001_060, "Measurement"),
    "t_other_lab": (2_000_001_070, "Measurement"),
    "t_finding": (2_000_001_080, "Observation"),
    "t_answer": (2_000_001_090, "Meas Value"),
    "t_discharge": (2_000_001_100, "Visit"),
    "t_unit": (2_000_001_110, "Unit"),
}
UNIT, OTHER_UNIT = 2_000_001_110, 2_000_001_111
DAY_CARE = 2_000_001_900  # a descendant of the inpatient visit
INPATIENT, OUTPATIENT, EMERGENCY = 9201, 9202, 9203
CHARTED, CLAIM = 32817, 32810  # types: from the chart, from a claim
VISITS: tuple[Row, ...] = tuple(
    {"concept_set": name, "concept_id": concept, "include_descendants": True, "is_excluded": False}
    for name, concepts in {
        "t_ward": (INPATIENT,),
        "t_hospital": (INPATIENT, EMERGENCY),
        "t_clinic": (OUTPATIENT,),
        "inpatient_or_emergency_visit": (INPATIENT, EMERGENCY, 262),
    }.items()
    for concept in concepts
)


def family_sets() -> list[Row]:
    """Return the rows of the test sets.

    Of a family of ten ids the members are 0 (the root), 1 and 2 (child and grandchild), 6 (taken without its
    descendants), 8 (not in `concept_ancestor`) and 9 (retired, but named itself); no members are 3 (an
    invalid descendant), 4 and 5 (excluded with its descendant) and 7 (the descendant of 6).
    """
    rows: list[Row] = []
    for name, (first, _) in FAMILIES.items():
        for offset, descendants, excluded in (
            (0, True, False),
            (4, True, True),
            (6, False, False),
            (8, True, False),
            (9, True, False),
        ):
            rows.append(
                {
                    "concept_set": name,
                    "concept_id": first + offset,
                    "include_descendants": descendants,
                    "is_excluded": excluded,
                }
            )
    return [{**row, "concept_name": f"test concept {row['concept_id']}"} for row in [*rows, *VISITS]]


FAMILY_ANCESTORS = ((0, 1), (0, 2), (1, 2), (0, 3), (0, 4), (0, 5), (4, 5), (6, 7))


def tables(concept_sets: Iterable[Mapping[str, Any]]) -> dict[str, list[Row]]:
    """Return `concept` and `concept_ancestor` for the test families and every id that a set names.

    Each id of the shipped catalogue gets a valid and an invalid child of the tests' own.
    """
    concepts = {0: _concept(0)}
    ancestors: set[tuple[int, int]] = {(INPATIENT, DAY_CARE)}
    concepts[DAY_CARE] = _concept(DAY_CARE, "Visit")
    for first, domain in FAMILIES.values():
        for offset in range(10):
            invalid = "D" if offset in (3, 9) else None
            concepts[first + offset] = _concept(first + offset, domain, invalid)
        ancestors |= {(first + a, first + b) for a, b in FAMILY_ANCESTORS}
    named = sorted({int(row["concept_id"]) for row in concept_sets} - concepts.keys())
    for number, concept in enumerate(named):
        child = 2_050_000_000 + 2 * number
        concepts[concept] = _concept(concept)
        concepts[child] = _concept(child)
        concepts[child + 1] = _concept(child + 1, invalid_reason="U")
        ancestors |= {(concept, child), (concept, child + 1)}
    ancestors |= {(parent, parent) for parent, _ in ancestors}
    return {
        "concept": [concepts[key] for key in sorted(concepts)],
        "concept_ancestor": [_ancestor(*pair) for pair in sorted(ancestors)],
    }


def _concept(concept_id: int, domain: str = "Condition", invalid_reason: str | None = None) -> Row:
    return {
        "concept_id": concept_id,
        "concept_name": f"test concept {concept_id}",
        "domain_id": domain,
        "vocabulary_id": "Test",
        "concept_class_id": "Test",
        "standard_concept": "S" if invalid_reason is None else None,
        "concept_code": str(concept_id),
        "valid_start_date": date(1970, 1, 1),
        "valid_end_date": date(2099, 12, 31),
        "invalid_reason": invalid_reason,
    }


def _ancestor(ancestor: int, descendant: int) -> Row:
    levels = int(ancestor != descendant)
    return {
        "ancestor_concept_id": ancestor,
        "descendant_concept_id": descendant,
        "min_levels_of_separation": levels,
        "max_levels_of_separation": levels,
    }
