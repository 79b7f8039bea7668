"""The source step: simulate if the study says so, then land every OMOP table in one form."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from ml.artefact import whole_folder
from ml.cdm import cdm_tables
from ml.code_key import code_key
from ml.cost import Cost
from ml.strict import InputError
from orchestration.child import run_child
from orchestration.home import forget_old
from orchestration.landing import Landed, content_key, land
from orchestration.platform import Platform
from orchestration.step import Computed, Record, carry_out, result
from orchestration.versions import library_versions

GROUP = "source"


def table_key(table: str) -> dg.AssetKey:
    """Return the asset key of a landed OMOP table."""
    return dg.AssetKey(["omop", table])


def source_assets(platform: Platform) -> dg.AssetsDefinition:
    """One asset an OMOP table, all landed by one step."""
    described = "simulated patients" if platform.simulates else "the study's OMOP source"
    specs = [
        dg.AssetSpec(
            table_key(table),
            group_name=GROUP,
            owners=["team:data"],
            kinds={"parquet", "omop"},
            description=f"OMOP `{table}` of {described}, landed: the CDM's names and types, all rows.",
            metadata={
                "columns": dg.TableSchema([dg.TableColumn(c.name, c.type.lower()) for c in columns]),
            },
            code_version=code_key("orchestration.landing")[:16],
        )
        for table, columns in cdm_tables().items()
    ]

    @dg.multi_asset(specs=specs, name="source", can_subset=False)
    def source(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        """Land the source; on simulated studies write it first."""
        if platform.simulates:
            _simulate(platform, context)
        record = landed_snapshot(platform, context)
        for table in cdm_tables():
            yield result(record, table_key(table), rows=record.metadata["rows"][table])

    return source


def _simulate(platform: Platform, context: dg.AssetExecutionContext) -> Record:
    """Write the simulated source and world, unless they stand there from the same seed and code."""
    simulate = platform.study.source.simulate
    assert simulate is not None
    home = platform.home

    def compute(cost: Cost) -> Computed:
        with whole_folder(home.simulated_source) as cdm, whole_folder(home.simulated_world) as world:
            arguments = {
                "directory": str(cdm),
                "world_directory": str(world),
                "persons": simulate.persons,
                "seed": simulate.seed,
            }
            run_child("simulate", arguments, cost, context.log.info)
        return Computed({"persons": simulate.persons})

    return carry_out(
        platform,
        context,
        "simulated_source",
        key={
            "simulate": dataclasses.asdict(simulate),
            "code": code_key("ml.simulator.source"),
            "libraries": library_versions("numpy", "pyarrow"),
        },
        outputs=[home.simulated_source, home.simulated_world],
        compute=compute,
    )


def landed_snapshot(platform: Platform, context: dg.AssetExecutionContext) -> Record:
    """Land the source under the hash of its contents; that folder is where dbt reads."""
    snapshot = content_key(platform.source)[:16]
    target = platform.home.landing / snapshot

    def compute(cost: Cost) -> Computed:
        landed = land(platform.source, target)
        if content_key(platform.source)[:16] != snapshot:
            raise InputError("The source changed while it was landed\n\nhint: run again when it holds still")
        forget_old(platform.home.landing, keep=target)
        _report(context, landed)
        return Computed(
            {
                "snapshot": snapshot,
                "rows": landed.rows,
                "absent_tables": landed.absent,
                "files_not_read": landed.unknown,
            }
        )

    return carry_out(
        platform,
        context,
        "landing",
        key={
            "content": snapshot,
            "code": code_key("orchestration.landing"),
            "libraries": library_versions("duckdb"),
        },
        outputs=[target],
        compute=compute,
    )


def landing_folder(platform: Platform, record: Record) -> Path:
    """Return where a landing record's tables lie."""
    return platform.home.landing / record.metadata["snapshot"]


def _report(context: dg.AssetExecutionContext, landed: Landed) -> None:
    context.log.info(f"landed {sum(landed.rows.values())} rows of {len(landed.rows)} tables")
    if landed.absent:
        context.log.warning(f"absent optional tables, landed empty: {', '.join(landed.absent)}")
    if landed.unknown:
        context.log.info(f"{len(landed.unknown)} files of the source are not read")
