with clinical_event as (

    select * from {{ ref('clinical_event') }}

),

person as (

    select * from {{ ref('person') }}

),

observation_period as (

    select * from {{ ref('stg_omop__observation_period') }}

),

observed_period as (

    select * from {{ ref('observed_period') }}

),

death as (

    select * from {{ source('omop', 'death') }}

),

period_recorded as (

    select
        count(*) as n_rows,
        count(*) - count(distinct observation_period.observation_period_id) as n_repeated_key,
        count(*) filter (where person.person_id is null) as n_without_person,
        count(*) filter (
            where
            observation_period.observation_period_start_date
            > observation_period.observation_period_end_date
        ) as n_reversed
    from observation_period
    left join person
        on observation_period.person_id = person.person_id

),

-- both ends of a period count: one that starts on the day an earlier one ends overlaps it
period_reach as (

    select
        *,
        coalesce(
            observation_period_start_date <= max(observation_period_end_date) over (
                partition by person_id
                order by observation_period_start_date, observation_period_end_date
                rows between unbounded preceding and 1 preceding
            ),
            false
        ) as is_overlapping
    from observed_period

),

period_overlap as (

    select
        count(*) as n_rows,
        count(*) filter (where is_overlapping) as n_overlapping
    from period_reach

),

period_group as (

    select
        *,
        count(*) filter (where not is_overlapping) over (
            partition by person_id
            order by observation_period_start_date, observation_period_end_date
        ) as group_no
    from period_reach

),

-- overlapping periods are one here, so that an event meets at most one
covered as (

    select
        person_id,
        min(observation_period_start_date) as start_date,
        max(observation_period_end_date) as end_date
    from period_group
    group by person_id, group_no

),

event_covered as (

    select
        clinical_event.source_table,
        count(*) as n_rows,
        count(*) filter (where covered.person_id is null) as n_outside
    from clinical_event
    left join covered
        on
            clinical_event.person_id = covered.person_id
            and clinical_event.event_date between covered.start_date and covered.end_date
    group by clinical_event.source_table

),

person_covered as (

    select
        count(distinct person.person_id) as n_rows,
        count(distinct person.person_id) filter (where covered.person_id is null) as n_never_observed,
        count(distinct person.person_id) filter (where person.birth_date is null) as n_without_birth
    from person
    left join covered
        on person.person_id = covered.person_id

),

death_recorded as (

    select
        count(*) as n_rows,
        count(*) - count(distinct person_id) as n_repeated
    from death

),

counted as (
    {{ quirk_rows('period_recorded', "'observation_period'", [
        ('repeated_primary_key', 'n_rows', 'n_repeated_key'),
        ('unknown_person', 'n_rows', 'n_without_person'),
        ('ends_before_start', 'n_rows', 'n_reversed'),
    ]) }}
    union all
    {{ quirk_rows('period_overlap', "'observation_period'", [
        ('overlapping_period', 'n_rows', 'n_overlapping'),
    ]) }}
    union all
    {{ quirk_rows('event_covered', 'source_table', [('outside_observation', 'n_rows', 'n_outside')]) }}
    union all
    {{ quirk_rows('person_covered', "'person'", [
        ('never_observed', 'n_rows', 'n_never_observed'),
        ('no_birth_date', 'n_rows', 'n_without_birth'),
    ]) }}
    union all
    {{ quirk_rows('death_recorded', "'death'", [('several_deaths', 'n_rows', 'n_repeated')]) }}
)

select * from counted
order by name, source_table
