with recorded_row as (

    select * from {{ ref('recorded_row') }}

),

concept as (

    select * from {{ ref('concept') }}

),

sex_concept as (

    select * from {{ ref('sex_concept') }}

),

used as (

    select distinct concept_id
    from recorded_row
    where concept_id <> 0

),

-- a large vocabulary is joined to the few concepts of the source, not to its rows
described as (

    select
        used.concept_id,
        concept.concept_id is not null as is_known,
        concept.domain_id,
        coalesce(concept.standard_concept = 'S' and concept.invalid_reason is null, false) as is_standard,
        sex_concept.sex_concept_id
    from used
    left join concept
        on used.concept_id = concept.concept_id
    left join sex_concept
        on used.concept_id = sex_concept.concept_id

)

select * from described
