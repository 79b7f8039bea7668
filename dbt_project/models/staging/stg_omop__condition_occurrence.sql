with source as (

    select * from {{ source('omop', 'condition_occurrence') }}

),

selected as (

    select
        condition_occurrence_id,
        person_id,
        condition_concept_id,
        condition_source_concept_id,
        condition_type_concept_id,
        condition_start_date,
        visit_occurrence_id
    from source

)

select * from selected
