with tasks as (

    select * from {{ ref('tasks') }}

),

criteria as (

    select * from {{ ref('criteria') }}

),

confirmed as (

    select
        task,
        greatest(max(window_end_days), 0) as confirmation_days
    from criteria
    where role = 'confirm'
    group by task

),

ruled as (

    select
        tasks.task,
        tasks.anchor,
        tasks.entry_limit,
        tasks.landmark_date,
        tasks.landmark_age,
        tasks.age_min,
        tasks.age_max,
        tasks.sex_concept_id,
        tasks.prior_observation_days,
        tasks.tar_start_days,
        tasks.tar_end,
        tasks.tar_end_days,
        coalesce(tasks.outcome_in_history, '') = 'forbid' as is_outcome_forbidden,
        coalesce(tasks.outcome_in_history, '') = 'allow' as is_outcome_recurrent,
        tasks.washout_days,
        tasks.index_day_input,
        coalesce(tasks.death_policy, '') = 'null_label' as is_death_unknown,
        tasks.follow_up_policy,
        coalesce(tasks.unmeasured_policy, '') = 'null_label' as is_unmeasured_unknown,
        coalesce(tasks.unconfirmed_policy, '') = 'null_label' as is_unconfirmed_unknown,
        tasks.index_rule,
        tasks.index_gap_days,
        confirmed.task is not null as is_confirmed,
        coalesce(confirmed.confirmation_days, 0) as confirmation_days
    from tasks
    left join confirmed
        on tasks.task = confirmed.task

)

select * from ruled
