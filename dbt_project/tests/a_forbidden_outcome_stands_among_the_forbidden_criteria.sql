-- `outcome_in_history = forbid` is carried out by forbid rows: each concept of the outcome has to be in one
with tasks as (

    select * from {{ ref('tasks') }}

),

criteria as (

    select * from {{ ref('criteria') }}

),

concept_set_member as (

    select * from {{ ref('concept_set_member') }}

),

criterion_concept as (

    select
        criteria.task,
        criteria.role,
        criteria.domain,
        criteria.window_start_days,
        criteria.window_end_days,
        concept_set_member.concept_id
    from criteria
    inner join concept_set_member
        on criteria.concept_set = concept_set_member.concept_set

)

select
    outcome.task,
    outcome.concept_id
from tasks
inner join criterion_concept as outcome
    on
        tasks.task = outcome.task
        and outcome.role = 'outcome'
left join criterion_concept as forbidden
    on
        outcome.task = forbidden.task
        and outcome.domain = forbidden.domain
        and outcome.concept_id = forbidden.concept_id
        and forbidden.role = 'forbid'
        and forbidden.window_start_days is not distinct from -tasks.washout_days
        and coalesce(forbidden.window_end_days, 0) >= 0
where
    tasks.outcome_in_history = 'forbid'
    and forbidden.concept_id is null
