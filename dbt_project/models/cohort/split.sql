with person as (

    select * from {{ ref('person') }}

),

-- the first 8 hex digits of sha256('<split_salt>|<person_id>') as a number, modulo 100
hashed as (

    select
        person_id,
        cast('0x' || substr(sha256('{{ var("split_salt") }}|' || person_id), 1, 8) as bigint) % 100 as percentile
    from person

),

assigned as (

    select
        person_id,
        case
            when percentile < 60 then 'train'
            when percentile < 70 then 'tuning'
            else 'held_out'
        end as split
    from hashed

)

select * from assigned
order by person_id
