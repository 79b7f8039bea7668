with source as (

    select * from {{ source('omop', 'observation_period') }}

),

selected as (

    select
        observation_period_id,
        person_id,
        observation_period_start_date,
        observation_period_end_date
    from source

)

select * from selected
