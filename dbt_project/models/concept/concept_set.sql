with concept_sets as (

    select * from {{ ref('concept_sets') }}

),

concept as (

    select * from {{ ref('concept') }}

),

concept_ancestor as (

    select * from {{ ref('concept_ancestor') }}

),

concept_set_member as (

    select * from {{ ref('concept_set_member') }}

),

ancestor as (

    select distinct ancestor_concept_id
    from concept_ancestor

),

listed as (

    select
        concept_sets.concept_set,
        count(*) filter (where not concept_sets.is_excluded) as n_included_ids,
        count(*) filter (where concept_sets.is_excluded) as n_excluded_ids,
        count(*) filter (
            where not concept_sets.is_excluded and concept.concept_id is null
        ) as n_unknown_ids,
        count(*) filter (
            where
            not concept_sets.is_excluded
            and concept_sets.include_descendants
            and ancestor.ancestor_concept_id is null
        ) as n_literal_only_ids
    from concept_sets
    left join ancestor
        on concept_sets.concept_id = ancestor.ancestor_concept_id
    left join concept
        on concept_sets.concept_id = concept.concept_id
    group by concept_sets.concept_set

),

resolved as (

    select
        concept_set,
        count(*) as n_members,
        string_agg(cast(concept_id as varchar), ',' order by concept_id) as member_ids
    from concept_set_member
    group by concept_set

),

counted as (

    select
        listed.concept_set,
        listed.n_included_ids,
        listed.n_excluded_ids,
        listed.n_unknown_ids,
        listed.n_literal_only_ids,
        coalesce(resolved.n_members, 0) as n_members,
        sha256(coalesce(resolved.member_ids, '')) as sha256
    from listed
    left join resolved
        on listed.concept_set = resolved.concept_set

)

select * from counted
order by concept_set
