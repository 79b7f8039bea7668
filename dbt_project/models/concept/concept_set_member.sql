with concept_sets as (

    select * from {{ ref('concept_sets') }}

),

concept as (

    select * from {{ ref('concept') }}

),

concept_ancestor as (

    select * from {{ ref('concept_ancestor') }}

),

-- the id itself always counts, also where the vocabulary does not know it
literal as (

    select
        concept_set,
        concept_id,
        is_excluded
    from concept_sets

),

descendant as (

    select
        concept_sets.concept_set,
        concept_ancestor.descendant_concept_id as concept_id,
        concept_sets.is_excluded
    from concept_sets
    inner join concept_ancestor
        on concept_sets.concept_id = concept_ancestor.ancestor_concept_id
    left join concept
        on concept_ancestor.descendant_concept_id = concept.concept_id
    where
        concept_sets.include_descendants
        and coalesce(concept.invalid_reason, '') = ''

),

expanded as (

    select * from literal
    union all
    select * from descendant

),

resolved as (

    select
        concept_set,
        concept_id
    from expanded
    group by concept_set, concept_id
    having not bool_or(is_excluded)

)

select * from resolved
order by concept_set, concept_id
