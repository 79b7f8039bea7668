"""When an event was known, worked out anew from the published rows: `available_date` may be what is wrong."""

from ml.leakage.shown import Shown

# Final only when the stay is over, unless a type is declared charted in availability.csv (METHODS 1).
BILLED_TABLES = ("condition_occurrence", "procedure_occurrence")
STAYS = "inpatient_or_emergency_visit"  # the concept set of visits that end with a bill

# One row an event of a person of the cut. `known_date` is never before `available_date`, which also holds
# what is not published (dates of results, lags of a type).
KNOWN = """
create temp table if not exists known as
with
person_of_cut as (
    select distinct person_id from example
),
rule as (
    select
        unnest($tables::varchar[]) as source_table,
        unnest($types::bigint[]) as type_concept_id,
        unnest($rules::varchar[]) as rule,
        unnest($lags::integer[]) as lag_days
),
stay as (
    select
        person_id,
        visit_occurrence_id,
        max(event_date) as end_date
    from clinical_event
    where
        domain = 'Visit end'
        and visit_occurrence_id is not null
        and concept_id in (select concept_id from concept_set_member where concept_set = $stays)
    group by person_id, visit_occurrence_id
),
ruled as (
    select
        event.*,
        coalesce(
            of_type.rule,
            case when event.source_table in (select unnest($billed::varchar[])) then 'visit_end' end,
            of_any.rule
        ) = 'visit_end' as is_billed,
        coalesce(of_type.lag_days, of_any.lag_days, 0) as lag_days,
        stay.end_date as stay_end_date
    from clinical_event as event
    inner join person_of_cut on event.person_id = person_of_cut.person_id
    left join rule as of_type
        on event.source_table = of_type.source_table
        and event.type_concept_id = of_type.type_concept_id
    left join rule as of_any
        on event.source_table = of_any.source_table
        and of_any.type_concept_id is null
    left join stay
        on event.person_id = stay.person_id
        and event.visit_occurrence_id = stay.visit_occurrence_id
)
select
    event_id,
    person_id,
    source_table,
    domain,
    event_date,
    available_date,
    is_billed and stay_end_date is not null as is_of_a_stay,
    greatest(
        available_date,
        event_date + lag_days,
        case when is_billed then stay_end_date + lag_days end
    ) as known_date
from ruled
"""


def make_known_table(shown: Shown) -> None:
    """Make `known` on the connection, once: event_id, person_id, source_table, domain, dates, known_date."""
    rows = shown.availability
    shown.connection.execute(
        KNOWN,
        {
            "tables": [row["source_table"] for row in rows],
            "types": [int(row["type_concept_id"]) if row["type_concept_id"] else None for row in rows],
            "rules": [row["rule"] for row in rows],
            "lags": [int(row["lag_days"]) for row in rows],
            "stays": STAYS,
            "billed": list(BILLED_TABLES),
        },
    )
