with observation_period as (

    select * from {{ ref('stg_omop__observation_period') }}

),

person as (

    select * from {{ ref('person') }}

),

-- periods of nobody and periods without or against their order leave here; quality_count counts them
of_known_person as (

    select distinct
        observation_period.person_id,
        observation_period.observation_period_start_date,
        observation_period.observation_period_end_date
    from observation_period
    inner join person
        on observation_period.person_id = person.person_id
    where observation_period.observation_period_start_date <= observation_period.observation_period_end_date

)

select * from of_known_person
order by person_id, observation_period_start_date, observation_period_end_date
