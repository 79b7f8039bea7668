"""Values that know how long somebody will be observed or live, among persons made by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dbt_world import PROJECT

from leakage.followed_site import OF_EVENT, VALUE, Person, write
from leakage.small_site import edit
from ml.leakage.follow_up import ends
from ml.leakage.rows import LeakRow
from ml.leakage.shown import open_shown

(CHECK,) = ends.CHECKS
LAST = 2000  # the last day of the data
Value = Callable[[int, int | None, np.random.Generator], float]


def look(root: Path, n: int, value: Value, *, still_there: bool = False) -> LeakRow:
    """Look at persons who leave or die on any day, each with a value of an early one."""
    rng = np.random.default_rng(5)
    persons = []
    for _ in range(n):
        left = int(rng.integers(10, 1500))
        dies = left if rng.random() < 0.5 else None
        events = ((0, "Measurement", VALUE, value(left, dies, rng), 0),)
        persons.append(Person(events=events, ends=LAST if still_there else left, dies=dies))
    write(root, OF_EVENT, persons, data_end=LAST)
    edit(root / "published" / "clinical_event.parquet", lambda table: table.assign(source_concept_id=0))
    with open_shown(root, OF_EVENT, seeds=PROJECT / "seeds", n_tasks=4) as shown:
        row = CHECK.run(shown)
    assert row.severity == "warn"
    return row


@pytest.mark.parametrize(
    ("value", "still_there", "found"),
    [
        (lambda left, dies, rng: left // 30, False, 1),  # months of membership
        (lambda left, dies, rng: -left + rng.normal(0, 200), False, 1),
        (lambda left, dies, rng: dies or rng.integers(1500), True, 1),  # the end of life alone
        (lambda left, dies, rng: -left / 1000 + rng.normal(), False, 0),  # the sick are sicker
        (lambda left, dies, rng: rng.normal(), False, 0),
        (lambda left, dies, rng: left, True, 1),  # observation goes on, but the dead have died
    ],
)
def test_values_that_rise_with_the_time_that_is_left_are_counted(tmp_path, value, still_there, found):
    row = look(tmp_path, 400, value, still_there=still_there)
    assert row.looked_at >= 100
    assert row.found == found


def test_of_few_persons_nothing_is_said(tmp_path):
    row = look(tmp_path, 90, lambda left, dies, rng: left)
    assert (row.looked_at, row.found) == (0, 0)
    assert "fewer than 100" in row.cannot_see
