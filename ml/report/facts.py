"""What the report says beyond its tables: plain facts the platform fills in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# Description of an attrition step (model `cohort_step`) -> reason of the null labels that leave at it.
REASON_OF_STEP = {
    "no death dated by the index and known only later": "death_before_index_known_later",
    "no outcome dated by the index and known only later": "outcome_before_index_known_later",
    "no outcome between the index and the time at risk": "outcome_before_time_at_risk",
    "no visit of the stay starts on the day after": "stay_continues",
    "the end of the stay is recorded": "visit_end_unknown",
    "followed to the outcome, death or the end of the time at risk": "lost_to_follow_up",
    "measured in the time at risk": "unmeasured",
    "alive to the end of the time at risk or to the outcome": "died_before_outcome",
    "no outcome that fails its confirmation": "outcome_unconfirmed",
}


@dataclass(frozen=True)
class AttritionStep:
    """One step of the flow: what is left after it.

    Attributes:
        description: the criterion in words.
        entries: examples left.
        persons: persons left.
        cases: examples left that became cases.
    """

    description: str
    entries: int
    persons: int
    cases: int

    @property
    def reason(self) -> str:
        """Reason of the null labels that leave at this step; empty where it is a step of the cohort."""
        return REASON_OF_STEP.get(self.description, "")


@dataclass(frozen=True)
class SplitSize:
    """Labelled examples of one split (`train`, `tuning`, `held_out`) and the cases among them."""

    split: str
    n: int
    n_cases: int


@dataclass(frozen=True)
class ConceptSetFacts:
    """One concept set of a task as this snapshot resolved and froze it; `sha256` is of the members' ids."""

    concept_set: str
    n_included_ids: int
    n_excluded_ids: int
    n_unknown_ids: int
    n_literal_only_ids: int
    n_members: int
    sha256: str


@dataclass(frozen=True)
class LabelCount:
    """How many examples of a class (`y_true`, None: no label) a quantity is true of; of the whole cohort."""

    quantity: str
    y_true: int | None
    n: int


@dataclass(frozen=True)
class AvailabilityCount:
    """How many events one availability rule dated, and how many of them were known only on a later day."""

    source_table: str
    kind: str
    rule: str
    n_events: int
    n_later: int


@dataclass(frozen=True)
class TaskFacts:
    """One task.

    Attributes:
        name: its identifier.
        title: short words.
        question: what a clinician asks.
        cohort: who is in it, one sentence.
        label: what is predicted, one sentence.
        attrition: the flow, first to last.
        splits: sizes.
        null_labels: reason -> examples without a label.
        oracle: what the oracle is here, one sentence; empty: there is none.
        note: for example why the task has no examples; no count may stand in it.
        n_examples: examples drawn for this study, where fewer than the cohort; the page says so.
        looks_ahead: its results are not usable prospectively, and the page says so beside every number.
        breaks: names of the checks that its design breaks.
        left_out: (row of the source's definition, reason) that the task does not carry out.
        concept_sets: resolved.
        label_counts: of the cohort, by class.
        checks_left_out: name -> why that check does not apply.
    """

    name: str
    title: str
    question: str
    cohort: str
    label: str
    attrition: tuple[AttritionStep, ...] = ()
    splits: tuple[SplitSize, ...] = ()
    null_labels: Mapping[str, int] = field(default_factory=dict)
    oracle: str = ""
    note: str = ""
    n_examples: int | None = None
    looks_ahead: bool = False
    breaks: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    concept_sets: tuple[ConceptSetFacts, ...] = ()
    label_counts: tuple[LabelCount, ...] = ()
    checks_left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ArmFacts:
    """One arm, as in a trial.

    Attributes:
        parameters: a count, None where it has no meaning.
        smoke_only: it rests on random weights: no verdict and no sentence may rest on it.
    """

    name: str
    model: str
    kind: Literal["specialist", "generalist", "baseline"]
    regime: str
    input_view: str
    parameters: int | None
    licence: str
    note: str = ""
    smoke_only: bool = False


@dataclass(frozen=True)
class Refusal:
    """An arm that a guard or its task's checks stopped, with the reason; task or arm empty: all of them."""

    task: str
    arm: str
    reason: str


@dataclass(frozen=True)
class SignOff:
    """A check that the study signed off for a task; `passed` is None where it did not run."""

    task: str
    check: str
    reason: str
    passed: bool | None


@dataclass(frozen=True)
class Unseen:
    """What a check could not have seen on a task, in words."""

    check: str
    task: str
    words: str


@dataclass(frozen=True)
class ReportFacts:
    """Everything on the page that is not a table.

    Attributes:
        study: name of the study.
        question: of the study, one sentence.
        data: `simulated` and `synthetic` print a banner.
        source: name of the source, never a path.
        n_persons: in the source.
        n_events: in the source.
        data_end: last day of data, or "none" with the reason; text.
        snapshot: key of the published snapshot.
        study_hash: sha256 of the study.
        registered_at: when the study was registered, ISO text with zone.
        n_readings: readings of held-out data logged in this home for this study.
        home_created_at: when this home was made, ISO text.
        tasks: in the study's order.
        arms: in the study's order; colours follow it.
        refusals: empty where nothing was refused.
        sign_offs: checks that the study signed off; the page says so first.
        unseen: what the leakage checks could not have seen.
        claims: name of a check that failed -> what holds when it passes, one sentence.
        alarms: names of checks whose `found` says that they fired, and counts nobody.
        git_commit: of the code, empty where unknown.
        seeds: what -> seed or seeds, text.
        libraries: name -> version.
        code_versions: step -> key of its code.
        artefacts: name -> sha256.
        notes: further lines for the provenance section.
        availability: events of the source by the rule that says when they were known.
        quality_pages: where the pages of data quality lie, seen from the report; empty where there are none.
    """

    study: str
    question: str
    data: Literal["simulated", "synthetic", "real"]
    source: str
    n_persons: int
    n_events: int
    data_end: str
    snapshot: str
    study_hash: str
    registered_at: str
    n_readings: int
    home_created_at: str
    tasks: tuple[TaskFacts, ...]
    arms: tuple[ArmFacts, ...]
    refusals: tuple[Refusal, ...] = ()
    sign_offs: tuple[SignOff, ...] = ()
    unseen: tuple[Unseen, ...] = ()
    claims: Mapping[str, str] = field(default_factory=dict)
    alarms: frozenset[str] = frozenset()
    git_commit: str = ""
    seeds: Mapping[str, str] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    code_versions: Mapping[str, str] = field(default_factory=dict)
    artefacts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    availability: tuple[AvailabilityCount, ...] = ()
    quality_pages: str = ""

    @property
    def smoke_only(self) -> frozenset[str]:
        """Names of the arms that rest on random weights."""
        return frozenset(arm.name for arm in self.arms if arm.smoke_only)
