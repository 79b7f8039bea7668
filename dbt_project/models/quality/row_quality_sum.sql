with row_quality as (

    select * from {{ ref('row_quality') }}

),

person as (

    select * from {{ ref('person') }}

),

quality_scope as (

    select * from {{ ref('quality_scope') }}

),

-- rows of nobody are among all rows, and in no cohort
scoped as (

    select
        '' as task,
        row_quality.*,
        person.person_id is not null as is_of_person
    from row_quality
    left join person
        on row_quality.person_id = person.person_id
    union all
    select
        quality_scope.task,
        row_quality.*,
        true as is_of_person
    from row_quality
    inner join quality_scope
        on row_quality.person_id = quality_scope.person_id
    where quality_scope.task <> ''

),

summed as (

    select
        task,
        source_table,
        count(*) filter (where is_of_person) as n_persons_with_row,
        {{ row_counts() }}
    from scoped
    group by task, source_table

)

select * from summed
