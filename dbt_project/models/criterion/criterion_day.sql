with criterion_event as (

    select * from {{ ref('criterion_event') }}

),

-- days are counted, not rows
by_day as (

    select
        task,
        role,
        criterion_order,
        person_id,
        outcome_date,
        event_date,
        min(available_date) as first_available_date,
        max(available_date) as last_available_date
    from criterion_event
    where role <> 'entry'
    group by task, role, criterion_order, person_id, outcome_date, event_date

)

select * from by_day
