"""Small OMOP sources and dbt builds over them, for the tests of `dbt_project`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from ml.cdm import cdm_tables

ROOT = Path(__file__).parents[1]
PROJECT = ROOT / "dbt_project"
NO_TESTS = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")

Rows = Mapping[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Built:
    """A finished dbt build: its database and the SQL of its models."""

    database: Path
    compiled: Path

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query on the built warehouse."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.execute(query).fetchall()


def land_rows(rows: Rows, landing: Path) -> Path:
    """Write rows given by table as landed Parquet; columns not given are null, tables not given empty."""
    landing.mkdir(parents=True)
    with duckdb.connect() as connection:
        for table, columns in cdm_tables().items():
            names = [column.name for column in columns]
            given = pd.DataFrame(rows.get(table, []), columns=pd.Index(names), dtype=object)
            connection.register("given", given)
            casts = ", ".join(f'try_cast("{c.name}" as {c.type}) as {c.name}' for c in columns)
            connection.execute(f"copy (select {casts} from given) to '{landing / table}.parquet'")
            connection.unregister("given")
    return landing


def land_folder(source: Path, landing: Path) -> Path:
    """Cast a folder of Parquet files to the types of the CDM; a column of an older name counts."""
    landing.mkdir(parents=True)
    with duckdb.connect() as connection:
        for table, columns in cdm_tables().items():
            file = source / f"{table}.parquet"
            names = {row[0] for row in connection.execute(f"describe select * from '{file}'").fetchall()}
            given = {c: next((n for n in (c.name, c.older_name) if n in names), "null") for c in columns}
            casts = ", ".join(f"cast({given[c]} as {c.type}) as {c.name}" for c in columns)
            connection.execute(f"copy (select {casts} from '{file}') to '{landing / table}.parquet'")
    return landing


def dbt(folder: Path, *arguments: str, threads: int = 1) -> subprocess.CompletedProcess[str]:
    """Run dbt on the project with its database, target and logs in `folder`; the result is not checked."""
    environment = {
        **os.environ,
        "SECOND_OPINION_WAREHOUSE": str(folder / "small.duckdb"),
        "SECOND_OPINION_THREADS": str(threads),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "DO_NOT_TRACK": "1",
    }
    command = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *arguments]
    command += ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def build(folder: Path, landing: Path, *arguments: str, threads: int = 1, **study: object) -> Built:
    """Build every model over a landed source; what dbt printed is the message when it fails.

    All builds of a test session run beside `folder` under the same paths, so that dbt parses once.
    """
    work = folder.parent / "dbt"
    work.mkdir(exist_ok=True)
    (work / "landing").unlink(missing_ok=True)
    (work / "landing").symlink_to(landing, target_is_directory=True)
    (work / "small.duckdb").unlink(missing_ok=True)
    given = ", ".join(f"{key}: '{value}'" for key, value in {"landing": work / "landing", **study}.items())
    done = dbt(work, "build", "--vars", f"{{{given}}}", *arguments, threads=threads)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    shutil.copytree(work / "target" / "compiled", folder / "compiled")
    return Built((work / "small.duckdb").rename(folder / "small.duckdb"), folder / "compiled")


def person(person_id: int, year: int = 1950, sex: int = 8507) -> dict[str, Any]:
    """Return a person row, born on 15 June."""
    return {
        "person_id": person_id,
        "gender_concept_id": sex,
        "year_of_birth": year,
        "month_of_birth": 6,
        "day_of_birth": 15,
        "race_concept_id": 0,
        "ethnicity_concept_id": 0,
    }


def observed(person_id: int, start: str = "2010-01-01", end: str = "2020-12-31") -> dict[str, Any]:
    """Return an observation period row."""
    return {
        "observation_period_id": person_id * 10,
        "person_id": person_id,
        "observation_period_start_date": start,
        "observation_period_end_date": end,
        "period_type_concept_id": 1,
    }


def conditions(events: Iterable[tuple[int, int, str, int | None]]) -> list[dict[str, Any]]:
    """Return condition rows from (person, concept, day, visit)."""
    return [
        {
            "condition_occurrence_id": number,
            "person_id": person_id,
            "condition_concept_id": concept,
            "condition_start_date": day,
            "condition_type_concept_id": 32020,
            "visit_occurrence_id": visit,
            "condition_source_concept_id": 0,
        }
        for number, (person_id, concept, day, visit) in enumerate(events, start=1)
    ]


def visit(number: int, person_id: int, concept: int, start: str, end: str | None) -> dict[str, Any]:
    """Return a visit row."""
    return {
        "visit_occurrence_id": number,
        "person_id": person_id,
        "visit_concept_id": concept,
        "visit_start_date": start,
        "visit_end_date": end,
        "visit_type_concept_id": 44818517,
    }


DIABETES, FAILURE, OTHER = 201826, 316139, 4000000
INDEX = "2015-03-10"


def world() -> dict[str, list[dict[str, Any]]]:
    """Fourteen persons around `dhf_1y`; each one's story stands in `STORIES`."""
    return {
        "person": [person(n, 2000 if n == 9 else 1950) for n in range(1, 15)],
        "observation_period": [
            *(observed(n) for n in (1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 14)),
            observed(7, end="2015-09-01"),
            observed(8, start="2014-03-11"),
            observed(11, start="2012-01-01", end="2018-01-01"),
            observed(77),
        ],
        "visit_occurrence": [
            visit(1, 10, 9201, "2015-03-01", "2015-03-12"),
            visit(2, 12, 9201, "2015-03-05", "2015-03-20"),
            visit(3, 1, 9202, "2014-01-01", None),
        ],
        "condition_occurrence": conditions(
            [
                *((n, DIABETES, INDEX, None) for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 14)),
                *((n, OTHER, "2014-02-02", None) for n in range(1, 15)),
                (1, OTHER, "2014-02-02", None),
                (1, OTHER, INDEX, None),
                (2, FAILURE, "2015-03-11", None),
                (3, FAILURE, "2016-03-09", None),
                (4, FAILURE, "2016-03-10", None),
                (5, FAILURE, INDEX, None),
                (10, DIABETES, "2015-03-02", 1),
                (12, DIABETES, INDEX, None),
                (12, FAILURE, "2015-03-06", 2),
                (88, DIABETES, INDEX, None),
            ]
        ),
        "death": [
            {"person_id": 6, "death_date": "2015-06-02"},
            {"person_id": 6, "death_date": "2015-06-01"},
        ],
        "concept": [
            {
                "concept_id": concept,
                "concept_name": name,
                "domain_id": "Condition",
                "vocabulary_id": "SNOMED",
                "concept_class_id": "Clinical Finding",
                "standard_concept": "S",
                "concept_code": str(concept),
                "valid_start_date": "1970-01-01",
                "valid_end_date": "2099-12-31",
            }
            for concept, name in ((DIABETES, "Type 2 diabetes mellitus"), (FAILURE, "Heart failure"))
        ],
    }


# person: (index date or None when not in the cohort, y_true, reason), worked out by hand from METHODS
STORIES: dict[int, tuple[str | None, int | None, str | None]] = {
    1: (INDEX, 0, None),
    2: (INDEX, 1, None),  # the first day at risk
    3: (INDEX, 1, None),  # day 365
    4: (INDEX, 0, None),  # day 366
    5: (None, None, None),  # heart failure on the index day is known by its end
    6: (INDEX, 0, None),  # death first
    7: (INDEX, None, "lost_to_follow_up"),
    8: (None, None, None),  # 364 days observed before
    9: (None, None, None),  # fourteen years old
    10: ("2015-03-12", 0, None),  # the diagnosis of a stay is known at its end
    11: (INDEX, 0, None),  # two overlapping periods, one example
    12: (INDEX, None, "outcome_before_index_known_later"),
    13: (None, None, None),  # never observed
    14: (INDEX, 0, None),
}
