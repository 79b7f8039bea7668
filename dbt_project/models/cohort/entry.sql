with task_rule as (

    select * from {{ ref('task_rule') }}

),

index_day as (

    select * from {{ ref('index_day') }}

),

person as (

    select * from {{ ref('person') }}

),

observed_period as (

    select * from {{ ref('observed_period') }}

),

death as (

    select * from {{ ref('death') }}

),

-- of several periods around an index the one that starts first counts, then the one that ends last:
-- so each is the one from the day after all before it have ended, and one that has ended by then never is
period_reach as (

    select
        *,
        max(observation_period_end_date) over (
            partition by person_id
            order by observation_period_start_date asc, observation_period_end_date desc
            rows between unbounded preceding and 1 preceding
        ) as end_so_far
    from observed_period

),

period_around as (

    select
        *,
        greatest(observation_period_start_date, end_so_far + 1) as first_index_date
    from period_reach

),

described as (

    select
        index_day.task,
        index_day.person_id,
        index_day.index_date,
        index_day.entry_event_id,
        period_around.observation_period_start_date,
        period_around.observation_period_end_date,
        {{ full_years('person.birth_date', 'index_day.index_date') }} as age,
        person.birth_date,
        person.gender_concept_id as sex_concept_id,
        death.event_date as death_date,
        death.available_date as death_available_date,
        index_day.is_stay_continued,
        index_day.index_date + task_rule.tar_start_days as tar_start_date,
        case task_rule.tar_end
            when 'visit_end' then index_day.stay_end_date
            else index_day.index_date + task_rule.tar_end_days
        end as tar_end_date
    from index_day
    inner join task_rule
        on index_day.task = task_rule.task
    inner join person
        on index_day.person_id = person.person_id
    left join period_around
        on
            index_day.person_id = period_around.person_id
            and index_day.index_date between period_around.first_index_date
            and period_around.observation_period_end_date
    left join death
        on index_day.person_id = death.person_id

)

select * from described
