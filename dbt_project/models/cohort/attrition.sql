with cohort_step as (

    select * from {{ ref('cohort_step') }}

),

entry_step as (

    select * from {{ ref('entry_step') }}

),

entry_label as (

    select * from {{ ref('entry_label') }}

),

standing as (

    select
        cohort_step.task,
        cohort_step.step,
        entry_step.person_id,
        entry_step.example_id,
        entry_label.y_true
    from cohort_step
    inner join entry_step
        on
            cohort_step.task = entry_step.task
            and (entry_step.failed_step is null or cohort_step.step < entry_step.failed_step)
    inner join entry_label
        on
            entry_step.task = entry_label.task
            and entry_step.example_id = entry_label.example_id

),

counted as (

    select
        cohort_step.task,
        cohort_step.step,
        cohort_step.description,
        count(standing.example_id) as entries,
        count(distinct standing.person_id) as persons,
        count(*) filter (where standing.y_true = 1) as cases
    from cohort_step
    left join standing
        on
            cohort_step.task = standing.task
            and cohort_step.step = standing.step
    group by cohort_step.task, cohort_step.step, cohort_step.description

)

select * from counted
order by task, step
