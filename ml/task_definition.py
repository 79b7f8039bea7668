"""What a task is made of: the fields of `tasks.csv`, `criteria.csv`, `concept_sets.csv` and `left_out.csv`.

`dbt_project/DEFINITIONS.md` says what each field means; None is an empty cell.
"""

from dataclasses import dataclass
from typing import Literal

Role = Literal["entry", "require", "forbid", "outcome", "confirm"]
Domain = Literal[
    "Condition", "Drug", "Procedure", "Measurement", "Observation", "Visit", "Visit end", "Stay", "Death"
]


@dataclass(frozen=True)
class Criterion:
    """One criterion of a task; windows in days, counts of distinct days."""

    task: str
    order: int
    role: Role
    domain: Domain
    description: str
    concept_set: str | None = None
    any_of: int | None = None
    window_start_days: int | None = None
    window_end_days: int | None = None
    min_count: int | None = None
    max_count: int | None = None
    value_operator: Literal[">", ">=", "<", "<="] | None = None
    value_threshold: float | None = None
    unit_concept_id: int | None = None
    value_concept_set: str | None = None
    same_visit_as: int | None = None
    min_length_days: int | None = None


@dataclass(frozen=True)
class LeftOut:
    """A row of a source's own definition that the task does not carry out, with the reason."""

    task: str
    source_row: str
    reason: str


@dataclass(frozen=True)
class ConceptSetRow:
    """One concept of a set; an excluded one takes itself (and its descendants) out."""

    concept_set: str
    concept_id: int
    concept_name: str
    include_descendants: bool
    is_excluded: bool


@dataclass(frozen=True)
class Task:
    """One prediction problem; windows in days after the index, both ends included; ages in whole years."""

    task: str
    title: str
    question: str
    anchor: Literal["event", "visit_start", "visit_end", "landmark"]
    prior_observation_days: int
    tar_start_days: int
    tar_end: Literal["days", "visit_end"]
    index_day_input: Literal["exclude", "include"]
    follow_up_policy: Literal["null_label", "keep_cases", "negative"]
    index_rule: Literal["anchor", "outcome_or_last_visit"]
    design: Literal["prospective", "reproduction"]
    oracle: Literal["closed_form", "none"]
    version: int
    entry_limit: Literal["first_ever", "first_qualifying", "all"] | None = None
    landmark_date: str | None = None
    landmark_age: int | None = None
    age_min: int | None = None
    age_max: int | None = None
    sex_concept_id: int | None = None
    tar_end_days: int | None = None
    outcome_in_history: Literal["forbid", "allow"] | None = None
    washout_days: int | None = None
    death_policy: Literal["negative", "null_label"] | None = None
    unmeasured_policy: Literal["null_label", "negative"] | None = None
    unconfirmed_policy: Literal["negative", "null_label"] | None = None
    index_gap_days: int | None = None
    breaks: str | None = None
    criteria: tuple[Criterion, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    def rows(self, role: Role) -> tuple[Criterion, ...]:
        """Return the criteria of one role, in their order."""
        return tuple(row for row in self.criteria if row.role == role)

    @property
    def outcome_concept_sets(self) -> tuple[str, ...]:
        """Names of the concept sets that are the outcome; none for death."""
        return tuple(row.concept_set for row in self.rows("outcome") if row.concept_set is not None)

    @property
    def concept_sets(self) -> tuple[str, ...]:
        """Names of every concept set that a criterion reads, in alphabetical order."""
        named = {row.concept_set for row in self.criteria} | {row.value_concept_set for row in self.criteria}
        return tuple(sorted(name for name in named if name is not None))

    @property
    def death_is_outcome(self) -> bool:
        """Whether one of the outcome rows is death."""
        return any(row.domain == "Death" for row in self.rows("outcome"))

    @property
    def looks_ahead(self) -> bool:
        """Whether the design may read what came after the index: its results are not usable prospectively."""
        return self.design == "reproduction"

    @property
    def broken_checks(self) -> tuple[str, ...]:
        """Names of the checks that the design breaks: listed instead of blocking."""
        return tuple((self.breaks or "").split())

    @property
    def confirmation_days(self) -> int:
        """Length of the longest confirmation window after an outcome; it counts as follow-up."""
        return max([0, *(row.window_end_days or 0 for row in self.rows("confirm"))])
