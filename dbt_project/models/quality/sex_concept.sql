with sex_of_concepts as (

    select * from {{ ref('sex_of_concepts') }}

),

concept_ancestor as (

    select * from {{ ref('concept_ancestor') }}

),

-- a concept counts by itself, also where the vocabulary has no ancestors
meant as (

    select
        concept_id,
        sex_concept_id
    from sex_of_concepts
    union
    select
        concept_ancestor.descendant_concept_id as concept_id,
        sex_of_concepts.sex_concept_id
    from sex_of_concepts
    inner join concept_ancestor
        on sex_of_concepts.concept_id = concept_ancestor.ancestor_concept_id

),

-- one that is below both sexes says nothing
of_one_sex as (

    select
        concept_id,
        min(sex_concept_id) as sex_concept_id
    from meant
    group by concept_id
    having count(*) = 1

)

select * from of_one_sex
