"""When an event was known, worked out anew from the published rows: `available_date` may be what is wrong."""

from ml.leakage.record.landed import CONTENT, make_landed_table
from ml.leakage.shown import Shown

# Final only when the stay is over, unless a type is declared charted in availability.csv (METHODS 1).
BILLED_TABLES = ("condition_occurrence", "procedure_occurrence")
STAYS = "inpatient_or_emergency_visit"  # the concept set of visits that end with a bill

# The declared rule of each table and type that there is; a row for the type outranks the row for any type.
TYPE_RULE = """
create temp table if not exists type_rule as
with
rule as (
    select
        unnest($tables::varchar[]) as source_table,
        unnest($types::bigint[]) as type_concept_id,
        unnest($rules::varchar[]) as rule,
        unnest($lags::integer[]) as lag_days
),
recorded as (
    select distinct source_table, type_concept_id from clinical_event
)
select
    recorded.source_table,
    recorded.type_concept_id,
    coalesce(
        of_type.rule,
        case when recorded.source_table in (select unnest($billed::varchar[])) then 'visit_end' end,
        of_any.rule,
        'own_date'
    ) as rule,
    coalesce(of_type.lag_days, of_any.lag_days, 0) as lag_days
from recorded
left join rule as of_type
    on recorded.source_table = of_type.source_table
    and recorded.type_concept_id = of_type.type_concept_id
left join rule as of_any
    on recorded.source_table = of_any.source_table
    and of_any.type_concept_id is null
"""

# One row an event of a person of the cut. `known_date` is never before `available_date`. Dates of results are
# not published: they are those of the landed rows that say the same, the earliest to the earliest known.
# Without a landed source they are not known, nor which results have none, so that no lag is added to them.
KNOWN = f"""
create temp table if not exists known as
with
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
        type_rule.rule,
        type_rule.lag_days,
        stay.end_date as stay_end_date
    from clinical_event as event
    inner join type_rule
        on event.source_table = type_rule.source_table
        and event.type_concept_id is not distinct from type_rule.type_concept_id
    left join stay
        on event.person_id = stay.person_id
        and event.visit_occurrence_id = stay.visit_occurrence_id
    where event.person_id in (select person_id from example)
),
landed_result as (
    select
        landed_event.content,
        landed_event.event_date,
        case
            when landed_event.result_date is null then landed_event.event_date + type_rule.lag_days
            else greatest(landed_event.event_date, landed_event.result_date)
        end as result_date
    from landed_event
    inner join type_rule
        on landed_event.source_table = type_rule.source_table
        and landed_event.type_concept_id is not distinct from type_rule.type_concept_id
    where type_rule.rule = 'result_date'
),
later_result as (
    select
        content,
        result_date,
        row_number() over (partition by content order by result_date) as copy_no
    from landed_result
    where content in (select content from landed_result where result_date > event_date)
),
measured as (
    select event_id, person_id, available_date, {CONTENT} as content
    from ruled
    where rule = 'result_date'
),
resulted as (
    select
        event_id,
        person_id,
        content,
        row_number() over (partition by content order by available_date, event_id) as copy_no
    from measured
    where content in (select content from later_result)
)
select
    ruled.event_id,
    ruled.person_id,
    ruled.source_table,
    ruled.domain,
    ruled.event_date,
    ruled.available_date,
    ruled.visit_occurrence_id,
    ruled.rule = 'visit_end' as is_billed,
    ruled.rule = 'visit_end' and ruled.stay_end_date is not null as is_of_a_stay,
    greatest(
        ruled.available_date,
        ruled.event_date + case when ruled.rule <> 'result_date' then ruled.lag_days else 0 end,
        case when ruled.rule = 'visit_end' then ruled.stay_end_date + ruled.lag_days end,
        later_result.result_date
    ) as known_date
from ruled
left join resulted
    on ruled.event_id = resulted.event_id
    and ruled.person_id = resulted.person_id
left join later_result
    on resulted.content = later_result.content
    and resulted.copy_no = later_result.copy_no
"""


def make_known_table(shown: Shown) -> None:
    """Make `known` on the connection, once: one row an event of a person of the cut.

    event_id, person_id, source_table, domain, dates, visit_occurrence_id, is_billed (final only with a bill),
    is_of_a_stay, known_date.
    """
    rows = shown.availability
    make_landed_table(shown)
    shown.connection.execute(
        TYPE_RULE,
        {
            "tables": [row["source_table"] for row in rows],
            "types": [int(row["type_concept_id"]) if row["type_concept_id"] else None for row in rows],
            "rules": [row["rule"] for row in rows],
            "lags": [int(row["lag_days"]) for row in rows],
            "billed": list(BILLED_TABLES),
        },
    )
    shown.connection.execute(KNOWN, {"stays": STAYS})
