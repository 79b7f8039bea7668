"""Every label, its reason and its follow-up, worked out anew from published events and periods.

By the words of METHODS 7 and 8, and by none of the models that made the labels.
"""

from ml.leakage.cohort.stays import make_stays
from ml.leakage.outcomes import IS_OUTCOME, plain_outcomes
from ml.leakage.shown import Shown
from ml.task_definition import Task

# Days of an outcome of the persons of the cut, and when the first and the last record of each were known.
OUTCOME_DAY = f"""
create temp table if not exists outcome_day as
with
stay_row as (
    select unnest($stay_sets::varchar[]) as concept_set, unnest($stay_days::integer[]) as min_days
),
recorded as (
    select clinical_event.person_id, clinical_event.event_date, clinical_event.available_date
    from clinical_event
    where
        clinical_event.person_id in (select person_id from cohort)
        and ({IS_OUTCOME} or $death_is_outcome and clinical_event.domain = 'Death')
    union all
    select
        stay.person_id,
        stay.start_date + coalesce(stay_row.min_days, 0),
        if(stay_row.min_days is null, stay.start_date, stay.end_date + 1)
    from stay
    inner join stay_row on stay.concept_set = stay_row.concept_set
    where stay_row.min_days is null or stay.end_date - stay.start_date >= stay_row.min_days
)
select person_id, event_date, max(available_date) as last_known_date
from recorded
where person_id in (select person_id from cohort)
group by person_id, event_date
"""

# Days of a value that could have been an outcome, whatever the number.
MEASURED_DAY = """
create temp table if not exists measured_day as
select distinct clinical_event.person_id, clinical_event.event_date
from clinical_event
inner join outcome
    on clinical_event.domain = outcome.domain
    and clinical_event.concept_id = outcome.concept_id
    and clinical_event.unit_concept_id = outcome.unit_concept_id
where
    outcome.operator is not null
    and not isnan(clinical_event.value_as_number)
    and clinical_event.person_id in (select person_id from cohort)
    and (outcome.value_set is null or clinical_event.value_as_concept_id in (
        select concept_id from concept_set_member where concept_set = outcome.value_set
    ))
"""

