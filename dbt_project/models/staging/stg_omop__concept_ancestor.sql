with source as (

    select * from {{ source('omop', 'concept_ancestor') }}

),

selected as (

    select
        ancestor_concept_id,
        descendant_concept_id,
        min_levels_of_separation,
        max_levels_of_separation
    from source

)

select * from selected
