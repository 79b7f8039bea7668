"""The labels by the dbt models: their compiled SQL on a new DuckDB file, without dbt.

    python -m benchmarks.labels.by_models INPUTS LABELS PLAN TASK

INPUTS and LABELS as in `by_pandas.py`; PLAN is the models' SQL in order, and the name
of the database that it expects. TASK keeps only the rows of one task in
every input that has tasks; `all` keeps the whole catalogue, and LABELS then holds every task.
"""

import json
import sys
import tempfile
from pathlib import Path

import duckdb


def main(inputs: Path, labels: Path, plan: Path, task: str) -> None:
    """Read the inputs as views, carry out the plan, write the labels."""
    planned = json.loads(plan.read_text(encoding="utf-8"))
    with (
        tempfile.TemporaryDirectory(dir=labels.parent) as folder,
        duckdb.connect(f"{folder}/{planned['database']}.duckdb", config=_settings(folder)) as connection,
    ):
        for file in sorted(inputs.glob("*.parquet")):
            names = {row[0] for row in connection.execute(f"describe from '{file}'").fetchall()}
            only = f" where task = '{task}'" if task != "all" and "task" in names else ""
            connection.execute(f"create view {file.stem} as from '{file}'{only}")
        for model in planned["models"]:
            connection.execute(f"create {model['materialized']} {model['name']} as {model['sql']}")
        connection.execute(f"copy (from label) to '{labels}'")


def _settings(folder: str) -> dict[str, str | bool | int | float | list[str]]:
    """What `dbt_project/profiles.yml` gives, at two threads."""
    return {
        "threads": 2,
        "memory_limit": "2GB",
        "preserve_insertion_order": False,
        "temp_directory": f"{folder}/spill",
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
