"""Stays, found again in the published starts and ends of visits: what a stay is, without the models' SQL."""

from ml.leakage.shown import Shown

# Visits of a set that overlap or touch within a day are one stay; without an end, what starts later joins it.
STAY = """
create temp table if not exists stay as
with
started as (
    select
        person_id,
        visit_occurrence_id,
        concept_id,
        min(event_date) as start_date,
        count(*) as n
    from clinical_event
    where domain = 'Visit'
    group by person_id, visit_occurrence_id, concept_id
),
ended as (
    select
        person_id,
        visit_occurrence_id,
        concept_id,
        max(event_date) as end_date,
        count(*) as n
    from clinical_event
    where domain = 'Visit end'
    group by person_id, visit_occurrence_id, concept_id
),
visit as (
    select
        member.concept_set,
        started.person_id,
        started.start_date,
        coalesce(ended.end_date, date '9999-01-01') as end_date,
        started.n > 1 or coalesce(ended.n > 1, false) as is_ambiguous
    from started
    inner join concept_set_member as member on started.concept_id = member.concept_id
    left join ended
        on started.person_id = ended.person_id
        and started.concept_id = ended.concept_id
        and started.visit_occurrence_id is not distinct from ended.visit_occurrence_id
    where member.concept_set in (select unnest($sets::varchar[]))
),
reached as (
    select
        *,
        max(end_date) over (
            partition by concept_set, person_id order by start_date, end_date
            rows between unbounded preceding and 1 preceding
        ) as end_so_far
    from visit
),
numbered as (
    select
        *,
        count(*) filter (where end_so_far is null or start_date > end_so_far + 1) over (
            partition by concept_set, person_id order by start_date, end_date
            rows between unbounded preceding and current row
        ) as stay_no
    from reached
)
select
    concept_set,
    person_id,
    min(start_date) as start_date,
    nullif(max(end_date), date '9999-01-01') as end_date,
    bool_or(is_ambiguous) as is_ambiguous,
    list(distinct start_date) as visit_start_dates
from numbered
group by concept_set, person_id, stay_no
"""


def make_stays(shown: Shown) -> None:
    """Make `stay` (concept_set, person_id, start_date, end_date, is_ambiguous, visit_start_dates), once.

    Of every person, for the sets that the task's `Stay` rows name. Null ends: still going on. Ambiguous: an
    id of a visit stands for several, so that which start goes with which end is not published.
    """
    sets = sorted(
        {str(row.concept_set) for row in shown.task.criteria if row.domain == "Stay" and row.concept_set}
    )
    shown.connection.execute(STAY, {"sets": sets})
