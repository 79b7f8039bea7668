"""Each rule between the fields of a task refuses the contradiction that is planted for it, and says so."""

import shutil
from pathlib import Path

import pytest
from seed_rows import SEEDS, add, drop, spoil

from ml.criterion_rules import CRITERION_RULES
from ml.strict import InputError
from ml.task_rules import TASK_RULES
from ml.tasks import read_tasks

RULES = {rule.name: rule for rule in (*TASK_RULES, *CRITERION_RULES)}
ALLOWED_VALUES = {
    "anchor": ["event", "visit_start", "visit_end", "landmark"],
    "entry_limit": ["first_ever", "first_qualifying", "all"],
    "tar_end": ["days", "visit_end"],
    "outcome_in_history": ["forbid", "allow"],
    "index_day_input": ["exclude", "include"],
    "death_policy": ["negative", "null_label"],
    "follow_up_policy": ["null_label", "keep_cases", "negative"],
    "unmeasured_policy": ["null_label", "negative"],
    "unconfirmed_policy": ["negative", "null_label"],
    "index_rule": ["anchor", "outcome_or_last_visit"],
    "design": ["prospective", "reproduction"],
    "oracle": ["closed_form", "none"],
}
TASKS, CRITERIA = "tasks.csv", "criteria.csv"


def in_task(rule: str, task: str, /, **cells: str):
    return rule, task, lambda seeds: spoil(seeds, TASKS, {"task": task}, cells)


def in_row(rule: str, task: str, order: int, /, **cells: str):
    return rule, task, lambda seeds: spoil(seeds, CRITERIA, {"task": task, "order": str(order)}, cells)


def more(rule: str, task: str, /, **cells: str):
    row = {"task": task, "order": "90", "description": "one more row", **cells}
    return rule, task, lambda seeds: add(seeds, CRITERIA, row)


def less(rule: str, task: str, role: str):
    return rule, task, lambda seeds: drop(seeds, CRITERIA, {"task": task, "role": role})


def unconfirmed_are_null(seeds: Path) -> None:
    row = {"task": "new_acute_mi", "order": "90", "role": "confirm", "description": "a loop diuretic"}
    row |= {"window_start_days": "0", "window_end_days": "30", "min_count": "1", **DRUG}
    add(seeds, CRITERIA, row)
    spoil(seeds, TASKS, {"task": "new_acute_mi"}, {"unconfirmed_policy": "null_label"})


