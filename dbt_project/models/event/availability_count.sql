with event_availability as (

    select * from {{ ref('event_availability') }}

),

counted as (

    select
        source_table,
        kind,
        applied_rule,
        count(*) as n_events,
        count(*) filter (where available_date > event_date) as n_later
    from event_availability
    group by source_table, kind, applied_rule

)

select * from counted
order by source_table, kind, applied_rule
