with person_fact as (

    select * from {{ ref('person_fact') }}

),

observation_period as (

    select * from {{ ref('stg_omop__observation_period') }}

),

covered_period as (

    select * from {{ ref('covered_period') }}

),

death as (

    select * from {{ source('omop', 'death') }}

),

row_quality as (

    select * from {{ ref('row_quality') }}

),

study_period as (

    select * from {{ ref('study_period') }}

),

period_recorded as (

    select
        person_id,
        count(*) as n_periods,
        count(*) filter (
            where (observation_period_start_date <= observation_period_end_date) is not true
        ) as n_reversed_periods
    from observation_period
    group by person_id

),

period_covered as (

    select
        person_id,
        sum(n_periods) as n_valid_periods,
        sum(n_overlapping) as n_overlapping_periods
    from covered_period
    group by person_id

),

death_recorded as (

    select
        person_id,
        count(*) as n_deaths
    from death
    group by person_id

),

rows_after_death as (

    select
        person_id,
        sum(n_after_death) as n_after_death
    from row_quality
    group by person_id

),

counted as (

    select
        person_fact.person_id,
        coalesce(period_recorded.n_periods, 0) as n_periods,
        coalesce(period_recorded.n_reversed_periods, 0) as n_reversed_periods,
        coalesce(period_covered.n_valid_periods, 0) as n_valid_periods,
        coalesce(period_covered.n_overlapping_periods, 0) as n_overlapping_periods,
        period_covered.person_id is not null as is_observed,
        person_fact.gender_concept_id <> 0 as has_sex,
        study_period.data_end is not null as is_dated,
        person_fact.birth_date between date '1900-01-01' and current_date as has_plausible_birth,
        coalesce(death_recorded.n_deaths, 0) as n_deaths,
        coalesce(rows_after_death.n_after_death > 0, false) as has_row_after_death
    from person_fact
    cross join study_period
    left join period_recorded
        on person_fact.person_id = period_recorded.person_id
    left join period_covered
        on person_fact.person_id = period_covered.person_id
    left join death_recorded
        on person_fact.person_id = death_recorded.person_id
    left join rows_after_death
        on person_fact.person_id = rows_after_death.person_id

)

select * from counted
