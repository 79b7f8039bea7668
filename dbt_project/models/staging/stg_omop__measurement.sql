with source as (

    select * from {{ source('omop', 'measurement') }}

),

selected as (

    select
        measurement_id,
        person_id,
        measurement_concept_id,
        measurement_source_concept_id,
        measurement_type_concept_id,
        measurement_date,
        measurement_datetime,
        value_as_number,
        value_as_concept_id,
        unit_concept_id,
        visit_occurrence_id
    from source

)

select * from selected
