with row_quality_sum as (

    select * from {{ ref('row_quality_sum') }}

),

person_quality_sum as (

    select * from {{ ref('person_quality_sum') }}

),

task_quality_sum as (

    select * from {{ ref('task_quality_sum') }}

),

vocabulary_version as (

    select * from {{ ref('vocabulary_version') }}

),

persons_and_rows as (

    select
        row_quality_sum.task,
        row_quality_sum.source_table,
        row_quality_sum.n_persons_with_row,
        person_quality_sum.n_persons
    from row_quality_sum
    inner join person_quality_sum
        on row_quality_sum.task = person_quality_sum.task

),

counted as (
    {{ count_rows('row_quality_sum', 'source_table', [
        ('required_values_are_there', 'n_rows', 'n_missing_value'),
        ('person_is_known', 'n_rows', 'n_without_person'),
        ('key_is_not_repeated_with_other_content', 'n_keyed', 'n_repeated_otherwise'),
        ('row_is_not_repeated_whole', 'n_keyed', 'n_repeated_whole'),
        ('visit_is_known', 'n_with_visit', 'n_dangling_visit'),
        ('concept_is_known', 'n_mapped', 'n_unknown_concept'),
        ('concept_fits_its_table', 'n_with_domain', 'n_other_domain'),
        ('concept_is_standard', 'n_known_concept', 'n_not_standard'),
        ('concept_is_mapped', 'n_concept', 'n_unmapped'),
        ('concepts_are_mostly_mapped', 'n_concept', 'n_unmapped'),
        ('unmapped_row_lacks_a_source_concept', 'n_concept', 'n_unmapped_with_source'),
        ('type_is_recorded', 'n_rows', 'n_without_type'),
        ('past_stay_has_an_end', 'n_old_stay', 'n_open_stay'),
        ('visit_over_nights_is_a_stay', 'n_over_nights', 'n_over_nights_and_no_stay'),
        ('date_is_possible', 'n_dated', 'n_impossible_date'),
        ('row_is_not_before_birth', 'n_of_born', 'n_before_birth'),
        ('row_is_not_long_after_death', 'n_of_dead', 'n_long_after_death'),
        ('end_is_not_before_start', 'n_with_end', 'n_reversed'),
        ('row_is_in_an_observation_period', 'n_placed', 'n_outside_observation'),
        ('row_is_not_after_the_data_end', 'n_before_end', 'n_after_end'),
        ('row_is_within_a_week_of_its_visit', 'n_in_visit', 'n_outside_week_of_visit'),
        ('row_is_within_its_visit', 'n_in_visit', 'n_outside_visit'),
        ('unit_is_plausible', 'n_measured', 'n_other_unit'),
        ('value_is_plausible', 'n_with_unit', 'n_implausible'),
        ('sex_fits_the_concept', 'n_of_one_sex', 'n_of_other_sex'),
    ]) }}
    union all
    {{ count_rows('persons_and_rows', 'source_table', [
        ('person_has_a_row', 'n_persons', 'n_persons - n_persons_with_row'),
    ]) }}
    union all
    {{ count_rows('person_quality_sum', "'observation_period'", [
        ('person_is_known', 'coalesce(n_all_periods, 0)', 'coalesce(n_periods_of_nobody, 0)'),
        ('key_is_not_repeated_with_other_content', 'coalesce(n_all_periods, 0)', 'coalesce(n_repeated_period_keys, 0)'),
        ('period_starts_before_it_ends', 'n_periods', 'n_reversed_periods'),
        ('periods_do_not_overlap', 'n_valid_periods', 'n_overlapping_periods'),
        ('person_is_observed', 'n_persons', 'n_never_observed'),
    ]) }}
    union all
    {{ count_rows('person_quality_sum', "'person'", [
        ('sex_is_recorded', 'n_persons', 'n_without_sex'),
        ('birth_date_is_plausible', 'n_dated', 'n_implausible_birth'),
    ]) }}
    union all
    {{ count_rows('person_quality_sum', "'death'", [
        ('person_dies_once', 'n_dead', 'n_dead_twice'),
        ('person_has_no_row_after_death', 'n_persons', 'n_with_row_after_death'),
        ('few_persons_have_rows_after_death', 'n_persons', 'n_with_row_after_death'),
    ]) }}
    union all
    {{ count_rows('task_quality_sum', "'example'", [
        ('enough_examples_are_labelled', 'n_needed', 'n_lacking'),
        ('cases_are_no_rarity', 'n_labelled', 'n_labelled - n_cases'),
        ('cases_are_no_majority', 'n_labelled', 'n_cases'),
    ]) }}
    union all
    {{ count_rows('task_quality_sum', "'concept'", [
        ('outcome_is_recorded', 'n_sets', 'n_sets_never_recorded'),
        ('outcome_is_recorded_by_several_concepts', 'n_sets_of_several', 'n_sets_recorded_by_one'),
    ]) }}
    union all
    {{ count_rows('vocabulary_version', "'vocabulary'", [
        ('vocabulary_says_its_version', '1', 'case when vocabulary_version is null then 1 else 0 end'),
    ]) }}
)

select * from counted
order by name, source_table, task
