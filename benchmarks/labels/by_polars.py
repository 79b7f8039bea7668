# pyright: reportMissingImports=false
"""dhf_1y in Polars, as an analyst would write it for this one task, from `dbt_project/DEFINITIONS.md` alone.

    python benchmarks/labels/by_polars.py INPUTS LABELS

It runs in an environment that holds Polars and nothing of this project. Arguments as in `by_pandas.py`.
"""

import sys
from pathlib import Path

import polars as pl

START, END = "observation_period_start_date", "observation_period_end_date"


def main(inputs: Path, labels: Path) -> None:
    """Read the inputs lazily, make the labels, write them."""
    events = pl.scan_parquet(inputs / "clinical_event.parquet")
    members = pl.scan_parquet(inputs / "concept_set_member.parquet")
    heart_failure = conditions(events, members, "heart_failure")
    cohort = find_cohort(
        conditions(events, members, "type_2_diabetes"),
        heart_failure,
        deaths(events),
        pl.scan_parquet(inputs / "observed_period.parquet"),
        pl.scan_parquet(inputs / "person.parquet"),
    )
    label(cohort, heart_failure).collect().write_parquet(labels)


def conditions(events: pl.LazyFrame, members: pl.LazyFrame, concept_set: str) -> pl.LazyFrame:
    """Return person_id, event_date and available_date of a concept set's conditions."""
    ids = members.filter(pl.col("concept_set") == concept_set).select("concept_id").collect()
    return events.filter(
        pl.col("domain") == "Condition", pl.col("concept_id").is_in(ids["concept_id"].implode())
    ).select("person_id", "event_date", "available_date")


def deaths(events: pl.LazyFrame) -> pl.LazyFrame:
    """Return the earliest death of each person and the day it was known."""
    return (
        events.filter(pl.col("domain") == "Death")
        .sort("event_date", "available_date")
        .group_by("person_id")
        .agg(death=pl.col("event_date").first(), death_known=pl.col("available_date").first())
    )


def find_cohort(
    diabetes: pl.LazyFrame,
    heart_failure: pl.LazyFrame,
    death: pl.LazyFrame,
    periods: pl.LazyFrame,
    person: pl.LazyFrame,
) -> pl.LazyFrame:
    """Return the examples: person_id, index_date, the index's period, death and when it was known."""
    index, birth = pl.col("index_date"), pl.col("birth_date")
    entry = diabetes.group_by("person_id").agg(index_date=pl.col("available_date").min())
    observed = (
        entry.join(periods, on="person_id")
        .filter(index.is_between(START, END))
        .sort("person_id", START, END, descending=[False, False, True])
        .unique("person_id", keep="first")
        .filter((index - pl.col(START)).dt.total_days() >= 365)
    )
    not_yet = index.dt.strftime("%m%d") < birth.dt.strftime("%m%d")
    adult = observed.join(person.select("person_id", "birth_date"), on="person_id").filter(
        index.dt.year() - birth.dt.year() - not_yet.cast(pl.Int32) >= 18
    )
    alive = adult.join(death, on="person_id", how="left").filter(
        pl.col("death_known").is_null() | (pl.col("death_known") > index)
    )
    known = alive.join(heart_failure, on="person_id").filter(pl.col("available_date") <= index)
    return (
        alive.join(known, on="person_id", how="anti")
        .join(periods.select(data_end=pl.col(END).max()), how="cross")
        .filter(index.dt.offset_by("365d") <= pl.col("data_end"))
    )


def label(cohort: pl.LazyFrame, heart_failure: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row an example of `find_cohort`, with y_true, reason and outcome_date."""
    index, end, death = pl.col("index_date"), pl.col(END), pl.col("death")
    day, last_day = pl.col("event_date"), index.dt.offset_by("365d")
    dated = (
        cohort.join(heart_failure, on="person_id")
        .group_by("person_id")
        .agg(
            before=(day <= index).any(),
            outcome=day.filter(
                (day > index) & (day <= last_day) & (day <= pl.min_horizontal(end, death))
            ).min(),
        )
    )
    followed = (end >= last_day) | ((death <= end) & (death <= last_day)).fill_null(False)
    reason = (
        pl.when(death <= index)
        .then(pl.lit("death_before_index_known_later"))
        .when(pl.col("before"))
        .then(pl.lit("outcome_before_index_known_later"))
        .when(pl.col("outcome").is_null() & ~followed)
        .then(pl.lit("lost_to_follow_up"))
    )
    return (
        cohort.join(dated, on="person_id", how="left")
        .with_columns(reason=reason)
        .select(
            "person_id",
            "index_date",
            y_true=pl.when(pl.col("reason").is_null()).then(pl.col("outcome").is_not_null().cast(pl.Int64)),
            reason="reason",
            outcome_date=pl.when(pl.col("reason").is_null()).then(pl.col("outcome")),
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
