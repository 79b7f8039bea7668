with observed_period as (

    select * from {{ ref('observed_period') }}

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

period_group as (

    select
        *,
        count(*) filter (where not is_overlapping) over (
            partition by person_id
            order by observation_period_start_date, observation_period_end_date
        ) as group_no
    from period_reach

),

-- overlapping periods are one here, so that a row meets at most one
covered as (

    select
        person_id,
        group_no,
        min(observation_period_start_date) as start_date,
        max(observation_period_end_date) as end_date,
        count(*) as n_periods,
        count(*) filter (where is_overlapping) as n_overlapping
    from period_group
    group by person_id, group_no

)

select * from covered
