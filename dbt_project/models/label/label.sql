with example as (

    select * from {{ ref('example') }}

),

selected as (

    select
        task,
        example_id,
        person_id,
        index_date,
        y_true,
        reason,
        outcome_date,
        follow_up_end_date,
        tar_start_date,
        tar_end_date
    from example

)

select * from selected