DRUG = {"domain": "Drug", "concept_set": "loop_diuretic"}
# (rule, task, what spoils the shipped seeds); `dhf_1y` is an event task, `mortality_1y` a landmark task with
# death as outcome, `long_los` starts with a stay and ends with it, `anaemia` has a value as outcome,
# `dhf_medbert` is a reproduction with confirmation.
PLANTED = [
    in_task("landmark_age_at_least_0", "mortality_1y", landmark_age="-1"),
    in_task("age_min_at_least_0", "dhf_1y", age_min="-18"),
    in_task("age_max_at_least_0", "dhf_1y", age_min="", age_max="-1"),
    in_task("sex_concept_id_at_least_1", "dhf_1y", sex_concept_id="0"),
    in_task("prior_observation_days_at_least_0", "dhf_1y", prior_observation_days="-1"),
    in_task("tar_start_days_at_least_0", "dhf_1y", tar_start_days="-1"),
    in_task("washout_days_at_least_0", "dhf_1y", washout_days="-1"),
    in_task("index_gap_days_at_least_0", "dhf_medbert", index_gap_days="-1"),
    in_task("version_at_least_1", "dhf_1y", version="0"),
    in_task("entry_limit_where_it_applies", "dhf_1y", entry_limit=""),
    in_task("entry_limit_where_it_applies", "mortality_1y", entry_limit="first_ever"),
    in_task("landmark_date_only_where_it_applies", "dhf_1y", landmark_date="2020-01-01"),
    in_task("landmark_age_only_where_it_applies", "dhf_1y", landmark_age="65"),
    in_task("a_landmark_is_a_date_or_an_age", "mortality_1y", landmark_age=""),
    in_task("a_landmark_is_a_date_or_an_age", "mortality_1y", landmark_date="2020-01-01"),
    in_task("landmark_date_is_a_date", "mortality_1y", landmark_age="", landmark_date="2020-02-30"),
    in_task("landmark_date_is_a_date", "mortality_1y", landmark_age="", landmark_date="20200228"),
    more("a_landmark_has_no_entry_row", "mortality_1y", role="entry", **DRUG),
    less("an_event_anchor_has_an_entry_row", "dhf_1y", "entry"),
    less("a_visit_anchor_has_one_stay", "long_los", "entry"),
    more("a_visit_anchor_has_one_stay", "long_los", role="entry", domain="Stay", concept_set="any_visit"),
    in_row("a_visit_anchor_has_one_stay", "readmission_30d", 1, domain="Visit"),
    less("there_is_an_outcome", "dhf_1y", "outcome"),
    in_task("age_limits_in_order", "dhf_1y", age_max="17"),
    in_row("an_event_anchor_has_no_stay", "dhf_1y", 1, domain="Stay", concept_set="inpatient_visit"),
    in_task("age_min_reaches_the_landmark", "mortality_1y", age_min="66"),
    in_task("age_max_reaches_the_landmark", "mortality_1y", age_max="64"),
    in_task("the_index_day_is_at_risk_only_in_a_reproduction", "dhf_1y", tar_start_days="0"),
    in_task(
        "the_time_at_risk_ends_with_a_visit_that_starts_at_the_index",
        "dhf_1y",
        tar_end="visit_end",
        tar_end_days="",
    ),
    in_task("tar_end_days_where_it_applies", "dhf_1y", tar_end_days=""),
    in_task("tar_end_days_where_it_applies", "long_los", tar_end_days="30"),
    in_task("time_at_risk_in_order", "dhf_1y", tar_start_days="366"),
    in_task("outcome_in_history_where_it_applies", "dhf_1y", outcome_in_history=""),
    in_task("outcome_in_history_where_it_applies", "mortality_1y", outcome_in_history="forbid"),
    in_task("washout_days_only_where_it_applies", "readmission_30d", washout_days="30"),
    in_task("washout_days_only_where_it_applies", "mortality_1y", washout_days="30"),
    in_task("death_policy_where_it_applies", "dhf_1y", death_policy=""),
    in_task("death_policy_where_it_applies", "mortality_1y", death_policy="negative"),
    in_task("the_lost_are_negative_only_in_a_reproduction", "dhf_1y", follow_up_policy="negative"),
    more(
        "outcomes_are_values_or_none_is",
        "anaemia",
        role="outcome",
        domain="Procedure",
        concept_set="dialysis",
    ),
    in_task("unmeasured_policy_where_it_applies", "anaemia", unmeasured_policy=""),
    in_task("unmeasured_policy_where_it_applies", "dhf_1y", unmeasured_policy="null_label"),
    in_task("unconfirmed_policy_where_it_applies", "dhf_medbert", unconfirmed_policy=""),
    in_task("unconfirmed_policy_where_it_applies", "dhf_1y", unconfirmed_policy="negative"),
    ("the_unconfirmed_are_null_only_in_a_reproduction", "new_acute_mi", unconfirmed_are_null),
    in_task("a_closed_form_is_of_a_first_event_in_a_fixed_time", "long_los", oracle="closed_form"),
    in_task("a_closed_form_is_of_a_first_event_in_a_fixed_time", "dhf_1y", death_policy="null_label"),
    in_task("the_index_moves_only_in_a_reproduction", "dhf_1y", index_rule="outcome_or_last_visit"),
    in_task("the_index_moves_only_once_a_person", "dhf_medbert", entry_limit="all"),
    in_task("index_gap_days_where_it_applies", "dhf_medbert", index_gap_days=""),
    in_task("index_gap_days_where_it_applies", "dhf_1y", index_gap_days="0"),
    in_task("breaks_only_where_it_applies", "dhf_1y", breaks="lost_is_not_negative"),
    in_task("task_is_a_name", "dhf_1y", task="Heart failure"),
    in_row("min_count_at_least_0", "dhf_medbert", 3, min_count="-1"),
    in_row("max_count_at_least_0", "paca_medbert", 4, min_count="", max_count="-1"),
    more(
        "unit_concept_id_at_least_1",
        "anaemia",
        role="outcome",
        domain="Measurement",
        concept_set="haemoglobin",
        value_operator="<",
        value_threshold="11",
        unit_concept_id="0",
    ),
    in_row("min_length_days_at_least_1", "long_los", 2, min_length_days="0"),
    in_row("order_is_unique", "dhf_1y", 2, order="1"),
    in_row("death_is_only_an_outcome", "dhf_medbert", 2, domain="Death", concept_set=""),
    in_row("a_concept_set_for_all_but_death", "dhf_1y", 1, concept_set=""),
    in_row("a_concept_set_for_all_but_death", "mortality_1y", 1, concept_set="heart_failure"),
    in_row("alternatives_are_requirements_or_confirmations", "paca_1y", 1, any_of="1"),
    in_row("window_start_days_has_a_role", "dhf_1y", 1, window_start_days="-30"),
    in_row("window_end_days_has_a_role", "dhf_1y", 2, window_end_days="0"),
    in_row("a_confirmation_has_window_start_days", "dhf_medbert", 8, window_start_days=""),
    in_row("a_confirmation_has_window_end_days", "dhf_medbert", 8, window_end_days=""),
    in_row("window_in_order", "paca_1y", 5, window_start_days="-10", window_end_days="-20"),
    in_row("window_in_order", "paca_1y", 5, window_start_days="10"),
    in_row("eligibility_looks_ahead_only_in_a_reproduction", "paca_1y", 5, window_end_days="1"),
    in_row("min_count_where_it_applies", "dhf_medbert", 3, min_count=""),
    in_row("min_count_where_it_applies", "paca_1y", 5, min_count="0"),
    in_row("max_count_only_where_it_applies", "paca_1y", 5, max_count="0"),
    in_row("counts_in_order", "dhf_medbert", 3, max_count="1"),
    in_row("a_value_is_whole", "anaemia", 2, value_threshold=""),
    in_row("a_value_is_whole", "dhf_1y", 2, unit_concept_id="8713"),
    in_row("a_value_has_its_domain", "anaemia", 2, domain="Condition"),
    in_row("a_value_concept_set_has_its_domain", "dhf_1y", 1, value_concept_set="heart_failure"),
    in_row("same_visit_as_another_row", "dhf_medbert", 10, same_visit_as="10"),
    in_row("same_visit_as_another_row", "dhf_medbert", 10, same_visit_as="77"),
    in_row("same_visit_is_one_step", "dhf_medbert", 11, same_visit_as="10"),
    in_row("same_visit_of_two_events", "readmission_30d", 2, same_visit_as="1"),
    in_row("same_visit_of_two_events", "readmission_30d", 3, same_visit_as="2"),
    in_row("a_length_is_of_a_stay", "dhf_1y", 2, min_length_days="7"),
    in_row("an_entry_has_no_length", "long_los", 1, min_length_days="2"),
]


