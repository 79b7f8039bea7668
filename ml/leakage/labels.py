"""Labels and time zero, found again in the published events instead of believed from the label's columns."""

from ml.leakage.outcomes import IS_OUTCOME, plain_outcomes
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.task_definition import Task

# Days of an outcome of each person of the cut, and who is labelled with what.
DAYS = f"""
outcome_day as (
    select distinct clinical_event.person_id, clinical_event.event_date
    from clinical_event
    where
        clinical_event.person_id in (select person_id from cohort)
        and ({IS_OUTCOME} or $death_is_outcome and clinical_event.domain = 'Death')
),
death as (
    select person_id, min(event_date) as death_date
    from clinical_event
    where domain = 'Death' and person_id in (select person_id from cohort)
    group by person_id
),
placed as (
    select
        cohort.example_id,
        cohort.person_id,
        cohort.index_date,
        label.y_true,
        label.reason,
        label.outcome_date,
        cohort.index_date + $tar_start_days as tar_start_date,
        case when $ends_with_visit then label.tar_end_date else cohort.index_date + $tar_end_days end
            as tar_end_date,
        least(
            death.death_date,
            case when $needs_follow_up then cohort.observation_period_end_date end
        ) as last_date
    from cohort
    inner join label on cohort.example_id = label.example_id
    left join death on cohort.person_id = death.person_id
)
"""

# The reasons that are asked for only where no outcome was found.
WITHOUT_OUTCOME = ("lost_to_follow_up", "unmeasured", "died_before_outcome", "outcome_unconfirmed")

FIRST = f"""
with {DAYS},
first_outcome as (
    select placed.*,
        (
            select min(outcome_day.event_date) from outcome_day
            where
                outcome_day.person_id = placed.person_id
                and outcome_day.event_date between placed.tar_start_date and placed.tar_end_date
                and coalesce(outcome_day.event_date <= placed.last_date, true)
        ) as found_date,
        exists (
            select 1 from outcome_day
            where
                outcome_day.person_id = placed.person_id
                and outcome_day.event_date = placed.outcome_date
                and outcome_day.event_date between placed.tar_start_date and placed.tar_end_date
                and coalesce(outcome_day.event_date <= placed.last_date, true)
        ) as is_found
    from placed
)
select
    count(*),
    count(*) filter (where
        y_true = 1 and not is_found
        or not $is_confirmed and y_true = 1 and outcome_date is distinct from found_date
        or not $is_confirmed and y_true = 0 and found_date is not null
        or not $is_confirmed and reason in (select unnest($without::varchar[])) and found_date is not null
    ),
    count(y_true)
from first_outcome
"""

EARLIER = f"""
with {DAYS}
select
    count(*),
    count(*) filter (where exists (
        select 1 from outcome_day
        where
            outcome_day.person_id = placed.person_id
            and outcome_day.event_date < placed.tar_start_date
            and (
                outcome_day.event_date > placed.index_date
                or $forbids and coalesce(outcome_day.event_date >= placed.index_date - $washout_days, true)
            )
    ))
from placed
where y_true is not null
"""


def _values(shown: Shown) -> dict[str, object]:
    task = shown.task
    return {
        "death_is_outcome": task.death_is_outcome,
        "tar_start_days": task.tar_start_days,
        "tar_end_days": task.tar_end_days or 0,
        "ends_with_visit": task.tar_end == "visit_end",
        "needs_follow_up": task.follow_up_policy == "null_label",
    }


def _first_outcome(shown: Shown) -> Finding:
    looked_at, found, labelled = shown.row(
        FIRST,
        **_values(shown),
        is_confirmed=bool(shown.task.rows("confirm")),
        without=list(WITHOUT_OUTCOME),
    )
    blind = "The outcome of tasks that confirm one is looked for only where there is a case."
    return Finding(
        looked_at if labelled else 0, found, cannot_see=blind if shown.task.rows("confirm") else ""
    )


def _earlier_outcome(shown: Shown) -> Finding:
    forbids = shown.task.outcome_in_history == "forbid"
    return Finding(
        *shown.row(EARLIER, **_values(shown), forbids=forbids, washout_days=shown.task.washout_days)
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
        with ended as (
            select
                coalesce(study_period.data_end, last.event_date) - study_period.coding_lag_days as last_date
            from study_period
            cross join (select max(event_date) as event_date from clinical_event) as last
        )
        select count(*), count(*) filter (where
            case when $ends_with_visit then cohort.index_date + $tar_start_days
            else cohort.index_date + $tar_end_days end + $confirmation_days > ended.last_date
        )
        from cohort
        inner join label on cohort.example_id = label.example_id
        cross join ended
        where label.y_true = 0
        """,
        tar_start_days=shown.task.tar_start_days,
        tar_end_days=shown.task.tar_end_days or 0,
        ends_with_visit=shown.task.tar_end == "visit_end",
        confirmation_days=shown.task.confirmation_days,
    )
    return Finding(looked_at, found)


def _is_of_events(task: Task) -> bool:
    rows = task.rows("outcome")
    known = [row for row in rows if row.domain == "Death"] + plain_outcomes(task)
    return len(known) == len(rows) and task.index_rule == "anchor"


def _has_entry_event(task: Task) -> bool:
    return task.anchor != "landmark" and task.index_rule == "anchor"


CHECKS = (
    LeakCheck(
        "label_is_found_in_the_record",
        ("L13", "L17", "L18"),
        "blocks",
        "The first outcome within the time-at-risk, alive and followed, looked for in the published events,"
        " is that of each case; no non-case and nobody left out as lost has one.",
        "An outcome that the source never recorded, and what came after the loss.",
        _first_outcome,
        applies=lambda task, kinds: _is_of_events(task),
        otherwise="a stay is the outcome, or the design looks ahead",
    ),
    LeakCheck(
        "no_labelled_example_had_the_outcome_before",
        ("L07", "L13"),
        "blocks",
        "Nobody with a label had the outcome dated before the time-at-risk: shown or not, known or not.",
        "An outcome that the source never recorded.",
        _earlier_outcome,
        applies=lambda task, kinds: _is_of_events(task) and task.outcome_in_history == "forbid",
        otherwise="an earlier outcome is allowed, a stay is the outcome, or the design looks ahead",
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
