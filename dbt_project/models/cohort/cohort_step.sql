with tasks as (

    select * from {{ ref('tasks') }}

),

criteria as (

    select * from {{ ref('criteria') }}

),

study_period as (

    select * from {{ ref('study_period') }}

),

entry_step as (

    select
        task,
        1 as stage_no,
        0 as criterion_order,
        'entry' as kind,
        string_agg(description, ' or ' order by "order") as description
    from criteria
    where role = 'entry'
    group by task

),

observed_step as (

    select
        task,
        2 as stage_no,
        0 as criterion_order,
        'observed' as kind,
        'index inside one observation period' as description
    from tasks

),

prior_observation_step as (

    select
        task,
        3 as stage_no,
        0 as criterion_order,
        'prior_observation' as kind,
        prior_observation_days || ' days observed before the index in that period' as description
    from tasks
    where prior_observation_days > 0

),

age_step as (

    select
        task,
        4 as stage_no,
        0 as criterion_order,
        'age' as kind,
        case
            when age_max is null then 'aged ' || age_min || ' or older at the index'
            when age_min is null then 'aged ' || age_max || ' or younger at the index'
            else 'aged ' || age_min || ' to ' || age_max || ' at the index'
        end as description
    from tasks
    where age_min is not null or age_max is not null

),

criterion_step as (

    select
        task,
        5 as stage_no,
        "order" as criterion_order,
        'criterion' as kind,
        description
    from criteria
    where role in ('require', 'forbid')

),

closed_step as (

    select
        tasks.task,
        6 as stage_no,
        0 as criterion_order,
        'closed' as kind,
        'time at risk over by the end of the data less '
        || study_period.coding_lag_days || ' days of coding lag' as description
    from tasks
    inner join study_period
        on study_period.last_tar_end_date is not null

),

known_later_step as (

    select
        task,
        7 as stage_no,
        0 as criterion_order,
        'outcome_before_index_known_later' as kind,
        'no outcome dated by the index and known only later' as description
    from tasks

),

before_time_at_risk_step as (

    select
        task,
        8 as stage_no,
        0 as criterion_order,
        'outcome_before_time_at_risk' as kind,
        'no outcome between the index and the time at risk' as description
    from tasks
    where tar_start_days > 1

),

labelled_step as (

    select
        task,
        9 as stage_no,
        0 as criterion_order,
        'lost_to_follow_up' as kind,
        'examples with a label: followed to the outcome, death or the end of the time at risk' as description
    from tasks

),

every_step as (

    select * from entry_step
    union all
    select * from observed_step
    union all
    select * from prior_observation_step
    union all
    select * from age_step
    union all
    select * from criterion_step
    union all
    select * from closed_step
    union all
    select * from known_later_step
    union all
    select * from before_time_at_risk_step
    union all
    select * from labelled_step

),

numbered as (

    select
        task,
        cast(row_number() over (partition by task order by stage_no, criterion_order) as integer) as step,
        kind,
        criterion_order,
        stage_no >= 7 as is_label_step,
        description
    from every_step

)

select * from numbered
order by task, step
