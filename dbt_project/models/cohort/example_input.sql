with cohort as (

    select * from {{ ref('cohort') }}

),

clinical_event as (

    select * from {{ ref('clinical_event') }}

),

-- strictly before the index day; events are numbered from 1, so their number is the last one's number
shown as (

    select
        cohort.task,
        cohort.example_id,
        cohort.person_id,
        min(clinical_event.event_no) as first_event_no,
        max(clinical_event.event_no) as last_event_no,
        count(clinical_event.event_no) as n_events
    from cohort
    left join clinical_event
        on
            cohort.person_id = clinical_event.person_id
            and cohort.index_date > clinical_event.available_date
    group by cohort.task, cohort.example_id, cohort.person_id

)

select
    task,
    example_id,
    person_id,
    first_event_no,
    last_event_no,
    n_events
from shown
order by task, person_id, example_id
