with recorded_row as (

    select * from {{ ref('recorded_row') }}

),

-- a table at a time: its keys stay in memory, where those of all would not
repeated as (

    {{ repeated_keys('visit_occurrence') }}
    union all
    {{ repeated_keys('condition_occurrence') }}
    union all
    {{ repeated_keys('drug_exposure') }}
    union all
    {{ repeated_keys('procedure_occurrence') }}
    union all
    {{ repeated_keys('measurement') }}
    union all
    {{ repeated_keys('observation') }}

)

select * from repeated
