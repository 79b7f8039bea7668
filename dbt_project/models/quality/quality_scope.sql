with person as (

    select * from {{ ref('person') }}

),

example as (

    select * from {{ ref('example') }}

),

-- no task: every person of the source
scope as (

    select
        '' as task,
        person_id
    from person
    union all
    select distinct
        task,
        person_id
    from example
    where {{ is_chosen('task') }}

)

select * from scope
