"""The checks of one task, judged before anything of it learns. Which of them apply follows from its fields.

Ids of the leakage catalogue (L01, ...) are those of the documentation. `cohort` and `label` are the task's
own rows, `example` and `event` its cut; values named `$...` are the task's fields.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from ml.leakage.outcomes import IS_OUTCOME, plain_outcomes
from ml.leakage.registry import CHECKS as LEAKAGE_CHECKS
from ml.leakage.rows import BROKEN
from ml.strict import wrong
from ml.tasks import Task
from orchestration.checks import Check

MINIMUM_CASES = 10  # a split with fewer cases (or non-cases) supports no model


@dataclass(frozen=True)
class TaskCheck(Check):
    """A check with the tasks it applies to, and what to say of the others."""

    applies: Callable[[Task], bool] = lambda task: True
    otherwise: str = ""


def _forbids_plain_outcomes(task: Task) -> bool:
    return task.outcome_in_history == "forbid" and bool(plain_outcomes(task))


TASK_CHECKS = (
    TaskCheck(
        "concept_sets_are_known",
        "block",
        "Every concept set of the task has members, and every included id is in the vocabulary.",
        "select count(*), count(*) filter (where n_members = 0 or n_unknown_ids > 0)"
        " from concept_set where concept_set in (select unnest($concept_sets))",
        applies=lambda task: bool(task.concept_sets),
        otherwise="the task reads no concept set",
    ),
    TaskCheck(
        "descendants_of_concepts_are_known",
        "warn",
        "Every included id that asks for descendants has some in the vocabulary; where not, it counts alone.",
        "select coalesce(sum(n_included_ids), 0), coalesce(sum(n_literal_only_ids), 0)"
        " from concept_set where concept_set in (select unnest($concept_sets))",
        applies=lambda task: bool(task.concept_sets),
        otherwise="the task reads no concept set",
    ),
    TaskCheck(
        "cohort_is_not_empty",
        "block",
        "The task has examples in this source.",
        "select count(*), 0 from example",
    ),
    TaskCheck(
        "splits_have_enough_cases",
        "block",
        f"At least {MINIMUM_CASES} cases and {MINIMUM_CASES} non-cases in each split.",
        "with split as (select unnest(['train', 'tuning', 'held_out']) as split),"
        " size as (select split.split, count(*) filter (where y_true = 1) as cases,"
        " count(*) filter (where y_true = 0) as others from split"
        " left join example on split.split = example.split group by split.split)"
        f" select count(*), count(*) filter (where cases < {MINIMUM_CASES} or others < {MINIMUM_CASES})"
        " from size",
    ),
    TaskCheck(
        "index_lies_in_one_observation_period",
        "block",
        "Each index date lies within the observation period of its cohort row.",
        "select count(*), count(*) filter (where not coalesce(cohort.index_date"
        " between observation_period_start_date and observation_period_end_date, false)) from cohort",
    ),
    TaskCheck(
        "no_input_after_the_index",
        "block",
        "Every event that an example is shown was known before its index day, or by its end where the task"
        " includes that day (L01, L02).",
        "select count(*), count(*) filter (where clinical_event.available_date > cohort.index_date"
        " or (clinical_event.available_date = cohort.index_date and not $includes_index_day))"
        " from event inner join cohort on event.example_id = cohort.example_id"
        " inner join clinical_event on event.event_id = clinical_event.event_id",
    ),
    TaskCheck(
        "no_input_of_another_person",
        "block",
        "Every event that an example is shown belongs to its person.",
        "select count(*), count(*) filter (where clinical_event.person_id is distinct from cohort.person_id)"
        " from event inner join cohort on event.example_id = cohort.example_id"
        " left join clinical_event on event.event_id = clinical_event.event_id",
    ),
    TaskCheck(
        "no_outcome_in_the_input",
        "block",
        "No event that is an outcome, dated in the washout, is shown (L07): such persons are no example.",
        "select count(*), count(*) filter (where clinical_event.event_date <= cohort.index_date"
        " and clinical_event.event_date < cohort.index_date + $tar_start_days"
        " and coalesce(clinical_event.event_date >= cohort.index_date - $washout_days::integer, true)"
        f" and {IS_OUTCOME})"
        " from event inner join cohort on event.example_id = cohort.example_id"
        " left join clinical_event on event.event_id = clinical_event.event_id",
        applies=_forbids_plain_outcomes,
        otherwise="an earlier outcome is allowed, or no single event is the outcome",
    ),
    TaskCheck(
        "case_means_outcome_in_time_at_risk",
        "block",
        "A case has its first outcome within the time-at-risk that starts after its own index, a non-case has"
        " none there (L13).",
        "select count(*), count(*) filter (where label.y_true = 1 and not coalesce(label.outcome_date"
        " between label.tar_start_date and label.tar_end_date, false)"
        " or label.y_true = 0 and coalesce(label.outcome_date"
        " between label.tar_start_date and label.tar_end_date, false)"
        " or label.tar_start_date is distinct from cohort.index_date + $tar_start_days"
        " or not $ends_with_visit and label.tar_end_date is distinct from cohort.index_date + $tar_end_days)"
        " from cohort inner join label on cohort.example_id = label.example_id"
        " where label.y_true is not null",
    ),
    TaskCheck(
        "case_was_followed_to_its_outcome",
        "block",
        "A case was still followed on the day of its outcome.",
        "select count(*), count(*) filter (where outcome_date is not null"
        " and not coalesce(outcome_date <= follow_up_end_date, false)) from label where y_true = 1",
        applies=lambda task: task.follow_up_policy == "null_label",
        otherwise="cases observed after the loss count",
    ),
    TaskCheck(
        "lost_is_not_negative",
        "block",
        "A non-case was followed to the end of the time-at-risk (and of what confirms an outcome) or died"
        " before it, while followed (L17).",
        "select count(*), count(*) filter (where not coalesce(label.follow_up_end_date"
        " >= label.tar_end_date + $confirmation_days, false)"
        " and not exists (select 1 from clinical_event as death where death.person_id = cohort.person_id"
        " and death.source_table = 'death' and death.event_date <= least("
        "label.tar_end_date + $confirmation_days, cohort.observation_period_end_date)))"
        " from cohort inner join label on cohort.example_id = label.example_id where label.y_true = 0",
    ),
    TaskCheck(
        "no_non_case_died_in_the_time_at_risk",
        "block",
        "No non-case died in the time-at-risk, where death is an outcome or makes the label null.",
        "select count(*), count(*) filter (where exists (select 1 from clinical_event as death"
        " where death.person_id = label.person_id and death.source_table = 'death'"
        " and death.event_date between label.tar_start_date and label.tar_end_date))"
        " from label where y_true = 0",
        applies=lambda task: task.death_is_outcome or task.death_policy == "null_label",
        otherwise="death before the outcome counts as none",
    ),
    TaskCheck(
        "null_label_has_a_reason",
        "block",
        "Each example without a label says why, and none with a label does.",
        "select count(*), count(*) filter (where (y_true is null) <> (reason is not null)) from label",
    ),
    TaskCheck(
        "person_is_in_one_split",
        "block",
        "No person of this task's examples is in two splits (L21).",
        "select count(*), count(*) filter (where splits > 1) from"
        " (select person_id, count(distinct split) as splits from example group by person_id)",
    ),
)


def checks_of(task: Task) -> tuple[Check, ...]:
    """Return the checks that apply to a task; those that its design breaks only warn (METHODS 10)."""
    return tuple(
        replace(check, severity="warn", description=check.description + BROKEN)
        if check.name in task.broken_checks
        else check
        for check in TASK_CHECKS
        if check.applies(task)
    )


def left_out_checks(task: Task) -> dict[str, str]:
    """Return the checks that do not apply to a task, each with the reason in words."""
    return {check.name: check.otherwise for check in TASK_CHECKS if not check.applies(task)}


def require_known_breaks(tasks: Collection[Task]) -> None:
    """Refuse a task whose `breaks` names no check.

    Raises:
        InputError: the name, the task and the checks there are.
    """
    names = [check.name for check in (*TASK_CHECKS, *LEAKAGE_CHECKS)]
    for task in tasks:
        for name in task.broken_checks:
            if name not in names:
                raise wrong(
                    f"Unknown check `{name}` in `breaks` of tasks.csv, task `{task.task}`",
                    allowed=names,
                    given=name,
                )
