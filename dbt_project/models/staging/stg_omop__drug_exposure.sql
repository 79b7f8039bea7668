with source as (

    select * from {{ source('omop', 'drug_exposure') }}

),

selected as (

    select
        drug_exposure_id,
        person_id,
        drug_concept_id,
        drug_source_concept_id,
        drug_type_concept_id,
        drug_exposure_start_date,
        visit_occurrence_id
    from source

)

select * from selected
