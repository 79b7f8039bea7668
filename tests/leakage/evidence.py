"""Whether a plant did what it says: a count by a direct query, on the clean site and on the planted one.

Each query counts what only the fault leaves behind; tables are those of the source (`cdm_<table>`), of the
snapshot, and of the task's cut, views and scores (`cut_`, `counts_`, `text_`, `sequence_`, `<arm>_`).
"""

from leakage import pipeline
from leakage.plants.plant import Plant
from leakage.site import Site

# An input event as the snapshot dates it, and the first day that is not shown.
LATE = """
select count(*) from cut_event inner join cut_example using (example_id) inner join clinical_event as e
on e.person_id = cut_example.person_id and e.event_no = cut_event.event_no
where available_date {comparison} index_date::date
"""
BEYOND = """
select count(*) from cut_event inner join example_input as i using (example_id)
where i.task = '{task}' and cut_event.event_no > coalesce(i.last_event_no, 0)
"""
# Codes of one class less those of the other, in examples that are shown them.
CODED = """
select count(distinct example_id) filter (where y_true = 1)
    - 3 * count(distinct example_id) filter (where y_true = 0)
from cut_event inner join cut_example using (example_id) where {condition}
"""
STAY = "(select * from cdm_visit_occurrence where visit_concept_id in (9201, 262, 9203))"
EARLY = f"""
select count(*) from clinical_event as e inner join {STAY} as v using (visit_occurrence_id)
where source_table = '{{table}}' and available_date < visit_end_date
"""
SAID = "select count(*) from clinical_event where domain = '{domain}' and {column} is not null"
LABEL = "select count(*) from label inner join cohort using (task, example_id) where label.task = '{task}' and {fault}"
OWN = "select o.* from cdm_observation_period as o"
# A label beside the end of observation in the source.
CENSORED = f"""
select count(*) from label inner join ({OWN}) as o using (person_id)
where task = '{{task}}' and y_true = 0 and o.observation_period_end_date < tar_end_date
and label.person_id not in (select person_id from cdm_death)
"""
COLUMN = "select count(*) from counts_column where feature = '{name}'"
PERSONS = "select count(*) from cdm_person as a inner join cdm_person as b on b.person_id = a.person_id + 1000000"
LOGGED = """
select count(*) from count_lr_fit_log inner join split using (person_id)
where (purpose = 'fit' and split <> 'train') or (purpose <> 'fit' and split <> 'tuning')
"""
OUTCOMES = {"dhf_1y": "(316139, 4229440)", "paca_1y": "(4180793)", "gi_bleed_1y": "(192671)"}

