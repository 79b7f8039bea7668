"""Equality of labels: counts of equal and unequal examples, and no ids or dates."""

from pathlib import Path

import duckdb

# What es-aces counted in its windows, read as the label: its windows have no "or" and no null.
ACES_LABELS = """
select
    subject_id as person_id,
    prediction_time::date as index_date,
    case when reason is null then outcome::bigint end as y_true,
    reason,
    case when reason is null and outcome then stopped::date end as outcome_date
from (
    select
        *,
        follow_up.heart_failure > 0 and at_risk.heart_failure > 0 as outcome,
        follow_up.timestamp_at_end as stopped,
        case
            when known.death > 0 then 'death_before_index_known_later'
            when known.heart_failure > 0 then 'outcome_before_index_known_later'
            when follow_up.heart_failure > 0 and at_risk.heart_failure > 0 then null
            when at_risk.first_stop = 0 or (follow_up.death > 0 and at_risk.death > 0) then null
            else 'lost_to_follow_up'
        end as reason
    from (
        select
            subject_id,
            prediction_time,
            "known_by_index.start_summary" as known,
            "time_at_risk.end_summary" as at_risk,
            "follow_up.end_summary" as follow_up
        from '{stats}'
    )
)
"""
COUNTS = """
with ours as (
    from ({ours})
), theirs as (
    from ({theirs})
), paired as (
    select
        ours.person_id is not null and theirs.person_id is not null as matched,
        ours.person_id is not null as in_ours,
        ours.y_true is distinct from theirs.y_true as other_label,
        ours.reason is distinct from theirs.reason as other_reason,
        ours.outcome_date is distinct from theirs.outcome_date as other_date
    from ours
    full join theirs using (person_id, index_date)
)
select
    count(*) filter (matched and not (other_label or other_reason or other_date)) as equal,
    count(*) filter (not matched and in_ours) as only_ours,
    count(*) filter (not matched and not in_ours) as only_theirs,
    count(*) filter (matched and other_label) as other_label,
    count(*) filter (matched and not other_label and other_reason) as other_reason,
    count(*) filter (matched and not (other_label or other_reason) and other_date) as other_outcome_date
from paired
"""
LABELS = """
select person_id, index_date::date as index_date, y_true, reason, outcome_date::date as outcome_date
from '{labels}'
"""
# es-aces cannot tell apart periods of a person that share a day.
OVERLAPPING = """
select one.person_id
from '{periods}' as one
join '{periods}' as other
    on one.person_id = other.person_id
    and one <> other
    and one.observation_period_start_date <= other.observation_period_end_date
    and other.observation_period_start_date <= one.observation_period_end_date
"""


def compared(ours: str, theirs: str, persons: str = "true") -> dict[str, int]:
    """Count the examples of the query `ours` beside those of `theirs`, of the persons that a condition keeps.

    Examples are matched on person and index date; one that differs is counted once, at its first difference.
    """
    return _one_row(
        COUNTS.format(ours=f"from ({ours}) where {persons}", theirs=f"from ({theirs}) where {persons}")
    )


def of_file(labels: Path, only: str = "") -> str:
    """Return the query for a label file, of one task where the file holds several."""
    return LABELS.format(labels=labels) + (f"where task = '{only}'" if only else "")


def of_windows(stats: Path) -> str:
    """Return the query for the window statistics of es-aces."""
    return ACES_LABELS.format(stats=stats)


def made(labels: str) -> dict[str, int]:
    """Count the examples of a query by label, nulls by reason."""
    query = (
        f"select coalesce(reason, 'y_true_' || y_true), count(*) from ({labels}) group by all order by all"
    )
    with duckdb.connect() as connection:
        return dict(connection.execute(query).fetchall())


def label_column(ours: str, labels: Path, persons: str) -> dict[str, dict[str, int]]:
    """Count what es-aces says in its own label column by label and null reason of ours, of some persons."""
    query = f"""
    select
        coalesce(reason, 'y_true_' || y_true, 'no_example'),
        coalesce(boolean_value::varchar, 'no_row'),
        count(*)
    from ({ours}) as ours
    full join (
        select subject_id as person_id, prediction_time::date as index_date, boolean_value from '{labels}'
    ) as theirs using (person_id, index_date)
    where {persons}
    group by all
    order by all
    """
    table: dict[str, dict[str, int]] = {}
    with duckdb.connect() as connection:
        for mine, other, count in connection.execute(query).fetchall():
            table.setdefault(mine, {})[other] = count
    return table


def sizes(inputs: Path) -> dict[str, int]:
    """Count events, persons, and persons whose observation periods overlap."""
    periods = inputs / "observed_period.parquet"
    query = f"""
    select
        (select count(*) from '{inputs}/clinical_event.parquet') as events,
        (select count(*) from '{inputs}/person.parquet') as persons,
        (select count(distinct person_id) from ({OVERLAPPING.format(periods=periods)}))
            as persons_with_overlapping_periods
    """
    return _one_row(query)


def overlapping(inputs: Path) -> str:
    """Return the condition that a person's observation periods overlap."""
    return f"person_id in ({OVERLAPPING.format(periods=inputs / 'observed_period.parquet')})"


def _one_row(query: str) -> dict[str, int]:
    with duckdb.connect() as connection:
        found = connection.execute(query)
        names = [column[0] for column in found.description or []]
        return dict(zip(names, found.fetchall()[0], strict=True))
