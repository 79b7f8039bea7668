with label_count as (

    select * from {{ ref('label_count') }}

),

outcome_concept as (

    select * from {{ ref('outcome_concept') }}

),

labelled as (

    select
        task,
        sum(n) as n_labelled,
        sum(case when y_true = 1 then n else 0 end) as n_cases
    from label_count
    where
        quantity = 'examples'
        and y_true is not null
        and {{ is_chosen('task') }}
    group by task

),

outcome as (

    select
        task,
        count(*) as n_sets,
        count(case when n_recorded = 0 then 1 end) as n_sets_never_recorded,
        count(case when n_concepts > 1 and n_recorded > 0 then 1 end) as n_sets_of_several,
        count(case when n_concepts > 1 and n_recorded = 1 then 1 end) as n_sets_recorded_by_one
    from outcome_concept
    group by task

),

-- a death has no concepts; a task without examples is refused for that, not for having too few
joined as (

    select
        labelled.task,
        labelled.n_labelled,
        labelled.n_cases,
        case when labelled.n_labelled > 0 then 100 else 0 end as n_needed,
        case when labelled.n_labelled > 0 then greatest(100 - labelled.n_labelled, 0) else 0 end as n_lacking,
        coalesce(outcome.n_sets, 0) as n_sets,
        coalesce(outcome.n_sets_never_recorded, 0) as n_sets_never_recorded,
        coalesce(outcome.n_sets_of_several, 0) as n_sets_of_several,
        coalesce(outcome.n_sets_recorded_by_one, 0) as n_sets_recorded_by_one
    from labelled
    left join outcome
        on labelled.task = outcome.task

)

select * from joined
