"""Truncation invariance (METHODS 5): cohort rows and inputs rebuilt from what was known at the index alone.

The source is built once in full. Then, for one task and one example a person at a time, everything that was
not available is taken away and the same SQL runs again: the cohort rows up to the index must be the same, and
so must the input events of the example, its text, counts and sequence. Indexes that did not become examples
are cut as well: what is known later must not have taken them out.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from definitions.compiled import Database
from definitions.shown import Shown, shown_twice

WHOLE = "whole"  # the database that keeps what the full source gave
KEPT = (
    *("event_availability", "clinical_event", "study_period"),
    *("entry", "cohort", "label", "example_input"),
)
CUT_TABLES = ("person", "observation_period", "visit_occurrence", "death")
EVENT_TABLES = ("condition_occurrence", "drug_exposure", "procedure_occurrence", "measurement", "observation")


@dataclass(frozen=True)
class Compared:
    """How many examples of a task were rebuilt, out of how many; the three differences must be 0.

    `left_out` counts indexes that are no examples and were cut as well; `shown` the examples whose texts,
    counts and sequences were written. Differences count cohort rows, input events, files of what is shown.
    """

    examples: int
    compared: int
    left_out: int
    shown: int
    cohort_differences: int
    input_differences: int
    shown_differences: int


def keep_whole(database: Database) -> None:
    """Set aside what the full source gave, and the landed tables that a cut shortens."""
    database.connection.execute(f"attach ':memory:' as {WHOLE}")
    for name in KEPT:
        database.connection.execute(f"create table {WHOLE}.{name} as select * from {name}")
    for name in CUT_TABLES:
        database.connection.execute(f"create table {WHOLE}.{name} as select * from landing.{name}")
    for name in EVENT_TABLES:  # events reach the models through event_availability alone, which is put in
        database.connection.execute(f"delete from landing.{name}")
    database.connection.execute("drop view event_availability")


def invariance(
    database: Database, seeds: Mapping[str, Sequence[Mapping[str, Any]]], task: str, *, passes: int
) -> Compared:
    """Cut at up to `passes` indexes of each person, examples first, after `keep_whole`."""
    database.seed(_only(seeds, task))
    including = next(row for row in seeds["tasks"] if row["task"] == task)["index_day_input"] == "include"
    examples = database.rows(f"select count(*) from {WHOLE}.cohort where task = ?", [task])[0][0]
    compared = left_out = wrong_rows = wrong_inputs = 0
    written = Shown(0, 0)
    for number in range(1, passes + 1):
        cut, chosen = _choose(database, task, number)
        if not cut:
            break
        compared, left_out = compared + chosen, left_out + cut - chosen
        wrong_rows += _cohort_differences(database, task)
        if not chosen:
            continue
        with _known_inputs(database, including=including):
            wrong_inputs += _input_differences(database, task)
            if number == 1:
                written = shown_twice(database, WHOLE, task)
    return Compared(
        examples, compared, left_out, written.examples, wrong_rows, wrong_inputs, written.differences
    )


def _only(
    seeds: Mapping[str, Sequence[Mapping[str, Any]]], task: str
) -> dict[str, Sequence[Mapping[str, Any]]]:
    own = {name: [row for row in seeds[name] if row["task"] == task] for name in ("tasks", "criteria")}
    return {**seeds, **own}


def _choose(database: Database, task: str, number: int) -> tuple[int, int]:
    """Choose each person's `number`-th index; return how many persons have one, and how many are examples."""
    database.connection.execute(
        f"""
        create or replace table cut as
        select person_id, index_date
        from (
            select
                entry.person_id,
                entry.index_date,
                row_number() over (
                    partition by entry.person_id
                    order by cohort.example_id is null, sha256('' || entry.index_date)
                ) as place
            from {WHOLE}.entry as entry
            left join {WHOLE}.cohort as cohort
                on entry.task = cohort.task
                and entry.person_id = cohort.person_id
                and entry.index_date = cohort.index_date
            where entry.task = $task
        )
        where place = $number
        """,
        {"task": task, "number": number},
    )
    database.connection.execute(
        f"create or replace table chosen as select cohort.* from {WHOLE}.cohort as cohort"
        " semi join cut using (person_id, index_date) where cohort.task = $task",
        {"task": task},
    )
    return database.rows("select (select count(*) from cut), (select count(*) from chosen)")[0]