@pytest.fixture
def seeds(tmp_path) -> Path:
    shutil.copytree(SEEDS, tmp_path / "seeds")
    return tmp_path / "seeds"


@pytest.mark.parametrize(("name", "task", "plant"), PLANTED, ids=[name for name, *_ in PLANTED])
def test_a_contradiction_is_refused_with_its_fields_and_what_is_allowed(seeds, name, task, plant):
    plant(seeds)
    with pytest.raises(InputError) as refused:
        read_tasks(seeds)
    message = str(refused.value)
    for field in RULES[name].fields:
        assert f"`{field}`" in message
    assert message.count("`") >= 2 * len(RULES[name].fields)
    assert f"Allowed: {RULES[name].allowed}" in message
    assert (task if name != "task_is_a_name" else "Heart failure") in message


def test_a_contradiction_is_planted_for_every_rule():
    assert {name for name, *_ in PLANTED} == set(RULES)
    assert len(RULES) == len(TASK_RULES) + len(CRITERION_RULES)


@pytest.mark.parametrize("field", ALLOWED_VALUES)
def test_a_value_that_is_not_allowed_is_refused_with_those_that_are(seeds, field):
    spoil(seeds, TASKS, {"task": "anaemia"}, {field: "other"})
    with pytest.raises(InputError) as refused:
        read_tasks(seeds)
    message = str(refused.value)
    assert f"'other' for `{field}` in tasks.csv, task `anaemia`" in message
    assert f"Allowed: {', '.join(sorted(ALLOWED_VALUES[field]))}" in message


RIGHT = {
    "an entry that is a value": lambda seeds: add(
        seeds, CRITERIA, {"task": "dhf_1y", "order": "90", "role": "entry", "domain": "Measurement",
                          "concept_set": "hba1c", "value_operator": ">=", "value_threshold": "6.5",
                          "unit_concept_id": "8554", "description": "a high HbA1c"},
    ),
    "none of something, as a requirement": lambda seeds: add(
        seeds, CRITERIA, {"task": "dhf_1y", "order": "90", "role": "require", "min_count": "0",
                          "max_count": "0", "window_start_days": "-30", "description": "none", **DRUG},
    ),
    "a fixed date": lambda seeds: spoil(
        seeds, TASKS, {"task": "mortality_1y"}, {"landmark_age": "", "landmark_date": "2020-02-29"}
    ),
    "cases kept after the loss": lambda seeds: spoil(
        seeds, TASKS, {"task": "dhf_1y"}, {"follow_up_policy": "keep_cases"}
    ),
    "a washout of no day before the index": lambda seeds: spoil(
        seeds, TASKS, {"task": "dhf_1y"}, {"washout_days": "0"}
    ),
    "a time-at-risk of one day": lambda seeds: spoil(seeds, TASKS, {"task": "dhf_1y"}, {"tar_end_days": "1"}),
}  # fmt: skip


@pytest.mark.parametrize("case", RIGHT)
def test_what_stands_on_the_edge_of_a_rule_is_read(seeds, case):
    RIGHT[case](seeds)
    assert list(read_tasks(seeds)) == list(read_tasks(SEEDS))
