"""Rows of the seeds: the shipped catalogue as its CSV files hold it, and a short way to write more."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]

SEEDS = Path(__file__).parents[2] / "dbt_project" / "seeds"

TASK_COLUMNS = (
    "task", "title", "question", "anchor", "entry_limit", "landmark_date", "landmark_age", "age_min",
    "age_max", "sex_concept_id", "prior_observation_days", "tar_start_days", "tar_end", "tar_end_days",
    "outcome_in_history", "washout_days", "index_day_input", "death_policy", "follow_up_policy",
    "unmeasured_policy", "unconfirmed_policy", "index_rule", "index_gap_days", "design", "breaks", "oracle",
    "version",
)  # fmt: skip
CRITERION_COLUMNS = (
    "task", "order", "role", "domain", "concept_set", "any_of", "window_start_days", "window_end_days",
    "min_count", "max_count", "value_operator", "value_threshold", "unit_concept_id", "value_concept_set",
    "same_visit_as", "min_length_days", "description",
)  # fmt: skip


@dataclass(frozen=True)
class Defined:
    """A task's row and the rows of its criteria."""

    task: Row
    criteria: tuple[Row, ...]


def read_seed(name: str, folder: Path = SEEDS) -> list[Row]:
    """Read one seed; an empty cell is None, a column the file lacks is None."""
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        columns = {"tasks": TASK_COLUMNS, "criteria": CRITERION_COLUMNS}.get(name, ())
        blank: Row = dict.fromkeys(columns)
        return [blank | {key: cell or None for key, cell in row.items()} for row in csv.DictReader(file)]


def criterion(role: str, domain: str, concept_set: str | None = None, **fields: Any) -> Row:
    """Return a row of `criteria.csv`; `define` fills in its task and order."""
    return {"role": role, "domain": domain, "concept_set": concept_set, "description": role, **fields}


def define(name: str, *rows: Row, **fields: Any) -> Defined:
    """Return a task with its criteria, numbered as they come; fields not given follow from those that are."""
    outcomes = [row for row in rows if row["role"] == "outcome"]
    all_death = all(row["domain"] == "Death" for row in outcomes)
    any_death = any(row["domain"] == "Death" for row in outcomes)
    values = any("value_operator" in row for row in outcomes)
    confirmed = any(row["role"] == "confirm" for row in rows)
    given = {
        "task": name,
        "title": name,
        "question": f"{name}?",
        "entry_limit": None if fields["anchor"] == "landmark" else "first_ever",
        "prior_observation_days": 0,
        "tar_start_days": 1,
        "tar_end": "days",
        "outcome_in_history": None if all_death else "forbid",
        "index_day_input": "exclude",
        "death_policy": None if any_death else "negative",
        "follow_up_policy": "null_label",
        "unmeasured_policy": "null_label" if values else None,
        "unconfirmed_policy": "negative" if confirmed else None,
        "index_rule": "anchor",
        "design": "prospective",
        "oracle": "none",
        "version": 1,
        **fields,
    }
    unknown = given.keys() - set(TASK_COLUMNS)
    assert not unknown, f"{name}: no columns {unknown}"
    criteria = []
    for order, row in enumerate(rows, start=1):
        assert row.keys() <= set(CRITERION_COLUMNS), f"{name}: {row.keys() - set(CRITERION_COLUMNS)}"
        criteria.append(dict.fromkeys(CRITERION_COLUMNS) | row | {"task": name, "order": order})
    return Defined(dict.fromkeys(TASK_COLUMNS) | given, tuple(criteria))
