"""Absurd events added behind examples, which no input may show.

Records that a task could read are added after one index a person, and on the index day where the task leaves
that day out of its inputs: codes of the listed concepts, values of 10 to the 12th, visits and a death.
"""

import random
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from definitions.compiled import Database
from definitions.metamorphic import EVENT_TABLES, FIRST_NEW_ID, joined
from definitions.stacked import Stack, Table, built
from definitions.templates import Template


@dataclass(frozen=True)
class Poisoned:
    """How many examples had absurd events added behind them, and how many rows and input events changed."""

    examples: int
    differences: int


INPUT_EVENTS = """
select shown.task, shown.example_id, shown.n_events, event.*
from example_input as shown
semi join temp.poisoned as poisoned using (task, example_id)
left join clinical_event as event
    on shown.person_id = event.person_id
    and event.event_no between shown.first_event_no and shown.last_event_no
"""
POISON_DAYS_AFTER = (1, 2, 30)


def poisoned_after(
    stack: Stack, before: Database, tasks: Collection[str] | None = None
) -> dict[str, Poisoned]:
    """Add them after one index a person; return counts by prospective task. No cohort row may leave."""
    return {
        row["task"]: _poisoned(stack, before, row["task"], POISON_DAYS_AFTER)
        for row in _prospective(stack, tasks)
    }


def poisoned_on_the_day(
    stack: Stack, before: Database, tasks: Collection[str] | None = None
) -> dict[str, Poisoned]:
    """Add them on the index day, for tasks that leave it out of the inputs.

    What is known on the index day may take an example out of the cohort; such examples are not compared.
    """
    return {
        row["task"]: _poisoned(stack, before, row["task"], (0,))
        for row in _prospective(stack, tasks)
        if row["index_day_input"] == "exclude"
    }


def _prospective(stack: Stack, tasks: Collection[str] | None) -> list[dict[str, Any]]:
    rows = [row for row in stack.template.tasks if row["design"] == "prospective"]
    return [row for row in rows if tasks is None or row["task"] in tasks]


def _poisoned(stack: Stack, before: Database, task: str, days: tuple[int, ...]) -> Poisoned:
    """Compare the input events of one example a person before and after; cohort rows stay if all is later."""
    chosen = before.rows(
        "select person_id, example_id, index_date from cohort where task = ?"
        " qualify row_number() over (partition by person_id order by sha256(example_id)) = 1",
        [task],
    )
    added = _poison(stack.template, [(person, index) for person, _, index in chosen], days)
    alone = replace(
        stack.template,
        tasks=[row for row in stack.template.tasks if row["task"] == task],
        criteria=[row for row in stack.template.criteria if row["task"] == task],
    )
    with built(alone, joined(stack.tables, added)) as after:
        left = set(after.rows("select person_id, example_id, index_date from cohort where task = ?", [task]))
        stayed = [row for row in chosen if row in left]
        gone = len(chosen) - len(stayed) if min(days) > 0 else 0
        events = []
        for database in (before, after):
            database.connection.execute(
                "create or replace temp table poisoned (task varchar, example_id varchar)"
            )
            if stayed:
                database.connection.executemany(
                    "insert into poisoned values (?, ?)", [(task, example) for _, example, _ in stayed]
                )
            # as text: a value that is no number equals no other
            events.append({repr(row) for row in database.rows(INPUT_EVENTS)})
    return Poisoned(len(stayed), gone + len(events[0] ^ events[1]))


def _poison(template: Template, indexes: list[tuple[int, date]], days: tuple[int, ...]) -> Table:
    """Return records and visits of drawn concepts of the sets, and a death, around each index."""
    concepts = sorted({int(row["concept_id"]) for row in template.concept_sets})
    draw = random.Random(0)
    added: Table = {name: [] for name in (*EVENT_TABLES, "visit_occurrence", "death")}
    for number, (person_id, index) in enumerate(indexes):
        for place, day in enumerate(days):
            when, identity = index + timedelta(day), FIRST_NEW_ID + number * len(days) + place
            concept_id = draw.choice(concepts)
            for table, (key, concept, dated) in EVENT_TABLES.items():
                row = {key: identity, "person_id": person_id, concept: concept_id, dated: when}
                if table in ("measurement", "observation"):
                    row |= {"value_as_number": 1e12}
                added[table].append(row)
            if day > 0:
                added["visit_occurrence"].append(
                    {
                        "visit_occurrence_id": identity,
                        "person_id": person_id,
                        "visit_concept_id": concept_id,
                        "visit_start_date": when,
                        "visit_end_date": when,
                    }
                )
        if min(days) > 0:
            added["death"].append({"person_id": person_id, "death_date": index + timedelta(max(days))})
    return added
