with vocabulary as (

    select * from {{ source('omop', 'vocabulary') }}

),

cdm_source as (

    select * from {{ source('omop', 'cdm_source') }}

),

-- the vocabulary called None stands for all of them; sources that lack it may say it of themselves
said as (

    select
        1 as place,
        vocabulary_version
    from vocabulary
    where vocabulary_id = 'None'
    union all
    select
        2 as place,
        vocabulary_version
    from cdm_source

),

first_said as (

    select
        '' as task,
        arg_min(vocabulary_version, (place, vocabulary_version)) as vocabulary_version
    from said
    where vocabulary_version is not null

)

select * from first_said
