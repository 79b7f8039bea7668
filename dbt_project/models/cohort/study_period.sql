with observed_period as (

    select * from {{ ref('observed_period') }}

),

-- one row, whatever the study gives
latest as (

    select max(observation_period_end_date) as last_end_date
    from observed_period

),

ended as (

    select
        {{ data_end('last_end_date') }} as data_end,
        cast({{ var('coding_lag_days') | int }} as integer) as coding_lag_days
    from latest

),

closed as (

    select
        data_end,
        coding_lag_days,
        data_end - coding_lag_days as last_tar_end_date
    from ended

)

select * from closed
