-- the last line counts the examples with a label, and no line counts more than the one before
with attrition as (

    select * from {{ ref('attrition') }}

),

label as (

    select * from {{ ref('label') }}

),

labelled as (

    select
        task,
        count(y_true) as n_labelled,
        count(*) filter (where y_true = 1) as n_cases
    from label
    group by task

),

compared as (

    select
        attrition.task,
        attrition.step,
        attrition.entries,
        attrition.cases,
        lag(attrition.entries) over (partition by attrition.task order by attrition.step) as entries_before,
        lead(attrition.step) over (partition by attrition.task order by attrition.step) as next_step,
        coalesce(labelled.n_labelled, 0) as n_labelled,
        coalesce(labelled.n_cases, 0) as n_cases
    from attrition
    left join labelled
        on attrition.task = labelled.task

)

select *
from compared
where
    entries > entries_before
    or (next_step is null and entries <> n_labelled)
    or (next_step is null and cases <> n_cases)
