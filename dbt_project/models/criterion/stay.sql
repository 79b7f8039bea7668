with stay_part as (

    select * from {{ ref('stay_part') }}

),

-- an open part is a person's last
following as (

    select
        *,
        lag(end_date) over (partition by concept_set, person_id order by start_date) as end_before
    from stay_part

),

numbered as (

    select
        *,
        count(*) filter (where end_before is null or start_date > end_before + 1) over (
            partition by concept_set, person_id
            order by start_date
            rows between unbounded preceding and current row
        ) as stay_no
    from following

),

joined as (

    select
        concept_set,
        person_id,
        stay_no,
        min(start_date) as start_date,
        case when not bool_or(end_date is null) then max(end_date) end as end_date
    from numbered
    group by concept_set, person_id, stay_no

)

select * from joined
