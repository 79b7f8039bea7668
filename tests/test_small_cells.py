"""The solver of small cells: none from 1 to 10 can be had from the sums around it."""

import itertools
import math

import numpy as np
import pytest

from ml.report.suppression import SMALLEST_SHOWN, Count, feasible_interval, suppress_counts


def random_table(rng, n_rows, n_columns, high):
    """A table with both margins and the grand total, many cells small."""
    cells = rng.choice([0, 1, 2, 5, 9, 14, 40, high], size=(n_rows, n_columns))
    counts = {f"{i},{j}": Count(int(cells[i, j])) for i in range(n_rows) for j in range(n_columns)}
    counts |= {f"row{i}": Count(int(cells[i].sum()), cost=2) for i in range(n_rows)}
    counts |= {f"column{j}": Count(int(cells[:, j].sum()), cost=2) for j in range(n_columns)}
    counts["all"] = Count(int(cells.sum()), cost=3)
    sums = [(f"row{i}", tuple(f"{i},{j}" for j in range(n_columns))) for i in range(n_rows)]
    sums += [(f"column{j}", tuple(f"{i},{j}" for i in range(n_rows))) for j in range(n_columns)]
    sums.append(("all", tuple(f"row{i}" for i in range(n_rows))))
    return counts, sums


def determined(counts, sums, hidden):
    """Counts an attacker gets by linear algebra alone: those constant over the null space of the sums."""
    unknown = [name for name in counts if name in hidden or not counts[name].is_published]
    rows = []
    for total, parts in sums:
        row = dict.fromkeys(unknown, 0)
        for name, sign in [(total, 1), *((part, -1) for part in parts)]:
            if name in row:
                row[name] += sign
        rows.append(list(row.values()))
    if not unknown:
        return set()
    matrix = np.array(rows, dtype=float)
    _, singular, vectors = np.linalg.svd(matrix)
    rank = int(np.sum(singular > 1e-9))
    free = vectors[rank:]
    return {name for i, name in enumerate(unknown) if not free.size or np.abs(free[:, i]).max() < 1e-9}


def enumerate_values(counts, sums, hidden, name):
    """Every value of a cell that some table of non-negative whole numbers agrees with; 2 x 2 tables only."""
    interior = ["0,0", "0,1", "1,0", "1,1"]
    ranges = [range(61) if cell in hidden else [counts[cell].value] for cell in interior]
    seen = set()
    for a, b, c in itertools.product(*ranges[:3]):
        for d in ranges[3]:
            value = dict(zip(interior, (a, b, c, d), strict=True))
            value |= {"row0": a + b, "row1": c + d, "column0": a + c, "column1": b + d, "all": a + b + c + d}
            if all(value[key] == count.value for key, count in counts.items() if key not in hidden):
                seen.add(value[name])
                if len(seen) > 1:
                    return seen
    return seen


@pytest.mark.parametrize("n_tables", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_small_cell_of_many_random_tables_can_be_solved_for(n_tables):
    rng = np.random.default_rng(0)
    n_small = 0
    for _ in range(n_tables):
        counts, sums = random_table(rng, int(rng.integers(1, 3)), int(rng.integers(2, 4)), 60)
        hidden = suppress_counts(counts, sums)
        small = {name for name, count in counts.items() if count.is_small}
        n_small += len(small)
        assert small <= hidden
        assert not determined(counts, sums, hidden) & small
    assert n_small > n_tables


def test_an_attacker_without_the_rule_does_solve_for_small_cells():
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        counts, sums = random_table(rng, 2, 3, 60)
        primary = {name for name, count in counts.items() if count.is_small}
        found += len(determined(counts, sums, primary) & primary)
    assert found > 50


def test_no_small_cell_is_left_with_one_whole_number_that_fits():
    rng = np.random.default_rng(1)
    checked = 0
    for _ in range(60):
        counts, sums = random_table(rng, 2, 2, 20)
        hidden = suppress_counts(counts, sums)
        if len(hidden & {"0,0", "0,1", "1,0", "1,1"}) > 3:
            continue
        for name in [name for name, count in counts.items() if count.is_small]:
            assert len(enumerate_values(counts, sums, hidden, name)) > 1
            checked += 1
    assert checked > 15


def test_every_small_count_keeps_at_least_11_candidates():
    rng = np.random.default_rng(2)
    for _ in range(20):
        counts, sums = random_table(rng, 2, 3, 60)
        hidden = suppress_counts(counts, sums)
        for name in [name for name, count in counts.items() if count.is_small]:
            low, high = feasible_interval(name, counts, sums, hidden)
            assert low <= counts[name].value <= high
            assert math.isinf(high) or high - low + 1 >= SMALLEST_SHOWN - 1e-6


def test_a_table_without_small_cells_is_left_whole_and_zero_may_be_shown():
    counts = {"a": Count(0), "b": Count(11), "c": Count(500), "all": Count(511)}
    assert suppress_counts(counts, [("all", ("a", "b", "c"))]) == frozenset()


def test_the_cheapest_then_smallest_count_goes_with_a_small_one_and_twins_go_together():
    counts = {
        "a": Count(3),
        "b": Count(90, cost=2),
        "c": Count(200, twin="d"),
        "d": Count(200),
        "all": Count(293, cost=5),
    }
    assert suppress_counts(counts, [("all", ("a", "b", "c"))]) == {"a", "c", "d"}


def test_sums_that_do_not_hold_are_refused():
    with pytest.raises(ValueError, match="not the sum"):
        suppress_counts({"a": Count(3), "all": Count(4)}, [("all", ("a",))])
    with pytest.raises(ValueError, match="unknown counts"):
        suppress_counts({"all": Count(4)}, [("all", ("a",))])
