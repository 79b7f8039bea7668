with source as (

    select * from {{ source('omop', 'death') }}

),

selected as (

    select
        person_id,
        death_date,
        death_type_concept_id,
        cause_concept_id,
        cause_source_concept_id
    from source

)

select * from selected
