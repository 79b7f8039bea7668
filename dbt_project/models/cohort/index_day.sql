with task_rule as (

    select * from {{ ref('task_rule') }}

),

criterion as (

    select * from {{ ref('criterion') }}

),

criterion_event as (

    select * from {{ ref('criterion_event') }}

),

clinical_event as (

    select * from {{ ref('clinical_event') }}

),

concept_set_member as (

    select * from {{ ref('concept_set_member') }}

),

stay_part as (

    select * from {{ ref('stay_part') }}

),

stay as (

    select * from {{ ref('stay') }}

),

person as (

    select * from {{ ref('person') }}

),

-- anchor event: the day an entry event was known; ties on a day have a total order
known as (

    select
        task_rule.task,
        task_rule.entry_limit,
        criterion_event.person_id,
        criterion_event.event_id,
        criterion_event.available_date,
        row_number() over entry_order as entry_no,
        lag(criterion_event.available_date) over entry_order as available_before
    from task_rule
    inner join criterion_event
        on
            task_rule.task = criterion_event.task
            and criterion_event.role = 'entry'
    window
        entry_order as (
            partition by criterion_event.task, criterion_event.person_id
            order by
                criterion_event.available_date,
                criterion_event.event_date,
                criterion_event.event_id
        )

),

of_event as (

    select
        task,
        person_id,
        available_date as index_date,
        event_id as entry_event_id,
        cast(null as date) as stay_end_date,
        false as is_stay_continued
    from known
    where
        entry_no = 1
        or (entry_limit <> 'first_ever' and available_before < available_date)

),

-- anchors visit_start and visit_end: the day a stay starts; a day after which no visit of the set goes on
stay_entry as (

    select
        task_rule.task,
        task_rule.entry_limit,
        criterion.concept_set,
        task_rule.anchor,
        case task_rule.anchor when 'visit_start' then 'Visit' else 'Visit end' end as domain
    from task_rule
    inner join criterion
        on
            task_rule.task = criterion.task
            and criterion.role = 'entry'
    where task_rule.anchor in ('visit_start', 'visit_end')

),

stay_day as (

    select
        stay_entry.task,
        stay_entry.concept_set,
        stay_entry.domain,
        stay.person_id,
        stay.start_date as index_date,
        stay.end_date as stay_end_date,
        false as is_stay_continued
    from stay_entry
    inner join stay
        on stay_entry.concept_set = stay.concept_set
    where
        stay_entry.anchor = 'visit_start'
        and (stay_entry.entry_limit <> 'first_ever' or stay.stay_no = 1)
    union all
    select
        stay_entry.task,
        stay_entry.concept_set,
        stay_entry.domain,
        stay_part.person_id,
        stay_part.end_date as index_date,
        stay_part.end_date as stay_end_date,
        next_part.person_id is not null as is_stay_continued
    from stay_entry
    inner join stay_part
        on stay_entry.concept_set = stay_part.concept_set
    left join stay_part as next_part
        on
            stay_part.concept_set = next_part.concept_set
            and stay_part.person_id = next_part.person_id
            and stay_part.end_date + 1 = next_part.start_date
    where
        stay_entry.anchor = 'visit_end'
        and stay_part.end_date is not null
        and (stay_entry.entry_limit <> 'first_ever' or stay_part.part_no = 1)

),

visit_event as (

    select
        concept_set_member.concept_set,
        clinical_event.domain,
        clinical_event.person_id,
        clinical_event.event_date,
        min(clinical_event.event_id) as event_id
    from clinical_event
    inner join concept_set_member
        on clinical_event.concept_id = concept_set_member.concept_id
    where
        clinical_event.domain in ('Visit', 'Visit end')
        and (concept_set_member.concept_set, clinical_event.domain) in (
            select (stay_entry.concept_set, stay_entry.domain) from stay_entry
        )
    group by
        concept_set_member.concept_set,
        clinical_event.domain,
        clinical_event.person_id,
        clinical_event.event_date

),

of_stay as (

    select
        stay_day.task,
        stay_day.person_id,
        stay_day.index_date,
        visit_event.event_id as entry_event_id,
        stay_day.stay_end_date,
        stay_day.is_stay_continued
    from stay_day
    left join visit_event
        on
            stay_day.concept_set = visit_event.concept_set
            and stay_day.domain = visit_event.domain
            and stay_day.person_id = visit_event.person_id
            and stay_day.index_date = visit_event.event_date

),

-- anchor landmark: a date, or a birthday; a birthday on 29 February is on 1 March in other years
birthday as (

    select
        task_rule.task,
        task_rule.landmark_date,
        person.person_id,
        person.birth_date,
        cast(person.birth_date + to_years(task_rule.landmark_age) as date) as same_day
    from task_rule
    cross join person
    where task_rule.anchor = 'landmark'

),

of_landmark as (

    select
        task,
        person_id,
        case
            when landmark_date is not null then landmark_date
            when extract(day from same_day) < extract(day from birth_date) then same_day + 1
            else same_day
        end as index_date,
        cast(null as bigint) as entry_event_id,
        cast(null as date) as stay_end_date,
        false as is_stay_continued
    from birthday
    where
        landmark_date is not null
        or birth_date is not null

),

index_day as (

    select * from of_event
    union all
    select * from of_stay
    union all
    select * from of_landmark

)

select * from index_day
