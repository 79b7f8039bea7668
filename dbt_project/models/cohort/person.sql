with stg_person as (

    select * from {{ ref('stg_omop__person') }}

),

-- a missing month or day of birth is taken as the first; so is a day the month does not have
born as (

    select
        person_id,
        gender_concept_id,
        year_of_birth,
        month_of_birth,
        day_of_birth,
        coalesce(
            try_cast(
                format(
                    '{:04d}-{:02d}-{:02d}',
                    year_of_birth,
                    coalesce(month_of_birth, 1),
                    day_of_birth
                ) as date
            ),
            try_cast(format('{:04d}-{:02d}-01', year_of_birth, coalesce(month_of_birth, 1)) as date)
        ) as birth_date,
        race_concept_id,
        ethnicity_concept_id
    from stg_person

)

select * from born
order by person_id
