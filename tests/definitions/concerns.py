"""Which mutants concern a template: a clause can only matter to tasks that fill in the field it reads.

`CONCERNS` says what a mutated place needs: model, common table expression, a fragment of the mutated SQL
(empty: any), and the fields of which one must be filled in. A place without a row concerns every template.
`fields_of` names what a template's rows fill in.
"""

from collections.abc import Iterator

from definitions.mutants import Mutant
from definitions.templates import Template

EVENT_WINDOWS = ("require", "forbid")

# (model, cte, fragment of the mutated SQL) -> any of these
CONCERNS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("criterion", "written", "any_of", ("any_of",)),
    ("criterion", "written", "MIN(criteria", ("any_of",)),
    ("criterion", "written", "PARTITION", ("any_of",)),
    ("criterion", "written", "named.role", ("confirm_in_visit",)),
    ("criterion", "measured", "", ("value_outcome",)),
    ("task_rule", "confirmed", "", ("confirm",)),
    ("task_rule", "ruled", "unmeasured_policy", ("value_outcome",)),
    ("task_rule", "ruled", "unconfirmed_policy", ("confirm",)),
    ("stay_part", "", "", ("stay",)),
    ("stay", "", "", ("joined_stay",)),
    ("study_period", "closed", "coding_lag_days", ("coding_lag",)),
    ("death", "", "available_date", ("death_lag",)),
    ("matched_event", "stayed", "", ("stay_criterion",)),
    ("matched_event", "stayed", "min_length_days", ("min_length",)),
    ("matched_event", "died", "", ("death_outcome",)),
    ("matched_event", "recorded", "value_concept_set", ("value_set",)),
    ("matched_event", "recorded", "value_member", ("value_set",)),
    ("matched_event", "recorded", "value_operator", ("value",)),
    ("matched_event", "recorded", "unit_concept_id", ("value",)),
    ("matched_event", "recorded", "ISNAN", ("value",)),
    ("matched_event", "recorded", "'any'", ("value_outcome",)),
    ("matched_event", "recorded", "value_as_number > ", ("operator >",)),
    ("matched_event", "recorded", "value_as_number >= ", ("operator >=",)),
    ("matched_event", "recorded", "value_as_number < ", ("operator <",)),
    ("matched_event", "recorded", "value_as_number <= ", ("operator <=",)),
    ("criterion_event", "named_visit", "", ("same_visit",)),
    ("criterion_event", "named_visit", "is_in_visit_of_outcome", ("confirm_in_visit",)),
    ("criterion_event", "in_visit", "", ("same_visit",)),
    ("index_day", "known", "", ("event",)),
    ("index_day", "of_event", "", ("event",)),
    ("index_day", "stay_entry", "", ("visit_start", "visit_end")),
    ("index_day", "stay_day", "", ("visit_start", "visit_end")),
    ("index_day", "stay_day", "stay.", ("visit_start",)),
    ("index_day", "stay_day", "'visit_start'", ("visit_start",)),
    ("index_day", "stay_day", "stay_part", ("visit_end",)),
    ("index_day", "stay_day", "next_part", ("visit_end",)),
    ("index_day", "stay_day", "'visit_end'", ("visit_end",)),
    ("index_day", "of_stay", "", ("visit_start", "visit_end")),
    ("index_day", "birthday", "", ("landmark",)),
    ("index_day", "of_landmark", "", ("landmark",)),
    ("index_day", "of_landmark", "same_day", ("landmark_age",)),
    ("index_day", "of_landmark", "birth_date", ("landmark_age",)),
    ("entry", "described", "tar_end", ("tar_end_visit",)),
    ("candidate", "asked", "", ("confirm",)),
    # whether a window is closed decides only what holds at most so often: see the arguments on `pending`
    ("candidate", "asked", "follow_up_policy = 'negative'", ("confirm_at_most",)),
    ("candidate", "asked", "observation_period_end_date >=", ("confirm_at_most",)),
    ("candidate", "asked", "death_date <= at_risk", ("confirm_at_most",)),
    ("candidate", "counted", "", ("confirm",)),
    ("candidate", "counted", "outcome_date", ("confirm_in_visit",)),
    ("candidate", "row_state", "", ("confirm",)),
    ("candidate", "row_state", "max_count", ("confirm_at_most",)),
    ("candidate", "row_state", "is_closed", ("confirm_at_most",)),
    ("candidate", "group_state", "", ("confirm",)),
    ("candidate", "judged", "", ("confirm",)),
    ("candidate", "", "state", ("confirm",)),
    ("entry_outcome", "placed", "is_followed", ("value_outcome",)),
    ("entry_outcome", "placed", "'measured'", ("value_outcome",)),
    ("entry_outcome", "placed", "tar_start_date AND entry.tar_end_date", ("value_outcome",)),
    ("entry_outcome", "placed", "follow_up_policy", ("value_outcome",)),
    ("entry_outcome", "placed", "LEAST", ("value_outcome",)),
    ("entry_outcome", "placed", "washout_days", ("washout",)),
    ("entry_outcome", "placed", "is_known", ("forbidden_outcome",)),
    ("entry_outcome", "placed", "available_date", ("forbidden_outcome",)),
    ("entry_outcome", "seen", "'measured'", ("value_outcome",)),
    ("entry_outcome", "seen", "'outcome'", ("value_outcome",)),
    ("entry_outcome", "seen", "is_in_history", ("forbidden_outcome",)),
    ("entry_outcome", "seen", "is_before_time_at_risk", ("gap",)),
    ("entry_outcome", "placed", "is_before_time_at_risk", ("gap",)),
    ("entry_outcome", "decided", "'failed'", ("unconfirmed_null",)),
    ("entry_outcome", "summed", "is_unconfirmed", ("unconfirmed_null",)),
    ("entry_label", "followed", "tar_end_date IS NULL", ("tar_end_visit",)),
    ("entry_label", "followed", "'visit_end'", ("tar_end_visit",)),
    ("entry_label", "followed", "is_measured", ("value_outcome",)),
    ("entry_label", "followed", "is_unconfirmed", ("unconfirmed_null",)),
    ("entry_label", "followed", "is_outcome_forbidden", ("forbidden_outcome",)),
    ("entry_label", "followed", "is_outcome_before_time_at_risk", ("gap",)),
    ("entry_label", "followed", "confirmation_days", ("confirm",)),
    ("entry_label", "reasoned", "measured", ("unmeasured_null",)),
    ("entry_label", "reasoned", "unconfirmed", ("unconfirmed_null",)),
    ("entry_label", "reasoned", "is_death_unknown", ("death_null",)),
    ("entry_label", "reasoned", "is_stay_continued", ("visit_end",)),
    ("entry_label", "reasoned", "is_visit_end_unknown", ("tar_end_visit",)),
    ("entry_label", "reasoned", "is_outcome_before_time_at_risk", ("gap",)),
    ("entry_label", "reasoned", "is_outcome_known_later", ("forbidden_outcome",)),
    ("entry_label", "reasoned", "'death_before_index_known_later'", ("death_lag",)),
    ("entry_label", "reasoned", "death_available_date >", ("at_risk_on_index_day",)),
    ("entry_step", "judged", "age_min", ("age_min",)),
    ("entry_step", "judged", "age_max", ("age_max",)),
    ("entry_step", "judged", "sex_concept_id", ("sex",)),
    ("entry_step", "judged", "prior_observation_days", ("prior_observation",)),
    ("entry_step", "judged", "is_outcome", ("forbidden_outcome",)),
    ("entry_step", "counted", "", EVENT_WINDOWS),
    ("entry_step", "counted", "window_start_days", ("window_start",)),
    ("entry_step", "counted", "window_end_days", ("window_end",)),
    ("entry_step", "counted", "window_end_days > 0", ("window_ahead",)),
    ("entry_step", "recorded", "", EVENT_WINDOWS),
    ("entry_step", "passed", "", EVENT_WINDOWS),
    ("entry_step", "passed", "max_count", ("max_count",)),
    ("entry_step", "needed", "", EVENT_WINDOWS),
    ("entry_step", "met", "", EVENT_WINDOWS),
    ("entry_step", "unmet", "", EVENT_WINDOWS),
    ("entry_step", "criteria_judged", "", EVENT_WINDOWS),
    ("entry_step", "first_qualified", "", ("first_qualifying",)),
    ("entry_step", "ended", "first_qualif", ("first_qualifying",)),
    ("entry_step", "ended", "is_open", ("data_end",)),
    ("cohort_step", "listed", "tar_start_days", ("gap",)),
    ("cohort_step", "listed", "washout_days", ("washout",)),
    ("cohort_step", "listed", "age_min", ("age_min",)),
    ("cohort_step", "listed", "age_max", ("age_max",)),
    ("cohort_step", "listed", "sex_concept_id", ("sex",)),
    ("cohort_step", "listed", "'visit_end'", ("visit_end", "tar_end_visit")),
    ("cohort_step", "listed", "last_tar_end_date", ("data_end",)),
    ("cohort_step", "criterion_group", "", EVENT_WINDOWS),
    ("example", "last_visit", "", ("moved_index",)),
    ("example", "moved", "", ("moved_index",)),
    ("event_availability", "", "result_date", ("rule result_date",)),
    ("event_availability", "", "lag_days", ("lag",)),
    ("event_availability", "ruled", "of_type", ("type_rule",)),
)


