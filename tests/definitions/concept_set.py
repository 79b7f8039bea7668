"""Which concepts are in which set: DEFINITIONS section 8."""

from collections.abc import Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]


def resolve(
    rows: Iterable[Row], concepts: Iterable[Row], ancestors: Iterable[Row]
) -> dict[str, frozenset[int]]:
    """Return the members of each set: included ids and descendants, minus excluded ids and theirs."""
    invalid = {row["concept_id"] for row in concepts if row["invalid_reason"]}
    descendants: dict[int, set[int]] = {}
    for row in ancestors:
        if row["descendant_concept_id"] not in invalid:
            descendants.setdefault(row["ancestor_concept_id"], set()).add(row["descendant_concept_id"])
    included: dict[str, set[int]] = {}
    excluded: dict[str, set[int]] = {}
    for row in rows:
        concept_id = int(row["concept_id"])
        members = {concept_id}
        if _true(row["include_descendants"]):
            members |= descendants.get(concept_id, set())
        side = excluded if _true(row["is_excluded"]) else included
        side.setdefault(row["concept_set"], set()).update(members)
    names = included.keys() | excluded.keys()
    return {name: frozenset(included.get(name, set()) - excluded.get(name, set())) for name in names}


def _true(cell: bool | str) -> bool:
    return cell if isinstance(cell, bool) else {"true": True, "false": False}[cell.lower()]
