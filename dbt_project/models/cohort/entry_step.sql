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

entry_label as (

    select * from {{ ref('entry_label') }}

),

-- what the person and the index decide; an unknown period, age or sex does not pass
judged as (

    select
        entry_label.task,
        entry_label.person_id,
        entry_label.index_date,
        entry_label.y_true,
        entry_label.reason,
        case
            when entry_label.observation_period_start_date is null
                then 'observed'
            when
                entry_label.index_date - entry_label.observation_period_start_date
                < task_rule.prior_observation_days
                then 'prior_observation'
            when
                (task_rule.age_min is not null and coalesce(entry_label.age < task_rule.age_min, true))
                or (task_rule.age_max is not null and coalesce(entry_label.age > task_rule.age_max, true))
                then 'age'
            when
                task_rule.sex_concept_id is not null
                and coalesce(entry_label.sex_concept_id <> task_rule.sex_concept_id, true)
                then 'sex'
            when entry_label.death_available_date <= entry_label.index_date
                then 'alive'
            when entry_label.is_outcome_known
                then 'prior_outcome'
        end as failed_kind,
        -- the time-at-risk, or of a stay its first day, runs past the data's end
        coalesce(
            task_rule.follow_up_policy <> 'negative'
            and case task_rule.tar_end
                when 'visit_end' then entry_label.tar_start_date
                else entry_label.tar_end_date
            end + task_rule.confirmation_days > study_period.last_tar_end_date,
            false
        ) as is_open
    from entry_label
    inner join task_rule
        on entry_label.task = task_rule.task
    cross join study_period

),

-- what the criteria of a task say where nothing of theirs is recorded: the first that needs a day,
-- and a `forbid` row needs none
needed as (

    select
        task,
        group_order,
        bool_or(min_count = 0) as is_passed
    from criterion
    where role = 'require'
    group by task, group_order

),

unmet as (

    select
        task,
        min(group_order) as criterion_order
    from needed
    where not is_passed
    group by task

),

-- known by the end of the index day, unless the window itself looks ahead; days are counted, not rows
counted as (

    select
        judged.task,
        judged.person_id,
        judged.index_date,
        criterion.criterion_order,
        count(*) as n_days
    from judged
    inner join criterion
        on
            judged.task = criterion.task
            and criterion.role in ('require', 'forbid')
    inner join criterion_day
        on
            judged.task = criterion_day.task
            and judged.person_id = criterion_day.person_id
            and criterion.role = criterion_day.role
            and criterion.criterion_order = criterion_day.criterion_order
    where
        judged.failed_kind is null
        and (criterion.window_end_days > 0 or criterion_day.first_available_date <= judged.index_date)
        and (
            criterion.window_start_days is null
            or criterion_day.event_date >= judged.index_date + criterion.window_start_days
        )
        and criterion_day.event_date <= judged.index_date + criterion.window_end_days
    group by judged.task, judged.person_id, judged.index_date, criterion.criterion_order

),

recorded as (

    select distinct
        task,
        person_id,
        index_date
    from counted

),

-- one row of a group is enough
passed as (

    select
        recorded.task,
        recorded.person_id,
        recorded.index_date,
        criterion.group_order,
        bool_or(
            coalesce(counted.n_days, 0) >= criterion.min_count
            and (criterion.max_count is null or coalesce(counted.n_days, 0) <= criterion.max_count)
        ) as is_passed
    from recorded
    inner join criterion
        on
            recorded.task = criterion.task
            and criterion.role in ('require', 'forbid')
    left join counted
        on
            recorded.task = counted.task
            and recorded.person_id = counted.person_id
            and recorded.index_date = counted.index_date
            and criterion.criterion_order = counted.criterion_order
    group by recorded.task, recorded.person_id, recorded.index_date, criterion.group_order

),

met as (

    select
        task,
        person_id,
        index_date,
        min(group_order) filter (where not is_passed) as criterion_order
    from passed
    group by task, person_id, index_date

),

criteria_judged as (

    select
        judged.*,
        case
            when judged.failed_kind is not null then null
            when met.task is not null then met.criterion_order
            else unmet.criterion_order
        end as failed_criterion
    from judged
    left join met
        on
            judged.task = met.task
            and judged.person_id = met.person_id
            and judged.index_date = met.index_date
    left join unmet
        on judged.task = unmet.task

),

first_qualified as (

    select
        criteria_judged.task,
        criteria_judged.person_id,
        min(criteria_judged.index_date) as index_date
    from criteria_judged
    inner join task_rule
        on criteria_judged.task = task_rule.task
    where
        criteria_judged.failed_kind is null
        and criteria_judged.failed_criterion is null
        and task_rule.entry_limit = 'first_qualifying'
    group by criteria_judged.task, criteria_judged.person_id

),

ended as (

    select
        criteria_judged.task,
        criteria_judged.person_id,
        criteria_judged.index_date,
        criteria_judged.y_true,
        coalesce(criteria_judged.failed_criterion, 0) as criterion_order,
        coalesce(
            criteria_judged.failed_kind,
            case when criteria_judged.failed_criterion is not null then 'criterion' end,
            case when criteria_judged.index_date > first_qualified.index_date then 'first_qualifying' end,
            case when criteria_judged.is_open then 'closed' end,
            criteria_judged.reason
        ) as failed_kind
    from criteria_judged
    left join first_qualified
        on
            criteria_judged.task = first_qualified.task
            and criteria_judged.person_id = first_qualified.person_id

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
