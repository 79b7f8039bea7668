with task_rule as (

    select * from {{ ref('task_rule') }}

),

example as (

    select * from {{ ref('example') }}

),

flagged as (

    select
        task,
        y_true,
        death_date between tar_start_date and tar_end_date as has_died,
        y_true = 1 and outcome_date > follow_up_end_date as is_case_after_follow_up,
        reason = 'lost_to_follow_up' as is_lost
    from example

),

counted as (

    select
        task,
        y_true,
        count(*) as n_examples,
        count(*) filter (where has_died) as n_deaths,
        count(*) filter (where is_case_after_follow_up) as n_cases_after_follow_up,
        count(*) filter (where is_lost) as n_lost
    from flagged
    group by task, y_true

),

class as (

    select 1 as y_true
    union all
    select 0 as y_true
    union all
    select null as y_true

),

every_class as (

    select
        task_rule.task,
        task_rule.follow_up_policy,
        class.y_true,
        coalesce(counted.n_examples, 0) as n_examples,
        coalesce(counted.n_deaths, 0) as n_deaths,
        coalesce(counted.n_cases_after_follow_up, 0) as n_cases_after_follow_up,
        coalesce(counted.n_lost, 0) as n_lost
    from task_rule
    cross join class
    left join counted
        on
            task_rule.task = counted.task
            and counted.y_true is not distinct from class.y_true

),

listed as (

    select
        task,
        'examples' as quantity,
        y_true,
        n_examples as n
    from every_class
    union all
    select
        task,
        'deaths_in_time_at_risk' as quantity,
        y_true,
        n_deaths as n
    from every_class
    union all
    select
        task,
        'cases_after_follow_up_end' as quantity,
        y_true,
        n_cases_after_follow_up as n
    from every_class
    where
        follow_up_policy = 'keep_cases'
        and y_true = 1
    union all
    select
        task,
        'lost_to_follow_up' as quantity,
        y_true,
        n_lost as n
    from every_class
    where
        follow_up_policy <> 'negative'
        and y_true is null

)

select * from listed
order by task, quantity, y_true nulls last
