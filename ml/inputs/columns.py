"""The columns of count features: those with a value in train, and of equal ones a single one.

What is fitted cannot tell columns apart that are equal on every row of train, so one is kept: the concept
itself rather than one above it, for that is what was recorded; the longest window, for it misses nobody
outside train; then the lowest id.
"""

import hashlib
import itertools
from collections import defaultdict

import duckdb
import numpy as np
import pandas as pd

# A column needs a value in train: one that held_out alone fills would shape what is fitted. In order of
# preference; a concept stands above what it is an ancestor of, itself not counted.
CANDIDATE = """
create temp table candidate as
with
train_feature as (
    select distinct long.feature
    from long
    inner join example on long.example_id = example.example_id
    where example.split = 'train' and long.value <> 0
),
described as (
    select
        feature,
        list_position(['age', 'sex', 'days_with', 'latest_value', 'measured'], split_part(feature, '/', 1))
            as kind,
        try_cast(split_part(feature, '/', 2) as bigint) as concept_id,
        try_cast(split_part(feature, '/', 3) as integer) as window_days
    from train_feature
),
train_concept as (
    select distinct event.concept_id
    from event
    inner join example on event.example_id = example.example_id
    where example.split = 'train'
),
below as (
    select
        ancestor.ancestor_concept_id as concept_id,
        count(distinct ancestor.concept_id) as n_below
    from read_parquet('{ancestor}') as ancestor
    inner join train_concept on ancestor.concept_id = train_concept.concept_id
    group by ancestor.ancestor_concept_id
)
select
    (row_number() over (
        order by
            described.kind,
            coalesce(below.n_below, 0),
            described.window_days desc nulls last,
            described.concept_id,
            described.feature
    ) - 1)::integer as place,
    described.feature
from described
left join below on described.concept_id = below.concept_id
"""

TRAIN_VALUE = """
select
    candidate.place as "column",
    example.row,
    long.value
from long
inner join example on long.example_id = example.example_id
inner join candidate on long.feature = candidate.feature
where example.split = 'train' and long.value <> 0
order by candidate.place, example.row
"""

# Those that stand for others carry their names.
FEATURE = """
create temp table feature as
select
    (row_number() over (order by kept.feature) - 1)::integer as place,
    kept.feature,
    list_sort(list(candidate.feature) filter (where candidate.feature <> kept.feature)) as stands_for
from candidate
inner join first_equal on candidate.place = first_equal.place
inner join candidate as kept on first_equal.kept = kept.place
group by kept.feature
"""


def fit_columns(connection: duckdb.DuckDBPyConnection, ancestor: str) -> None:
    """Make the tables `candidate` and `feature` (place, feature, stands_for).

    They are made from `long`, `event` and `example`; `ancestor` is the quoted path of the pairs of a concept
    and what stands above it.
    """
    connection.execute(CANDIDATE.format(ancestor=ancestor))
    entry = connection.execute(TRAIN_VALUE).fetchnumpy()
    kept = first_equal(*(np.asarray(entry[name]) for name in ("column", "row", "value")))
    connection.register("first_equal", pd.DataFrame({"place": np.arange(len(kept)), "kept": kept}))
    connection.execute(FEATURE)


def first_equal(column: np.ndarray, row: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return for each of D columns the first column with the same entries, int64 (D,).

    The entries are those of a sparse matrix, three arrays (N,), in order of column and row; the columns are
    numbered from 0 and each has an entry. A hash finds what may be equal; the entries decide.
    """
    bounds = np.append(np.flatnonzero(np.diff(column, prepend=-1)), len(column))
    entries = [(row[start:end], value[start:end]) for start, end in itertools.pairwise(bounds)]
    first = np.arange(len(entries))
    seen: dict[bytes, list[int]] = defaultdict(list)
    for place, own in enumerate(entries):
        alike = seen[_digest(*own)]
        same = next((other for other in alike if all(map(np.array_equal, own, entries[other]))), None)
        if same is None:
            alike.append(place)
        else:
            first[place] = same
    return first


def _digest(row: np.ndarray, value: np.ndarray) -> bytes:
    return hashlib.blake2b(row.tobytes() + value.tobytes(), digest_size=16).digest()
