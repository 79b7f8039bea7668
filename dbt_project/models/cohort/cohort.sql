with example as (

    select * from {{ ref('example') }}

),

selected as (

    select
        task,
        example_id,
        person_id,
        index_date,
        entry_event_id,
        observation_period_start_date,
        observation_period_end_date,
        age,
        sex_concept_id
    from example

)

select * from selected
