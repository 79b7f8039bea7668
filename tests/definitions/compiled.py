"""The dbt project, compiled once, and its models run as plain SQL on an in-memory DuckDB.

dbt writes the SQL of every model; here it runs in dbt's order over landed rows that never touch the disk. Any
model can be given other SQL (mutants) or another table in its place (truncation).
"""

import csv
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from dbt_world import PROJECT, dbt, land_rows

from ml.cdm import cdm_tables

DATABASE = "small"  # the name that dbt gives to the database of `dbt_world.dbt`, so it stands in the SQL
OUTPUTS = ("cohort", "label", "attrition", "example_input", "availability_count")

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]

ARROW_TYPES = {
    "BIGINT": pa.int64(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "DOUBLE": pa.float64(),
    "VARCHAR": pa.string(),
}


@dataclass(frozen=True)
class Model:
    """One model as dbt compiled it; parents are models and seeds."""

    name: str
    sql: str
    parents: tuple[str, ...]
    is_view: bool


@dataclass(frozen=True)
class Project:
    """Every model between the landed tables and the outputs, in build order, and the types of the seeds."""

    models: dict[str, Model]
    seed_types: dict[str, dict[str, str]]

    def below(self, name: str) -> list[str]:
        """Return the models that read `name`, directly or not, in build order."""
        reached = {name}
        for model in self.models.values():
            if reached & set(model.parents):
                reached.add(model.name)
        return [model for model in self.models if model in reached and model != name]


# Values that a study would not give: each stands once in the compiled SQL, where another can take its place.
ANY_DATA_END, ANY_CODING_LAG = "2345-06-07", 98_765


@cache
def study_project(data_end: str, coding_lag_days: int, outputs: tuple[str, ...] = OUTPUTS) -> Project:
    """Return the project as compiled for a data end and a lag, without running dbt again."""
    project = compile_project(outputs, data_end=ANY_DATA_END, coding_lag_days=ANY_CODING_LAG)
    constant = f"cast('{data_end}' as date)"
    day = {"none": "cast(null as date)", "auto": "last_end_date"}.get(data_end, constant)
    places = {f"cast('{ANY_DATA_END}' as date)": day, str(ANY_CODING_LAG): str(coding_lag_days)}
    models = dict(project.models)
    for given, instead in places.items():
        (name,) = (name for name, model in models.items() if given in model.sql)
        assert models[name].sql.count(given) == 1, f"{given} stands more than once in `{name}`"
        models[name] = replace(models[name], sql=models[name].sql.replace(given, instead))
    return replace(project, models=models)


@cache
def compile_project(outputs: tuple[str, ...] = OUTPUTS, **study: str | int) -> Project:
    """Compile the models that `outputs` are made from, for the given study vars."""
    models, seeds = _compiled(**study)
    needed = _above(models, outputs)
    order = TopologicalSorter({name: sorted(models[name].parents) for name in sorted(needed)}).static_order()
    return Project({name: models[name] for name in order if name in needed}, seeds)


@cache
def _compiled(**study: str | int) -> tuple[dict[str, Model], dict[str, dict[str, str]]]:
    """Return every model, and the types of the seeds; one run of dbt for each distinct set of vars."""
    with tempfile.TemporaryDirectory(prefix="compiled-") as name:
        folder = Path(name)
        landing = land_rows({}, folder / "landing")
        given = json.dumps({"landing": str(landing), **study})
        done = dbt(folder, "--quiet", "compile", "--select", "path:models", "--vars", given)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        manifest = json.loads((folder / "target" / "manifest.json").read_text(encoding="utf-8"))
        models = {
            node["name"]: Model(
                node["name"],
                (
                    folder / "target" / "compiled" / node["package_name"] / node["original_file_path"]
                ).read_text(encoding="utf-8"),
                tuple(p.split(".")[2] for p in node["depends_on"]["nodes"] if not p.startswith("source.")),
                node["config"]["materialized"] == "view",
            )
            for node in manifest["nodes"].values()
            if node["resource_type"] == "model"
        }
    seeds = [node for node in manifest["nodes"].values() if node["resource_type"] == "seed"]
    return models, {node["name"]: _seed_types(node) for node in seeds}


def _model(node: Mapping[str, Any], compiled: Path) -> Model:
    return Model(
        node["name"],
        (compiled / node["package_name"] / node["original_file_path"]).read_text(encoding="utf-8"),
        tuple(parent.split(".")[2] for parent in node["depends_on"]["nodes"] if parent[:7] != "source."),
        node["config"]["materialized"] == "view",
    )


def _above(models: Mapping[str, Model], names: Iterable[str]) -> set[str]:
    waiting, found = list(names), set()
    while waiting:
        name = waiting.pop()
        if name in models and name not in found:
            found.add(name)
            waiting.extend(models[name].parents)
    return found


def _seed_types(node: Mapping[str, Any]) -> dict[str, str]:
    with (PROJECT / node["original_file_path"]).open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file))
    return {column: node["config"]["column_types"][column] for column in header}


