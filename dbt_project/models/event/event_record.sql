with visit_occurrence as (

    select * from {{ ref('stg_omop__visit_occurrence') }}

),

condition_occurrence as (

    select * from {{ ref('stg_omop__condition_occurrence') }}

),

drug_exposure as (

    select * from {{ ref('stg_omop__drug_exposure') }}

),

procedure_occurrence as (

    select * from {{ ref('stg_omop__procedure_occurrence') }}

),

measurement as (

    select * from {{ ref('stg_omop__measurement') }}

),

observation as (

    select * from {{ ref('stg_omop__observation') }}

),

death as (

    select * from {{ ref('stg_omop__death') }}

),

-- an end before its start counts as the start
recorded as (

    {{ event_rows(
        'visit_occurrence', 'Visit', 'visit', 'visit_start_date', kind='start', record_id='visit_occurrence_id'
    ) }}
    union all
    {{ event_rows(
        'visit_occurrence', 'Visit end', 'visit',
        'case when visit_end_date is not null then greatest(visit_start_date, visit_end_date) end',
        kind='end', record_id='visit_occurrence_id', value_concept='discharged_to_concept_id'
    ) }}
    union all
    {{ event_rows(
        'condition_occurrence', 'Condition', 'condition', 'condition_start_date', record_id='condition_occurrence_id'
    ) }}
    union all
    {{ event_rows(
        'drug_exposure', 'Drug', 'drug', 'drug_exposure_start_date', record_id='drug_exposure_id'
    ) }}
    union all
    {{ event_rows(
        'procedure_occurrence', 'Procedure', 'procedure', 'procedure_date', record_id='procedure_occurrence_id'
    ) }}
    union all
    {{ event_rows(
        'measurement', 'Measurement', 'measurement', 'measurement_date', record_id='measurement_id',
        number='value_as_number', value_concept='value_as_concept_id', unit='unit_concept_id',
        result_date='measurement_datetime'
    ) }}
    union all
    {{ event_rows(
        'observation', 'Observation', 'observation', 'observation_date', record_id='observation_id',
        number='value_as_number', value_concept='value_as_concept_id', unit='unit_concept_id'
    ) }}
    union all
    {{ event_rows(
        'death', 'Death', 'cause', 'death_date', type_concept_id='death_type_concept_id', visit=none
    ) }}

)

select * from recorded
