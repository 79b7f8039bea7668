with recorded_row as (

    select * from {{ ref('recorded_row') }}

),

repeated as (

    select
        source_table,
        record_id
    from recorded_row
    where record_id is not null
    group by source_table, record_id
    having count(*) > 1

),

-- only the rows of those keys are compared with each other
compared as (

    select
        recorded_row.source_table,
        recorded_row.record_id,
        count(*) as n_rows,
        count(distinct hash(
            recorded_row.person_id,
            recorded_row.concept_id,
            recorded_row.source_concept_id,
            recorded_row.type_concept_id,
            recorded_row.start_date,
            recorded_row.end_date,
            recorded_row.visit_occurrence_id,
            recorded_row.value_as_number,
            recorded_row.unit_concept_id
        )) as n_contents
    from recorded_row
    inner join repeated
        on
            recorded_row.source_table = repeated.source_table
            and recorded_row.record_id = repeated.record_id
    group by recorded_row.source_table, recorded_row.record_id

)

select * from compared
