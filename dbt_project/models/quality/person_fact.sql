with person as (

    select * from {{ ref('person') }}

),

death as (

    select * from {{ ref('stg_omop__death') }}

),

joined as (

    select
        person.person_id,
        person.birth_date,
        person.gender_concept_id,
        death.death_date
    from person
    left join death
        on person.person_id = death.person_id

)

select * from joined
