"""dhf_1y in one DuckDB query, written for this one task, from `dbt_project/DEFINITIONS.md` alone.

    python -m benchmarks.labels.by_duckdb INPUTS LABELS

Arguments as in `by_pandas.py`.
"""

import sys
from pathlib import Path

import duckdb

QUERY = """
with condition as (
    select concept_set, person_id, event_date, available_date
    from clinical_event
    join concept_set_member using (concept_id)
    where domain = 'Condition'
), diabetes as (
    select person_id, min(available_date) as index_date
    from condition
    where concept_set = 'type_2_diabetes'
    group by person_id
), heart_failure as (
    select person_id, event_date, available_date
    from condition
    where concept_set = 'heart_failure'
), death as (
    select
        person_id,
        arg_min(event_date, (event_date, available_date)) as death,
        arg_min(available_date, (event_date, available_date)) as death_known
    from clinical_event
    where domain = 'Death'
    group by person_id
), observed as (
    select person_id, index_date, period_start, period_end
    from diabetes
    join period using (person_id)
    where index_date between period_start and period_end
    qualify row_number() over (partition by person_id order by period_start, period_end desc) = 1
), cohort as (
    select person_id, index_date, period_end, death, index_date + 365 as last_day
    from observed
    join person using (person_id)
    left join death using (person_id)
    where
        index_date - period_start >= 365
        and date_part('year', index_date) - date_part('year', birth_date)
            - (strftime(index_date, '%m%d') < strftime(birth_date, '%m%d'))::int >= 18
        and (death_known is null or death_known > index_date)
        and not exists (
            from heart_failure
            where heart_failure.person_id = observed.person_id and available_date <= index_date
        )
        and index_date + 365 <= (select max(period_end) from period)
), dated as (
    select
        cohort.*,
        bool_or(event_date <= index_date) as had_before,
        min(event_date) filter (
            event_date > index_date and event_date <= least(last_day, period_end, death)
        ) as outcome
    from cohort
    left join heart_failure using (person_id)
    group by all
), reasoned as (
    select
        *,
        case
            when death <= index_date then 'death_before_index_known_later'
            when had_before then 'outcome_before_index_known_later'
            when outcome is not null or period_end >= last_day then null
            when death <= least(period_end, last_day) then null
            else 'lost_to_follow_up'
        end as reason
    from dated
)
select
    person_id,
    index_date,
    case when reason is null then (outcome is not null)::bigint end as y_true,
    reason,
    case when reason is null then outcome end as outcome_date
from reasoned
"""


def main(inputs: Path, labels: Path) -> None:
    """Read the inputs as views, run the query, write its rows."""
    with duckdb.connect(config={"threads": 2}) as connection:
        for table in ("clinical_event", "concept_set_member", "person"):
            connection.execute(f"create view {table} as from '{inputs / table}.parquet'")
        connection.execute(
            "create view period as select person_id, observation_period_start_date as period_start,"
            f" observation_period_end_date as period_end from '{inputs}/observed_period.parquet'"
        )
        connection.execute(f"copy ({QUERY}) to '{labels}'")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
