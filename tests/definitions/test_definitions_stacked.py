"""The SQL against the independent oracle, on worlds whose dates lie at the edges of every window."""

import pytest

from definitions.catalogue import read_seed
from definitions.mixed import STUDIES
from definitions.proving import equal_after_dbt_build, equal_on_worlds
from definitions.templates import TEMPLATES, kind_of

pytestmark = pytest.mark.xdist_group("definitions")

SAMPLE = 20


@pytest.mark.parametrize("name", sorted(STUDIES))
def test_sql_equals_the_oracle(name: str) -> None:
    tally = equal_on_worlds(name, SAMPLE)
    assert len(tally.seeds) >= SAMPLE
    assert min(tally.positives, tally.negatives) >= 20


def test_the_templates_are_the_kinds_of_the_catalogue() -> None:
    criteria = read_seed("criteria")
    used = {kind_of(task, criteria) for task in read_seed("tasks")}
    assert used == {template.kind for template in TEMPLATES.values()}


@pytest.mark.slow
@pytest.mark.platform
def test_dbt_build_equals_the_oracle() -> None:
    assert equal_after_dbt_build("visit_start_value")["examples"] > 0
