with event_record as (

    select * from {{ ref('event_record') }}

),

person as (

    select * from {{ ref('person') }}

),

visit_occurrence as (

    select * from {{ ref('stg_omop__visit_occurrence') }}

),

own_visit as (

    select distinct
        visit_occurrence_id,
        person_id
    from visit_occurrence

),

-- a visit is one row here, not its start and its end
recorded as (

    select
        event_record.source_table,
        count(*) as n_rows,
        count(event_record.record_id) as n_keyed,
        count(event_record.record_id) - count(distinct event_record.record_id) as n_repeated_key,
        count(*) filter (where person.person_id is null) as n_without_person,
        count(*) filter (where event_record.event_date is null) as n_without_date,
        -- a death without a cause is no unmapped concept
        count(*) filter (
            where event_record.concept_id = 0 and event_record.source_table <> 'death'
        ) as n_concept_zero,
        count(*) filter (
            where event_record.concept_id = 0 and event_record.source_concept_id <> 0
        ) as n_source_concept_only,
        count(event_record.visit_occurrence_id) as n_with_visit,
        count(event_record.visit_occurrence_id) - count(own_visit.visit_occurrence_id) as n_dangling_visit
    from event_record
    left join person
        on event_record.person_id = person.person_id
    left join own_visit
        on
            event_record.visit_occurrence_id = own_visit.visit_occurrence_id
            and event_record.person_id = own_visit.person_id
    where event_record.kind <> 'end'
    group by event_record.source_table

),

visited as (

    select
        count(*) as n_rows,
        count(*) filter (where visit_end_date is null) as n_open,
        count(*) filter (where visit_end_date < visit_start_date) as n_reversed
    from visit_occurrence

),

counted as (
    {{ quirk_rows('recorded', 'source_table', [
        ('repeated_primary_key', 'n_keyed', 'n_repeated_key'),
        ('unknown_person', 'n_rows', 'n_without_person'),
        ('no_date', 'n_rows', 'n_without_date'),
        ('concept_zero', 'n_rows', 'n_concept_zero'),
        ('concept_zero_with_source_concept', 'n_rows', 'n_source_concept_only'),
        ('dangling_visit', 'n_with_visit', 'n_dangling_visit'),
    ]) }}
    union all
    {{ quirk_rows('visited', "'visit_occurrence'", [
        ('no_end', 'n_rows', 'n_open'),
        ('ends_before_start', 'n_rows', 'n_reversed'),
    ]) }}
)

select * from counted
order by name, source_table
