"""The report: what may leave. It runs last, is written whatever was refused, and then ends the run."""

import dataclasses
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from ml.artefact import whole_folder, write_json
from ml.code_key import code_key
from ml.cost import Cost
from ml.report.facts import Refusal
from ml.run import TASK_TABLES
from orchestration.arms import draws_step, has_draws, step_name
from orchestration.evaluation import evaluation_step
from orchestration.inputs import study_inputs
from orchestration.leakage import score_step
from orchestration.lock import release
from orchestration.platform import Platform, now
from orchestration.report_facts import collect_facts
from orchestration.sensitivity import sensitivity_steps
from orchestration.step import Computed, Record, blocking_row, carry_out, find_record, result, upstream
from orchestration.tasks import OWNERS, leakage_step
from orchestration.versions import library_versions

NAME = "report"


def report_asset(platform: Platform) -> dg.AssetsDefinition:
    """The page and its tables, small cells suppressed."""
    key = dg.AssetKey("report")
    home = platform.home
    tasks = list(platform.tasks.values())

    @dg.asset(
        key=key,
        deps=[
            *(dg.AssetKey([task.task, "evaluation"]) for task in tasks),
            *(
                dg.AssetKey(step.split("/"))
                for task in tasks
                for step in sensitivity_steps(platform, task.task)[1:]
            ),
            *(dg.AssetKey([task.task, "examples"]) for task in tasks),
            dg.AssetKey("published"),
        ],
        group_name="report",
        owners=OWNERS,
        kinds={"html"},
        description="One self-contained page and its tables: what was found, how far to trust it, its cost.",
        check_specs=[
            dg.AssetCheckSpec(
                "nothing_refused",
                asset=key,
                blocking=True,
                description="No arm was refused. A refusal ends the run non-zero, after the report.",
            )
        ],
        code_version=code_key("ml.report.page", "orchestration.report_facts")[:16],
    )
    def report(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        records = study_records(platform)

        def compute(_: Cost) -> Computed:
            refused = [dataclasses.asdict(one) for one in _write(platform, records, context.run_id)]
            arms = len(platform.tasks) * len(platform.study.arms)
            row = blocking_row("nothing_refused", "", looked_at=arms, found=len(refused))
            words = [f"{one['arm']} on {one['task']}: {one['reason']}" for one in refused]
            return Computed(
                {"page": "report/index.html", "refused_arms": len(refused), "refused": refused or "none"},
                [{**row, "note": "; ".join(words)}],
            )

        record = carry_out(
            platform,
            context,
            NAME,
            key={
                "study": platform.study.sha256,
                "steps": {name: [one.key, one.data_version] for name, one in records.items()},
                "code": code_key("ml.report.page", "orchestration.report", "orchestration.report_facts"),
                "libraries": library_versions("jinja2", "pandas", "scipy"),
            },
            outputs=[home.report, home.evaluation / "tables"],
            compute=compute,
        )
        write_json(home.closing, {"report_at": now(), "run_id": context.run_id})
        release(home.lock, context.run_id)
        return result(record, key, ["nothing_refused"])

    return report


def study_records(platform: Platform) -> dict[str, Record]:
    """Return the records of every step of the study, in the order of the road."""
    names = ["landing", "warehouse", "published", "quality"]
    if platform.simulates:
        names.insert(0, "simulated_source")
    for task in platform.tasks:
        names += [f"{task}/examples"]
        names += [f"{task}/{shown.name}" for shown in study_inputs(platform)]
        names += [leakage_step(task)]
        names += [draws_step(task)] if has_draws(platform) else []
        names += [f"{task}/oracle"] if find_record(platform, f"{task}/oracle") else []
        names += [step_name(task, arm.name) for arm in platform.study.arms]
        names += [*sensitivity_steps(platform, task), score_step(task), evaluation_step(task)]
    return {name: upstream(platform, name, verify=False) for name in names}


def _write(platform: Platform, records: dict[str, Record], run_id: str) -> tuple[Refusal, ...]:
    """Write `evaluation/tables` unsuppressed and `report/` suppressed; return what was refused."""
    from ml.report.page import build_page, report_tables, summary_lines

    home = platform.home
    tables = {**_evaluated(platform, records), "costs": _costs(records, run_id)}
    tables["checks"] = _checks(records, tables["checks"])
    facts = collect_facts(platform, records)
    with whole_folder(home.evaluation / "tables") as folder:
        for name, table in tables.items():
            table.to_csv(folder / f"{name}.csv", index=False)
    with whole_folder(home.report) as folder:
        (folder / "index.html").write_text(build_page(facts, tables), encoding="utf-8")
        for name, table in report_tables(facts, tables).items():
            table.to_csv(folder / f"{name}.csv", index=False)
        summary = "\n".join(summary_lines(facts, tables))
        (folder / "summary.txt").write_text(summary + "\n", encoding="utf-8")
    return facts.refusals


def _evaluated(platform: Platform, records: dict[str, Record]) -> dict[str, pd.DataFrame]:
    """Join the tables of every task that was evaluated; none leaves only an empty check table."""
    from ml.evaluation.evaluate import CHECK_COLUMNS, TaskEvaluation, combine

    evaluated = [
        TaskEvaluation(**_task_tables(platform.home.evaluation / task), n_redrawn=0)
        for task in platform.tasks
        if not records[evaluation_step(task)].refused
    ]
    if not evaluated:
        return {"checks": pd.DataFrame(columns=pd.Index(CHECK_COLUMNS))}
    joined = combine(evaluated)
    tables = {name: getattr(joined, name) for name in ("metrics", "verdicts", "curves", "checks")}
    own_date = [
        pd.read_parquet(platform.home.own_date_metrics(task))
        for task in platform.tasks
        for step in sensitivity_steps(platform, task)[1:]
        if not records[step].refused
    ]
    return tables | {"metrics": pd.concat([tables["metrics"], *own_date], ignore_index=True)}


def _task_tables(folder: Path) -> dict[str, Any]:
    return {name: pd.read_parquet(folder / f"{name}.parquet") for name in TASK_TABLES}


def _costs(records: dict[str, Record], run_id: str) -> pd.DataFrame:
    """One row a step; `reused` says that an earlier run computed it."""
    from ml.report.tables import COST_COLUMNS

    rows = [{**record.cost, "reused": record.run_id != run_id} for record in records.values()]
    return pd.DataFrame(rows, columns=pd.Index(COST_COLUMNS))


def _checks(records: dict[str, Record], evaluated: pd.DataFrame) -> pd.DataFrame:
    """Every check of the study in one table: dbt's tests as one row, then ours as they were judged."""
    from ml.evaluation.evaluate import CHECK_COLUMNS

    tests = records["warehouse"].checks
    failed = sum(not test["passed"] for test in tests)
    rows: list[dict[Any, Any]] = [blocking_row("dbt_tests_pass", "", looked_at=len(tests), found=failed)]
    for name, record in records.items():
        if name != "warehouse":
            rows += [{column: row[column] for column in CHECK_COLUMNS} for row in record.checks]
    rows += [dict(zip(CHECK_COLUMNS, row, strict=True)) for row in evaluated[list(CHECK_COLUMNS)].to_numpy()]
    return pd.DataFrame(rows, columns=pd.Index(CHECK_COLUMNS))
