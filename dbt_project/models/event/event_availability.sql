with event_record as (

    select * from {{ ref('event_record') }}

),

person as (

    select * from {{ ref('person') }}

),

visit_occurrence as (

    select * from {{ ref('stg_omop__visit_occurrence') }}

),

concept_set_member as (

    select * from {{ ref('concept_set_member') }}

),

availability as (

    select * from {{ ref('availability') }}

),

-- the one place where events leave: rows of nobody and rows without a date (an open visit has no end event);
-- quality_count counts them
usable as (

    select event_record.*
    from event_record
    inner join person
        on event_record.person_id = person.person_id
    where event_record.event_date is not null

),

-- visit ids may repeat with different content: the later end counts, and only the person's own visits
visit as (

    select
        visit_occurrence.visit_occurrence_id,
        visit_occurrence.person_id,
        bool_or(stay.concept_id is not null) as is_stay,
        max(
            case
                when stay.concept_id is not null
                    then greatest(visit_occurrence.visit_start_date, visit_occurrence.visit_end_date)
            end
        ) filter (where visit_occurrence.visit_end_date is not null) as stay_end_date
    from visit_occurrence
    left join concept_set_member as stay
        on
            visit_occurrence.visit_concept_id = stay.concept_id
            and stay.concept_set = 'inpatient_or_emergency_visit'
    group by visit_occurrence.visit_occurrence_id, visit_occurrence.person_id

),

-- a row for the type outranks the row for any type of its table
ruled as (

    select
        usable.*,
        coalesce(of_type.rule, of_any.rule) as declared_rule,
        coalesce(of_type.lag_days, of_any.lag_days) as lag_days
    from usable
    left join availability as of_type
        on
            usable.source_table = of_type.source_table
            and usable.type_concept_id = of_type.type_concept_id
    left join availability as of_any
        on
            usable.source_table = of_any.source_table
            and of_any.type_concept_id is null

),

applied as (

    select
        ruled.*,
        visit.stay_end_date,
        case
            when ruled.declared_rule = 'result_date' and ruled.result_date is null
                then 'own_date_no_result_date'
            when ruled.declared_rule <> 'visit_end' then ruled.declared_rule
            when ruled.visit_occurrence_id is null then 'own_date_no_visit'
            when visit.visit_occurrence_id is null then 'own_date_dangling_visit'
            when not visit.is_stay then 'own_date_other_visit'
            when visit.stay_end_date is null then 'own_date_open_visit'
            else 'visit_end'
        end as applied_rule
    from ruled
    left join visit
        on
            ruled.visit_occurrence_id = visit.visit_occurrence_id
            and ruled.person_id = visit.person_id

),

dated as (

    select
        source_table,
        kind,
        person_id,
        concept_id,
        source_concept_id,
        domain,
        event_date,
        visit_occurrence_id,
        type_concept_id,
        value_as_number,
        value_as_concept_id,
        unit_concept_id,
        applied_rule,
        case applied_rule
            when 'visit_end' then greatest(event_date, stay_end_date) + lag_days
            when 'result_date' then greatest(event_date, result_date)
            else event_date + lag_days
        end as available_date
    from applied

)

select * from dated