def _run(database: Database, *given: str) -> None:
    """Run every model but those that are given: events with their dates, and the end of the data."""
    left_out = {"event_availability", "event_record", "study_period", *given}
    database.run([name for name in database.project.models if name not in left_out])


def _cohort_differences(database: Database, task: str) -> int:
    """Count rows up to the chosen indexes that only one of the two cohorts has; periods end at the index."""
    _cut_events(database, "<=")
    execute = database.connection.execute
    execute(f"create or replace table study_period as from {WHOLE}.study_period")
    execute(
        f"create or replace table landing.person as"
        f" select person.* from {WHOLE}.person as person semi join cut using (person_id)"
    )
    execute(
        f"""
        create or replace table landing.observation_period as
        select period.* replace (
            least(observation_period_end_date, cut.index_date) as observation_period_end_date
        )
        from {WHOLE}.observation_period as period
        inner join cut using (person_id)
        where period.observation_period_start_date <= cut.index_date
        """
    )
    execute(
        f"""
        create or replace table landing.visit_occurrence as
        select visit.* replace (
            case when visit_end_date <= cut.index_date then visit_end_date end as visit_end_date,
            case when visit_end_date <= cut.index_date then discharged_to_concept_id end
                as discharged_to_concept_id
        )
        from {WHOLE}.visit_occurrence as visit
        inner join cut using (person_id)
        where visit.visit_start_date <= cut.index_date
        """
    )
    execute(
        f"""
        create or replace table landing.death as
        select death.* from {WHOLE}.death as death
        semi join event_availability as known
            on known.domain = 'Death' and death.person_id = known.person_id
            and death.death_date = known.event_date
        """
    )
    _run(database)
    columns = "whole.* replace (least(whole.observation_period_end_date, cut.index_date)"
    cut = "rebuilt.* replace (least(rebuilt.observation_period_end_date, cut.index_date)"
    return _only_one(
        database,
        f"select {columns} as observation_period_end_date) from {WHOLE}.cohort as whole"
        " inner join cut using (person_id) where whole.task = $task"
        " and whole.index_date <= cut.index_date",
        f"select {cut} as observation_period_end_date) from cohort as rebuilt"
        " inner join cut using (person_id) where rebuilt.task = $task",
        task,
    )


@contextmanager
def _known_inputs(database: Database, *, including: bool) -> Iterator[None]:
    """Rebuild the inputs of the chosen examples from what was available before the index, or by its end."""
    _cut_events(database, "<=" if including else "<")
    with database.instead("cohort", "from chosen"):
        _run(database, "cohort")
        yield


def _input_differences(database: Database, task: str) -> int:
    """Count input events, with every column and in their order, that only one of the two inputs has."""
    events = """
        select shown.example_id, shown.n_events, event.*
        from {0}example_input as shown
        semi join chosen on shown.example_id = chosen.example_id and shown.task = $task
        left join {0}clinical_event as event
            on shown.person_id = event.person_id
            and event.event_no between shown.first_event_no and shown.last_event_no
    """
    return _only_one(database, events.format(f"{WHOLE}."), events.format(""), task)


def _cut_events(database: Database, comparison: str) -> None:
    database.connection.execute(
        f"""
        create or replace table event_availability as
        select event.* from {WHOLE}.event_availability as event
        inner join cut using (person_id)
        where event.available_date {comparison} cut.index_date
        """
    )


def _only_one(database: Database, whole: str, rebuilt: str, task: str) -> int:
    """Count the rows of two queries that only one has; repeated rows count."""
    return database.rows(
        f"select count(*) from ((({whole}) except all ({rebuilt}))"
        f" union all (({rebuilt}) except all ({whole})))",
        {"task": task},
    )[0][0]
