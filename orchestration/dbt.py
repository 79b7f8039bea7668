"""dbt: from landed tables to cohorts, labels and inputs, built into a new warehouse and then published."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, build_dbt_asset_specs

from ml.artefact import read_json, sha256_file, sha256_json
from ml.cost import Cost
from ml.strict import InputError
from orchestration.home import DBT_PROJECT
from orchestration.platform import Platform
from orchestration.source import landing_folder, table_key
from orchestration.step import Computed, Record, carry_out, upstream
from orchestration.versions import library_versions

NAME = "warehouse"
CHECK = "dbt_tests"
NOT_SOURCE_CODE = {"target", "logs", "dbt_packages"}
MEMORY_LIMIT = "2GB"
THREADS = "2"  # rows are totally ordered, so the number changes no byte (tested)


class DbtParseError(RuntimeError):
    """dbt could not parse the project."""


class Translator(DagsterDbtTranslator):
    """Where a dbt resource stands in the graph: sources are the landed tables, folders are groups."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Name sources like the assets that land them, and everything else by its own name."""
        if dbt_resource_props["resource_type"] == "source":
            return table_key(dbt_resource_props["name"])
        if dbt_resource_props["resource_type"] == "seed":
            return dg.AssetKey(["catalogue", dbt_resource_props["name"]])
        return dg.AssetKey(["warehouse", dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """Group by the folder of the model: it is the stretch of the road."""
        if dbt_resource_props["resource_type"] == "seed":
            return "catalogue"
        folders = dbt_resource_props["fqn"][1:-1]
        return folders[0] if folders else "warehouse"

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """Everything in dbt belongs to the data team."""
        return ["team:data"]


def project_files() -> list[Path]:
    """Return every file that shapes what dbt builds, in order of name."""
    return [
        file
        for file in sorted(DBT_PROJECT.rglob("*"))
        if file.is_file()
        and not NOT_SOURCE_CODE & set(file.relative_to(DBT_PROJECT).parts)
        and not file.name.startswith(".")
    ]


def project_key() -> str:
    """Hash every file below `dbt_project/`."""
    return sha256_json([(f.relative_to(DBT_PROJECT).as_posix(), sha256_file(f)) for f in project_files()])


def manifest_path(platform: Platform) -> Path:
    """Return dbt's manifest for the project as it stands, parsed anew only when a file changed."""
    target = platform.home.dbt / "target"
    manifest, parsed = target / "manifest.json", target / "parsed_project.sha256"
    key = project_key()
    platform.home.dbt.mkdir(parents=True, exist_ok=True)
    with (platform.home.dbt / "parse.guard").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # webserver and daemon load the code location at once
        _parse_if_changed(platform, manifest, parsed, key)
    return manifest


def _parse_if_changed(platform: Platform, manifest: Path, parsed: Path, key: str) -> None:
    target = manifest.parent
    if not manifest.exists() or not parsed.exists() or parsed.read_text(encoding="ascii") != key:
        command = [str(_dbt()), "--quiet", "parse", "--project-dir", str(DBT_PROJECT), "--profiles-dir"]
        command += [str(DBT_PROJECT), "--target-path", str(target), "--log-path", str(platform.home.dbt)]
        done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise DbtParseError(f"dbt cannot parse `dbt_project`:\n{done.stdout}{done.stderr}")
        parsed.write_text(key, encoding="ascii")


def warehouse_assets(platform: Platform) -> dg.AssetsDefinition:
    """Every dbt model, seed and test, built by one `dbt build` into a new database file."""
    project = DbtCliResource(
        project_dir=str(DBT_PROJECT),
        profiles_dir=str(DBT_PROJECT),
        dbt_executable=str(_dbt()),
        global_config_flags=["--no-use-colors"],
    )

    manifest = manifest_path(platform)
    specs = build_dbt_asset_specs(manifest=manifest, dagster_dbt_translator=Translator())
    tests = data_tests(read_json(manifest))

    @dg.multi_asset(
        specs=specs,
        check_specs=[
            dg.AssetCheckSpec(
                CHECK, asset=key, description=f"{len(names)} tests: {', '.join(sorted(names))}."
            )
            for key, names in tests.items()
        ],
        can_subset=True,
        name="warehouse",
    )
    def warehouse(context: dg.AssetExecutionContext) -> Iterator[Any]:
        """Build and test; the new database takes the old one's place only when every test passed."""
        landing = upstream(platform, "landing")

        def compute(_: Cost) -> Computed:
            if context.is_subset:
                raise InputError(
                    "A part of the warehouse was selected, and it must be built anew as a whole"
                    "\n\nhint: select all of it: --select '*', or the groups of dbt together"
                )
            checks = _build(platform, project, landing)
            return Computed({"tests": len(checks), "models": len(specs)}, checks)

        record = carry_out(
            platform,
            context,
            NAME,
            key={
                "landing": landing.data_version,
                "project": project_key(),
                "vars": study_vars(platform),
                "libraries": library_versions("dbt-core", "dbt-duckdb", "duckdb"),
            },
            outputs=[platform.home.warehouse],
            compute=compute,
        )
        yield from _emit(context, record)

    return warehouse


def data_tests(manifest: Mapping[str, Any]) -> dict[dg.AssetKey, dict[str, str]]:
    """Return each asset's data tests, name -> unique id.

    One Dagster check an asset stands for all of its tests: a check of its own for each would cost every
    run three events, and a run that computes nothing is mostly events.
    """
    found: dict[dg.AssetKey, dict[str, str]] = {}
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] == "test":
            # A test across models belongs to the last one that it reads.
            reads = [node.get("attached_node"), *reversed(node["depends_on"]["nodes"])]
            owner = next(manifest["nodes"][one] for one in reads if one in manifest["nodes"])
            found.setdefault(Translator().get_asset_key(owner), {})[node["name"]] = unique_id
    return dict(sorted(found.items()))


def study_vars(platform: Platform) -> dict[str, Any]:
    """Return what a study decides of the models."""
    study = platform.study
    return {
        "split_salt": study.split_salt,
        "data_end": study.data_end,
        "coding_lag_days": study.coding_lag_days,
        "tasks": list(study.tasks),  # inputs are made for these; cohorts and labels for the whole catalogue
    }


def _build(platform: Platform, project: DbtCliResource, landing: Record) -> list[dict[str, Any]]:
    """Run `dbt build` into a temporary file beside the warehouse; return its tests as check rows."""
    home = platform.home
    target = home.dbt / "target"
    temporary = home.warehouse.with_name(f".{home.warehouse.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    variables = {**study_vars(platform), "landing": str(landing_folder(platform, landing))}
    arguments = ["build", "--vars", json.dumps(variables), "--log-path", str(home.dbt)]
    arguments += ["--exclude-resource-type", "unit_test"]  # they judge the code, in `make test`
    previous = dict(os.environ)
    os.environ.update(_environment(), SECOND_OPINION_WAREHOUSE=str(temporary))
    os.environ.update(SECOND_OPINION_MEMORY_LIMIT=MEMORY_LIMIT, SECOND_OPINION_THREADS=THREADS)
    try:
        project.cli(arguments, target_path=target).wait()
        temporary.replace(home.warehouse)
    finally:
        os.environ.clear()
        os.environ.update(previous)
        temporary.unlink(missing_ok=True)
    return _check_rows(read_json(target / "manifest.json"), read_json(target / "run_results.json"))


def _check_rows(manifest: Mapping[str, Any], run_results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row a test; a test without a result is an error, never a pass."""
    status = {row["unique_id"]: row["status"] for row in run_results["results"]}
    return [
        {
            "name": name,
            "asset": list(key.path),
            "severity": "warn" if manifest["nodes"][one]["config"]["severity"].lower() == "warn" else "block",
            "passed": status[one] == "pass",
        }
        for key, names in data_tests(manifest).items()
        for name, one in sorted(names.items())
    ]


def _emit(context: dg.AssetExecutionContext, record: Record) -> Iterator[Any]:
    """Report every model and seed as materialised, and the tests of each, from the record."""
    upstream_of = {key: sorted(deps) for key, deps in sorted(context.assets_def.asset_deps.items())}
    in_order = [key for key in TopologicalSorter(upstream_of).static_order() if key in upstream_of]
    for key in (key for key in in_order if key in context.selected_asset_keys):
        yield dg.MaterializeResult(
            asset_key=key,
            data_version=dg.DataVersion(record.data_version),
            metadata={"reused": record.reused},
        )
    for check in sorted(context.selected_asset_check_keys):
        rows = [row for row in record.checks if row["asset"] == list(check.asset_key.path)]
        failed = [row for row in rows if not row["passed"]]
        blocks = any(row["severity"] == "block" for row in failed)
        yield dg.AssetCheckResult(
            check_name=check.name,
            asset_key=check.asset_key,
            passed=bool(rows) and not failed,
            severity=dg.AssetCheckSeverity.ERROR if blocks else dg.AssetCheckSeverity.WARN,
            metadata={"tests": len(rows), "failed": ", ".join(row["name"] for row in failed) or "none"},
        )


def _dbt() -> Path:
    return Path(sys.executable).with_name("dbt")


def _environment() -> dict[str, str]:
    return {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1", "TZ": "UTC"}
