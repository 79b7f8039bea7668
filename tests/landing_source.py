"""A small right OMOP source as plain rows, written as Parquet, CSV or DuckDB, for tests to spoil."""

import atexit
import csv
import io
import traceback
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ml.strict import InputError
from orchestration.landing import land

Rows = dict[str, list[Any]]  # column -> values

SECRET = "Wanda Wisniewska"  # a person's text that no message may show
SECRET_ID = 778899001122

TABLES: dict[str, Rows] = {
    "person": {
        "person_id": [SECRET_ID, -9007199254740993],
        "gender_concept_id": [8507, 8532],
        "year_of_birth": [1950, 1961],
        "race_concept_id": [0, 0],
        "ethnicity_concept_id": [0, 0],
        "person_source_value": [SECRET, "second"],
    },
    "observation_period": {
        "observation_period_id": [1, 2],
        "person_id": [SECRET_ID, -9007199254740993],
        "observation_period_start_date": ["2010-01-01", "2011-02-03"],
        "observation_period_end_date": ["2019-12-31", "2018-07-06"],
        "period_type_concept_id": [0, 0],
    },
    "concept": {
        "concept_id": [201826, 8507],
        "concept_name": ["Type 2 diabetes mellitus", "MALE"],
        "domain_id": ["Condition", "Gender"],
        "vocabulary_id": ["SNOMED", "Gender"],
        "concept_class_id": ["Disorder", "Gender"],
        "concept_code": ["44054006", "M"],
        "valid_start_date": ["1970-01-01", "1970-01-01"],
        "valid_end_date": ["2099-12-31", "2099-12-31"],
    },
    "condition_occurrence": {
        "condition_occurrence_id": [1, 2, 3],
        "person_id": [SECRET_ID, SECRET_ID, -9007199254740993],
        "condition_concept_id": [201826, 201826, 0],
        "condition_start_date": ["2012-05-06", "2013-05-06", "2014-05-06"],
        "condition_type_concept_id": [32817, 32817, 32817],
        "condition_source_value": ["E11", None, "R63.4"],
    },
}


def tables(**changes: Rows | None) -> dict[str, Rows]:
    """The right source with columns of some tables replaced or added; None leaves a table out."""
    changed = {name: dict(rows) for name, rows in TABLES.items()}
    for name, rows in changes.items():
        if rows is None:
            del changed[name]
        else:
            changed[name] = {**changed.get(name, {}), **rows}
    return changed


def without(table: str, *columns: str) -> dict[str, Rows]:
    """The right source without some columns of one table."""
    kept = {column: values for column, values in TABLES[table].items() if column not in columns}
    return {**tables(), table: kept}


def sql_values(rows: Rows, types: dict[str, str]) -> str:
    """Rows as a SQL table; `types` says what a column is cast to, else what DuckDB infers."""
    names = list(rows)
    lines = [
        ", ".join(_literal(rows[name][n], types.get(name)) for name in names)
        for n in range(len(next(iter(rows.values()))))
    ]
    listed = ", ".join(f'"{name}"' for name in names)
    return f"select * from (values {', '.join(f'({line})' for line in lines)}) as t({listed})"


def _literal(value: Any, kind: str | None) -> str:
    if value is None:
        text = "null"
    elif isinstance(value, str):
        text = "'" + value.replace("'", "''") + "'"
    else:
        text = str(value)
    return f"cast({text} as {kind})" if kind else text


def write_parquet(folder: Path, source: dict[str, Rows], **types: str) -> Path:
    """Write one Parquet a table; `types` are by column name, for every table that has it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in source.items():
        target = str(folder / f"{name}.parquet").replace("'", "''")
        _connection().execute(f"copy ({sql_values(rows, types)}) to '{target}' (format parquet)")
    return folder


def csv_text(rows: Rows, delimiter: str = ",", newline: str = "\n") -> str:
    """Rows as CSV with a header; nulls are empty cells."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=newline)
    writer.writerow(rows)
    writer.writerows(zip(*rows.values(), strict=True))
    return buffer.getvalue()


def write_csv(folder: Path, source: dict[str, Rows], delimiter: str = ",", suffix: str = ".csv") -> Path:
    """Write one CSV a table."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in source.items():
        (folder / f"{name}{suffix}").write_bytes(csv_text(rows, delimiter).encode())
    return folder


def landed_rows(folder: Path, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """Rows of a landed table, in the order of the file."""
    select = f"select {', '.join(columns)} from read_parquet(?)"
    return _connection().execute(select, [str(folder / f"{table}.parquet")]).fetchall()


def described(folder: Path, table: str) -> list[tuple[str, str]]:
    """Columns and types of a landed table."""
    path = str(folder / f"{table}.parquet")
    rows = _connection().execute("describe select * from read_parquet(?)", [path]).fetchall()
    return [(row[0], row[1]) for row in rows]


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


atexit.register(_connection.cache_clear)  # DuckDB complains of connections that outlive it


def refusal(source: Path, target: Path) -> str:
    """What a refused landing says, once no value of a person stands anywhere in it, causes included."""
    with pytest.raises(InputError) as refused:
        land(source, target)
    whole = "".join(traceback.format_exception(refused.value))
    for value in (SECRET, str(SECRET_ID), "2012-05-06"):
        assert value not in whole
    assert not target.exists()
    return str(refused.value)
