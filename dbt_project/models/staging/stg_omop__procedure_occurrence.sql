with source as (

    select * from {{ source('omop', 'procedure_occurrence') }}

),

selected as (

    select
        procedure_occurrence_id,
        person_id,
        procedure_concept_id,
        procedure_source_concept_id,
        procedure_type_concept_id,
        procedure_date,
        visit_occurrence_id
    from source

)

select * from selected
