"""Which indexes become examples, step by step: DEFINITIONS section 3."""

from collections.abc import Callable
from dataclasses import dataclass, field

from definitions.day import Day, after
from definitions.entry import Index
from definitions.label import in_history
from definitions.match import ConceptSets, matches
from definitions.record import Period, Record
from definitions.task import Criterion, Task


@dataclass(frozen=True, slots=True)
class Entry:
    """An index of a person with the observation period around it, if there is one."""

    record: Record
    index: Index
    period: Period | None


@dataclass(frozen=True)
class Step:
    """A step of attrition; `order` is the criterion's, the lowest among alternatives."""

    name: str
    keeps: Callable[[Entry], bool] = field(compare=False)
    order: int | None = None


def eligibility(task: Task, sets: ConceptSets) -> list[Step]:
    """Return the steps 2 to 8 that apply to the task: each looks at one entry alone."""
    steps = [Step("observed", lambda e: e.period is not None)]
    if task.prior_observation_days > 0:
        prior = task.prior_observation_days
        steps.append(
            Step(
                "prior_observation",
                lambda e: e.period is not None and after(e.period.start, prior) <= e.index.day,
            )
        )
    if task.age_min is not None or task.age_max is not None:
        steps.append(Step("age", lambda e: _age_passes(task, e.record.age(e.index.day))))
    if task.sex_concept_id is not None:
        steps.append(Step("sex", lambda e: e.record.sex_concept_id == task.sex_concept_id))
    steps.append(Step("alive", lambda e: e.record.death is None or e.record.death.available > e.index.day))
    if task.outcome_in_history == "forbid":
        steps.append(Step("prior_outcome", lambda e: not _prior_outcome(e, task, sets)))
    groups = [*task.groups("require"), *((row,) for row in task.rows("forbid"))]
    for rows in sorted(groups, key=lambda group: group[0].order):
        steps.append(Step("criterion", _criterion(rows, task, sets), rows[0].order))
    return steps


def closed(task: Task, data_end: Day | None, coding_lag_days: int) -> Step | None:
    """Return step 10, or None where it does not apply."""
    if data_end is None or task.follow_up_policy == "negative":
        return None
    length = task.tar_start_days if task.tar_end == "visit_end" else task.tar_end_days
    assert length is not None
    last = after(data_end, -coding_lag_days - length - task.confirmation_days)
    return Step("closed", lambda e: e.index.day <= last)


def reasons(task: Task) -> list[str]:
    """Return the reasons of a null label that can occur for the task, in their order."""
    forbid = task.outcome_in_history == "forbid"
    possible = {
        "death_before_index_known_later": True,
        "outcome_before_index_known_later": forbid,
        "outcome_before_time_at_risk": task.outcome_in_history != "allow" and task.tar_start_days > 1,
        "stay_continues": task.anchor == "visit_end",
        "visit_end_unknown": task.tar_end == "visit_end",
        "lost_to_follow_up": task.follow_up_policy != "negative",
        "unmeasured": task.unmeasured_policy == "null_label",
        "died_before_outcome": task.death_policy == "null_label",
        "outcome_unconfirmed": task.unconfirmed_policy == "null_label",
    }
    return [reason for reason, can in possible.items() if can]


def _age_passes(task: Task, age: int | None) -> bool:
    if age is None:
        return False
    return (task.age_min is None or age >= task.age_min) and (task.age_max is None or age <= task.age_max)


def _prior_outcome(entry: Entry, task: Task, sets: ConceptSets) -> bool:
    index = entry.index.day
    return any(
        match.known <= index and in_history(match.date, index, task)
        for row in task.rows("outcome")
        for match in matches(entry.record, row, task, sets)
    )


def _criterion(rows: tuple[Criterion, ...], task: Task, sets: ConceptSets) -> Callable[[Entry], bool]:
    return lambda entry: any(_row_passes(entry, row, task, sets) for row in rows)


def _row_passes(entry: Entry, row: Criterion, task: Task, sets: ConceptSets) -> bool:
    index = entry.index.day
    first = None if row.window_start_days is None else after(index, row.window_start_days)
    last = after(index, row.window_end_days or 0)
    found = {
        match.date
        for match in matches(entry.record, row, task, sets)
        if (first is None or match.date >= first)
        and match.date <= last
        and (row.looks_ahead or match.known <= index)
    }
    if row.role == "forbid":
        return not found
    return len(found) >= (row.min_count or 0) and (row.max_count is None or len(found) <= row.max_count)
