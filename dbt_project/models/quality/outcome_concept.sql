with criterion as (

    select * from {{ ref('criterion') }}

),

concept_set_member as (

    select * from {{ ref('concept_set_member') }}

),

clinical_event as (

    select * from {{ ref('clinical_event') }}

),

-- stays are made of visits
outcome as (

    select distinct
        task,
        concept_set,
        case when domain = 'Stay' then 'Visit' else domain end as domain
    from criterion
    where
        role = 'outcome'
        and concept_set is not null
        and {{ is_chosen('task') }}

),

member as (

    select
        outcome.task,
        outcome.concept_set,
        outcome.domain,
        concept_set_member.concept_id
    from outcome
    left join concept_set_member
        on outcome.concept_set = concept_set_member.concept_set

),

asked as (

    select distinct
        domain,
        concept_id
    from member

),

recorded as (

    select distinct
        clinical_event.domain,
        clinical_event.concept_id
    from clinical_event
    inner join asked
        on
            clinical_event.domain = asked.domain
            and clinical_event.concept_id = asked.concept_id

),

counted as (

    select
        member.task,
        member.concept_set,
        member.domain,
        count(member.concept_id) as n_concepts,
        count(recorded.concept_id) as n_recorded
    from member
    left join recorded
        on
            member.domain = recorded.domain
            and member.concept_id = recorded.concept_id
    group by
        member.task,
        member.concept_set,
        member.domain

)

select * from counted
