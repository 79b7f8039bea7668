with tasks as (

    select * from {{ ref('tasks') }}

),

criterion_event as (

    select * from {{ ref('criterion_event') }}

),

person as (

    select * from {{ ref('person') }}

),

observed_period as (

    select * from {{ ref('observed_period') }}

),

-- first_ever: the first entry of the whole record, whether it qualifies or not; ties have a total order
ordered as (

    select
        tasks.task,
        criterion_event.person_id,
        criterion_event.event_id,
        criterion_event.available_date,
        row_number() over (
            partition by tasks.task, criterion_event.person_id
            order by criterion_event.available_date, criterion_event.event_date, criterion_event.event_id
        ) as entry_no
    from tasks
    inner join criterion_event
        on tasks.task = criterion_event.task
    where
        criterion_event.role = 'entry'
        and tasks.entry_limit = 'first_ever'
        and tasks.anchor = 'event'

),

anchored as (

    select
        task,
        person_id,
        event_id as entry_event_id,
        available_date as index_date
    from ordered
    where entry_no = 1

),

-- both ends of a period count; of overlapping ones the longest history, then the longest follow-up
period_around as (

    select
        anchored.task,
        anchored.person_id,
        observed_period.observation_period_start_date,
        observed_period.observation_period_end_date,
        row_number() over (
            partition by anchored.task, anchored.person_id
            order by
                observed_period.observation_period_start_date asc,
                observed_period.observation_period_end_date desc
        ) as period_no
    from anchored
    inner join observed_period
        on
            anchored.person_id = observed_period.person_id
            and anchored.index_date between observed_period.observation_period_start_date
            and observed_period.observation_period_end_date

),

described as (

    select
        anchored.task,
        substr(
            sha256(anchored.task || '|' || anchored.person_id || '|' || anchored.index_date), 1, 16
        ) as example_id,
        anchored.person_id,
        anchored.index_date,
        anchored.entry_event_id,
        period_around.observation_period_start_date,
        period_around.observation_period_end_date,
        {{ full_years('person.birth_date', 'anchored.index_date') }} as age,
        person.gender_concept_id as sex_concept_id
    from anchored
    inner join person
        on anchored.person_id = person.person_id
    left join period_around
        on
            anchored.task = period_around.task
            and anchored.person_id = period_around.person_id
            and period_around.period_no = 1

)

select * from described
order by task, person_id, index_date
