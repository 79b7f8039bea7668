with source as (

    select * from {{ source('omop', 'person') }}

),

selected as (

    select
        person_id,
        gender_concept_id,
        year_of_birth,
        month_of_birth,
        day_of_birth,
        race_concept_id,
        ethnicity_concept_id
    from source

)

select * from selected
