with tasks as (

    select * from {{ ref('tasks') }}

),

criteria as (

    select * from {{ ref('criteria') }}

),

study_period as (

    select * from {{ ref('study_period') }}

),

cohort_step as (

    select * from {{ ref('cohort_step') }}

),

entry as (

    select * from {{ ref('entry') }}

),

entry_label as (

    select * from {{ ref('entry_label') }}

),

criterion_event as (

    select * from {{ ref('criterion_event') }}

),

-- eligibility reads what was available by the end of the index day; days are counted, not rows
criterion_days as (

    select
        entry.task,
        entry.example_id,
        criteria."order" as criterion_order,
        count(distinct criterion_event.event_date) as n_days
    from entry
    inner join criteria
        on
            entry.task = criteria.task
            and criteria.role in ('require', 'forbid')
    inner join criterion_event
        on
            entry.task = criterion_event.task
            and entry.person_id = criterion_event.person_id
            and criteria."order" = criterion_event.criterion_order
    where
        criterion_event.available_date <= entry.index_date
        and (
            criteria.window_start_days is null
            or criterion_event.event_date >= entry.index_date + criteria.window_start_days
        )
        and (
            criteria.window_end_days is null
            or criterion_event.event_date <= entry.index_date + criteria.window_end_days
        )
    group by entry.task, entry.example_id, criteria."order"

),

judged as (

    select
        entry.task,
        entry.example_id,
        entry.person_id,
        cohort_step.step,
        cohort_step.is_label_step,
        case
            when cohort_step.kind = 'entry'
                then true
            when cohort_step.kind = 'observed'
                then (entry.observation_period_start_date is not null)
            when cohort_step.kind = 'prior_observation'
                then (entry.index_date - entry.observation_period_start_date >= tasks.prior_observation_days)
            when cohort_step.kind = 'age'
                then (
                    entry.age >= coalesce(tasks.age_min, entry.age)
                    and entry.age <= coalesce(tasks.age_max, entry.age)
                )
            when cohort_step.kind = 'criterion'
                then (
                    coalesce(criterion_days.n_days, 0) >= coalesce(criteria.min_count, 0)
                    and (
                        criteria.max_count is null
                        or coalesce(criterion_days.n_days, 0) <= criteria.max_count
                    )
                )
            when cohort_step.kind = 'closed'
                then (entry.index_date + tasks.tar_end_days <= study_period.last_tar_end_date)
            else (coalesce(entry_label.reason, '') <> cohort_step.kind)
        end as is_passed
    from entry
    inner join tasks
        on entry.task = tasks.task
    inner join cohort_step
        on entry.task = cohort_step.task
    inner join entry_label
        on
            entry.task = entry_label.task
            and entry.example_id = entry_label.example_id
    cross join study_period
    left join criteria
        on
            cohort_step.task = criteria.task
            and cohort_step.criterion_order = criteria."order"
    left join criterion_days
        on
            entry.task = criterion_days.task
            and entry.example_id = criterion_days.example_id
            and cohort_step.criterion_order = criterion_days.criterion_order

),

-- an unknown age or period does not pass
failed as (

    select
        task,
        example_id,
        person_id,
        min(step) filter (where not coalesce(is_passed, false)) as failed_step,
        min(step) filter (where not coalesce(is_passed, false) and not is_label_step) as failed_cohort_step
    from judged
    group by task, example_id, person_id

)

select * from failed
order by task, person_id, example_id
