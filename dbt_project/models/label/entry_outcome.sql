with task_rule as (

    select * from {{ ref('task_rule') }}

),

criterion_day as (

    select * from {{ ref('criterion_day') }}

),

entry as (

    select * from {{ ref('entry') }}

),

candidate as (

    select * from {{ ref('candidate') }}

),

-- every day of an outcome or of its measurement, and where it lies: history holds the index day unless that
-- is the first day at risk
placed as (

    select
        entry.task,
        entry.person_id,
        entry.index_date,
        criterion_day.role,
        criterion_day.first_available_date <= entry.index_date as is_known,
        criterion_day.last_available_date > entry.index_date as is_known_later,
        criterion_day.event_date <= entry.index_date
        and criterion_day.event_date < entry.tar_start_date
        and (
            task_rule.washout_days is null
            or criterion_day.event_date >= entry.index_date - task_rule.washout_days
        ) as is_in_history,
        criterion_day.event_date > entry.index_date
        and criterion_day.event_date < entry.tar_start_date as is_before_time_at_risk,
        criterion_day.event_date between entry.tar_start_date and entry.tar_end_date
        and (
            task_rule.follow_up_policy = 'negative'
            or criterion_day.event_date <= least(entry.observation_period_end_date, entry.death_date)
        ) as is_followed
    from entry
    inner join task_rule
        on entry.task = task_rule.task
    inner join criterion_day
        on
            entry.task = criterion_day.task
            and entry.person_id = criterion_day.person_id
            and criterion_day.role in ('outcome', 'measured')

),

seen as (

    select
        task,
        person_id,
        index_date,
        bool_or(role = 'outcome' and is_in_history and is_known) as is_outcome_known,
        bool_or(role = 'outcome' and is_in_history and is_known_later) as is_outcome_known_later,
        bool_or(role = 'outcome' and is_before_time_at_risk) as is_outcome_before_time_at_risk,
        bool_or(role = 'measured' and is_followed) as is_measured
    from placed
    group by task, person_id, index_date

),

decided as (

    select
        task,
        person_id,
        index_date,
        min(candidate_date) filter (where state = 'confirmed') as outcome_date,
        bool_and(state = 'failed') as is_unconfirmed
    from candidate
    group by task, person_id, index_date

),

-- a candidate is a day of an outcome, so who has one has been seen
summed as (

    select
        seen.*,
        decided.outcome_date,
        coalesce(decided.is_unconfirmed, false) as is_unconfirmed
    from seen
    left join decided
        on
            seen.task = decided.task
            and seen.person_id = decided.person_id
            and seen.index_date = decided.index_date

)

select * from summed