FOUND = {
    "L01_window_120_days_too_wide": LATE.format(comparison=">="),
    "L01_window_3_days_too_wide": LATE.format(comparison=">="),
    "L01_cut_runs_past_its_lineage": BEYOND,
    "L01_some_runs_too_long": LATE.format(comparison=">="),
    "L01_later_diagnosis_in_the_cut": BEYOND,
    "L02_index_day_is_shown": LATE.format(comparison="="),
    "L02_index_day_of_some_is_shown": LATE.format(comparison="="),
    "L03_billing_known_at_its_date": EARLY.format(table="condition_occurrence"),
    "L03_billing_known_early_in_one_month": EARLY.format(table="condition_occurrence"),
    "L03_procedures_known_at_their_date": EARLY.format(table="procedure_occurrence"),
    "L03_stays_lose_their_link": "select count(*) from cdm_condition_occurrence as c inner join"
    f" {STAY} as v on c.person_id = v.person_id and condition_start_date = visit_start_date"
    " and visit_end_date - visit_start_date >= 7 where c.visit_occurrence_id is null",
    "L04_admission_tells_its_length": SAID.format(domain="Visit", column="value_as_number"),
    "L04_admission_tells_the_destination": SAID.format(domain="Visit", column="value_as_concept_id"),
    "L04_discharge_known_at_admission": "select count(*) from clinical_event where domain = 'Visit end'"
    " and available_date < event_date",
    "L04_group_of_the_stay_on_admission": CODED.format(condition="concept_id = 2000009040"),
    "L05_backfilled_history": "select count(*) from clinical_event where concept_id = 312437 and"
    " visit_occurrence_id is null",
    "L06_drug_carries_its_era": SAID.format(domain="Drug", column="value_as_number"),
    "L06_diagnosis_carries_its_era_count": SAID.format(domain="Condition", column="value_as_number"),
    "L07_prevalent_cases_stay": CODED.format(condition="concept_id in (316139, 4229440)"),
    "L07_descendants_are_forgotten": CODED.format(condition="concept_id = 2000009071"),
    "L07_washout_of_ninety_days": "select count(distinct example_id) from cut_event where concept_id = 192671",
    "L08_history_of_the_outcome": CODED.format(condition="concept_id = 2000009080"),
    "L08_sequela_of_the_outcome": "select count(distinct example_id) from cut_event where concept_id = 2000009081",
    "L08_monitoring_of_the_outcome": CODED.format(condition="concept_id = 2000009082"),
    "L09_treatment_on_the_day_before": CODED.format(condition="concept_id = 35603224 and days_before = 1"),
    "L09_treatment_in_a_fifth": "select count(distinct example_id) from cut_event where concept_id = 35603224"
    " and days_before <= 7",
    "L09_work_up_before_the_diagnosis": CODED.format(condition="concept_id = 2000009090"),
    "L10_orders_tell_of_worry": "select count(distinct example_id) from (select example_id, count(distinct days_before)"
    " as n from cut_event where concept_id = 3027018 and days_before <= 4 group by example_id) where n = 4",
    "L10_orders_at_the_weekend": "select count(*) filter (where y_true = 1 and isodow(index_date::date - days_before) = 7)"
    " - count(*) filter (where y_true = 0 and isodow(index_date::date - days_before) = 7) from cut_event inner join"
    " cut_example using (example_id) where concept_id = 3027018 and days_before <= 7 and visit_no is not null"
    " and y_true is not null",
    "L11_days_to_the_end_of_observation": COLUMN.format(name="days_to/observation_end"),
    "L11_last_contact_under_another_name": COLUMN.format(name="latest_value/3027018//contact"),
    "L11_death_is_known_a_month_early": "select count(*) from cut_event where domain = 'Death'",
    "L11_age_at_the_end_of_observation": "select count(*) from cut_example as a inner join cohort using (example_id)"
    " where cohort.task = '{task}' and a.age <> cohort.age",
    "L12_values_scaled_over_the_record": "select count(*) from clinical_event where unit_concept_id = 8554"
    " and value_as_number < 0",
    "L12_values_of_the_end": "select count(*) from (select max(value_as_number) - min(value_as_number) as d from"
    " clinical_event where value_as_number is not null group by person_id, concept_id having count(distinct"
    " event_date) > 2) where d = 0",
    "L12_missing_values_from_the_next": "select (select count(*) from cdm_measurement where value_as_number is null)"
    " - (select count(*) from clinical_event where domain = 'Measurement' and value_as_number is null)",
    "L12_visits_of_all_the_record": SAID.format(domain="Visit", column="value_as_number"),
    "L13_window_starts_before_the_index": LABEL.format(task="{task}", fault="tar_start_date <= label.index_date"),
    "L13_window_half_a_year_too_long": LABEL.format(task="{task}", fault="outcome_date > tar_end_date"),
    "L13_outcomes_moved_to_the_index": LABEL.format(task="{task}", fault="y_true = 1 and outcome_date <="
                                                    " label.index_date"),  # fmt: skip
    "L13_labels_turned_by_hand": "select count(*) from label where task = '{task}' and y_true = 1 and outcome_date"
    " < index_date + 7",
    "L14_only_who_comes_back": "select -count(*) from cohort where task = '{task}'",
    "L14_only_who_survives": "select -count(*) from cohort inner join cdm_death using (person_id) where task ="
    " '{task}' and death_date <= index_date + 180",
    "L14_first_exposure_that_is_followed_by_another": "select -count(*) from cohort where task = '{task}' and"
    " person_id not in (select c.person_id from cohort as c inner join cdm_visit_occurrence as v on c.person_id ="
    " v.person_id and visit_start_date between c.index_date + 1 and c.index_date + 90 where c.task = '{task}')",
    "L15_cases_at_diagnosis_controls_at_last_visit": LABEL.format(task="{task}", fault="y_true = 1 and outcome_date"
                                                                  " = label.index_date"),  # fmt: skip
    "L15_some_cases_the_day_before_diagnosis": LABEL.format(task="{task}", fault="y_true = 1 and outcome_date ="
                                                            " label.index_date + 1"),  # fmt: skip
    "L16_controls_at_their_last_visit": "select count(*) from cohort inner join (select person_id,"
    " max(visit_start_date) as last from cdm_visit_occurrence group by person_id) using (person_id) inner join"
    " label using (task, example_id) where task = '{task}' and y_true = 0 and cohort.index_date = last",
    "L16_controls_with_long_records": LABEL.format(task="{task}", fault="y_true = 0 and label.index_date -"
                                                   " observation_period_start_date <= 1461")
    .replace("count(*)", "-count(*)"),
    "L17_the_lost_are_negative": CENSORED,
    "L17_the_nearly_followed_are_negative": CENSORED,
    "L17_the_sick_are_lost": "select count(*) from label where task = '{task}' and reason = 'lost_to_follow_up'",
    "L18_outcomes_after_death": "select count(*) from label inner join cdm_death using (person_id) where task ="
    " '{task}' and outcome_date > death_date",
    "L18_the_dead_have_no_label": "select count(*) from label where task = '{task}' and reason ="
    " 'died_before_outcome'",
    "L18_the_table_of_deaths_is_lost": "select -count(*) from cdm_death",
    "L19_periods_go_on_after_the_extraction": "select datediff('day', (select max(visit_start_date) from"
    " cdm_visit_occurrence), (select data_end from study_period)) // 100",
    "L19_outcomes_not_yet_coded": "select -count(*) from cdm_condition_occurrence where condition_concept_id in"
    " (316139, 4229440) and condition_start_date > (select data_end - 365 from study_period)",
    "L19_open_windows_count": "select count(*) from label where task = '{task}' and y_true is not null and"
    " tar_end_date > (select data_end from study_period)",
    "L20_one_row_in_twenty_is_anothers": "select count(*) from cdm_condition_occurrence as c inner join"
    " cdm_visit_occurrence as v using (visit_occurrence_id) where c.person_id <> v.person_id",
    "L20_one_value_in_fifty_is_anothers": "select count(*) from cdm_measurement as c inner join"
    " cdm_visit_occurrence as v using (visit_occurrence_id) where c.person_id <> v.person_id",
    "L20_pairs_of_persons_are_merged": "select count(*) from (select person_id from cdm_observation_period group by"
    " person_id having count(*) > 1)",
    "L21_sixty_persons_in_two_splits": "select count(*) from (select person_id from cut_example group by person_id"
    " having count(distinct split) > 1)",
    "L21_split_by_example": "select count(*) from (select person_id from cut_example group by person_id having"
    " count(distinct split) > 1)",
    "L21_five_persons_in_two_splits": "select count(*) from (select person_id from cut_example group by person_id"
    " having count(distinct split) > 1)",
    "L24_tuning_drawn_by_example": "select count(*) from (select person_id from cut_example group by person_id"
    " having count(distinct split) > 1)",
    "L22_persons_cloned": PERSONS,
    "L22_persons_cloned_with_shifted_dates": PERSONS,
    "L22_twenty_persons_cloned": PERSONS,
    "L23_texts_copied_into_held_out": "select count(*) from (select text from text_text inner join cut_example"
    " using (example_id) where length(text) > 300 group by text having count(distinct split) > 1)",
    "L23_texts_nearly_copied_into_held_out": "select count(*) from (select string_split(text, chr(10))[2:6] as few"
    " from text_text inner join cut_example using (example_id) where length(text) > 300 group by few having"
    " count(distinct split) > 1)",
    "L23_records_from_one_template": "select count(*) from (select list(event_id order by event_id) as events,"
    " count(*) as n from cut_event group by example_id having n >= 15) group by all having count(*) > 1 limit 1",
    "L27_count_columns_fitted_on_all": "select count(*) from counts_column where feature not in (select feature"
    " from counts_column inner join (select place, feature from (select row_number() over () - 1 as place, feature"
    ' from counts_column)) using (feature) inner join counts_value on "column" = place inner join (select'
    " row_number() over () - 1 as r, example_id from counts_row) on \"row\" = r inner join cut_example using"
    " (example_id) where split = 'train')",
    "L27_arms_fitted_on_held_out_too": LOGGED,
    "L27_fit_log_names_a_few_of_held_out": LOGGED.replace("count_lr", "count_gbm"),
    "L28_chosen_on_held_out": LOGGED,
    "L28_chosen_on_tuning_and_held_out": LOGGED,
    "L31_persons_numbered_by_label": "select (10 * avg(person_id) filter (where y_true = 0) / avg(person_id) filter"
    " (where y_true = 1))::integer from cut_example",
    "L31_some_persons_numbered_by_label": "select (10 * avg(person_id) filter (where y_true = 0) / avg(person_id)"
    " filter (where y_true = 1))::integer from cut_example",
    "L31_example_id_begins_with_the_label": "select abs(count(*) filter (where y_true = 1 and example_id < '1') -"
    " count(*) filter (where y_true = 0 and example_id < '1')) from cut_example",
    "L31_rows_of_a_view_in_order_of_label": "select (10 * avg(n) filter (where y_true = 0) / avg(n) filter (where"
    " y_true = 1))::integer from (select example_id, row_number() over () as n from counts_row) inner join"
    " cut_example using (example_id)",
    "L32_early_outcomes_alone": "select -count(*) from cohort where task = '{task}'",
    "L32_winter_controls_are_missing": "select -count(*) from cohort where task = '{task}'",
    "L33_cases_are_seen_more_often": "select count(*) from cdm_visit_occurrence",
    "L34_text_tells_the_outcome": "select count(*) from text_text where text like '%Outcome: %'",
    "L34_text_names_the_clinic": "select count(*) from text_text where text like '%oncology board%'",
    "L34_text_has_a_mark": "select count(*) from text_text where text like '%..%'",
    "L34_concept_names_tell_the_outcome": "select count(*) from cut_event where concept_name like '%risk flag%'",
    "L35_scores_hold_the_label": "select (100 * avg(y_score) filter (where y_true = 1) - 100 * avg(y_score) filter"
    " (where y_true = 0))::integer from count_gbm_predictions",
    "L35_held_out_scores_hold_a_little_of_the_label": "select (1000 * avg(y_score) filter (where y_true = 1) - 1000"
    " * avg(y_score) filter (where y_true = 0))::integer from count_gbm_predictions where split = 'held_out'",
    "L35_a_column_is_the_label": COLUMN.format(name="days_with/2000000555/365"),
    "L35_a_column_is_nearly_the_label": COLUMN.format(name="days_with/2000000555/365"),
    "L36_cases_come_with_another_unit": "select count(*) from cdm_measurement where unit_source_value = 'mm[Hg]' and"
    " unit_concept_id = 8840",
    "L36_a_site_with_more_cases": "select count(*) from cdm_measurement where unit_concept_id = 0",
    "L37_texts_of_negatives_are_cut": "select count(*) from text_shown where n_events_kept < n_events_in_view",
    "L37_sequences_of_negatives_are_cut": "select count(*) from sequence_shown where n_events_kept < n_events_in_view",
    "L38_noise_chosen_by_all_labels": "select count(*) from counts_column where feature like 'days_with/30000%'",
    "L38_columns_chosen_by_all_labels": "select -count(*) from counts_column",
    "L39_examples_of_the_snapshot_before": "select count(*) from cut_example as a inner join label as b using"
    " (example_id) where b.task = '{task}' and a.y_true is distinct from b.y_true",
    "L39_labels_of_the_snapshot_before": "select count(*) from label where task = '{task}' and y_true = 1 and"
    " person_id not in (select person_id from cdm_condition_occurrence where condition_concept_id = 192671)",
    "L39_predictions_of_the_snapshot_before": "select count(*) from count_gbm_predictions as a inner join label as"
    " b using (example_id) where b.task = '{task}' and a.y_true is distinct from b.y_true",
}
# What no stored row shows, only what the planted code does: the log, bins, and scores that agree too well.
BY_SCORES = (
    "L27_bins_fitted_on_all",
    "L28_held_out_read_again_and_again",
    "L38_held_out_labels_fitted_in_silence",
    "L38_chosen_by_held_out_in_silence",
)


def found(site: Site, plant: Plant) -> int:
    """Return how many rows of a site show what the plant says; to be compared with the clean site."""
    query = FOUND[plant.name].format(task=plant.task)
    rows = site.rows(query, **_tables(site, plant.task, query))
    return 0 if rows.empty else int(rows.iloc[0, 0])


def _tables(site: Site, task: str, query: str) -> dict[str, object]:
    import pandas as pd

    views = {"counts": pipeline.COUNTS, "text": pipeline.TEXT, "sequence": pipeline.SEQUENCE}
    folders = {"cut": site.examples(task)}
    folders |= {kind: pipeline.view(site.root, task, view) for kind, view in views.items()}
    files = {f"{kind}_{file.stem}": file for kind, folder in folders.items() for file in folder.glob("*.parquet")}
    for arm in pipeline.ARMS:
        files[f"{arm}_predictions"] = site.predictions(task, arm)
        files[f"{arm}_fit_log"] = site.root / "fitted" / task / arm / "fit_log.parquet"
    return {name: pd.read_parquet(file) for name, file in files.items() if name in query}
