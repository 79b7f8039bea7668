with cohort_step as (

    select * from {{ ref('cohort_step') }}

),

entry_step as (

    select * from {{ ref('entry_step') }}

),

-- how far each person comes: an index that fails no step passes the last one
of_person as (

    select
        task,
        person_id,
        max(coalesce(failed_step, 1000)) as failed_step
    from entry_step
    group by task, person_id

),

failed as (

    select
        task,
        coalesce(failed_step, 1000) as failed_step,
        count(*) as entries,
        0 as persons,
        count(*) filter (where y_true = 1) as cases
    from entry_step
    group by task, failed_step
    union all
    select
        task,
        failed_step,
        0 as entries,
        count(*) as persons,
        0 as cases
    from of_person
    group by task, failed_step

),

-- what fails a step has passed those before it
standing as (

    select
        cohort_step.task,
        cohort_step.step,
        cohort_step.description,
        cast(coalesce(sum(failed.entries), 0) as bigint) as entries,
        cast(coalesce(sum(failed.persons), 0) as bigint) as persons,
        cast(coalesce(sum(failed.cases), 0) as bigint) as cases
    from cohort_step
    left join failed
        on
            cohort_step.task = failed.task
            and cohort_step.step < failed.failed_step
    group by cohort_step.task, cohort_step.step, cohort_step.description

)

select * from standing
order by task, step
