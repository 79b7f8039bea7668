with task_rule as (

    select * from {{ ref('task_rule') }}

),

criterion as (

    select * from {{ ref('criterion') }}

),

criterion_day as (

    select * from {{ ref('criterion_day') }}

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

entry_outcome as (

    select * from {{ ref('entry_outcome') }}

),

entry_label as (

    select * from {{ ref('entry_label') }}

),

-- what the person and the index decide; an unknown period, age or sex does not pass
judged as (

    select
        entry.task,
        entry.person_id,
        entry.index_date,
        case
            when entry.observation_period_start_date is null
                then 'observed'
            when entry.index_date - entry.observation_period_start_date < task_rule.prior_observation_days
                then 'prior_observation'
            when
                (task_rule.age_min is not null and coalesce(entry.age < task_rule.age_min, true))
                or (task_rule.age_max is not null and coalesce(entry.age > task_rule.age_max, true))
                then 'age'
            when task_rule.sex_concept_id is not null and entry.sex_concept_id is distinct from task_rule.sex_concept_id
                then 'sex'
            when entry.death_available_date <= entry.index_date
                then 'alive'
            when task_rule.is_outcome_forbidden and entry_outcome.is_outcome_known
                then 'prior_outcome'
        end as failed_kind,
        -- the data may end before a time-at-risk that started by then has been closed
        coalesce(
            task_rule.follow_up_policy <> 'negative'
            and case task_rule.tar_end
                when 'visit_end' then entry.tar_start_date
                else entry.tar_end_date
            end + task_rule.confirmation_days > study_period.last_tar_end_date,
            false
        ) as is_open
    from entry
    inner join task_rule
        on entry.task = task_rule.task
    left join entry_outcome
        on
            entry.task = entry_outcome.task
            and entry.person_id = entry_outcome.person_id
            and entry.index_date = entry_outcome.index_date
    cross join study_period

),

-- by the end of the index day known, unless the window itself looks ahead; days are counted, not rows
asked as (

    select
        judged.task,
        judged.person_id,
        judged.index_date,
        criterion.role,
        criterion.criterion_order,
        criterion.group_order,
        criterion.min_count,
        criterion.max_count,
        criterion.window_end_days > 0 as is_ahead,
        judged.index_date + criterion.window_start_days as window_start_date,
        judged.index_date + criterion.window_end_days as window_end_date
    from judged
    inner join criterion
        on
            judged.task = criterion.task
            and criterion.role in ('require', 'forbid')
    where judged.failed_kind is null

),

counted as (

    select
        asked.task,
        asked.person_id,
        asked.index_date,
        asked.criterion_order,
        count(*) as n_days
    from asked
    inner join criterion_day
        on
            asked.task = criterion_day.task
            and asked.person_id = criterion_day.person_id
            and asked.role = criterion_day.role
            and asked.criterion_order = criterion_day.criterion_order
    where
        (asked.is_ahead or criterion_day.first_available_date <= asked.index_date)
        and (asked.window_start_date is null or criterion_day.event_date >= asked.window_start_date)
        and criterion_day.event_date <= asked.window_end_date
    group by asked.task, asked.person_id, asked.index_date, asked.criterion_order

),

-- one row of a group is enough
passed as (

    select
        asked.task,
        asked.person_id,
        asked.index_date,
        asked.group_order,
        bool_or(
            coalesce(counted.n_days, 0) >= asked.min_count
            and (asked.max_count is null or coalesce(counted.n_days, 0) <= asked.max_count)
        ) as is_passed
    from asked
    left join counted
        on
            asked.task = counted.task
            and asked.person_id = counted.person_id
            and asked.index_date = counted.index_date
            and asked.criterion_order = counted.criterion_order
    group by asked.task, asked.person_id, asked.index_date, asked.group_order

),

failed_criterion as (

    select
        task,
        person_id,
        index_date,
        min(group_order) as criterion_order
    from passed
    where not is_passed
    group by task, person_id, index_date

),

qualified as (

    select
        judged.task,
        judged.person_id,
        judged.index_date,
        judged.is_open,
        coalesce(failed_criterion.criterion_order, 0) as criterion_order,
        case when failed_criterion.task is not null then 'criterion' else judged.failed_kind end as failed_kind
    from judged
    left join failed_criterion
        on
            judged.task = failed_criterion.task
            and judged.person_id = failed_criterion.person_id
            and judged.index_date = failed_criterion.index_date

),

first_qualified as (

    select
        qualified.task,
        qualified.person_id,
        min(qualified.index_date) as index_date
    from qualified
    inner join task_rule
        on qualified.task = task_rule.task
    where
        qualified.failed_kind is null
        and task_rule.entry_limit = 'first_qualifying'
    group by qualified.task, qualified.person_id

),

ended as (

    select
        qualified.task,
        qualified.person_id,
        qualified.index_date,
        entry_label.y_true,
        qualified.criterion_order,
        coalesce(
            qualified.failed_kind,
            case when qualified.index_date > first_qualified.index_date then 'first_qualifying' end,
            case when qualified.is_open then 'closed' end,
            entry_label.reason
        ) as failed_kind
    from qualified
    left join first_qualified
        on
            qualified.task = first_qualified.task
            and qualified.person_id = first_qualified.person_id
    left join entry_label
        on
            qualified.task = entry_label.task
            and qualified.person_id = entry_label.person_id
            and qualified.index_date = entry_label.index_date

),

placed as (

    select
        ended.task,
        ended.person_id,
        ended.index_date,
        ended.y_true,
        ended.failed_kind,
        cohort_step.step as failed_step,
        coalesce(cohort_step.is_label_step, true) as is_example
    from ended
    left join cohort_step
        on
            ended.task = cohort_step.task
            and ended.failed_kind = cohort_step.kind
            and ended.criterion_order = cohort_step.criterion_order

)

select * from placed
