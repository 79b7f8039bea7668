"""The checks: each is SQL that says how many rows it looked at and how many it found wrong.

Snapshot checks concern all tasks and stop everything; those of one task stand in `task_checks`. Ids of the
leakage catalogue (L01, ...) are those of the documentation.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Check:
    """One check: a claim as its name, SQL returning (looked_at, found), and the most it may find."""

    name: str
    severity: Literal["block", "warn"]
    description: str
    sql: str
    limit: float = 0

    @property
    def blocks(self) -> bool:
        """Whether a failure stops what depends on it."""
        return self.severity == "block"


SNAPSHOT_CHECKS = (
    Check(
        "person_id_is_unique",
        "block",
        "One row a person.",
        "select count(*), count(*) - count(distinct person_id) from person",
    ),
    Check(
        "event_id_is_unique",
        "block",
        "One row an event; its id and its number within the person are unique.",
        "select count(*), greatest(count(*) - count(distinct event_id),"
        " count(*) - count(distinct (person_id, event_no))) from clinical_event",
    ),
    Check(
        "every_event_has_its_person",
        "block",
        "Events of unknown persons were left out and counted.",
        "select count(*), count(*) filter (where person.person_id is null) from clinical_event"
        " left join person on clinical_event.person_id = person.person_id",
    ),
    Check(
        "every_event_has_dates_in_order",
        "block",
        "An event has a date, a day it was known, and was not known before it happened.",
        "select count(*), count(*) filter (where event_date is null or available_date is null"
        " or available_date < event_date) from clinical_event",
    ),
    Check(
        "every_person_has_one_split",
        "block",
        "Each person is in one split, decided by a hash of the person id (L21).",
        "select (select count(*) from person), (select count(*) - count(distinct person_id) from split)"
        " + (select count(*) from person where person_id not in (select person_id from split))"
        " + (select count(*) from split where split not in ('train', 'tuning', 'held_out'))",
    ),
    Check(
        "attrition_reconciles",
        "block",
        "The last line of each task's attrition equals its labelled examples and its cases.",
        "with last as (select task, arg_max(entries, step) as entries, arg_max(cases, step) as cases"
        " from attrition group by task), labelled as (select task, count(y_true) as n,"
        " coalesce(sum(y_true), 0) as cases from label_of_all group by task)"
        " select count(*), count(*) filter (where coalesce(last.entries, 0) <> coalesce(labelled.n, 0)"
        " or coalesce(last.cases, 0) <> coalesce(labelled.cases, 0)) from last"
        " full join labelled on last.task = labelled.task",
    ),
    Check(
        "concept_sets_of_the_catalogue_are_known",
        "warn",
        "Every concept set of the catalogue has members, and every included id is in this vocabulary; for the"
        " study's own tasks a check of theirs blocks.",
        "select count(*), count(*) filter (where n_members = 0 or n_unknown_ids > 0) from concept_set",
    ),
)
