with task_rule as (

    select * from {{ ref('task_rule') }}

),

cohort as (

    select * from {{ ref('cohort') }}

),

clinical_event as (

    select * from {{ ref('clinical_event') }}

),

-- inputs were known before this day
chosen as (

    select
        cohort.task,
        cohort.example_id,
        cohort.person_id,
        cohort.index_date + case task_rule.index_day_input when 'include' then 1 else 0 end as cut_date
    from cohort
    inner join task_rule
        on cohort.task = task_rule.task
    where {{ is_chosen('cohort.task') }}

),

-- events are numbered in the order in which they became known
known_day as (

    select
        person_id,
        available_date,
        max(event_no) as last_event_no
    from clinical_event
    where person_id in (select chosen.person_id from chosen)
    group by person_id, available_date

),

-- the last day before the cut
shown as (

    select
        chosen.task,
        chosen.example_id,
        chosen.person_id,
        known_day.last_event_no
    from chosen
    asof left join known_day
        on
            chosen.person_id = known_day.person_id
            and chosen.cut_date > known_day.available_date

),

-- events are numbered from 1, so the last one's number is their number
numbered as (

    select
        task,
        example_id,
        person_id,
        case when last_event_no is not null then cast(1 as bigint) end as first_event_no,
        last_event_no,
        coalesce(last_event_no, 0) as n_events
    from shown

)

select * from numbered
