with person_quality as (

    select * from {{ ref('person_quality') }}

),

quality_scope as (

    select * from {{ ref('quality_scope') }}

),

observation_period as (

    select * from {{ ref('stg_omop__observation_period') }}

),

person as (

    select * from {{ ref('person') }}

),

of_nobody as (

    select
        count(*) as n_periods,
        count(*) filter (where person.person_id is null) as n_periods_of_nobody,
        count(*) - count(distinct observation_period.observation_period_id) as n_repeated_period_keys
    from observation_period
    left join person
        on observation_period.person_id = person.person_id

),

summed as (

    select
        quality_scope.task,
        count(*) as n_persons,
        sum(person_quality.n_periods) as n_periods,
        sum(person_quality.n_reversed_periods) as n_reversed_periods,
        sum(person_quality.n_valid_periods) as n_valid_periods,
        sum(person_quality.n_overlapping_periods) as n_overlapping_periods,
        count(*) filter (where not person_quality.is_observed) as n_never_observed,
        count(*) filter (where person_quality.has_sex is not true) as n_without_sex,
        count(*) filter (where person_quality.is_dated) as n_dated,
        count(*) filter (
            where person_quality.is_dated and person_quality.has_plausible_birth is not true
        ) as n_implausible_birth,
        count(*) filter (where person_quality.n_deaths > 0) as n_dead,
        count(*) filter (where person_quality.n_deaths > 1) as n_dead_twice,
        count(*) filter (where person_quality.has_row_after_death) as n_with_row_after_death
    from person_quality
    inner join quality_scope
        on person_quality.person_id = quality_scope.person_id
    group by quality_scope.task

),

-- what belongs to nobody is among all rows only
joined as (

    select
        summed.*,
        of_nobody.n_periods as n_all_periods,
        of_nobody.n_periods_of_nobody,
        of_nobody.n_repeated_period_keys
    from summed
    left join of_nobody
        on summed.task = ''

)

select * from joined
