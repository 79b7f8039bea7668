with task_rule as (

    select * from {{ ref('task_rule') }}

),

entry_step as (

    select * from {{ ref('entry_step') }}

),

entry_label as (

    select * from {{ ref('entry_label') }}

),

visit_occurrence as (

    select * from {{ ref('stg_omop__visit_occurrence') }}

),

eligible as (

    select
        entry_label.*,
        task_rule.index_rule,
        task_rule.index_gap_days
    from entry_step
    inner join entry_label
        on
            entry_step.task = entry_label.task
            and entry_step.person_id = entry_label.person_id
            and entry_step.index_date = entry_label.index_date
    inner join task_rule
        on entry_step.task = task_rule.task
    where entry_step.is_example

),

-- designs that look ahead move the index: one example a person
last_visit as (

    select
        eligible.task,
        eligible.person_id,
        max(visit_occurrence.visit_start_date) as visit_start_date
    from eligible
    inner join visit_occurrence
        on
            eligible.person_id = visit_occurrence.person_id
            and visit_occurrence.visit_start_date between eligible.index_date
            and eligible.observation_period_end_date
    where eligible.index_rule = 'outcome_or_last_visit'
    group by eligible.task, eligible.person_id

),

moved as (

    select
        eligible.*,
        case eligible.index_rule
            when 'outcome_or_last_visit'
                then
                    coalesce(eligible.outcome_date, last_visit.visit_start_date, eligible.index_date)
                    - eligible.index_gap_days
            else eligible.index_date
        end as example_date
    from eligible
    left join last_visit
        on
            eligible.task = last_visit.task
            and eligible.person_id = last_visit.person_id

),

named as (

    select
        task,
        substr(sha256(task || '|' || person_id || '|' || example_date), 1, 16) as example_id,
        person_id,
        example_date as index_date,
        entry_event_id,
        observation_period_start_date,
        observation_period_end_date,
        {{ full_years('birth_date', 'example_date') }} as age,
        sex_concept_id,
        y_true,
        reason,
        outcome_date,
        follow_up_end_date,
        tar_start_date,
        tar_end_date,
        death_date
    from moved

)

select * from named