def concerns(mutant: Mutant, template: Template) -> bool:
    """Whether every field that the mutated place reads is filled in by the template."""
    given = set(fields_of(template))
    changed = f"{mutant.before} {mutant.after}"
    return all(
        given & set(needed)
        for model, cte, fragment, needed in CONCERNS
        if mutant.model == model and cte in ("", mutant.cte) and fragment in changed
    )


def fields_of(template: Template) -> Iterator[str]:
    """Yield the names of what a template's rows fill in."""
    for task in template.tasks:
        rows = [row for row in template.criteria if row["task"] == task["task"]]
        yield task["anchor"]
        yield str(task["entry_limit"])
        yield from (name for name, column in _COLUMNS.items() if task.get(column) not in (None, ""))
        yield from (name for name, (column, value) in _VALUES.items() if task.get(column) == value)
        if int(task["tar_start_days"]) == 0:
            yield "at_risk_on_index_day"
        if int(task["prior_observation_days"]) > 0:
            yield "prior_observation"
        if task["outcome_in_history"] != "allow" and int(task["tar_start_days"]) > 1:
            yield "gap"
        if task["anchor"] == "visit_start" or any(_is_stay_criterion(row) for row in rows):
            yield "joined_stay"
        for row in rows:
            yield from _criterion_fields(row, rows)
    if str(template.vars["data_end"]) != "none":
        yield "data_end"
        if int(template.vars["coding_lag_days"]) > 0:
            yield "coding_lag"
    for row in template.availability:
        yield f"rule {row['rule']}"
        if row["type_concept_id"] not in (None, ""):
            yield "type_rule"
        if int(row["lag_days"]) > 0:
            yield "lag"
            yield f"{row['source_table']}_lag"


