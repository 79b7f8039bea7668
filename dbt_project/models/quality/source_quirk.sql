with event_quirk as (

    select * from {{ ref('event_quirk') }}

),

observation_quirk as (

    select * from {{ ref('observation_quirk') }}

),

every_quirk as (

    select * from event_quirk
    union all
    select * from observation_quirk

)

select * from every_quirk
order by name, source_table
