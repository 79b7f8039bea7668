with stg_concept_ancestor as (

    select * from {{ ref('stg_omop__concept_ancestor') }}

)

select * from stg_concept_ancestor
order by ancestor_concept_id, descendant_concept_id
