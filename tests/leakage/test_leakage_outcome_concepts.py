"""The concepts of an outcome against the landed vocabulary: what is below them, and what is invalid."""

from pathlib import Path

import pytest
from dbt_world import land_rows

from leakage.hand_written_site import INVALID, LANDED, Tables, look, published, write_site

CONCEPTS = "outcome_concepts_can_be_recomputed"


@pytest.fixture(scope="module")
def landing(tmp_path_factory) -> Path:
    return land_rows(LANDED, tmp_path_factory.mktemp("landed") / "site")


def test_what_was_made_of_the_rows_by_hand_passes(tmp_path, landing):
    row = look(write_site(tmp_path / "site", published()), CONCEPTS, landing)
    assert (row.looked_at, row.found) == (2, 0)
    assert row.cannot_see


def without_what_is_below(tables: Tables) -> None:
    tables["concept_set_member"] = tables["concept_set_member"].iloc[:2]


def with_what_is_invalid(tables: Tables) -> None:
    tables["concept_set_member"].loc[0] = ["outcome", INVALID]


@pytest.mark.parametrize("fault", [without_what_is_below, with_what_is_invalid])
def test_a_fault_of_the_published_record_is_found(tmp_path, landing, fault):
    tables = published()
    fault(tables)
    row = look(write_site(tmp_path / "site", tables), CONCEPTS, landing)
    assert (row.found, row.severity) == (1, "block")
