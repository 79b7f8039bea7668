"""The checks: each is SQL that says how many rows it looked at and how many it found wrong.

Snapshot checks concern all tasks and stop everything; task checks are judged before anything of that
task learns. Ids of the leakage catalogue (L01, ...) are those of the documentation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb

from ml.inputs.examples import split_counts

MINIMUM_CASES = 10  # a split with fewer cases (or non-cases) supports no model


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
        "few_quirks_in_the_source",
        "warn",
        "Rows with known faults of real exports: dangling visits, orphan periods, repeated keys, ...",
        "select coalesce(sum(looked_at), 0), coalesce(sum(found), 0) from source_quirk",
    ),
    Check(
        "every_concept_set_has_members",
        "warn",
        "Concept sets of the catalogue that resolve to nothing in this vocabulary.",
        "select count(distinct criteria.concept_set), count(distinct criteria.concept_set)"
        " filter (where concept_set_member.concept_set is null) from concept_set_count as criteria"
        " left join concept_set_member on criteria.concept_set = concept_set_member.concept_set",
    ),
)

TASK_CHECKS = (
    Check(
        "cohort_is_not_empty",
        "block",
        "The task has examples in this source.",
        "select count(*), 0 from example",
    ),
    Check(
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
    Check(
        "index_lies_in_one_observation_period",
        "block",
        "Each index date lies within the observation period of its cohort row.",
        "select count(*), count(*) filter (where not coalesce(cohort.index_date"
        " between observation_period_start_date and observation_period_end_date, false)) from cohort",
    ),
    Check(
        "no_input_after_the_index",
        "block",
        "Every event that an example is shown was known before its index day (L01, L02).",
        "select count(*), count(*) filter (where clinical_event.available_date >= cohort.index_date)"
        " from event inner join cohort on event.example_id = cohort.example_id"
        " inner join clinical_event on event.event_id = clinical_event.event_id",
    ),
    Check(
        "no_input_of_another_person",
        "block",
        "Every event that an example is shown belongs to its person.",
        "select count(*), count(*) filter (where clinical_event.person_id is distinct from cohort.person_id)"
        " from event inner join cohort on event.example_id = cohort.example_id"
        " left join clinical_event on event.event_id = clinical_event.event_id",
    ),
    Check(
        "no_outcome_in_the_input",
        "block",
        "No event of the outcome's concept sets is shown (L07): such persons are no example.",
        "select count(*), count(*) filter (where event.concept_id in (select concept_id from outcome))"
        " from event",
    ),
    Check(
        "case_means_outcome_in_time_at_risk",
        "block",
        "A case has its first outcome within the time-at-risk, a non-case has none there (L13).",
        "select count(*), count(*) filter (where label.y_true = 1 and (label.outcome_date is null"
        " or label.outcome_date not between cohort.index_date + $tar_start and cohort.index_date + $tar_end)"
        " or label.y_true = 0 and coalesce(label.outcome_date between cohort.index_date + $tar_start"
        " and cohort.index_date + $tar_end, false)) from cohort"
        " inner join label on cohort.example_id = label.example_id where label.y_true is not null",
    ),
    Check(
        "lost_is_not_negative",
        "block",
        "A non-case was followed to the end of the time-at-risk or died before it (L17).",
        "select count(*), count(*) filter (where coalesce(label.follow_up_end_date, date '0001-01-01')"
        " < cohort.index_date + $tar_end"
        " and not exists (select 1 from clinical_event as death where death.person_id = cohort.person_id"
        " and death.source_table = 'death' and death.event_date <= cohort.index_date + $tar_end))"
        " from cohort inner join label on cohort.example_id = label.example_id where label.y_true = 0",
    ),
    Check(
        "null_label_has_a_reason",
        "block",
        "Each example without a label says why, and none with a label does.",
        "select count(*), count(*) filter (where (y_true is null) <> (reason is not null)) from label",
    ),
    Check(
        "person_is_in_one_split",
        "block",
        "No person of this task's examples is in two splits (L21).",
        "select count(*), count(*) filter (where splits > 1) from"
        " (select person_id, count(distinct split) as splits from example group by person_id)",
    ),
)


def run_snapshot_checks(folder: Path) -> list[dict[str, Any]]:
    """Run the snapshot checks on a published folder; rows without `passed`."""
    with duckdb.connect() as connection:
        _views(connection, folder)
        return [_row(connection, check, "", {}) for check in SNAPSHOT_CHECKS]


def run_task_checks(
    folder: Path, examples: Path, task: str, *, outcome_sets: Sequence[str], tar: tuple[int, int]
) -> list[dict[str, Any]]:
    """Run the task checks on one task's examples and the snapshot they were cut from."""
    with duckdb.connect() as connection:
        _views(connection, folder)
        example, event = examples / "example.parquet", examples / "event.parquet"
        for statement, values in (
            ("create table example as from read_parquet(?)", [str(example)]),
            ("create view event as from read_parquet('{}')".format(str(event).replace("'", "''")), []),
            ("create table cohort as from cohort_of_all where task = ? and example_id in"
             " (select example_id from example)", [task]),
            ("create table label as from label_of_all where task = ? and example_id in"
             " (select example_id from example)", [task]),
            ("create table outcome as select distinct concept_id from concept_set_member"
             " where concept_set in (select unnest(?))", [list(outcome_sets)]),
        ):  # fmt: skip
            connection.execute(statement, values)
        windows = {"tar_start": tar[0], "tar_end": tar[1]}
        return [_row(connection, check, task, windows) for check in TASK_CHECKS]


def shortage(examples: Path) -> str:
    """Say in words which split lacks cases or non-cases."""
    short = [
        f"{split}: fewer than {MINIMUM_CASES} cases or non-cases"
        for split, (n, cases) in sorted(split_counts(examples).items())
        if cases < MINIMUM_CASES or n - cases < MINIMUM_CASES
    ]
    return "; ".join(short)


def _views(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    connection.execute("set timezone = 'UTC'; set threads = 1")
    for file in sorted(folder.glob("*.parquet")):
        # A task's checks see only its own cohort and labels under these names.
        name = f"{file.stem}_of_all" if file.stem in ("cohort", "label") else file.stem
        path = str(file).replace("'", "''")
        connection.execute(f"create view {name} as from read_parquet('{path}')")


def _row(
    connection: duckdb.DuckDBPyConnection, check: Check, task: str, values: dict[str, int]
) -> dict[str, Any]:
    used = {name: value for name, value in values.items() if f"${name}" in check.sql}
    looked_at, found = connection.execute(check.sql, used).fetchall()[0]
    return {
        "name": check.name,
        "task": task,
        "looked_at": int(looked_at),
        "found": int(found),
        "limit": check.limit,
        "severity": check.severity,
    }