RELABELLED = """
create temp table if not exists relabelled as
with
placed as (
    select
        cohort.example_id,
        cohort.person_id,
        cohort.index_date,
        cohort.index_date + $tar_start_days::integer as tar_start_date,
        if($ends_with_visit, stay.end_date, cohort.index_date + $tar_end_days::integer) as tar_end_date,
        period.observation_period_start_date as period_start_date,
        period.observation_period_end_date as period_end_date,
        death.death_date,
        death.known_date as death_known_date,
        coalesce(stay.is_ambiguous, false) as is_ambiguous,
        $is_discharge and exists (
            select 1 from stay as next
            where
                next.concept_set = $entry_set
                and next.person_id = cohort.person_id
                and list_contains(next.visit_start_dates, cohort.index_date + 1)
        ) as is_continued
    from cohort
    left join death on cohort.person_id = death.person_id
    left join stay
        on stay.concept_set = $entry_set
        and cohort.person_id = stay.person_id
        and cohort.index_date = stay.start_date
    left join observed_period as period
        on cohort.person_id = period.person_id
        and cohort.index_date between period.observation_period_start_date
        and period.observation_period_end_date
    qualify row_number() over (
        partition by cohort.example_id
        order by period.observation_period_start_date, period.observation_period_end_date desc
    ) = 1
),
seen as (
    select
        placed.example_id,
        bool_or(
            $forbids
            and day.event_date <= placed.index_date
            and day.event_date < placed.tar_start_date
            and coalesce(day.event_date >= placed.index_date - $washout_days::integer, true)
            and day.last_known_date > placed.index_date
        ) as is_known_later,
        bool_or(
            not $recurs and day.event_date > placed.index_date and day.event_date < placed.tar_start_date
        ) as is_too_early,
        min(day.event_date) filter (where
            day.event_date between placed.tar_start_date and placed.tar_end_date
            and coalesce(day.event_date <= placed.death_date, true)
            and (not $ends_with_loss or day.event_date <= placed.period_end_date)
        ) as found_date
    from placed
    inner join outcome_day as day on placed.person_id = day.person_id
    group by placed.example_id
),
reasoned as (
    select
        placed.*,
        case when seen.found_date is null then
            $asks_for_follow_up
            and placed.period_end_date < placed.tar_end_date + $confirmation_days::integer
            and not coalesce(placed.death_date <= placed.period_end_date, false)
        else false end as is_lost,
        seen.found_date,
        case
            when placed.period_end_date is null then 'not_observed'
            when placed.death_date <= placed.index_date and placed.death_known_date > placed.index_date
                then 'death_before_index_known_later'
            when seen.is_known_later then 'outcome_before_index_known_later'
            when seen.is_too_early then 'outcome_before_time_at_risk'
            when placed.is_continued then 'stay_continues'
            when placed.tar_end_date is null then 'visit_end_unknown'
            when seen.found_date is not null then null
            when is_lost then 'lost_to_follow_up'
            when $asks_for_a_value and not exists (
                select 1 from measured_day
                where
                    measured_day.person_id = placed.person_id
                    and measured_day.event_date between placed.tar_start_date and placed.tar_end_date
                    and (
                        not $asks_for_follow_up
                        or measured_day.event_date <= least(placed.period_end_date, placed.death_date)
                    )
            ) then 'unmeasured'
            when $asks_for_life and placed.death_date <= placed.tar_end_date then 'died_before_outcome'
        end as reason
    from placed
    left join seen on placed.example_id = seen.example_id
)
select
    example_id,
    person_id,
    tar_start_date,
    tar_end_date,
    period_start_date,
    period_end_date,
    least(period_end_date, death_date) as follow_up_end_date,
    is_lost,
    reason,
    if(reason is null, (found_date is not null)::integer, null) as y_true,
    if(reason is null, found_date, null) as outcome_date,
    is_ambiguous or exists (
        select 1 from stay where stay.is_ambiguous and stay.person_id = reasoned.person_id
    ) as is_ambiguous
from reasoned
"""


def make_relabelled(shown: Shown) -> None:
    """Make `relabelled`, a row an example of the cut, and `outcome_day` (person_id, event_date), once.

    Columns as of `label` where the names are the same. `is_lost`: not followed to the end, without an
    outcome and alive, whatever reason comes first. `is_ambiguous`: a visit that it rests on is not told
    apart. A confirmation is not asked for: any outcome of a task that wants one is `found_date` here.
    """
    task = shown.task
    make_stays(shown)
    stays = [row for row in task.rows("outcome") if row.domain == "Stay"]
    shown.connection.execute(
        OUTCOME_DAY,
        {
            "stay_sets": [row.concept_set for row in stays],
            "stay_days": [row.min_length_days for row in stays],
            "death_is_outcome": task.death_is_outcome,
        },
    )
    shown.connection.execute(MEASURED_DAY)
    entries = [row.concept_set for row in task.rows("entry") if row.domain == "Stay"]
    shown.connection.execute(
        RELABELLED,
        {
            "entry_set": entries[0] if entries else None,
            "is_discharge": task.anchor == "visit_end",
            "ends_with_visit": task.tar_end == "visit_end",
            "tar_start_days": task.tar_start_days,
            "tar_end_days": task.tar_end_days,
            "forbids": task.outcome_in_history == "forbid",
            "recurs": task.outcome_in_history == "allow",
            "washout_days": task.washout_days,
            "ends_with_loss": task.follow_up_policy == "null_label",
            "asks_for_follow_up": task.follow_up_policy != "negative",
            "asks_for_a_value": task.unmeasured_policy == "null_label",
            "asks_for_life": task.death_policy == "null_label",
            "confirmation_days": task.confirmation_days,
        },
    )


def can_be_relabelled(task: Task) -> bool:
    """Whether the outcome follows from events and stays alone, and the index is its entry's."""
    outcomes = task.rows("outcome")
    read = [row for row in outcomes if row.domain in ("Death", "Stay")] + plain_outcomes(task)
    return len(read) == len(outcomes) and task.index_rule == "anchor"
