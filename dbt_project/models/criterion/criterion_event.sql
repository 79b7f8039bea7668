with criterion as (

    select * from {{ ref('criterion') }}

),

matched_event as (

    select * from {{ ref('matched_event') }}

),

alone as (

    select
        matched_event.task,
        matched_event.role,
        matched_event.criterion_order,
        matched_event.person_id,
        matched_event.event_id,
        matched_event.event_date,
        matched_event.available_date,
        cast(null as date) as outcome_date
    from matched_event
    inner join criterion
        on
            matched_event.task = criterion.task
            and matched_event.role = criterion.role
            and matched_event.criterion_order = criterion.criterion_order
    where criterion.same_visit_as is null

),

-- the visits of the rows that another row names; a confirmation asks for the visit of its very outcome
named_visit as (

    select
        criterion.task,
        criterion.role,
        criterion.criterion_order,
        named.person_id,
        named.visit_occurrence_id,
        case when criterion.is_in_visit_of_outcome then named.event_date end as outcome_date,
        min(named.available_date) as available_date
    from criterion
    inner join matched_event as named
        on
            criterion.task = named.task
            and criterion.same_visit_as = named.criterion_order
            and named.role <> 'measured'
    group by
        criterion.task,
        criterion.role,
        criterion.criterion_order,
        named.person_id,
        named.visit_occurrence_id,
        case when criterion.is_in_visit_of_outcome then named.event_date end

),

-- known when both events are
in_visit as (

    select
        matched_event.task,
        matched_event.role,
        matched_event.criterion_order,
        matched_event.person_id,
        matched_event.event_id,
        matched_event.event_date,
        greatest(matched_event.available_date, named_visit.available_date) as available_date,
        named_visit.outcome_date
    from matched_event
    inner join named_visit
        on
            matched_event.task = named_visit.task
            and matched_event.role = named_visit.role
            and matched_event.criterion_order = named_visit.criterion_order
            and matched_event.person_id = named_visit.person_id
            and matched_event.visit_occurrence_id = named_visit.visit_occurrence_id

),

every_event as (

    select * from alone
    union all
    select * from in_visit

)

select * from every_event
