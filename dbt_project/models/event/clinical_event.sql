with event_availability as (

    select * from {{ ref('event_availability') }}

),

-- what is known of the event on its available_date, and no key of any table: the id reads nothing else;
-- the domain names both the table and the kind, null reads as nothing
known as (

    select
        *,
        concat(
            domain, '|', person_id, '|', concept_id, '|', source_concept_id, '|',
            event_date, '|', available_date, '|', type_concept_id, '|',
            value_as_number, '|', value_as_concept_id, '|', unit_concept_id
        ) as known_text
    from event_availability

),

hashed as (

    select
        * exclude (known_text),
        cast('0x' || substr(sha256(known_text), 1, 16) as ubigint) as known_hash
    from known

),

-- identical rows take running numbers, the distance from the first of them
numbered as (

    select
        *,
        row_number() over (
            partition by person_id
            order by available_date, known_hash, visit_occurrence_id nulls last
        ) as event_no,
        rank() over (
            partition by person_id
            order by available_date, known_hash
        ) as first_event_no
    from hashed

),

-- unsigned 64 bits shifted into bigint keep their order, so event_no follows (available_date, event_id)
identified as (

    select
        cast(
            cast(known_hash as hugeint) - 9223372036854775808 + event_no - first_event_no as bigint
        ) as event_id,
        event_no,
        person_id,
        concept_id,
        source_concept_id,
        domain,
        event_date,
        available_date,
        visit_occurrence_id,
        value_as_number,
        value_as_concept_id,
        unit_concept_id,
        source_table,
        type_concept_id
    from numbered

)

select * from identified
