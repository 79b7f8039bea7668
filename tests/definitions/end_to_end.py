"""One world through `dbt build` itself: landed as Parquet, seeds as CSV, the database as dbt leaves it."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
from dbt_world import NO_TESTS, PROJECT

from definitions.compiled import DATABASE, Database, omop_table, seed_cell
from definitions.stacked import Stack, project_of, seeds_of
from ml.cdm import cdm_tables


def dbt_built(stack: Stack, folder: Path) -> Database:
    """Build the worlds of a stack with dbt in an empty `folder`; return the database that it made.

    The project is copied, with the template's rows in place of its seeds; the study's vars go to dbt as
    they are. dbt's own data tests judge the catalogue, not a template, and are left out.
    """
    project, warehouse = folder / "project", folder / f"{DATABASE}.duckdb"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    _write_seeds(stack, project / "seeds")
    variables = {"landing": str(_land(stack, folder / "landing")), **stack.template.vars}
    command = [str(Path(sys.executable).with_name("dbt")), "--quiet", "--no-use-colors", "build", *NO_TESTS]
    command += [
        "--vars",
        json.dumps(variables),
        "--project-dir",
        str(project),
        "--profiles-dir",
        str(project),
    ]
    environment = {
        **os.environ,
        "SECOND_OPINION_WAREHOUSE": str(warehouse),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "DO_NOT_TRACK": "1",
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return Database.opened(project_of(stack.template), warehouse)


def _land(stack: Stack, folder: Path) -> Path:
    folder.mkdir()
    with duckdb.connect() as connection:
        for table in cdm_tables():
            connection.register("given", omop_table(table, stack.tables.get(table, ())))
            connection.execute(f"copy given to '{folder / table}.parquet' (format parquet)")
            connection.unregister("given")
    return folder


def _write_seeds(stack: Stack, folder: Path) -> None:
    """Write the template's rows under the header of each seed; a seed it has no rows of is empty."""
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            for row in seeds_of(stack.template).get(path.stem, ()):
                writer.writerow([seed_cell(row.get(column)) for column in header])
