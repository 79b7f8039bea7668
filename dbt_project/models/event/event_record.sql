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

recorded as (

    select
        'visit_occurrence' as source_table,
        'start' as kind,
        visit_occurrence_id as record_id,
        person_id,
        coalesce(visit_concept_id, 0) as concept_id,
        coalesce(visit_source_concept_id, 0) as source_concept_id,
        'Visit' as domain,
        visit_start_date as event_date,
        visit_occurrence_id,
        visit_type_concept_id as type_concept_id,
        cast(null as double) as value_as_number,
        cast(null as bigint) as value_as_concept_id,
        cast(null as bigint) as unit_concept_id
    from visit_occurrence
    union all
    select
        'visit_occurrence' as source_table,
        'end' as kind,
        visit_occurrence_id as record_id,
        person_id,
        coalesce(visit_concept_id, 0) as concept_id,
        coalesce(visit_source_concept_id, 0) as source_concept_id,
        'Visit end' as domain,
        visit_end_date as event_date,
        visit_occurrence_id,
        visit_type_concept_id as type_concept_id,
        cast(null as double) as value_as_number,
        cast(null as bigint) as value_as_concept_id,
        cast(null as bigint) as unit_concept_id
    from visit_occurrence
    union all
    select
        'condition_occurrence' as source_table,
        'row' as kind,
        condition_occurrence_id as record_id,
        person_id,
        coalesce(condition_concept_id, 0) as concept_id,
        coalesce(condition_source_concept_id, 0) as source_concept_id,
        'Condition' as domain,
        condition_start_date as event_date,
        visit_occurrence_id,
        condition_type_concept_id as type_concept_id,
        cast(null as double) as value_as_number,
        cast(null as bigint) as value_as_concept_id,
        cast(null as bigint) as unit_concept_id
    from condition_occurrence
    union all
    select
        'drug_exposure' as source_table,
        'row' as kind,
        drug_exposure_id as record_id,
        person_id,
        coalesce(drug_concept_id, 0) as concept_id,
        coalesce(drug_source_concept_id, 0) as source_concept_id,
        'Drug' as domain,
        drug_exposure_start_date as event_date,
        visit_occurrence_id,
        drug_type_concept_id as type_concept_id,
        cast(null as double) as value_as_number,
        cast(null as bigint) as value_as_concept_id,
        cast(null as bigint) as unit_concept_id
    from drug_exposure
    union all
    select
        'procedure_occurrence' as source_table,
        'row' as kind,
        procedure_occurrence_id as record_id,
        person_id,
        coalesce(procedure_concept_id, 0) as concept_id,
        coalesce(procedure_source_concept_id, 0) as source_concept_id,
        'Procedure' as domain,
        procedure_date as event_date,
        visit_occurrence_id,
        procedure_type_concept_id as type_concept_id,
        cast(null as double) as value_as_number,
        cast(null as bigint) as value_as_concept_id,
        cast(null as bigint) as unit_concept_id
    from procedure_occurrence
    union all
    select
        'measurement' as source_table,
        'row' as kind,
        measurement_id as record_id,
        person_id,
        coalesce(measurement_concept_id, 0) as concept_id,
        coalesce(measurement_source_concept_id, 0) as source_concept_id,
        'Measurement' as domain,
        measurement_date as event_date,
        visit_occurrence_id,
        measurement_type_concept_id as type_concept_id,
        value_as_number,
        value_as_concept_id,
        unit_concept_id
    from measurement
    union all
    select
        'observation' as source_table,
        'row' as kind,
        observation_id as record_id,
        person_id,
        coalesce(observation_concept_id, 0) as concept_id,
        coalesce(observation_source_concept_id, 0) as source_concept_id,
        'Observation' as domain,
        observation_date as event_date,
        visit_occurrence_id,
        observation_type_concept_id as type_concept_id,
        value_as_number,
        value_as_concept_id,
        unit_concept_id
    from observation
    union all
    select
        'death' as source_table,
        'row' as kind,
        cast(null as bigint) as record_id,
        person_id,
        coalesce(cause_concept_id, 0) as concept_id,
        coalesce(cause_source_concept_id, 0) as source_concept_id,
        'Death' as domain,
        death_date as event_date,
        cast(null as bigint) as visit_occurrence_id,
        death_type_concept_id as type_concept_id,
        cast(null as double) as value_as_number,
        cast(null as bigint) as value_as_concept_id,
        cast(null as bigint) as unit_concept_id
    from death

)

select * from recorded
