with stg_concept as (

    select * from {{ ref('stg_omop__concept') }}

)

select * from stg_concept
order by concept_id
