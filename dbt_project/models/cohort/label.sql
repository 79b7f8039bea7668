with cohort as (

    select * from {{ ref('cohort') }}

),

entry_label as (

    select * from {{ ref('entry_label') }}

),

labelled as (

    select
        cohort.task,
        cohort.example_id,
        cohort.person_id,
        cohort.index_date,
        entry_label.y_true,
        entry_label.reason,
        entry_label.outcome_date,
        entry_label.follow_up_end_date
    from cohort
    inner join entry_label
        on
            cohort.task = entry_label.task
            and cohort.example_id = entry_label.example_id

)

select * from labelled
order by task, person_id, index_date
