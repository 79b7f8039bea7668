"""The inputs: a simulated source, landed and built by dbt, and what the label models read, as Parquet."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.labels.boundary import BEGINNING
from ml.artefact import read_json, write_json
from ml.simulator.source import write_source
from orchestration.home import DBT_PROJECT
from orchestration.landing import land

DATABASE = "warehouse"
NO_TESTS = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")


@dataclass(frozen=True)
class World:
    """Where the inputs and the models' compiled SQL stand."""

    folder: Path

    @property
    def inputs(self) -> Path:
        """One Parquet file a table."""
        return self.folder / "inputs"

    @property
    def plan(self) -> Path:
        """The models to run, in order, with their SQL."""
        return self.folder / "plan.json"


def make_world(folder: Path, persons: int, seed: int) -> World:
    """Simulate, land and build anew; export every table that the label models read."""
    world = World(folder)
    shutil.rmtree(folder, ignore_errors=True)
    write_source(folder / "cdm", folder / "state", persons=persons, seed=seed)
    land(folder / "cdm", folder / "landing")
    _dbt_build(folder)
    nodes, run = models_to_run(read_json(folder / "target" / "manifest.json"))
    world.inputs.mkdir(exist_ok=True)
    with duckdb.connect(str(folder / f"{DATABASE}.duckdb"), read_only=True) as connection:
        connection.execute("set memory_limit = '4GB'")
        parents = {p for n in run for p in nodes[n]["depends_on"]["nodes"]} - set(run)
        for node in sorted(parents, key=lambda n: nodes[n]["name"]):
            name = nodes[node]["name"]
            order = "order by person_id, event_no" if name == "clinical_event" else "order by all"
            connection.execute(f"copy (from {name} {order}) to '{world.inputs / name}.parquet'")
    models = [_statement(nodes[node], folder / "target") for node in run]
    write_json(world.plan, {"database": DATABASE, "models": models})
    return world


def models_to_run(manifest: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the manifest's nodes and, parents first, the models that lead from `BEGINNING` to `label`."""
    nodes = manifest["nodes"]
    named = {node["name"]: key for key, node in nodes.items() if node["resource_type"] == "model"}
    begun = {named[name] for name in BEGINNING}
    before = _closure(begun, manifest["parent_map"])
    leading = _closure([named["label"]], manifest["parent_map"])
    coming = _closure(begun, manifest["child_map"])
    run = (leading & coming & set(named.values())) - before
    in_order = TopologicalSorter({n: set(manifest["parent_map"][n]) & run for n in run}).static_order()
    return nodes, list(in_order)


def _closure(start: Any, edges: dict[str, list[str]]) -> set[str]:
    found, waiting = set(start), list(start)
    while waiting:
        new = [key for key in edges.get(waiting.pop(), []) if key not in found]
        found.update(new)
        waiting.extend(new)
    return found


def _statement(node: dict[str, Any], target: Path) -> dict[str, str]:
    compiled = target / "compiled" / node["package_name"] / node["original_file_path"]
    return {
        "name": node["name"],
        "materialized": node["config"]["materialized"],
        "sql": compiled.read_text(encoding="utf-8"),
    }


def _dbt_build(folder: Path) -> None:
    environment = {
        **os.environ,
        "SECOND_OPINION_WAREHOUSE": str(folder / f"{DATABASE}.duckdb"),
        "SECOND_OPINION_THREADS": "2",
        "SECOND_OPINION_MEMORY_LIMIT": "4GB",
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
        "DO_NOT_TRACK": "1",
    }
    command = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", "build", *NO_TESTS]
    command += ["--vars", json.dumps({"landing": str((folder / "landing").resolve())})]
    command += ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"dbt build failed:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
