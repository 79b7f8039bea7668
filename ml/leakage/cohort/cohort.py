"""The cohort, found again in the published events: who is missing or extra was chosen by something else."""

from ml.leakage.cohort.stays import make_stays
from ml.leakage.outcomes import IS_OUTCOME, plain_outcomes
from ml.leakage.record.calendar import full_years
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.task_definition import Criterion, Task

AGE = full_years("person.birth_date", "observed.index_date")

# What was recorded and known by the end of the index day, and one fact of the snapshot: the data's end.
EXPECTED = f"""
with
criterion as (
    select unnest($roles::varchar[]) as role, unnest($domains::varchar[]) as domain,
        unnest($sets::varchar[]) as concept_set
),
recorded as (
    select criterion.role, clinical_event.*
    from clinical_event
    inner join concept_set_member as member on clinical_event.concept_id = member.concept_id
    inner join criterion
        on member.concept_set = criterion.concept_set
        and clinical_event.domain = criterion.domain
),
entered as (
    select person_id, available_date as index_date
    from recorded
    where role = 'entry'
    union
    select person_id, start_date
    from stay
    where concept_set = $stay_set
),
ambiguous as (
    select distinct person_id from stay where concept_set = $stay_set and is_ambiguous
),
entry as (
    select person_id, index_date
    from entered
    where person_id not in (select person_id from ambiguous)
    qualify not $is_first or row_number() over (partition by person_id order by index_date) = 1
),
observed as (
    select entry.*, period.observation_period_start_date
    from entry
    inner join observed_period as period
        on entry.person_id = period.person_id
        and entry.index_date between period.observation_period_start_date
        and period.observation_period_end_date
    qualify row_number() over (
        partition by entry.person_id, entry.index_date
        order by period.observation_period_start_date, period.observation_period_end_date desc
    ) = 1
),
expected as (
    select observed.person_id, observed.index_date
    from observed
    inner join person on observed.person_id = person.person_id
    cross join study_period
    where
        observed.index_date - observed.observation_period_start_date >= $prior_days
        and ($age_min is null or {AGE} >= $age_min)
        and ($age_max is null or {AGE} <= $age_max)
        and ($sex is null or person.gender_concept_id = $sex)
        and (
            study_period.last_tar_end_date is null
            or $ignores_the_end
            or observed.index_date + $last_day <= study_period.last_tar_end_date
        )
        and not exists (
            select 1 from clinical_event
            where
                clinical_event.person_id = observed.person_id
                and clinical_event.domain = 'Death'
                and clinical_event.available_date <= observed.index_date
        )
        and not exists (
            select 1 from recorded
            where
                recorded.role = 'forbid'
                and recorded.person_id = observed.person_id
                and recorded.available_date <= observed.index_date
        )
        and not exists (
            select 1 from clinical_event
            where
                $forbids_outcome
                and clinical_event.person_id = observed.person_id
                and clinical_event.available_date <= observed.index_date
                and clinical_event.event_date <= observed.index_date
                and clinical_event.event_date < observed.index_date + $tar_start_days
                and coalesce(clinical_event.event_date >= observed.index_date - $washout_days, true)
                and {IS_OUTCOME}
        )
),
stored as (
    select person_id, index_date
    from cohort_of_all
    where task = $task and person_id not in (select person_id from ambiguous)
)
select
    count(*),
    count(*) filter (where expected.person_id is null or stored.person_id is null)
from expected
full join stored
    on expected.person_id = stored.person_id and expected.index_date = stored.index_date
"""


def _cohort(shown: Shown) -> Finding:
    task = shown.task
    if not (shown.published / "observed_period.parquet").exists():
        return Finding(0, 0, "The snapshot has no `observed_period`.")
    make_stays(shown)
    rows = [*task.rows("entry"), *task.rows("forbid")]
    looked_at, found = shown.row(
        EXPECTED,
        task=task.task,
        roles=[row.role for row in rows],
        domains=[row.domain for row in rows],
        sets=[row.concept_set for row in rows],
        prior_days=task.prior_observation_days,
        age_min=task.age_min,
        age_max=task.age_max,
        sex=task.sex_concept_id,
        ignores_the_end=task.follow_up_policy == "negative",
        tar_start_days=task.tar_start_days,
        last_day=task.tar_start_days if task.tar_end == "visit_end" else task.tar_end_days,
        stay_set=next((row.concept_set for row in rows if row.domain == "Stay"), None),
        is_first=task.entry_limit == "first_ever",
        forbids_outcome=task.outcome_in_history == "forbid",
        washout_days=task.washout_days,
    )
    return Finding(looked_at, found)


def _is_plain(task: Task) -> bool:
    """Whether the cohort follows from events and starts of stays: no window, count, value or confirmation."""
    return (
        task.anchor in ("event", "visit_start")
        and task.entry_limit in ("first_ever", "all")
        and task.index_rule == "anchor"
        and not task.rows("require")
        and not task.rows("confirm")
        and all(_is_of_a_set(row) for row in (*task.rows("entry"), *task.rows("forbid")))
        and all(row.domain != "Stay" for row in task.rows("forbid"))
        and (task.outcome_in_history != "forbid" or len(plain_outcomes(task)) == len(task.rows("outcome")))
    )


def _is_of_a_set(row: Criterion) -> bool:
    more = (row.any_of, row.window_start_days, row.window_end_days, row.min_count, row.max_count,
            row.value_operator, row.value_concept_set, row.same_visit_as, row.min_length_days)  # fmt: skip
    return row.domain != "Death" and all(value is None for value in more)


CHECKS = (
    LeakCheck(
        "cohort_is_found_in_the_record",
        ("L14", "L16"),
        "blocks",
        "Who enters, and when, follows from what was known by the index: the cohort, found again in the"
        " published events and periods of observation, has the same persons on the same days.",
        "A source that left persons out for what came later.",
        _cohort,
        applies=lambda task, kinds: _is_plain(task),
        otherwise="entry is by more than events and starts of stays; the tests of the definitions hold it",
    ),
)
