"""The `quality` step: every check of data quality judged, rendered and stored before anything learns."""

from pathlib import Path
from typing import Any

import dagster as dg

from ml.artefact import sha256_json, whole_folder
from ml.code_key import code_key
from ml.cost import Cost
from ml.in_memory import in_memory
from orchestration.dbt import project_key
from orchestration.home import DBT_PROJECT
from orchestration.platform import Platform
from orchestration.quality.catalogue import SUITES, read_catalogue
from orchestration.quality.docs import judge_suites
from orchestration.quality.drift import compare, months
from orchestration.quality.judging import counted_rows, sign_off, suite_row
from orchestration.quality.snapshots import Kept, compare_rows, earlier, keep, read_profile
from orchestration.quality.statistic import Statistic, drift_rows
from orchestration.step import Computed, carry_out, judged, outcome, result, upstream
from orchestration.versions import library_versions

NAME = "quality"
DRIFT = "drift"
SHOWN = ("checks", "nothing_to_look_at", "rows_looked_at", "failed")
OUTCOMES = ("passed", "warned", "signed_off", "blocked", "nothing_to_look_at")


def quality_asset(platform: Platform) -> dg.AssetsDefinition:
    """Judge the snapshot: all rows warn, the rows of a task's cohort decide whether its arms may learn."""
    key = dg.AssetKey(NAME)
    home, tasks = platform.home, list(platform.tasks)

    @dg.asset(
        key=key,
        deps=[dg.AssetKey("published")],
        group_name="snapshot",
        owners=["team:data"],
        kinds={"greatexpectations"},
        description="Counts of the snapshot, against the catalogue of checks and the landing before.",
        # Not `blocking`: Dagster would run no descendant, and a report says what was found.
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, description=words) for name, words in _summaries(tasks).items()
        ],
        code_version=code_key("orchestration.quality.asset")[:16],
    )
    def quality(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        published, landing = upstream(platform, "published"), upstream(platform, "landing", verify=False)
        before = earlier(home, landing.metadata["snapshot"])
        signed = {(row.check, row.task) for row in platform.study.signed_off}
        made_from = {
            "landing": landing.metadata["snapshot"],
            "snapshot": published.metadata["snapshot"],
            "definitions": _definitions(platform),
        }

        def compute(_: Cost) -> Computed:
            rows = counted_rows(read_catalogue(DBT_PROJECT / "seeds"), _counts(home.published), tasks)
            rows += drift_rows(_statistics(platform, before, made_from))
            rows = sign_off(rows, signed, tasks)
            with whole_folder(home.quality / "docs") as site:
                judged = judge_suites(rows, site)
            accepted = not any(
                row["suite"] == DRIFT and row["severity"] == "block" and not row["passed"] for row in judged
            )
            keep(home, {**made_from, "accepted": accepted}, home.published)
            facts = {name: sum(_outcome(row) == name for row in judged) for name in OUTCOMES}
            return Computed({"pages": "quality/docs/index.html", **facts}, judged)

        record = carry_out(
            platform,
            context,
            NAME,
            key={
                "published": published.data_version,
                "before": before and before.sha256,
                "made_from": made_from,
                "tasks": tasks,
                "signed_off": sorted(signed),
                "code": code_key("orchestration.quality.asset"),
                "libraries": library_versions("duckdb", "great-expectations", "numpy", "scipy"),
            },
            outputs=[home.quality / "now"],
            beside=[home.quality / "docs"],
            compute=compute,
        )
        shown = result(record, key)
        return dg.MaterializeResult(
            asset_key=key,
            data_version=shown.data_version,
            metadata=shown.metadata,
            check_results=[_check(key, name, record.checks) for name in _summaries(tasks)],
        )

    return quality


def scope_of(row: dict[str, Any]) -> str:
    """Return the asset check that sums a row up: its suite among all rows, or its task's cohort."""
    return f"rows_of_{row['task']}" if row["task"] else row["suite"]


def _summaries(tasks: list[str]) -> dict[str, str]:
    """Return the few asset checks that stand for all rows, with their descriptions."""
    return {
        **{suite: f"{suite.capitalize()} of all rows: it warns." for suite in SUITES},
        DRIFT: "What changed since the landing before, beyond chance and size.",
        **{f"rows_of_{task}": f"The rows of persons in the cohort of {task}: they decide." for task in tasks},
    }


def _check(key: dg.AssetKey, name: str, rows: list[dict[str, Any]]) -> dg.AssetCheckResult:
    own = [row for row in rows if scope_of(row) == name]
    summed = suite_row(name, own)
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=key,
        passed=summed["passed"],
        severity=getattr(dg.AssetCheckSeverity, "ERROR" if summed["severity"] == "block" else "WARN"),
        description=outcome({**summed, "looked_at": summed["checks"]}),
        metadata={**{fact: summed[fact] for fact in SHOWN}, **judged(own)},
    )


def _counts(published: Path) -> dict[tuple[str, str, str], tuple[int, int]]:
    with in_memory(published.parent) as connection:
        rows = connection.execute(
            "select name, source_table, task, looked_at, found from read_parquet(?)",
            [str(published / "quality_count.parquet")],
        ).fetchall()
    return {(name, table, task): (looked_at, found) for name, table, task, looked_at, found in rows}


def _definitions(platform: Platform) -> str:
    """Hash what makes the same record the same events, labels and splits."""
    return sha256_json([project_key(), platform.study.split_salt])


def _statistics(platform: Platform, before: Kept | None, made_from: dict[str, Any]) -> list[Statistic]:
    """Return every statistic of drift; without an earlier landing one that had nothing to look at."""
    published = platform.home.published
    now = read_profile(published / "snapshot_profile.parquet")
    found = months(now)
    if before is None or not before.profile.one("persons", "person"):
        nothing = "The landing before, which there is none of"
        return [
            *found,
            Statistic("little_changed_since_the_landing_before", "", nothing, 0, 0.0, 0.0, 0.0, None),
        ]
    same = before.facts["definitions"] == made_from["definitions"]
    found += compare(before.profile, now, same_definitions=same)
    snapshot = platform.home.snapshots / before.facts["snapshot"]
    if same and snapshot.exists():
        found += compare_rows(snapshot, published)
    return found


def _outcome(row: dict[str, Any]) -> str:
    if row["passed"]:
        return "passed"
    if not row["looked_at"]:
        return "nothing_to_look_at"
    return {"block": "blocked", "warn": "warned"}.get(row["severity"], "signed_off")
