"""Labels and time zero, found again in the published events instead of believed from the label's columns."""

from ml.leakage.cohort.relabel import can_be_relabelled, make_relabelled
from ml.leakage.record.calendar import LAST_DAY, NO_END
from ml.leakage.rows import Finding, LeakCheck, in_words
from ml.leakage.shown import Shown
from ml.task_definition import Task

# Of tasks that confirm an outcome only what does not rest on the confirmation is compared.
LABELS = """
select
    count(*),
    count(*) filter (where
        if(
            $is_confirmed,
            label.y_true = 1 and not (
                label.outcome_date between again.tar_start_date and again.tar_end_date
                and label.outcome_date <= again.follow_up_end_date
                and exists (
                    select 1 from outcome_day
                    where
                        outcome_day.person_id = label.person_id
                        and outcome_day.event_date = label.outcome_date
                )
            )
            or label.y_true = 0 and again.reason is not null,
            label.y_true is distinct from again.y_true
            or label.outcome_date is distinct from again.outcome_date
        )
    ),
    count(label.y_true),
    (select count(*) from relabelled where is_ambiguous)
from label
inner join relabelled as again on label.example_id = again.example_id
where not again.is_ambiguous
"""

REASONS = """
select count(*), count(*) filter (where label.reason is distinct from again.reason)
from label
inner join relabelled as again on label.example_id = again.example_id
where not again.is_ambiguous
"""

EARLIER = """
select
    count(*),
    count(*) filter (where exists (
        select 1 from outcome_day
        where
            outcome_day.person_id = again.person_id
            and outcome_day.event_date < again.tar_start_date
            and (
                outcome_day.event_date > again.tar_start_date - $tar_start_days
                or $forbids and coalesce(
                    outcome_day.event_date >= again.tar_start_date - $tar_start_days - $washout_days, true
                )
            )
    ))
from label
inner join relabelled as again on label.example_id = again.example_id
where label.y_true is not null
"""


def _labels(shown: Shown) -> Finding:
    make_relabelled(shown)
    is_confirmed = bool(shown.task.rows("confirm"))
    looked_at, found, labelled, ambiguous = shown.row(LABELS, is_confirmed=is_confirmed)
    blind = ["The outcome of tasks that confirm one is looked for only where there is a case."] * is_confirmed
    blind += [f"Examples of persons whose visits share an id: {in_words(ambiguous)}."] if ambiguous else []
    return Finding(looked_at if labelled else 0, found, cannot_see=" ".join(blind))


def _reasons(shown: Shown) -> Finding:
    make_relabelled(shown)
    return Finding(*shown.row(REASONS))


def _earlier_outcome(shown: Shown) -> Finding:
    make_relabelled(shown)
    return Finding(
        *shown.row(
            EARLIER,
            forbids=shown.task.outcome_in_history == "forbid",
            tar_start_days=shown.task.tar_start_days,
            washout_days=shown.task.washout_days,
        )
    )


def _entry(shown: Shown) -> Finding:
    """The event that let an example in: the person's own, of an entry set, known on the index day."""
    task = shown.task
    entries = [(row.domain, row.concept_set) for row in task.rows("entry")]
    day = "available_date" if task.anchor == "event" else "event_date"
    looked_at, found = shown.row(
        f"""
        with entry as (
            select unnest($domains::varchar[]) as domain, unnest($sets::varchar[]) as concept_set
        )
        select count(*), count(*) filter (
            where clinical_event.event_id is null
            or clinical_event.{day} <> cohort.index_date
            or clinical_event.available_date > cohort.index_date
            or not exists (
                select 1 from entry
                inner join concept_set_member
                    on entry.concept_set = concept_set_member.concept_set
                where
                    concept_set_member.concept_id = clinical_event.concept_id
                    and (clinical_event.domain = entry.domain
                        or entry.domain = 'Stay' and clinical_event.domain in ('Visit', 'Visit end'))
            )
        )
        from cohort
        left join clinical_event
            on cohort.entry_event_id = clinical_event.event_id
            and cohort.person_id = clinical_event.person_id
        """,
        domains=[domain for domain, _ in entries],
        sets=[concept_set for _, concept_set in entries],
    )
    return Finding(looked_at, found)


def _right_edge(shown: Shown) -> Finding:
    """The last day of each time-at-risk against the end of what the source has on anybody."""
    looked_at, found = shown.row(
        """
        select count(*), count(*) filter (where
            case when $ends_with_visit then cohort.index_date + $tar_start_days
            else cohort.index_date + $tar_end_days end + $confirmation_days > study_period.last_tar_end_date
        )
        from cohort
        inner join label on cohort.example_id = label.example_id
        cross join study_period
        where label.y_true = 0
        """,
        tar_start_days=shown.task.tar_start_days,
        tar_end_days=shown.task.tar_end_days or 0,
        ends_with_visit=shown.task.tar_end == "visit_end",
        confirmation_days=shown.task.confirmation_days,
    )
    (last_day,) = shown.row(LAST_DAY)
    return Finding(looked_at, found, cannot_see="" if last_day else NO_END)


def _has_entry_event(task: Task) -> bool:
    return task.anchor != "landmark" and task.index_rule == "anchor"


CHECKS = (
    LeakCheck(
        "label_is_found_in_the_record",
        ("L13", "L17", "L18", "L39"),
        "blocks",
        "Each label and the day of its outcome, worked out again from the published events, stays, deaths and"
        " periods of observation, is the one that was published.",
        "An outcome that the source never recorded, and what came after the loss.",
        _labels,
        applies=lambda task, kinds: can_be_relabelled(task),
        otherwise="the design looks ahead, or an outcome is one by its visit",
    ),
    LeakCheck(
        "missing_label_is_missing_in_the_record",
        ("L17", "L18"),
        "blocks",
        "Who has no label has none for the reason that the record gives (lost, died, not measured, an outcome"
        " before the time-at-risk), and who has one has no such reason.",
        "Who left the source and came back under another id.",
        _reasons,
        applies=lambda task, kinds: can_be_relabelled(task) and not task.rows("confirm"),
        otherwise="an outcome is confirmed or one by its visit, or the design looks ahead",
    ),
    LeakCheck(
        "no_labelled_example_had_the_outcome_before",
        ("L07", "L13"),
        "blocks",
        "Nobody with a label had the outcome dated before the time-at-risk: shown or not, known or not.",
        "An outcome that the source never recorded.",
        _earlier_outcome,
        applies=lambda task, kinds: can_be_relabelled(task) and task.outcome_in_history == "forbid",
        otherwise="an earlier outcome is allowed, or the design looks ahead",
    ),
    LeakCheck(
        "index_is_the_day_its_entry_was_known",
        ("L14", "L15"),
        "blocks",
        "Each index is the day on which its entry event was known, of the person and of an entry concept.",
        "Who should have been in the cohort and was left out for what came later.",
        _entry,
        applies=lambda task, kinds: _has_entry_event(task),
        otherwise="the index is a date or an age, or the design moves it",
    ),
    LeakCheck(
        "time_at_risk_is_over_by_the_end_of_the_data",
        ("L19",),
        "blocks",
        "No non-case's time-at-risk runs past the end of the data less the coding lag.",
        "A coding lag longer than the study says.",
        _right_edge,
        applies=lambda task, kinds: task.follow_up_policy != "negative",
        otherwise="the lost count as negative by design",
    ),
)
