"""Sparse count features: days on which a concept, or one below it, was recorded; and latest values."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq
from scipy import sparse

from ml.artefact import whole_folder, write_json
from ml.in_memory import in_memory
from ml.inputs.columns import fit_columns
from ml.inputs.shortcut import CALENDAR, UTILISATION
from ml.inputs.shown import places
from ml.inputs.view import LEVELS, CountOptions

# What a view lets pass of the events of a cut.
EVENT = """
create temp table event as
select
    example_id,
    event_no,
    concept_id,
    domain,
    days_before,
    visit_no,
    case when isfinite(value_as_number) then value_as_number end as value,
    coalesce(unit_name, '') as unit
from read_parquet($event)
where
    $reads_events
    and (len($domains) = 0 or domain in (select unnest($domains)))
    and ($look_back_days is null or days_before <= $look_back_days)
"""

EXAMPLE = """
create temp table example as
select
    (row_number() over (order by example_id) - 1)::integer as row,
    example_id,
    split,
    index_date::date as index_date,
    age,
    coalesce(sex, 'unknown') as sex
from read_parquet($example)
"""

# A code counts for itself and, where asked, for every concept above it; on distinct days, never rows.
FEATURE_EVENT = """
create temp view feature_event as
select
    example_id,
    concept_id,
    days_before
from event
union all
select
    event.example_id,
    ancestor.ancestor_concept_id as concept_id,
    event.days_before
from event
inner join read_parquet('{ancestor}') as ancestor on event.concept_id = ancestor.concept_id
where {ancestors}
"""

# The vocabulary is fitted on train only: it would otherwise see held_out.
VOCABULARY = """
create temp table vocabulary as
select feature_event.concept_id
from feature_event
inner join example on feature_event.example_id = example.example_id
where example.split = 'train'
group by feature_event.concept_id
having count(distinct feature_event.example_id) >= $min_train_examples
"""

LONG = """
create temp table long as
with
day_count as (
    select
        feature_event.example_id,
        'days_with/' || feature_event.concept_id || '/' || time_window.days as feature,
        count(distinct feature_event.days_before)::double as value
    from feature_event
    inner join unnest($windows) as time_window(days) on feature_event.days_before <= time_window.days
    where feature_event.concept_id in (select concept_id from vocabulary)
    group by feature_event.example_id, feature_event.concept_id, time_window.days
),
-- a measurement in two units is two measurements; of one day the highest counts, for events have no time
-- and their numbers within a day follow a hash of the person
latest as (
    select
        example_id,
        concept_id || '/' || unit as measurement,
        first(value order by days_before, value desc) as value
    from event
    where $latest_values and value is not null and concept_id in (select concept_id from vocabulary)
    group by example_id, concept_id, unit
),
-- a value of 0 is not stored, and would read as never measured
measured as (
    select
        example_id,
        'latest_value/' || measurement as feature,
        value
    from latest
    union all
    select
        example_id,
        'measured/' || measurement as feature,
        1.0 as value
    from latest
),
person as (
    select
        example_id,
        'age' as feature,
        age::double as value
    from example
    where age is not null
    union all
    select
        example_id,
        'sex/' || sex as feature,
        1.0 as value
    from example
)
select * from day_count
union all
select * from measured
union all
select * from person
"""

VALUE = """
select
    example.row,
    feature.place as "column",
    long.value
from long
inner join example on long.example_id = example.example_id
inner join feature on long.feature = feature.feature
where long.value <> 0
order by example.row, feature.place
"""

SHOWN = """
with
event_count as (
    select
        example_id,
        list_sort(list(distinct domain)) as domains,
        count(*)::integer as n_events
    from event
    group by example_id
),
value_hash as (
    select
        row,
        sha256(string_agg(feature.feature || '=' || value.value, chr(10) order by feature.feature)) as sha256
    from read_parquet($value) as value
    inner join feature on value."column" = feature.place
    group by row
)
select
    example.example_id,
    coalesce(event_count.domains, []) as domains,
    coalesce(event_count.n_events, 0) as n_events_kept,
    coalesce(event_count.n_events, 0) as n_events_in_view,
    coalesce(value_hash.sha256, sha256('')) as sha256
from example
left join event_count on example.example_id = event_count.example_id
left join value_hash on example.row = value_hash.row
order by example.example_id
"""

COLUMN = "select feature, coalesce(stands_for, []) as stands_for from feature order by place"

UNSEEN = """
select
    count(distinct concept_id),
    count(*)
