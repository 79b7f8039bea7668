"""Changes of a source that must change nothing: what the SQL makes of a stack before and after each.

No oracle is needed: the output on the changed rows is compared with the output on the rows as they were,
mapped where the change moves ids or dates.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from definitions.compiled import Database
from definitions.stacked import Stack, Table, built
from definitions.templates import Template

CALENDAR_CYCLE_DAYS = 146_097  # 400 years: the Gregorian calendar repeats to the day of the week
CALENDAR_CYCLE_YEARS = 400
IRRELEVANT = 2_147_000_000  # in no concept set and in no vocabulary
FIRST_NEW_ID = 10_000_000_000
EVENT_TABLES = {
    "condition_occurrence": ("condition_occurrence_id", "condition_concept_id", "condition_start_date"),
    "drug_exposure": ("drug_exposure_id", "drug_concept_id", "drug_exposure_start_date"),
    "procedure_occurrence": ("procedure_occurrence_id", "procedure_concept_id", "procedure_date"),
    "measurement": ("measurement_id", "measurement_concept_id", "measurement_date"),
    "observation": ("observation_id", "observation_concept_id", "observation_date"),
}
REPEATED_TABLES = (*EVENT_TABLES, "visit_occurrence", "observation_period", "death")

COHORT = """
select
    task, person_id, index_date, observation_period_start_date, observation_period_end_date, age,
    sex_concept_id
from cohort
"""
LABEL = "select task, person_id, index_date, y_true, reason, outcome_date, follow_up_end_date from label"
COUNTS = "select task, step, entries, persons, cases from attrition"
INPUT_SIZE = """
select cohort.task, cohort.person_id, cohort.index_date, example_input.n_events
from cohort inner join example_input using (task, example_id)
"""
DATED = {"cohort": (2, 3, 4), "label": (2, 5, 6), "attrition": (), "input": (2,)}  # places of dates in a row

Row = dict[str, Any]
Outcome = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Relation:
    """A change of the rows, and how the output of before reads after it."""

    name: str
    change: Callable[[Template, Table], tuple[Template, Table]]
    person: Callable[[int], int] = lambda person_id: person_id
    days: int = 0
    threads: int = 1
    inputs: bool = True  # whether the number of input events stays as well


def outcome(database: Database, *, inputs: bool) -> Outcome:
    """Return what the SQL made of a database, in order."""
    queries = {"cohort": COHORT, "label": LABEL, "attrition": COUNTS} | (
        {"input": INPUT_SIZE} if inputs else {}
    )
    return {name: sorted(database.rows(query), key=repr) for name, query in queries.items()}


def violations(stack: Stack, before: Database, relation: Relation) -> int:
    """Count the rows that only one of before (mapped) and after has."""
    template, tables = relation.change(stack.template, stack.tables)
    with built(template, tables, threads=relation.threads) as after:
        changed = outcome(after, inputs=relation.inputs)
    mapped = outcome(before, inputs=relation.inputs)
    wrong = 0
    for name, rows in mapped.items():
        expected = {_mapped(row, name, relation) for row in rows}
        wrong += len(expected ^ set(changed[name])) + abs(len(rows) - len(changed[name]))
    return wrong


def _mapped(row: tuple[Any, ...], name: str, relation: Relation) -> tuple[Any, ...]:
    cells = list(row)
    if name != "attrition":
        cells[1] = relation.person(cells[1])
    for place in DATED[name]:
        cells[place] = cells[place] and cells[place] + timedelta(relation.days)
    return tuple(cells)


def permuted(stack: Stack) -> Relation:
    """Give every person the id of another; the ids of the new order follow no rule of the old one's."""
    ids = sorted({row["person_id"] for row in stack.tables["observation_period"] + stack.tables["person"]})
    others = random.Random(0).sample(ids, len(ids))
    person = dict(zip(ids, others, strict=True))

    def change(template: Template, tables: Table) -> tuple[Template, Table]:
        return template, {name: [_renamed(row, person) for row in rows] for name, rows in tables.items()}

    return Relation("person_ids_permuted", change, person=person.__getitem__)


def _renamed(row: Row, person: Mapping[int, int]) -> Row:
    return row | {"person_id": person.get(row["person_id"], row["person_id"])} if "person_id" in row else row


def _reverse(template: Template, tables: Table) -> tuple[Template, Table]:
    return template, {name: rows[::-1] for name, rows in tables.items()}


def _repeat(template: Template, tables: Table) -> tuple[Template, Table]:
    return template, {
        name: [copy for row in rows for copy in (row, row)] if name in REPEATED_TABLES else rows
        for name, rows in tables.items()
    }


def _shift(template: Template, tables: Table) -> tuple[Template, Table]:
    tasks = [
        row | {"landmark_date": str(_later(row["landmark_date"]))} if row.get("landmark_date") else row
        for row in template.tasks
    ]
    shifted = {
        name: [{column: _shifted(column, value) for column, value in row.items()} for row in rows]
        for name, rows in tables.items()
    }
    study = dict(template.vars)
    if study["data_end"] != "none":
        study["data_end"] = _later(study["data_end"]).isoformat()
    return replace(template, tasks=tasks, vars=study), shifted


def _later(value: date | str) -> date:
    return (date.fromisoformat(value) if isinstance(value, str) else value) + timedelta(CALENDAR_CYCLE_DAYS)


def _shifted(column: str, value: Any) -> Any:
    if column == "year_of_birth" and value is not None:
        return value + CALENDAR_CYCLE_YEARS
    if value is not None and (column.endswith("_date") or column.endswith("_datetime")):
        return _later(value)
    return value


def _add_irrelevant(template: Template, tables: Table) -> tuple[Template, Table]:
    """Add records of codes that no concept set has, on days that other records have."""
    return template, joined(
        tables,
        {
            table: [
                row | {key: FIRST_NEW_ID + number, concept: IRRELEVANT, "value_as_number": 1e9}
                if table in ("measurement", "observation")
                else row | {key: FIRST_NEW_ID + number, concept: IRRELEVANT}
                for number, row in enumerate(tables.get(table, ()))
            ]
            for table, (key, concept, _) in EVENT_TABLES.items()
        },
    )


def joined(tables: Table, added: Table) -> Table:
    """Return the rows of both."""
    return {name: [*tables.get(name, ()), *added.get(name, ())] for name in {**tables, **added}}


def _same(template: Template, tables: Table) -> tuple[Template, Table]:
    return template, tables


RELATIONS = (
    Relation("rows_reversed", _reverse),
    Relation("dates_shifted_by_400_years", _shift, days=CALENDAR_CYCLE_DAYS),
    Relation("identical_rows_repeated", _repeat, inputs=False),
    Relation("irrelevant_codes_added", _add_irrelevant, inputs=False),
    Relation("two_threads", _same, threads=2),
)
