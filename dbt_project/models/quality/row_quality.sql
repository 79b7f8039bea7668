with recorded_row as (

    select * from {{ ref('recorded_row') }}

),

repeated_key as (

    select * from {{ ref('repeated_key') }}

),

person_fact as (

    select * from {{ ref('person_fact') }}

),

covered_period as (

    select * from {{ ref('covered_period') }}

),

used_concept as (

    select * from {{ ref('used_concept') }}

),

visit_occurrence as (

    select * from {{ ref('stg_omop__visit_occurrence') }}

),

concept_set_member as (

    select * from {{ ref('concept_set_member') }}

),

plausible_values as (

    select * from {{ ref('plausible_values') }}

),

study_period as (

    select * from {{ ref('study_period') }}

),

-- visit ids may repeat: one row an id and person, from its first start to its last end
own_visit as (

    select
        visit_occurrence_id,
        person_id,
        min(visit_start_date) as visit_start_date,
        max(greatest(visit_start_date, visit_end_date)) as visit_end_date
    from visit_occurrence
    group by visit_occurrence_id, person_id

),

stay_concept as (

    select concept_id
    from concept_set_member
    where concept_set = 'inpatient_or_emergency_visit'

),

measured_concept as (

    select distinct concept_id
    from plausible_values

),

joined as (

    select
        recorded_row.source_table,
        recorded_row.own_domain,
        recorded_row.person_id,
        recorded_row.concept_id,
        recorded_row.start_date,
        recorded_row.end_date,
        recorded_row.record_id is not null as is_keyed,
        recorded_row.visit_occurrence_id is not null as has_visit,
        recorded_row.type_concept_id <> 0 as has_type,
        recorded_row.source_concept_id <> 0 as has_source_concept,
        person_fact.person_id is not null as is_of_person,
        person_fact.birth_date,
        person_fact.death_date,
        person_fact.gender_concept_id,
        used_concept.is_known,
        used_concept.domain_id,
        used_concept.is_standard,
        used_concept.sex_concept_id,
        repeated_key.n_rows > repeated_key.n_contents as is_repeated_whole,
        repeated_key.n_contents > 1 as is_repeated_otherwise,
        own_visit.visit_occurrence_id is not null as has_own_visit,
        own_visit.visit_start_date,
        own_visit.visit_end_date,
        stay_concept.concept_id is not null as is_stay,
        covered_period.person_id is not null as is_covered,
        measured_concept.concept_id is not null and recorded_row.value_as_number is not null as is_measured,
        plausible_values.concept_id is not null as has_plausible_unit,
        recorded_row.value_as_number between plausible_values.low and plausible_values.high as is_plausible,
        study_period.data_end
    from recorded_row
    cross join study_period
    left join person_fact
        on recorded_row.person_id = person_fact.person_id
    left join used_concept
        on recorded_row.concept_id = used_concept.concept_id
    -- one row a key: it marks rows, and joins none to each other
    left join repeated_key
        on
            recorded_row.source_table = repeated_key.source_table
            and recorded_row.record_id = repeated_key.record_id
    left join own_visit
        on
            recorded_row.visit_occurrence_id = own_visit.visit_occurrence_id
            and recorded_row.person_id = own_visit.person_id
    left join stay_concept
        on
            recorded_row.concept_id = stay_concept.concept_id
            and recorded_row.source_table = 'visit_occurrence'
    left join covered_period
        on
            recorded_row.person_id = covered_period.person_id
            and recorded_row.start_date between covered_period.start_date and covered_period.end_date
    left join measured_concept
        on
            recorded_row.concept_id = measured_concept.concept_id
            and recorded_row.source_table = 'measurement'
    left join plausible_values
        on
            measured_concept.concept_id = plausible_values.concept_id
            and recorded_row.unit_concept_id = plausible_values.unit_concept_id

),