from event
where concept_id not in (select concept_id from vocabulary)
"""


def write_count_features(examples: Path, target: Path, options: CountOptions) -> dict[str, int]:
    """Write the sparse matrix of N examples by D features as a folder; return counts for the record.

    Files: `row.parquet` (example_id in order), `column.parquet` (feature names in order; `stands_for` names
    the columns that were dropped as equal to it on train), `value.parquet` (row, column, value; zeros left
    out), `shown.parquet`, `view.json` (options; on whom it was fitted).
    Counts are of distinct days, never rows (METHODS 9). Codes outside the vocabulary are counted.
    """
    with in_memory(target.parent) as connection, whole_folder(target) as folder:
        _make_tables(connection, examples, options)
        value = folder / "value.parquet"
        for name, query in {
            "row": "select example_id from example order by row",
            "column": COLUMN,
            "value": VALUE,
        }.items():
            _copy(connection, query, folder / f"{name}.parquet")
        _copy(connection, SHOWN, folder / "shown.parquet", {"value": str(value)})
        n_examples, n_train = connection.execute(
            "select count(*), count(*) filter (where split = 'train') from example"
        ).fetchall()[0]
        unseen, events_unseen = connection.execute(UNSEEN).fetchall()[0]
        n_features, n_candidates, n_known = connection.execute(
            "select (select count(*) from feature), (select count(*) from candidate),"
            " (select count(*) from vocabulary)"
        ).fetchall()[0]
        n_values = connection.execute("select count(*) from read_parquet(?)", [str(value)]).fetchall()[0][0]
        fit = {
            "fitted_on_examples": n_train,
            "concepts_known": n_known,
            "features_equal_on_train": n_candidates - n_features,
            "concepts_unseen_or_rare": unseen,
            "events_unseen_or_rare": events_unseen,
        }
        write_json(folder / "view.json", {"options": dataclasses.asdict(options), "fit": fit})
    return {"examples": n_examples, "features": n_features, "values": n_values, **fit}


def fit_count_columns(examples: Path, options: CountOptions) -> dict[str, list[str]]:
    """Return the columns that the train examples of a cut give, each with those that it stands for."""
    with in_memory(examples.parent) as connection:
        _make_tables(connection, examples, options)
        return dict(connection.execute(COLUMN).fetchall())


def read_count_columns(folder: Path) -> dict[str, list[str]]:
    """Return the columns of a matrix in order, each with those that it stands for."""
    column = pq.read_table(folder / "column.parquet")
    return dict(zip(column["feature"].to_pylist(), column["stands_for"].to_pylist(), strict=True))


def read_count_features(folder: Path, example_id: Sequence[str]) -> sparse.csr_matrix:
    """Return the features of N examples in their order, float64 (N, D).

    Raises:
        ValueError: an example has no row here.
    """
    rows = pd.read_parquet(folder / "row.parquet")["example_id"]
    width = len(read_count_columns(folder))
    value = pd.read_parquet(folder / "value.parquet")
    matrix = sparse.csr_matrix((value["value"], (value["row"], value["column"])), (len(rows), width))
    return matrix[places(rows, example_id)]


def _make_tables(connection: duckdb.DuckDBPyConnection, examples: Path, options: CountOptions) -> None:
    ancestor = str(examples / "ancestor.parquet").replace("'", "''")
    view = FEATURE_EVENT.format(ancestor=ancestor, ancestors=str(options.ancestors).lower())
    for statement, values in (
        (
            EVENT,
            {
                "event": str(examples / "event.parquet"),
                "domains": list(LEVELS[options.level]),
                "look_back_days": options.look_back_days,
                "reads_events": options.counted != "calendar",
            },
        ),
        (EXAMPLE, {"example": str(examples / "example.parquet")}),
        (view, {}),
        (VOCABULARY, {"min_train_examples": options.min_train_examples}),
        _counted(options),
    ):
        connection.execute(statement, values)
    fit_columns(connection, ancestor)


def _counted(options: CountOptions) -> tuple[str, dict[str, object]]:
    """Return the statement that makes `long`, one row an example and feature, with its values."""
    windows = {"windows": list(options.windows_days)}
    return {
        "codes": (LONG, {**windows, "latest_values": options.latest_values}),
        "utilisation": (UTILISATION, windows),
        "calendar": (CALENDAR, {}),
    }[options.counted]


def _copy(
    connection: duckdb.DuckDBPyConnection, query: str, path: Path, values: dict[str, str] | None = None
) -> None:
    quoted = str(path).replace("'", "''")
    connection.execute(f"copy ({query}) to '{quoted}' (format parquet)", values or {})
