"""Which fields of `tasks.csv` go together: each rule is a named condition that has to hold."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from ml.task_definition import Task

NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,62}")


@dataclass(frozen=True)
class TaskRule:
    """A condition on a row of `tasks.csv`; the fields that contradict each other, and what is allowed."""

    name: str
    fields: tuple[str, ...]
    allowed: str
    holds: Callable[[Task], bool]


def _task_at_least(field: str, smallest: int) -> TaskRule:
    return TaskRule(
        f"{field}_at_least_{smallest}",
        (field,),
        f"{smallest} or more",
        lambda task: (value := getattr(task, field)) is None or value >= smallest,
    )


def _given_if(field: str, other: str, words: str, applies: Callable[[Task], bool]) -> TaskRule:
    """`field` is given exactly where it applies."""
    return TaskRule(
        f"{field}_where_it_applies",
        (field, other),
        f"`{field}` given {words}, empty otherwise",
        lambda task: (getattr(task, field) is not None) == applies(task),
    )


def _only_if(field: str, other: str, words: str, applies: Callable[[Task], bool]) -> TaskRule:
    """`field` is empty where it does not apply."""
    return TaskRule(
        f"{field}_only_where_it_applies",
        (field, other),
        f"`{field}` only {words}",
        lambda task: getattr(task, field) is None or applies(task),
    )


TASK_RULES: tuple[TaskRule, ...] = (
    TaskRule(
        "task_is_a_name",  # it becomes a folder and an asset key
        ("task",),
        "lower-case letters, digits and _, at most 63",
        lambda t: NAME.fullmatch(t.task) is not None,
    ),
    *(
        _task_at_least(field, smallest)
        for field, smallest in (
            ("landmark_age", 0),
            ("age_min", 0),
            ("age_max", 0),
            ("sex_concept_id", 1),
            ("prior_observation_days", 0),
            ("tar_start_days", 0),
            ("washout_days", 0),
            ("index_gap_days", 0),
            ("version", 1),
        )
    ),
    # anchor and entry
    _given_if("entry_limit", "anchor", "unless `anchor` is landmark", lambda t: t.anchor != "landmark"),
    _only_if("landmark_date", "anchor", "with `anchor` landmark", lambda t: t.anchor == "landmark"),
    _only_if("landmark_age", "anchor", "with `anchor` landmark", lambda t: t.anchor == "landmark"),
    TaskRule(
        "a_landmark_is_a_date_or_an_age",
        ("landmark_date", "landmark_age"),
        "exactly one of the two with `anchor` landmark",
        lambda t: t.anchor != "landmark" or (t.landmark_date is None) != (t.landmark_age is None),
    ),
    TaskRule(
        "landmark_date_is_a_date",
        ("landmark_date",),
        "a date as YYYY-MM-DD",
        lambda t: t.landmark_date is None or _is_date(t.landmark_date),
    ),
    TaskRule(
        "a_landmark_has_no_entry_row",
        ("anchor", "role"),
        "no `entry` row with `anchor` landmark",
        lambda t: t.anchor != "landmark" or not t.rows("entry"),
    ),
    TaskRule(
        "an_event_anchor_has_an_entry_row",
        ("anchor", "role"),
        "at least one `entry` row with `anchor` event",
        lambda t: t.anchor != "event" or bool(t.rows("entry")),
    ),
    TaskRule(
        "a_visit_anchor_has_one_stay",
        ("anchor", "domain"),
        "exactly one `entry` row, with `domain` Stay, with `anchor` visit_start or visit_end",
        lambda t: (
            t.anchor not in ("visit_start", "visit_end") or [r.domain for r in t.rows("entry")] == ["Stay"]
        ),
    ),
    TaskRule(
        "an_event_anchor_has_no_stay",
        ("anchor", "domain"),
        "no `entry` row with `domain` Stay with `anchor` event",
        lambda t: t.anchor != "event" or all(row.domain != "Stay" for row in t.rows("entry")),
    ),
    TaskRule(
        "there_is_an_outcome",
        ("role",),
        "at least one `outcome` row in criteria.csv",
        lambda t: bool(t.rows("outcome")),
    ),
    TaskRule(
        "age_limits_in_order",
        ("age_min", "age_max"),
        "`age_min` at most `age_max`",
        lambda t: t.age_min is None or t.age_max is None or t.age_min <= t.age_max,
    ),
    TaskRule(
        "age_min_reaches_the_landmark",
        ("age_min", "landmark_age"),
        "`age_min` at most `landmark_age`",
        lambda t: t.age_min is None or t.landmark_age is None or t.age_min <= t.landmark_age,
    ),
    TaskRule(
        "age_max_reaches_the_landmark",
        ("age_max", "landmark_age"),
        "`age_max` at least `landmark_age`",
        lambda t: t.age_max is None or t.landmark_age is None or t.age_max >= t.landmark_age,
    ),
    # time-at-risk
    TaskRule(
        "the_index_day_is_at_risk_only_in_a_reproduction",
        ("tar_start_days", "design"),
        "`tar_start_days` 1 or more; 0 only with `design` reproduction",
        lambda t: t.tar_start_days != 0 or t.looks_ahead,
    ),
    TaskRule(
        "the_time_at_risk_ends_with_a_visit_that_starts_at_the_index",
        ("tar_end", "anchor"),
        "`tar_end` visit_end only with `anchor` visit_start",
        lambda t: t.tar_end != "visit_end" or t.anchor == "visit_start",
    ),
    _given_if("tar_end_days", "tar_end", "with `tar_end` days", lambda t: t.tar_end == "days"),
    TaskRule(
        "time_at_risk_in_order",
        ("tar_start_days", "tar_end_days"),
        "`tar_end_days` not before `tar_start_days`",
        lambda t: t.tar_end_days is None or t.tar_start_days <= t.tar_end_days,
    ),
    # outcomes in the history, death, follow-up
    _given_if(
        "outcome_in_history",
        "domain",
        "unless every `outcome` row has `domain` Death",
        lambda t: any(r.domain != "Death" for r in t.rows("outcome")),
    ),
    _only_if(
        "washout_days",
        "outcome_in_history",
        "with `outcome_in_history` forbid",
        lambda t: t.outcome_in_history == "forbid",
    ),
    _given_if(
        "death_policy",
        "domain",
        "unless an `outcome` row has `domain` Death",
        lambda t: not t.death_is_outcome,
    ),
    TaskRule(
        "the_lost_are_negative_only_in_a_reproduction",
        ("follow_up_policy", "design"),
        "`follow_up_policy` negative only with `design` reproduction",
        lambda t: t.follow_up_policy != "negative" or t.looks_ahead,
    ),
    TaskRule(
        "outcomes_are_values_or_none_is",
        ("role", "value_operator"),
        "`value_operator` in all `outcome` rows of a task or in none",
        lambda t: len({row.value_operator is None for row in t.rows("outcome")}) <= 1,
    ),
    _given_if(
        "unmeasured_policy",
        "value_operator",
        "where the `outcome` rows have a `value_operator`",
        lambda t: any(row.value_operator is not None for row in t.rows("outcome")),
    ),
    _given_if(
        "unconfirmed_policy", "role", "where there are `confirm` rows", lambda t: bool(t.rows("confirm"))
    ),
    TaskRule(
        "the_unconfirmed_are_null_only_in_a_reproduction",
        ("unconfirmed_policy", "design"),
        "`unconfirmed_policy` null_label only with `design` reproduction",
        lambda t: t.unconfirmed_policy != "null_label" or t.looks_ahead,
    ),
    # the simulator's closed form follows the first event of the outcome's concepts over a fixed time
    TaskRule(
        "a_closed_form_is_of_a_first_event_in_a_fixed_time",
        ("oracle", "role"),
        "`oracle` closed_form only with `anchor` event, `tar_end` days, `outcome_in_history` forbid,"
        " `death_policy` negative, `design` prospective, no `confirm` row and `outcome` rows of `domain`"
        " Condition without value, visit or length",
        lambda t: t.oracle != "closed_form" or _is_closed_form(t),
    ),
    # designs that look ahead
    TaskRule(
        "the_index_moves_only_in_a_reproduction",
        ("index_rule", "design"),
        "`index_rule` outcome_or_last_visit only with `design` reproduction",
        lambda t: t.index_rule == "anchor" or t.looks_ahead,
    ),
    TaskRule(
        "the_index_moves_only_once_a_person",
        ("index_rule", "entry_limit"),
        "`index_rule` outcome_or_last_visit not with `entry_limit` all",
        lambda t: t.index_rule == "anchor" or t.entry_limit != "all",
    ),
    _given_if(
        "index_gap_days",
        "index_rule",
        "with `index_rule` outcome_or_last_visit",
        lambda t: t.index_rule == "outcome_or_last_visit",
    ),
    _only_if("breaks", "design", "with `design` reproduction", lambda t: t.looks_ahead),
)


def _is_closed_form(task: Task) -> bool:
    plain = all(
        row.domain == "Condition" and row.value_concept_set is None and row.same_visit_as is None
        for row in task.rows("outcome")
    )
    return (
        plain
        and (task.anchor, task.tar_end, task.design) == ("event", "days", "prospective")
        and (task.outcome_in_history, task.death_policy) == ("forbid", "negative")
        and not task.rows("confirm")
    )


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