-- a death needs no cause; where dates are shifted for each person (no data end) no calendar judges them;
-- `case` in place of `filter` halves the time of so many counts
counted as (

    select
        person_id,
        source_table,
        count(*) as n_rows,
        count(
            case
                when
                    person_id is null
                    or start_date is null
                    or (concept_id is null and source_table <> 'death')
                    then 1
            end
        ) as n_missing_value,
        count(case when not is_of_person then 1 end) as n_without_person,
        count(case when is_keyed then 1 end) as n_keyed,
        count(case when is_repeated_otherwise then 1 end) as n_repeated_otherwise,
        count(case when is_repeated_whole then 1 end) as n_repeated_whole,
        count(concept_id) as n_concept,
        count(case when concept_id = 0 then 1 end) as n_unmapped,
        count(case when concept_id = 0 and has_source_concept then 1 end) as n_unmapped_with_source,
        count(is_known) as n_mapped,
        count(case when not is_known then 1 end) as n_unknown_concept,
        count(case when is_known then 1 end) as n_known_concept,
        count(case when is_known and not is_standard then 1 end) as n_not_standard,
        count(case when is_known and own_domain is not null then 1 end) as n_with_domain,
        count(case when is_known and domain_id <> own_domain then 1 end) as n_other_domain,
        count(case when has_type is not true then 1 end) as n_without_type,
        count(case when has_visit then 1 end) as n_with_visit,
        count(case when has_visit and not has_own_visit then 1 end) as n_dangling_visit,
        count(
            case
                when
                    has_own_visit
                    and visit_end_date is not null
                    and source_table <> 'visit_occurrence'
                    then 1
            end
        ) as n_in_visit,
        count(
            case
                when
                    source_table <> 'visit_occurrence'
                    and start_date not between visit_start_date and visit_end_date
                    then 1
            end
        ) as n_outside_visit,
        count(
            case
                when
                    source_table <> 'visit_occurrence'
                    and start_date not between visit_start_date - 7 and visit_end_date + 7
                    then 1
            end
        ) as n_outside_week_of_visit,
        count(case when is_stay and start_date < data_end - 365 then 1 end) as n_old_stay,
        count(
            case when is_stay and start_date < data_end - 365 and end_date is null then 1 end
        ) as n_open_stay,
        count(
            case when source_table = 'visit_occurrence' and end_date > start_date + 1 then 1 end
        ) as n_over_nights,
        count(
            case
                when
                    source_table = 'visit_occurrence'
                    and end_date > start_date + 1
                    and not is_stay
                    then 1
            end
        ) as n_over_nights_and_no_stay,
        count(case when end_date is not null then 1 end) as n_with_end,
        count(case when end_date < start_date then 1 end) as n_reversed,
        count(case when data_end is not null then start_date end) as n_dated,
        count(
            case
                when
                    data_end is not null
                    and start_date not between date '1900-01-01' and current_date + 1
                    then 1
            end
        ) as n_impossible_date,
        count(case when birth_date is not null then start_date end) as n_of_born,
        count(case when start_date < birth_date - 30 then 1 end) as n_before_birth,
        count(
            case when death_date is not null and source_table <> 'death' then start_date end
        ) as n_of_dead,
        count(case when start_date > death_date and source_table <> 'death' then 1 end) as n_after_death,
        count(
            case when start_date > death_date + 60 and source_table <> 'death' then 1 end
        ) as n_long_after_death,
        count(case when is_of_person then start_date end) as n_placed,
        count(case when is_of_person and not is_covered then start_date end) as n_outside_observation,
        count(case when is_of_person and data_end is not null then start_date end) as n_before_end,
        count(case when is_of_person and start_date > data_end then 1 end) as n_after_end,
        count(case when is_measured then 1 end) as n_measured,
        count(case when is_measured and not has_plausible_unit then 1 end) as n_other_unit,
        count(case when is_measured and has_plausible_unit then 1 end) as n_with_unit,
        count(case when is_measured and not is_plausible then 1 end) as n_implausible,
        count(case when sex_concept_id is not null and is_of_person then 1 end) as n_of_one_sex,
        count(
            case
                when
                    gender_concept_id <> 0
                    and gender_concept_id <> sex_concept_id
                    and is_of_person
                    then 1
            end
        ) as n_of_other_sex
    from joined
    group by person_id, source_table

)

select * from counted
