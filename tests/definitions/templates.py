"""The templates of the proof: one for each combination of anchor and outcome kind that the catalogue uses."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from definitions.catalogue import SEEDS, Defined, Row, read_seed
from definitions.task import read_task
from definitions.varied_event import EVENT_CONCEPT, EVENT_CONCEPT_MOVED
from definitions.varied_visit import (
    LANDMARK_DEATH,
    VISIT_END_CONCEPT,
    VISIT_END_VISIT,
    VISIT_START_CONCEPT,
    VISIT_START_DEATH,
    VISIT_START_LENGTH,
    VISIT_START_VALUE,
)
from definitions.vocabulary import CHARTED, CLAIM, family_sets

# anchor, outcome kind, index rule
Kind = tuple[str, str, str]

EVENT_ROWS = ("condition_occurrence", "drug_exposure", "procedure_occurrence", "measurement", "observation")


@dataclass(frozen=True)
class Template:
    """Tasks of one kind with all that they need: rows as in the seeds, vars as a study gives them."""

    name: str
    kind: Kind
    tasks: list[Row]
    criteria: list[Row]
    concept_sets: list[Row]
    availability: list[Row]
    vars: dict[str, Any] = field(default_factory=dict)


def availability(*given: tuple[str, int | None, str, int]) -> list[Row]:
    """Return availability rows: those given, and the default for each table not among them."""
    rows = {(table, None): ("own_date", 0) for table in ("visit_occurrence", *EVENT_ROWS, "death")}
    rows[EVENT_ROWS[0], None] = rows[EVENT_ROWS[2], None] = ("visit_end", 0)
    merged: dict[tuple[str, int | None], tuple[str, int]] = {**rows}
    merged.update({(table, kind): (rule, lag) for table, kind, rule, lag in given})
    return [
        {"source_table": table, "type_concept_id": kind, "rule": rule, "lag_days": lag}
        for (table, kind), (rule, lag) in merged.items()
    ]


DEFAULT = availability(("condition_occurrence", CHARTED, "own_date", 0))
LAGGED = availability(
    ("condition_occurrence", None, "visit_end", 1),
    ("condition_occurrence", CHARTED, "own_date", 0),
    ("drug_exposure", None, "own_date", 2),
    ("drug_exposure", CLAIM, "visit_end", 0),
    ("procedure_occurrence", CHARTED, "own_date", 1),
    ("measurement", None, "result_date", 2),
    ("measurement", CLAIM, "visit_end", 3),
    ("observation", None, "own_date", 1),
    ("death", None, "own_date", 2),
    ("death", CLAIM, "own_date", 4),
)
RESULTS = availability(
    ("condition_occurrence", CLAIM, "own_date", 3),
    ("measurement", None, "result_date", 1),
    ("measurement", CHARTED, "own_date", 0),
    ("death", None, "own_date", 1),
)
FULL_YEARS = {"data_end": "none", "coding_lag_days": 0}
CLOSED = {"data_end": "2019-06-30", "coding_lag_days": 0}
CODING_LAG = {"data_end": "2019-12-31", "coding_lag_days": 30}

_PLANS: tuple[tuple[str, Kind, Sequence[Defined], list[Row], dict[str, Any]], ...] = (
    ("event_concept", ("event", "concept", "anchor"), EVENT_CONCEPT, LAGGED, CODING_LAG),
    (
        "event_concept_moved",
        ("event", "concept", "outcome_or_last_visit"),
        EVENT_CONCEPT_MOVED,
        DEFAULT,
        CLOSED,
    ),
    ("visit_end_concept", ("visit_end", "concept", "anchor"), VISIT_END_CONCEPT, LAGGED, FULL_YEARS),
    ("visit_start_concept", ("visit_start", "concept", "anchor"), VISIT_START_CONCEPT, DEFAULT, CODING_LAG),
    ("visit_end_visit", ("visit_end", "visit", "anchor"), VISIT_END_VISIT, RESULTS, CODING_LAG),
    (
        "visit_start_visit_length",
        ("visit_start", "visit_length", "anchor"),
        VISIT_START_LENGTH,
        LAGGED,
        CLOSED,
    ),
    ("visit_start_death", ("visit_start", "death", "anchor"), VISIT_START_DEATH, LAGGED, CLOSED),
    ("landmark_death", ("landmark", "death", "anchor"), LANDMARK_DEATH, RESULTS, CODING_LAG),
    ("visit_start_value", ("visit_start", "value", "anchor"), VISIT_START_VALUE, RESULTS, CLOSED),
)


def kind_of(task: Row, criteria: Sequence[Row]) -> Kind:
    """Return anchor, outcome kind and index rule of a task's row."""
    read = read_task(task, criteria)
    return read.anchor, read.outcome_kind, read.index_rule or "anchor"


def build(seeds: Path = SEEDS) -> dict[str, Template]:
    """Return the templates by name: the catalogue's tasks of their kind, then those of the tests."""
    tasks, criteria, concept_sets = (read_seed(name, seeds) for name in ("tasks", "criteria", "concept_sets"))
    kinds = {task["task"]: kind_of(task, criteria) for task in tasks}
    built = {}
    for name, kind, varied, rules, study in _PLANS:
        own = [task for task in tasks if kinds[task["task"]] == kind]
        names = {task["task"] for task in own}
        rows = [row for row in criteria if row["task"] in names]
        needed = {row[column] for row in rows for column in ("concept_set", "value_concept_set")}
        built[name] = Template(
            name,
            kind,
            [*own, *(defined.task for defined in varied)],
            [*rows, *(row for defined in varied for row in defined.criteria)],
            [*(row for row in concept_sets if row["concept_set"] in needed), *family_sets()],
            rules,
            study,
        )
    return built


TEMPLATES = build()
