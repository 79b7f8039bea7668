"""The strongest of many shares against exact tables, and against labels dealt at random."""

import numpy as np
import pytest

from ml.leakage.statistics.shares import most_apart, table_smallest
from ml.leakage.statistics.tails import table_tail


def test_the_strongest_of_many_things_is_judged_by_its_exact_table():
    group = np.arange(200) < 50
    has = np.array([group ^ (np.arange(200) % 10 == 0), np.arange(200) % 2 == 0, np.ones(200, dtype=bool)])
    evidence = most_apart(group, has, 0.01, 0.1, "difference")
    both, present = int((has[0] & group).sum()), int(has[0].sum())
    assert evidence.effect == pytest.approx(both / 50 - (present - both) / 150)
    assert evidence.p_value == pytest.approx(2 * float(table_tail(both, present, 50, 200)))
    assert most_apart(group, has[2:], 0.01, 0.1, "difference").p_value == 1.0
    smallest = table_smallest(present, 50, 200, 0.005)
    assert 0 < smallest < evidence.effect
    assert evidence.smallest <= smallest


@pytest.mark.parametrize("seed", range(40))
def test_labels_dealt_at_random_raise_nothing(seed):
    """Once in 250 times one of 40 would be told from chance at this level."""
    rng = np.random.default_rng(seed)
    has = rng.random((30, 300)) < rng.random((30, 1))
    evidence = most_apart(rng.random(300) < 0.2, has, 1e-4, 0.0, "difference")
    assert evidence.p_value > 1e-4
