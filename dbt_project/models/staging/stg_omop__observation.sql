with source as (

    select * from {{ source('omop', 'observation') }}

),

selected as (

    select
        observation_id,
        person_id,
        observation_concept_id,
        observation_source_concept_id,
        observation_type_concept_id,
        observation_date,
        value_as_number,
        value_as_concept_id,
        unit_concept_id,
        visit_occurrence_id
    from source

)

select * from selected
