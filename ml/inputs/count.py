"""Sparse count features: how often each concept was recorded before the index, and latest values."""

import json
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from ml.artefact import whole_folder


@dataclass(frozen=True)
class CountOptions:
    """Windows end the day before the index; a concept needs `min_train_examples` to become a column."""

    windows_days: tuple[int, ...] = (30, 365, 36_525)
    min_train_examples: int = 5


# The vocabulary is fitted on train only: it would otherwise see held_out.
VOCABULARY = """
select event.concept_id
from read_parquet($event) as event
inner join read_parquet($example) as example on event.example_id = example.example_id
where example.split = 'train'
group by event.concept_id
having count(distinct event.example_id) >= $min_train_examples
order by event.concept_id
"""

COUNTS = """
select
    event.example_id,
    event.concept_id,
    time_window.days as window_days,
    count(distinct event.days_before)::double as value
from read_parquet($event) as event
inner join unnest($windows) as time_window(days) on event.days_before <= time_window.days
where event.concept_id in (select unnest($vocabulary))
group by event.example_id, event.concept_id, time_window.days
"""

LATEST_VALUES = """
select
    example_id,
    concept_id,
    arg_max(value_as_number, event_no) as value
from read_parquet($event)
where isfinite(value_as_number) and concept_id in (select unnest($vocabulary))
group by example_id, concept_id
"""


def write_count_features(examples: Path, target: Path, options: CountOptions) -> dict[str, int]:
    """Write the sparse matrix of N examples by D features as a folder; return counts for the record.

    Files: `row.parquet` (example_id in order), `column.parquet` (feature names in order),
    `value.parquet` (row, column, value; zeros left out), `fit.json` (on whom the vocabulary was fitted).
    Counts are of distinct days, never rows (METHODS 9). Concepts outside the vocabulary are counted.
    """
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'; set threads = 1")
        rows, long, fit = _features(connection, examples, options)
    # A column needs a value in train: one that held_out alone fills would shape what is fitted.
    in_train = long["example_id"].isin(rows.loc[rows["split"] == "train", "example_id"])
    columns = pd.Index(sorted(long.loc[in_train, "feature"].unique()), name="feature")
    long = long[long["feature"].isin(columns) & (long["value"] != 0)]
    value = pd.DataFrame(
        {
            "row": pd.Index(rows["example_id"]).get_indexer(pd.Index(long["example_id"])).astype(np.int32),
            "column": columns.get_indexer(pd.Index(long["feature"])).astype(np.int32),
            "value": long["value"].astype(float),
        }
    ).sort_values(["row", "column"], kind="stable")
    with whole_folder(target) as folder:
        rows[["example_id"]].to_parquet(folder / "row.parquet", index=False)
        columns.to_frame(index=False).to_parquet(folder / "column.parquet", index=False)
        value.to_parquet(folder / "value.parquet", index=False)
        (folder / "fit.json").write_text(json.dumps(fit, sort_keys=True), encoding="utf-8")
    return {"examples": len(rows), "features": len(columns), "values": len(value), **fit}


def _features(
    connection: duckdb.DuckDBPyConnection, examples: Path, options: CountOptions
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """Return the examples in order, the features as (example_id, feature, value), and the fit record."""
    event, example = str(examples / "event.parquet"), str(examples / "example.parquet")
    rows = connection.execute("select * from read_parquet(?) order by example_id", [example]).df()
    vocabulary = connection.execute(
        VOCABULARY, {"event": event, "example": example, "min_train_examples": options.min_train_examples}
    ).df()["concept_id"]
    known = {"event": event, "vocabulary": vocabulary.tolist()}
    counts = connection.execute(COUNTS, {**known, "windows": list(options.windows_days)}).df()
    counts["feature"] = [
        f"days_with/{concept}/{days}"
        for concept, days in zip(counts["concept_id"], counts["window_days"], strict=True)
    ]
    latest = connection.execute(LATEST_VALUES, known).df()
    latest["feature"] = [f"latest_value/{concept}" for concept in latest["concept_id"]]
    unseen = connection.execute(
        "select count(distinct concept_id) from read_parquet($event)"
        " where concept_id not in (select unnest($vocabulary))",
        known,
    ).fetchall()[0][0]
    person = pd.concat(
        [
            rows.assign(feature="age", value=rows["age"].astype(float)).dropna(subset=["value"]),
            rows.assign(feature="sex/" + rows["sex"].fillna("unknown"), value=1.0),
        ]
    )
    long = pd.concat([frame[["example_id", "feature", "value"]] for frame in (person, counts, latest)])
    fit = {
        "fitted_on_examples": int((rows["split"] == "train").sum()),
        "concepts_known": len(vocabulary),
        "concepts_unseen_or_rare": int(unseen),
    }
    return rows, long, fit
