"""In which form a person's results come, where a code has several: the form may tell the site (L36).

`units_do_not_tell_cases` looks at units that have a name. Here are those that have none, and results that
are no number.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.leakage.shown import Shown
from ml.leakage.statistics.alarms import JUDGED
from ml.leakage.statistics.shares import Flags

# Values of one code and unit lie in heaps where so much of their range, or of that of their logarithms, is
# free between them; a scale of few steps has no heaps.
FREE_OF_VALUES, FEWEST_VALUES = 0.15, 20
RESULTS = f"""
with {JUDGED}
select
    event.example_id,
    event.concept_id,
    arg_min(coalesce(event.unit_name, ''), (event.days_before, -event.value_as_number, event.unit_name))
        filter (where isfinite(event.value_as_number)) as unit,
    arg_min(event.value_as_number, (event.days_before, -event.value_as_number, event.unit_name))
        filter (where isfinite(event.value_as_number)) as latest
from judged
inner join event on judged.example_id = event.example_id
where event.domain = 'Measurement'
group by event.example_id, event.concept_id
order by event.concept_id, event.example_id
"""


def forms(shown: Shown, example_id: pd.Series, fewest: float) -> tuple[Flags, Flags]:
    """Return whose results of a code come in each form, and who has results of that code, (L, N) each.

    Forms: no number at all; the latest value lies in one heap of several.

    Args:
        example_id: (N,) the judged examples.
        fewest: examples that a form must have, and that must have the others.
    """
    table, order = shown.frame(RESULTS), pd.Index(example_id)
    has, among = [], []
    for _, own in table.groupby("concept_id", sort=True):
        row = order.get_indexer(pd.Index(own["example_id"]))
        is_number = own["latest"].notna().to_numpy()
        found = [(row, ~is_number)]
        numbers = own[is_number]
        for _, alike in numbers.groupby("unit", sort=True):
            place = order.get_indexer(pd.Index(alike["example_id"]))
            found += [(place, heap) for heap in heaps(alike["latest"].to_numpy(dtype=np.float64), fewest)]
        for rows, flags in found:
            if fewest <= flags.sum() <= len(flags) - fewest:
                has.append(_spread(rows[flags], len(order)))
                among.append(_spread(rows, len(order)))
    none = np.zeros((0, len(order)), dtype=bool)
    return (np.array(has), np.array(among)) if has else (none, none)


def heaps(value: npt.NDArray[np.float64], fewest: float) -> Flags:
    """Return for each heap of values which lie in it, (L, N); none where they lie in one."""
    if len(np.unique(value)) < FEWEST_VALUES:
        return np.zeros((0, value.size), dtype=bool)
    return stretches(np.log(value) if value.min() > 0 else value, FREE_OF_VALUES, fewest)


def stretches(number: npt.ArrayLike, free: float, fewest: float) -> Flags:
    """Return for each stretch of numbers which lie in it, (L, N); none where they lie in one.

    Args:
        number: (N,).
        free: share of the whole range that no number lies in, between two stretches.
        fewest: numbers in a stretch that is returned.
    """
    value = np.asarray(number, dtype=np.float64)
    if not value.size:
        return np.zeros((0, 0), dtype=bool)
    order = np.argsort(value, kind="stable")
    stretch = np.zeros(value.size, dtype=np.int64)
    stretch[order] = np.concatenate([[0], np.cumsum(np.diff(value[order]) > free * np.ptp(value))])
    names, sizes = np.unique(stretch, return_counts=True)
    large = names[sizes >= fewest] if names.size > 1 else names[:0]
    return large[:, None] == stretch[None, :]


def _spread(rows: npt.NDArray[np.intp], n: int) -> Flags:
    flags = np.zeros(n, dtype=bool)
    flags[rows] = True
    return flags
