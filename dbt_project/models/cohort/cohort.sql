with entry as (

    select * from {{ ref('entry') }}

),

entry_step as (

    select * from {{ ref('entry_step') }}

),

eligible as (

    select
        entry.task,
        entry.example_id,
        entry.person_id,
        entry.index_date,
        entry.entry_event_id,
        entry.observation_period_start_date,
        entry.observation_period_end_date,
        entry.age,
        entry.sex_concept_id
    from entry
    inner join entry_step
        on
            entry.task = entry_step.task
            and entry.example_id = entry_step.example_id
    where entry_step.failed_cohort_step is null

)

select * from eligible
order by task, person_id, index_date
