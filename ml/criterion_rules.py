"""Which fields of `criteria.csv` go together: each rule is a named condition that has to hold."""

from collections.abc import Callable
from dataclasses import dataclass

from ml.task_definition import Criterion, Task

COUNTED = ("require", "confirm")
VALUE = ("value_operator", "value_threshold", "unit_concept_id")
VALUE_DOMAINS = ("Measurement", "Observation")


@dataclass(frozen=True)
class CriterionRule:
    """A condition on a row of `criteria.csv`, in the light of its task."""

    name: str
    fields: tuple[str, ...]
    allowed: str
    holds: Callable[[Task, Criterion], bool]


def _criterion_at_least(field: str, smallest: int) -> CriterionRule:
    return CriterionRule(
        f"{field}_at_least_{smallest}",
        (field,),
        f"{smallest} or more",
        lambda task, row: (value := getattr(row, field)) is None or value >= smallest,
    )


def _is(row: Criterion, *roles: str) -> bool:
    return row.role in roles


def _visited(task: Task, row: Criterion) -> Criterion | None:
    """The row whose visit this one has to share; None if there is no such row."""
    return next((other for other in task.criteria if other.order == row.same_visit_as), None)


CRITERION_RULES: tuple[CriterionRule, ...] = (
    *(
        _criterion_at_least(field, smallest)
        for field, smallest in (
            ("min_count", 0),
            ("max_count", 0),
            ("unit_concept_id", 1),
            ("min_length_days", 1),
        )
    ),
    CriterionRule(
        "order_is_unique",
        ("order",),
        "each `order` once a task",
        lambda t, r: sum(other.order == r.order for other in t.criteria) == 1,
    ),
    CriterionRule(
        "death_is_only_an_outcome",
        ("domain", "role"),
        "`domain` Death only in `outcome` rows",
        lambda t, r: r.domain != "Death" or _is(r, "outcome"),
    ),
    CriterionRule(
        "a_concept_set_for_all_but_death",
        ("concept_set", "domain"),
        "`concept_set` empty with `domain` Death, given otherwise",
        lambda t, r: (r.concept_set is None) == (r.domain == "Death"),
    ),
    CriterionRule(
        "alternatives_are_requirements_or_confirmations",
        ("any_of", "role"),
        "`any_of` only in `require` and `confirm` rows",
        lambda t, r: r.any_of is None or _is(r, *COUNTED),
    ),
    # windows
    *(
        CriterionRule(
            f"{field}_has_a_role",
            (field, "role"),
            f"`{field}` only in `require`, `forbid` and `confirm` rows",
            lambda t, r, field=field: getattr(r, field) is None or _is(r, "require", "forbid", "confirm"),
        )
        for field in ("window_start_days", "window_end_days")
    ),
    *(
        CriterionRule(
            f"a_confirmation_has_{field}",
            (field, "role"),
            f"`{field}` given in `confirm` rows",
            lambda t, r, field=field: getattr(r, field) is not None or not _is(r, "confirm"),
        )
        for field in ("window_start_days", "window_end_days")
    ),
    CriterionRule(
        "window_in_order",
        ("window_start_days", "window_end_days"),
        "`window_start_days` at most `window_end_days` (empty: the index day, 0)",
        lambda t, r: r.window_start_days is None or r.window_start_days <= (r.window_end_days or 0),
    ),
    CriterionRule(
        "eligibility_looks_ahead_only_in_a_reproduction",
        ("window_end_days", "design"),
        "`window_end_days` of `require` and `forbid` rows at most 0; more only with `design` reproduction",
        lambda t, r: _is(r, "confirm") or (r.window_end_days or 0) <= 0 or t.looks_ahead,
    ),
    # counts
    CriterionRule(
        "min_count_where_it_applies",
        ("min_count", "role"),
        "`min_count` given in `require` and `confirm` rows, empty otherwise",
        lambda t, r: (r.min_count is not None) == _is(r, *COUNTED),
    ),
    CriterionRule(
        "max_count_only_where_it_applies",
        ("max_count", "role"),
        "`max_count` only in `require` and `confirm` rows",
        lambda t, r: r.max_count is None or _is(r, *COUNTED),
    ),
    CriterionRule(
        "counts_in_order",
        ("min_count", "max_count"),
        "`max_count` not less than `min_count`",
        lambda t, r: r.min_count is None or r.max_count is None or r.min_count <= r.max_count,
    ),
    # values
    CriterionRule(
        "a_value_is_whole",
        VALUE,
        "all three or none",
        lambda t, r: len({getattr(r, field) is None for field in VALUE}) == 1,
    ),
    CriterionRule(
        "a_value_has_its_domain",
        ("value_operator", "domain"),
        "`value_operator` only with `domain` Measurement or Observation",
        lambda t, r: r.value_operator is None or r.domain in VALUE_DOMAINS,
    ),
    CriterionRule(
        "a_value_concept_set_has_its_domain",
        ("value_concept_set", "domain"),
        "`value_concept_set` only with `domain` Measurement, Observation or Visit end",
        lambda t, r: r.value_concept_set is None or r.domain in (*VALUE_DOMAINS, "Visit end"),
    ),
    # the same visit
    CriterionRule(
        "same_visit_as_another_row",
        ("same_visit_as", "order"),
        "`same_visit_as` the `order` of another row of the task",
        lambda t, r: r.same_visit_as is None or (r.same_visit_as != r.order and _visited(t, r) is not None),
    ),
    CriterionRule(
        "same_visit_is_one_step",
        ("same_visit_as",),
        "a row that has no `same_visit_as` itself",
        lambda t, r: (other := _visited(t, r)) is None or other.same_visit_as is None,
    ),
    CriterionRule(
        "same_visit_of_two_events",
        ("same_visit_as", "domain"),
        "neither row with `domain` Stay or Death",
        lambda t, r: (
            r.same_visit_as is None
            or (r.domain not in ("Stay", "Death") and _domain(_visited(t, r)) not in ("Stay", "Death"))
        ),
    ),
    # stays
    CriterionRule(
        "a_length_is_of_a_stay",
        ("min_length_days", "domain"),
        "`min_length_days` only with `domain` Stay",
        lambda t, r: r.min_length_days is None or r.domain == "Stay",
    ),
    CriterionRule(
        "an_entry_has_no_length",  # how long it will last is not known when it starts
        ("min_length_days", "role"),
        "no `min_length_days` in `entry` rows",
        lambda t, r: r.min_length_days is None or not _is(r, "entry"),
    ),
)


def _domain(row: Criterion | None) -> str:
    return "" if row is None else row.domain
