"""Publishing: a whole snapshot of what dbt built, named by the hash of its contents, or none."""

import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from ml.artefact import differences, manifest, sha256_file, sha256_json, whole_folder, write_json
from ml.code_key import code_key
from ml.cost import Cost
from ml.in_memory import in_memory
from orchestration.checking import run_snapshot_checks
from orchestration.checks import SNAPSHOT_CHECKS
from orchestration.expectations import judge
from orchestration.home import forget_old
from orchestration.platform import Platform
from orchestration.step import Computed, carry_out, result, upstream
from orchestration.versions import library_versions

NAME = "published"

# Every published relation with its total order; the same rows are the same bytes.
RELATIONS = {
    "person": "person_id",
    "cohort": "task, person_id, index_date, example_id",
    "attrition": "task, step",
    "label": "task, person_id, index_date, example_id",
    "split": "person_id",
    "clinical_event": "person_id, event_no",
    "example_input": "task, person_id, example_id",
    "concept": "concept_id",
    "concept_ancestor": "ancestor_concept_id, descendant_concept_id",
    "concept_set_member": "concept_set, concept_id",
    "concept_set": "concept_set",
    "label_count": "task, quantity, y_true",
    "availability_count": "all",
    "quality_count": "name, source_table, task",
    "snapshot_profile": "quantity, part, bin",
    "study_period": "all",
    "observed_period": "person_id, observation_period_start_date, observation_period_end_date",
}


def published_asset(platform: Platform) -> dg.AssetsDefinition:
    """The published snapshot: all that the studies' tasks are cut from."""
    key = dg.AssetKey("published")
    check_names = [check.name for check in SNAPSHOT_CHECKS]

    @dg.asset(
        key=key,
        deps=[dg.AssetKey(["warehouse", name]) for name in RELATIONS],
        group_name="snapshot",
        owners=["team:data"],
        kinds={"parquet"},
        description="Cohorts, labels, splits, inputs and events as Parquet, swapped in whole by one rename.",
        check_specs=[
            dg.AssetCheckSpec(check.name, asset=key, description=check.description, blocking=check.blocks)
            for check in SNAPSHOT_CHECKS
        ],
        code_version=code_key("orchestration.publish")[:16],
    )
    def published(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        warehouse = upstream(platform, "warehouse")
        home = platform.home

        def compute(_: Cost) -> Computed:
            snapshot = publish_folder(home.warehouse, home.snapshots)
            folder = home.snapshots / snapshot
            rows = judge(run_snapshot_checks(folder))
            if all(row["passed"] or row["severity"] == "warn" for row in rows):
                _swap(home.published, folder)
                forget_old(home.snapshots, keep=folder)
            return Computed({"snapshot": snapshot, **_facts(folder)}, rows)

        record = carry_out(
            platform,
            context,
            NAME,
            key={
                "warehouse": warehouse.data_version,
                "code": code_key("orchestration.publish"),
                "libraries": library_versions("duckdb", "great-expectations"),
            },
            outputs=[home.published],
            compute=compute,
        )
        return result(record, key, check_names)

    return published


def publish_folder(warehouse: Path, snapshots: Path) -> str:
    """Copy every relation out of the warehouse; return the snapshot's name, the hash of its contents."""
    unnamed = snapshots / "unnamed"
    with duckdb.connect(str(warehouse), read_only=True) as connection, whole_folder(unnamed) as folder:
        connection.execute("set timezone = 'UTC'; set threads = 1")
        for name, order in RELATIONS.items():
            file = str(folder / f"{name}.parquet").replace("'", "''")
            connection.execute(f"copy (select * from {name} order by {order}) to '{file}' (format parquet)")
        files = manifest(folder)
        described = [
            {"file": file, "rows": _rows(connection, folder / file), "sha256": sha256}
            for file, sha256 in files.items()
        ]
        write_json(folder / "manifest.json", described)
    snapshot = sha256_json(files)[:16]
    named = snapshots / snapshot
    if named.exists() and not differences(named, files):
        shutil.rmtree(unnamed)  # the same contents; the one in force stays where it is
        return snapshot
    if named.exists():
        shutil.rmtree(named)
    unnamed.rename(named)
    return snapshot


def _swap(link: Path, folder: Path) -> None:
    """Point `link` to `folder` by one rename."""
    temporary = link.with_name(f".{link.name}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(folder.relative_to(link.parent), target_is_directory=True)
    temporary.replace(link)


def _facts(folder: Path) -> dict[str, Any]:
    """Return what the report and the UI say of a snapshot: counts only."""
    with in_memory(folder.parent) as connection:
        persons, events, first, last = connection.execute(
            "select (select count(*) from read_parquet(?)), count(*),"
            " min(year(event_date)), max(year(event_date)) from read_parquet(?)",
            [str(folder / "person.parquet"), str(folder / "clinical_event.parquet")],
        ).fetchall()[0]
        data_end = connection.execute(
            "select data_end from read_parquet(?)", [str(folder / "study_period.parquet")]
        ).fetchall()[0][0]
        cohorts = connection.execute(
            "select task, count(*) from read_parquet(?) group by task order by task",
            [str(folder / "cohort.parquet")],
        ).fetchall()
    return {
        "persons": persons,
        "events": events,
        "first_year": first,
        "last_year": last,
        "data_end": data_end.isoformat() if data_end else "none",
        "examples_by_task": dict(cohorts),
        "manifest_sha256": sha256_file(folder / "manifest.json"),
    }


def _rows(connection: duckdb.DuckDBPyConnection, file: Path) -> int:
    return connection.execute("select count(*) from read_parquet(?)", [str(file)]).fetchall()[0][0]