def catalogue() -> dict[str, list[dict[str, str]]]:
    """Return the rows of the project's own seeds."""
    seeds = {}
    for path in sorted((PROJECT / "seeds").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            seeds[path.stem] = list(csv.DictReader(file, strict=True))
    return seeds


class Database:
    """An in-memory database that holds landed tables, seeds and the models that were run."""

    def __init__(self, project: Project, *, threads: int = 1, memory_limit: str = "4GB") -> None:
        self.project = project
        self.connection = duckdb.connect(config={"threads": threads, "memory_limit": memory_limit})
        self.connection.execute("set enable_progress_bar = false")
        self.connection.execute(f"attach ':memory:' as {DATABASE}; use {DATABASE}; set timezone = 'UTC'")
        self.connection.execute("create schema landing; set preserve_insertion_order = false")

    @classmethod
    def opened(cls, project: Project, file: Path) -> "Database":
        """Open a database that dbt built, to read it."""
        database = cls(project)
        database.connection.close()
        database.connection = duckdb.connect(str(file), read_only=True)
        return database

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def land(self, rows: Rows) -> None:
        """Land rows given by table; columns not given are null, tables not given empty."""
        for table in cdm_tables():
            self.put(f"landing.{table}", omop_table(table, rows.get(table, ())))

    def land_folder(self, folder: Path) -> None:
        """Read landed Parquet files as the landed tables."""
        for table in cdm_tables():
            self.connection.execute(
                f"create or replace table landing.{table} as"
                f" select * from read_parquet('{folder / table}.parquet')"
            )

    def seed(self, seeds: Rows) -> None:
        """Load every seed of the project; a seed or a column not given is empty."""
        for name, types in self.project.seed_types.items():
            given = [{c: seed_cell(row.get(c)) for c in types} for row in seeds.get(name, ())]
            unknown = {c for row in seeds.get(name, ()) for c in row} - set(types)
            assert not unknown, f"seed `{name}` has no column {sorted(unknown)}"
            table = pa.Table.from_pylist(given, schema=pa.schema([(c, pa.string()) for c in types]))
            self.connection.register("given", table)
            casts = ", ".join(f'cast("{c}" as {kind}) as "{c}"' for c, kind in types.items())
            self.connection.execute(f"create or replace table {name} as select {casts} from given")
            self.connection.unregister("given")

    def put(self, relation: str, table: pa.Table) -> None:
        """Make `relation` hold the rows of an Arrow table."""
        self.connection.register("given", table)
        self.connection.execute(f"create or replace table {relation} as select * from given")
        self.connection.unregister("given")

    @contextmanager
    def instead(self, name: str, query: str) -> Iterator[None]:
        """Let the rows of a query stand in the place of a model."""
        model = self.project.models[name]
        self.connection.execute(f"drop {'view' if model.is_view else 'table'} if exists {name}")
        self.connection.execute(f"create table {name} as {query}")
        yield
        self.connection.execute(f"drop table {name}")

    def run(self, names: Iterable[str] | None = None, replaced: Mapping[str, str] | None = None) -> None:
        """Run the named models (all of them by default) in build order, some with other SQL."""
        chosen = set(self.project.models if names is None else names)
        for model in self.project.models.values():
            if model.name in chosen:
                kind = "view" if model.is_view else "table"
                sql = (replaced or {}).get(model.name, model.sql)
                self.connection.execute(f"create or replace {kind} {model.name} as {sql}")

    def rows(self, query: str, parameters: object = None) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self.connection.execute(query, parameters).fetchall()

    def digest(self, relation: str) -> tuple[Any, ...]:
        """Return a fingerprint of the rows of a relation, blind to their order, good within one process."""
        return self.rows(f"select count(*), sum(hash(t)), bit_xor(hash(t)) from {relation} as t")[0]


def omop_table(table: str, rows: Iterable[Row]) -> pa.Table:
    """Return rows of one OMOP table as Arrow in the types of the CDM; dates may be ISO text."""
    schema = pa.schema([(c.name, ARROW_TYPES[c.type]) for c in cdm_tables()[table]])
    dates = {c.name for c in cdm_tables()[table] if c.type == "DATE"}
    return pa.Table.from_pylist([_typed(row, dates) for row in rows], schema=schema)


def _typed(row: Row, dates: set[str]) -> dict[str, Any]:
    return {
        column: date.fromisoformat(value) if column in dates and isinstance(value, str) else value
        for column, value in row.items()
    }


def seed_cell(value: object) -> str | None:
    """Write a seed's value as a CSV cell would; null for an empty one."""
    if value is None or value == "":
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
