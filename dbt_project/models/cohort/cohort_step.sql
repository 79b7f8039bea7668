with task_rule as (

    select * from {{ ref('task_rule') }}

),

criterion as (

    select * from {{ ref('criterion') }}

),

study_period as (

    select * from {{ ref('study_period') }}

),

entered as (

    select
        task_rule.task,
        coalesce(
            string_agg(criterion.description, ' or ' order by criterion.criterion_order),
            'everybody on ' || max(task_rule.landmark_date),
            'everybody on reaching the age of ' || max(task_rule.landmark_age)
        ) as description
    from task_rule
    left join criterion
        on
            task_rule.task = criterion.task
            and criterion.role = 'entry'
    group by task_rule.task

),

-- rows with the same any_of are one step
criterion_group as (

    select
        task,
        group_order,
        string_agg(description, ' or ' order by criterion_order) as description
    from criterion
    where role in ('require', 'forbid')
    group by task, group_order

),

listed as (

    select
        task,
        1 as stage_no,
        0 as criterion_order,
        'entry' as kind,
        description
    from entered
    union all
    select
        task,
        2 as stage_no,
        0 as criterion_order,
        'observed' as kind,
        'index inside one observation period' as description
    from task_rule
    union all
    select
        task,
        3 as stage_no,
        0 as criterion_order,
        'prior_observation' as kind,
        prior_observation_days || ' days observed before the index in that period' as description
    from task_rule
    where prior_observation_days > 0
    union all
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
    from task_rule
    where
        age_min is not null
        or age_max is not null
    union all
    select
        task,
        5 as stage_no,
        0 as criterion_order,
        'sex' as kind,
        'of the sex asked for' as description
    from task_rule
    where sex_concept_id is not null
    union all
    select
        task,
        6 as stage_no,
        0 as criterion_order,
        'alive' as kind,
        'no death known by the index' as description
    from task_rule
    union all
    select
        task,
        7 as stage_no,
        0 as criterion_order,
        'prior_outcome' as kind,
        case
            when washout_days is null then 'no outcome known by the index'
            else 'no outcome known by the index and dated within ' || washout_days || ' days before it'
        end as description
    from task_rule
    where is_outcome_forbidden
    union all
    select
        task,
        8 as stage_no,
        group_order as criterion_order,
        'criterion' as kind,
        description
    from criterion_group
    union all
    select
        task,
        9 as stage_no,
        0 as criterion_order,
        'first_qualifying' as kind,
        'first index of the person that qualifies' as description
    from task_rule
    where entry_limit = 'first_qualifying'
    union all
    select
        task_rule.task,
        10 as stage_no,
        0 as criterion_order,
        'closed' as kind,
        'time at risk '
        || case when task_rule.tar_end = 'visit_end' then 'begun' else 'over' end
        || ' by the end of the data less ' || study_period.coding_lag_days || ' days of coding lag'
            as description
    from task_rule
    inner join study_period
        on study_period.last_tar_end_date is not null
    where task_rule.follow_up_policy <> 'negative'
    union all
    select
        task,
        11 as stage_no,
        0 as criterion_order,
        'death_before_index_known_later' as kind,
        'no death dated by the index and known only later' as description
    from task_rule
    union all
    select
        task,
        12 as stage_no,
        0 as criterion_order,
        'outcome_before_index_known_later' as kind,
        'no outcome dated by the index and known only later' as description
    from task_rule
    where is_outcome_forbidden
    union all
    select
        task,
        13 as stage_no,
        0 as criterion_order,
        'outcome_before_time_at_risk' as kind,
        'no outcome between the index and the time at risk' as description
    from task_rule
    where
        not is_outcome_recurrent
        and tar_start_days > 1
    union all
    select
        task,
        14 as stage_no,
        0 as criterion_order,
        'stay_continues' as kind,
        'no visit of the stay starts on the day after' as description
    from task_rule
    where anchor = 'visit_end'
    union all
    select
        task,
        15 as stage_no,
        0 as criterion_order,
        'visit_end_unknown' as kind,
        'the end of the stay is recorded' as description
    from task_rule
    where tar_end = 'visit_end'
    union all
    select
        task,
        16 as stage_no,
        0 as criterion_order,
        'lost_to_follow_up' as kind,
        'followed to the outcome, death or the end of the time at risk' as description
    from task_rule
    where follow_up_policy <> 'negative'
    union all
    select
        task,
        17 as stage_no,
        0 as criterion_order,
        'unmeasured' as kind,
        'measured in the time at risk' as description
    from task_rule
    where is_unmeasured_unknown
    union all
    select
        task,
        18 as stage_no,
        0 as criterion_order,
        'died_before_outcome' as kind,
        'alive to the end of the time at risk or to the outcome' as description
    from task_rule
    where is_death_unknown
    union all
    select
        task,
        19 as stage_no,
        0 as criterion_order,
        'outcome_unconfirmed' as kind,
        'no outcome that fails its confirmation' as description
    from task_rule
    where is_unconfirmed_unknown

),

numbered as (

    select
        task,
        cast(row_number() over (partition by task order by stage_no, criterion_order) as integer) as step,
        kind,
        criterion_order,
        stage_no > 10 as is_label_step,
        description
    from listed

)

select * from numbered
order by task, step
