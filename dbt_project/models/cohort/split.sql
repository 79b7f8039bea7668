with person as (

    select * from {{ ref('person') }}

),

-- the first 8 hex digits of sha256('<split_salt>|<person_id>') as a number, modulo 100
hashed as (

    select
        person_id,
        sha256('{{ var("split_salt") | replace("'", "''") }}|' || person_id) as digest
    from person

),

placed as (

    select
        person_id,
        cast('0x' || substr(digest, 1, 8) as bigint) % 100 as percentile
    from hashed

),

assigned as (

    select
        person_id,
        case
            when percentile < 60 then 'train'
            when percentile < 70 then 'tuning'
            else 'held_out'
        end as split
    from placed

)

select * from assigned
order by person_id
