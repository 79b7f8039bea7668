"""The label of an index: DEFINITIONS sections 5 and 6."""

from collections.abc import Callable
from dataclasses import dataclass

from definitions.day import Day, after
from definitions.entry import Index
from definitions.match import ConceptSets, Match, in_same_visit, matches, visits_of, without_partner
from definitions.record import Period, Record
from definitions.task import Criterion, Task


@dataclass(frozen=True, slots=True)
class Label:
    """1, 0 or None with the reason; the outcome's day where it is 1."""

    y_true: int | None
    reason: str | None
    outcome_date: Day | None
    follow_up_end: Day


def in_history(day: Day, index: Day, task: Task) -> bool:
    """Whether an outcome dated `day` lies within the washout: the dates of step 7 of the attrition."""
    last = index if task.tar_start_days else after(index, -1)
    return day <= last and (task.washout_days is None or day >= after(index, -task.washout_days))


def label(record: Record, task: Task, index: Index, period: Period, sets: ConceptSets) -> Label:
    """Return the first line of the table of section 5 that holds."""
    death = record.death.date if record.death else None
    follow_up_end = period.end if death is None else min(period.end, death)

    def null(reason: str) -> Label:
        return Label(None, reason, None, follow_up_end)

    outcomes = [match for row in task.rows("outcome") for match in matches(record, row, task, sets)]
    if record.death and record.death.date <= index.day < record.death.available:
        return null("death_before_index_known_later")
    tar_start = after(index.day, task.tar_start_days)
    known_later = any(in_history(o.date, index.day, task) and o.known > index.day for o in outcomes)
    if task.outcome_in_history == "forbid" and known_later:
        return null("outcome_before_index_known_later")
    in_gap = any(index.day < o.date < tar_start for o in outcomes)
    if task.outcome_in_history != "allow" and in_gap:
        return null("outcome_before_time_at_risk")
    if task.anchor == "visit_end":
        entry_set = task.rows("entry")[0].concept_set
        if any(v.start == after(index.day, 1) for v in visits_of(record, entry_set, sets)):
            return null("stay_continues")
    tar_end = _tar_end(task, index)
    if tar_end is None:
        return null("visit_end_unknown")

    counted_until = _counted_until(task, death, follow_up_end)
    candidates = sorted(
        {o.date for o in outcomes if tar_start <= o.date <= tar_end and counted_until(o.date)}
    )
    died_in_period = death is not None and period.start <= death <= period.end
    confirmation = Confirmation(record, task, sets, period, died_in_period, counted_until)
    states = [confirmation.state(candidate) for candidate in candidates]
    if "holds" in states:
        return Label(1, None, candidates[states.index("holds")], follow_up_end)
    if (
        task.follow_up_policy != "negative"
        and period.end < after(tar_end, task.confirmation_days)
        and not died_in_period
    ):
        return null("lost_to_follow_up")
    if task.unmeasured_policy == "null_label" and not _measured(
        record, task, sets, tar_start, tar_end, follow_up_end
    ):
        return null("unmeasured")
    if task.death_policy == "null_label" and death is not None and death <= tar_end:
        return null("died_before_outcome")
    if task.unconfirmed_policy == "null_label" and states and set(states) == {"fails"}:
        return null("outcome_unconfirmed")
    return Label(0, None, None, follow_up_end)


def moved_index(record: Record, task: Task, index: Index, period: Period, given: Label) -> Day:
    """Return the index of `outcome_or_last_visit`: before the outcome, or before the last visit."""
    if given.outcome_date is not None:
        day = given.outcome_date
    else:
        starts = [event.date for event in record.events.get("Visit", ())]
        day = max([index.day, *(start for start in starts if index.day <= start <= period.end)])
    return after(day, -(task.index_gap_days or 0))


def _tar_end(task: Task, index: Index) -> Day | None:
    if task.tar_end == "visit_end":
        assert index.stay is not None
        return index.stay.end
    assert task.tar_end_days is not None
    return after(index.day, task.tar_end_days)


def _counted_until(task: Task, death: Day | None, follow_up_end: Day) -> Callable[[Day], bool]:
    """Return whether an event of a day counts: never after death, with `null_label` not after follow-up."""
    last = follow_up_end if task.follow_up_policy == "null_label" else death
    return lambda day: last is None or day <= last


def _measured(
    record: Record, task: Task, sets: ConceptSets, tar_start: Day, tar_end: Day, follow_up_end: Day
) -> bool:
    last = tar_end if task.follow_up_policy == "negative" else min(tar_end, follow_up_end)
    members = [(row, sets[row.concept_set or ""]) for row in task.rows("outcome")]
    return any(
        tar_start <= event.date <= last
        and event.concept_id in concepts
        and event.value is not None
        and event.unit_concept_id == row.unit_concept_id
        and (row.value_concept_set is None or event.value_concept_id in sets[row.value_concept_set])
        for row, concepts in members
        for event in record.events.get(row.domain, ())
    )


@dataclass(frozen=True)
class Confirmation:
    """Judges candidates by the `confirm` rows."""

    record: Record
    task: Task
    sets: ConceptSets
    period: Period
    died_in_period: bool
    counted: Callable[[Day], bool]

    def state(self, candidate: Day) -> str:
        """Return `holds`, `fails` or `pending`."""
        groups = [{self._row(row, candidate) for row in rows} for rows in self.task.groups("confirm")]
        states = [
            "holds" if "holds" in rows else "fails" if rows == {"fails"} else "pending" for rows in groups
        ]
        if "fails" in states:
            return "fails"
        return "pending" if "pending" in states else "holds"

    def _row(self, row: Criterion, candidate: Day) -> str:
        first = after(candidate, row.window_start_days or 0)
        last = after(candidate, row.window_end_days or 0)
        dates = {match.date for match in self._matches(row, candidate)}
        count = sum(first <= day <= last and self.counted(day) for day in dates)
        closed = self.task.follow_up_policy == "negative" or self.died_in_period or self.period.end >= last
        at_least, at_most = row.min_count or 0, row.max_count
        if at_most is not None and count > at_most:
            return "fails"
        if count < at_least:
            return "fails" if closed else "pending"
        return "holds" if at_most is None or closed else "pending"

    def _matches(self, row: Criterion, candidate: Day) -> list[Match]:
        if row.same_visit_as is None:
            return matches(self.record, row, self.task, self.sets)
        other = next(r for r in self.task.criteria if r.order == row.same_visit_as)
        partners = matches(self.record, other, self.task, self.sets)
        if other.role == "outcome":
            partners = [partner for partner in partners if partner.date == candidate]
        return in_same_visit(without_partner(self.record, row, self.task, self.sets), partners)
