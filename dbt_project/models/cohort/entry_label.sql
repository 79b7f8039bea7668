with tasks as (

    select * from {{ ref('tasks') }}

),

entry as (

    select * from {{ ref('entry') }}

),

criterion_event as (

    select * from {{ ref('criterion_event') }}

),

clinical_event as (

    select * from {{ ref('clinical_event') }}

),

death as (

    select
        person_id,
        event_date as death_date
    from clinical_event
    where source_table = 'death'

),

-- time-at-risk: both ends count
at_risk as (

    select
        entry.task,
        entry.example_id,
        entry.person_id,
        entry.index_date,
        entry.observation_period_end_date,
        tasks.washout_days,
        entry.index_date + tasks.tar_start_days as tar_start_date,
        entry.index_date + tasks.tar_end_days as tar_end_date,
        death.death_date
    from entry
    inner join tasks
        on entry.task = tasks.task
    left join death
        on entry.person_id = death.person_id

),

outcome as (

    select
        at_risk.task,
        at_risk.example_id,
        bool_or(
            criterion_event.event_date <= at_risk.index_date
            and criterion_event.available_date > at_risk.index_date
            and (
                at_risk.washout_days is null
                or criterion_event.event_date >= at_risk.index_date - at_risk.washout_days
            )
        ) as is_known_later,
        bool_or(
            criterion_event.event_date > at_risk.index_date
            and criterion_event.event_date < at_risk.tar_start_date
        ) as is_before_time_at_risk,
        min(criterion_event.event_date) filter (
            where criterion_event.event_date between at_risk.tar_start_date and at_risk.tar_end_date
        ) as outcome_date
    from at_risk
    inner join criterion_event
        on
            at_risk.task = criterion_event.task
            and at_risk.person_id = criterion_event.person_id
            and criterion_event.role = 'outcome'
    group by at_risk.task, at_risk.example_id

),

-- an outcome on the day of death counts, one recorded after death does not
followed as (

    select
        at_risk.*,
        coalesce(outcome.is_known_later, false) as is_known_later,
        coalesce(outcome.is_before_time_at_risk, false) as is_before_time_at_risk,
        case
            when at_risk.death_date is null or outcome.outcome_date <= at_risk.death_date
                then outcome.outcome_date
        end as outcome_date,
        least(at_risk.observation_period_end_date, at_risk.death_date) as follow_up_end_date,
        coalesce(at_risk.observation_period_end_date >= at_risk.tar_end_date, false) as is_followed_to_end,
        coalesce(
            at_risk.death_date <= at_risk.observation_period_end_date
            and at_risk.death_date <= at_risk.tar_end_date,
            false
        ) as is_followed_to_death
    from at_risk
    left join outcome
        on
            at_risk.task = outcome.task
            and at_risk.example_id = outcome.example_id

),

-- the first reason that holds; censored is not negative
reasoned as (

    select
        *,
        case
            when is_known_later then 'outcome_before_index_known_later'
            when is_before_time_at_risk then 'outcome_before_time_at_risk'
            when outcome_date is not null then null
            when is_followed_to_end or is_followed_to_death then null
            else 'lost_to_follow_up'
        end as reason
    from followed

),

labelled as (

    select
        task,
        example_id,
        person_id,
        index_date,
        case
            when reason is not null then null
            when outcome_date is not null then 1
            else 0
        end as y_true,
        reason,
        case when reason is null then outcome_date end as outcome_date,
        follow_up_end_date
    from reasoned

)

select * from labelled
order by task, person_id, index_date
