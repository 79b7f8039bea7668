with clinical_event as (

    select * from {{ ref('clinical_event') }}

),

died as (

    select
        person_id,
        event_id,
        event_date,
        available_date
    from clinical_event
    where domain = 'Death'

)

select * from died