_COLUMNS = {
    "age_min": "age_min",
    "age_max": "age_max",
    "sex": "sex_concept_id",
    "washout": "washout_days",
    "landmark_date": "landmark_date",
    "landmark_age": "landmark_age",
}
_VALUES = {
    "forbidden_outcome": ("outcome_in_history", "forbid"),
    "tar_end_visit": ("tar_end", "visit_end"),
    "death_null": ("death_policy", "null_label"),
    "unmeasured_null": ("unmeasured_policy", "null_label"),
    "unconfirmed_null": ("unconfirmed_policy", "null_label"),
    "moved_index": ("index_rule", "outcome_or_last_visit"),
}


def _criterion_fields(row: dict[str, object], rows: list[dict[str, object]]) -> Iterator[str]:
    role = str(row["role"])
    yield role
    if row["domain"] == "Stay":
        yield "stay"
    if _is_stay_criterion(row):
        yield "stay_criterion"
    if row["domain"] == "Death":
        yield "death_outcome"
    if row.get("value_operator"):
        yield "value"
        yield f"operator {row['value_operator']}"
        if role == "outcome":
            yield "value_outcome"
    for name, column in (
        ("any_of", "any_of"),
        ("value_set", "value_concept_set"),
        ("same_visit", "same_visit_as"),
        ("min_length", "min_length_days"),
    ):
        if row.get(column) not in (None, ""):
            yield name
    if role == "confirm" and any(
        str(named["order"]) == str(row["same_visit_as"]) and named["role"] == "outcome" for named in rows
    ):
        yield "confirm_in_visit"
    if role == "confirm" and row.get("max_count") not in (None, ""):
        yield "confirm_at_most"
    if role in EVENT_WINDOWS:
        if row.get("max_count") not in (None, "") or role == "forbid":
            yield "max_count"
        if row.get("window_start_days") not in (None, ""):
            yield "window_start"
        if row.get("window_end_days") not in (None, ""):
            yield "window_end"
            if int(str(row["window_end_days"])) > 0:
                yield "window_ahead"


def _is_stay_criterion(row: dict[str, object]) -> bool:
    return row["domain"] == "Stay" and row["role"] != "entry"
