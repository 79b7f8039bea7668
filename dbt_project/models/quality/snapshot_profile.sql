with clinical_event as (

    select * from {{ ref('clinical_event') }}

),

person as (

    select * from {{ ref('person') }}

),

split as (

    select * from {{ ref('split') }}

),

covered_period as (

    select * from {{ ref('covered_period') }}

),

label_count as (

    select * from {{ ref('label_count') }}

),

concept_set as (

    select * from {{ ref('concept_set') }}

),

row_quality_sum as (

    select * from {{ ref('row_quality_sum') }}

),

vocabulary_version as (

    select * from {{ ref('vocabulary_version') }}

),

study_period as (

    select * from {{ ref('study_period') }}

),

-- one row a person, concept and table: a person counts once, however often it is recorded
person_concept as (

    select distinct
        source_table,
        concept_id,
        person_id
    from clinical_event
    where concept_id <> 0

),

concept_recorded as (

    select
        source_table,
        concept_id,
        count(*) as n_persons,
        row_number() over (partition by source_table order by count(*) desc, concept_id) as place
    from person_concept
    group by source_table, concept_id

),

born as (

    select extract(year from birth_date) - extract(year from birth_date) % 10 as decade
    from person
    where birth_date is not null

),

observed as (

    select sum(end_date - start_date) // 365 as years
    from covered_period
    group by person_id

),

month_recorded as (

    select
        clinical_event.source_table,
        strftime(clinical_event.event_date, '%Y-%m') as event_month,
        count(*) as n
    from clinical_event
    cross join study_period
    where
        clinical_event.event_date >= date_trunc('month', study_period.data_end) - interval 15 month
        and clinical_event.event_date < date_trunc('month', study_period.data_end)
    group by clinical_event.source_table, event_month

),

profiled as (

    select
        'rows' as quantity,
        source_table as part,
        '' as bin,
        n_rows as n
    from row_quality_sum
    where task = ''
    union all
    select
        'persons_with_row' as quantity,
        source_table as part,
        '' as bin,
        n_persons_with_row as n
    from row_quality_sum
    where task = ''
    union all
    select
        'unmapped' as quantity,
        source_table as part,
        '' as bin,
        n_unmapped as n
    from row_quality_sum
    where task = ''
    union all
    select
        'persons' as quantity,
        'person' as part,
        '' as bin,
        count(*) as n
    from person
    union all
    select
        'persons_of_split' as quantity,
        split as part,
        '' as bin,
        count(*) as n
    from split
    group by split
    union all
    select
        'sex' as quantity,
        'person' as part,
        cast(coalesce(gender_concept_id, 0) as varchar) as bin,
        count(*) as n
    from person
    group by coalesce(gender_concept_id, 0)
    union all
    select
        'birth_decade' as quantity,
        'person' as part,
        cast(decade as varchar) as bin,
        count(*) as n
    from born
    group by decade
    union all
    select
        'observed_years' as quantity,
        'person' as part,
        cast(least(years, 9) as varchar) as bin,
        count(*) as n
    from observed
    group by least(years, 9)
    union all
    select
        'concept' as quantity,
        source_table as part,
        cast(concept_id as varchar) as bin,
        n_persons as n
    from concept_recorded
    where place <= 500
    union all
    select
        'concept' as quantity,
        source_table as part,
        'other' as bin,
        sum(n_persons) as n
    from concept_recorded
    where place > 500
    group by source_table
    union all
    select
        'month' as quantity,
        source_table as part,
        event_month as bin,
        n
    from month_recorded
    union all
    select
        'concept_set' as quantity,
        concept_set as part,
        sha256 as bin,
        n_members as n
    from concept_set
    union all
    select
        'vocabulary' as quantity,
        'vocabulary' as part,
        vocabulary_version as bin,
        1 as n
    from vocabulary_version
    where vocabulary_version is not null
    union all
    select
        'labelled' as quantity,
        task as part,
        cast(y_true as varchar) as bin,
        n
    from label_count
    where quantity = 'examples' and y_true is not null and {{ is_chosen('task') }}

),

typed as (

    select
        quantity,
        part,
        bin,
        cast(n as bigint) as n
    from profiled

)

select * from typed
order by quantity, part, bin
