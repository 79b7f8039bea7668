with recorded as (

    {{ recorded_row(
        'visit_occurrence', 'Visit', 'visit', 'visit_start_date', end='visit_end_date',
        record_id='visit_occurrence_id'
    ) }}
    union all
    {{ recorded_row(
        'condition_occurrence', 'Condition', 'condition', 'condition_start_date', end='condition_end_date',
        record_id='condition_occurrence_id'
    ) }}
    union all
    {{ recorded_row(
        'drug_exposure', 'Drug', 'drug', 'drug_exposure_start_date', end='drug_exposure_end_date',
        record_id='drug_exposure_id'
    ) }}
    union all
    {{ recorded_row(
        'procedure_occurrence', 'Procedure', 'procedure', 'procedure_date', end='procedure_end_date',
        record_id='procedure_occurrence_id'
    ) }}
    union all
    {{ recorded_row(
        'measurement', 'Measurement', 'measurement', 'measurement_date', record_id='measurement_id',
        number='value_as_number', unit='unit_concept_id'
    ) }}
    union all
    {{ recorded_row(
        'observation', none, 'observation', 'observation_date', record_id='observation_id',
        number='value_as_number', unit='unit_concept_id'
    ) }}
    union all
    {{ recorded_row(
        'death', none, 'cause', 'death_date', visit=none, type_concept_id='death_type_concept_id'
    ) }}

)

select * from recorded
