with clinical_event as (

    select * from {{ ref('clinical_event') }}

),

concept_set_member as (

    select * from {{ ref('concept_set_member') }}

),

criteria as (

    select * from {{ ref('criteria') }}

),

criterion_concept as (

    select
        criteria.task,
        criteria."order" as criterion_order,
        criteria.role,
        criteria.domain,
        concept_set_member.concept_id
    from criteria
    inner join concept_set_member
        on criteria.concept_set = concept_set_member.concept_set

),

matched as (

    select
        criterion_concept.task,
        criterion_concept.criterion_order,
        criterion_concept.role,
        clinical_event.person_id,
        clinical_event.event_id,
        clinical_event.event_date,
        clinical_event.available_date
    from clinical_event
    inner join criterion_concept
        on
            clinical_event.concept_id = criterion_concept.concept_id
            and clinical_event.domain = criterion_concept.domain

)

select * from matched
order by task, criterion_order, person_id, available_date, event_id
