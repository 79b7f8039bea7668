"""The SQL against the independent oracle, on worlds whose dates lie at the edges of every window."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from definitions.end_to_end import dbt_built
from definitions.stacked import Stack, Tally, add, differences
from definitions.templates import TEMPLATES

pytestmark = pytest.mark.xdist_group("definitions")

SAMPLE = 20


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_sql_equals_the_oracle(name: str) -> None:
    tally = equal_on_worlds(name, SAMPLE)
    assert len(tally.seeds) >= SAMPLE
    assert tally.positives >= 20
    assert tally.negatives >= 20


def equal_on_worlds(name: str, worlds: int) -> Tally:
    """Compare SQL and oracle on at least so many worlds; Hypothesis draws the seeds and shrinks to the smallest."""
    tally, failed = Tally(), False

    @settings(
        max_examples=10 * worlds,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(first=st.integers(0, 2**20), count=st.integers(1, 25))
    def equal(first: int, count: int) -> None:
        nonlocal failed
        if failed or len(tally.seeds) < worlds:
            stack = Stack(TEMPLATES[name], tuple(range(first, first + count)))
            with stack.database() as database:
                found = differences(stack, database)
            failed = failed or bool(found)
            assert not found, f"{len(found)} differences, the first: {found[0]}"
            add(tally, stack)

    equal()
    return tally


@pytest.mark.slow
@pytest.mark.platform
def test_dbt_build_equals_the_oracle(tmp_path: Path) -> None:
    stack = Stack(TEMPLATES["visit_start_value"], (0,))
    with dbt_built(stack, tmp_path) as database:
        assert not differences(stack, database)
    assert stack.expected
