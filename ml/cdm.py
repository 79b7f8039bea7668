"""The tables of the OMOP Common Data Model 5.4 that the platform reads; the facts are rows of `cdm.csv`."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REQUIRED_TABLES = ("person", "observation_period", "concept")
EVENT_TABLES = (
    "visit_occurrence",
    "condition_occurrence",
    "drug_exposure",
    "procedure_occurrence",
    "measurement",
    "observation",
)


@dataclass(frozen=True)
class Column:
    """One column: its type in DuckDB, whether a present table must have it, its name before CDM 5.4."""

    table: str
    name: str
    type: str
    required: bool
    older_name: str


@cache
def cdm_tables() -> dict[str, tuple[Column, ...]]:
    """Return the columns of every table that is read, in the order of the specification.

    Source: OMOP CDM 5.4 field list (OHDSI/CommonDataModel); older names from CDM 5.3.
    """
    tables: dict[str, list[Column]] = {}
    with Path(__file__).with_name("cdm.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            column = Column(
                row["table"], row["column"], row["type"], row["required"] == "yes", row["older_name"]
            )
            tables.setdefault(column.table, []).append(column)
    return {table: tuple(columns) for table, columns in tables.items()}
