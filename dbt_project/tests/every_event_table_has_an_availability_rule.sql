with event_record as (

    select distinct source_table from {{ ref('event_record') }}

),

availability as (

    select source_table
    from {{ ref('availability') }}
    where type_concept_id is null

)

select event_record.source_table
from event_record
left join availability
    on event_record.source_table = availability.source_table
where availability.source_table is null
