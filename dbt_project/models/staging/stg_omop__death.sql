with source as (

    select * from {{ source('omop', 'death') }}

),

-- several death rows of a person are one death, the earliest
numbered as (

    select
        person_id,
        death_date,
        death_type_concept_id,
        cause_concept_id,
        cause_source_concept_id,
        row_number() over (
            partition by person_id
            order by
                death_date nulls last,
                death_type_concept_id nulls last,
                cause_concept_id nulls last,
                cause_source_concept_id nulls last
        ) as death_no
    from source

),

earliest as (

    select
        person_id,
        death_date,
        death_type_concept_id,
        cause_concept_id,
        cause_source_concept_id
    from numbered
    where death_no = 1

)

select * from earliest
