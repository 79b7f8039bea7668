with task_rule as (

    select * from {{ ref('task_rule') }}

),

criterion as (

    select * from {{ ref('criterion') }}

),

criterion_day as (

    select * from {{ ref('criterion_day') }}

),

entry as (

    select * from {{ ref('entry') }}

),

-- both ends of the time-at-risk count, and so does the day of death
at_risk as (

    select distinct
        entry.task,
        entry.person_id,
        entry.index_date,
        entry.observation_period_end_date,
        entry.death_date,
        task_rule.follow_up_policy,
        task_rule.is_confirmed,
        criterion_day.event_date as candidate_date
    from entry
    inner join task_rule
        on entry.task = task_rule.task
    inner join criterion_day
        on
            entry.task = criterion_day.task
            and entry.person_id = criterion_day.person_id
            and criterion_day.role = 'outcome'
    where
        criterion_day.event_date between entry.tar_start_date and entry.tar_end_date
        and (entry.death_date is null or criterion_day.event_date <= entry.death_date)
        and (
            task_rule.follow_up_policy <> 'null_label'
            or criterion_day.event_date <= entry.observation_period_end_date
        )

),

-- the window of a confirm row is closed when nothing can be added to it any more
asked as (

    select
        at_risk.task,
        at_risk.person_id,
        at_risk.index_date,
        at_risk.candidate_date,
        criterion.criterion_order,
        criterion.group_order,
        criterion.min_count,
        criterion.max_count,
        at_risk.candidate_date + criterion.window_start_days as window_start_date,
        least(
            at_risk.candidate_date + criterion.window_end_days,
            at_risk.death_date,
            case when at_risk.follow_up_policy = 'null_label' then at_risk.observation_period_end_date end
        ) as window_end_date,
        at_risk.follow_up_policy = 'negative'
        or at_risk.observation_period_end_date >= at_risk.candidate_date + criterion.window_end_days
        or coalesce(at_risk.death_date <= at_risk.observation_period_end_date, false) as is_closed
    from at_risk
    inner join criterion
        on
            at_risk.task = criterion.task
            and criterion.role = 'confirm'

),

counted as (

    select
        asked.task,
        asked.person_id,
        asked.index_date,
        asked.candidate_date,
        asked.criterion_order,
        count(*) as n_days
    from asked
    inner join criterion_day
        on
            asked.task = criterion_day.task
            and asked.person_id = criterion_day.person_id
            and asked.criterion_order = criterion_day.criterion_order
            and criterion_day.role = 'confirm'
            and (
                criterion_day.outcome_date is null
                or asked.candidate_date = criterion_day.outcome_date
            )
            and criterion_day.event_date between asked.window_start_date and asked.window_end_date
    group by
        asked.task,
        asked.person_id,
        asked.index_date,
        asked.candidate_date,
        asked.criterion_order

),

-- 1 holds, 0 is pending, -1 fails: one row of a group is enough, and all groups are needed
row_state as (

    select
        asked.task,
        asked.person_id,
        asked.index_date,
        asked.candidate_date,
        asked.group_order,
        case
            when counted.n_days > asked.max_count then -1
            when coalesce(counted.n_days, 0) < asked.min_count and asked.is_closed then -1
            when coalesce(counted.n_days, 0) < asked.min_count then 0
            when asked.max_count is not null and not asked.is_closed then 0
            else 1
        end as state
    from asked
    left join counted
        on
            asked.task = counted.task
            and asked.person_id = counted.person_id
            and asked.index_date = counted.index_date
            and asked.candidate_date = counted.candidate_date
            and asked.criterion_order = counted.criterion_order

),

group_state as (

    select
        task,
        person_id,
        index_date,
        candidate_date,
        group_order,
        max(state) as state
    from row_state
    group by task, person_id, index_date, candidate_date, group_order

),

judged as (

    select
        task,
        person_id,
        index_date,
        candidate_date,
        min(state) as state
    from group_state
    group by task, person_id, index_date, candidate_date
    union all
    select
        task,
        person_id,
        index_date,
        candidate_date,
        1 as state
    from at_risk
    where not is_confirmed

)

select
    task,
    person_id,
    index_date,
    candidate_date,
    case state when 1 then 'confirmed' when 0 then 'pending' else 'failed' end as state
from judged
