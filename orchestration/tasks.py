"""The examples of a task: the firebreak, and whether anything may learn from it."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from ml.artefact import DamagedArtefactError, remove
from ml.code_key import code_key
from ml.cost import Cost
from ml.inputs.examples import ExampleOptions, attrition, cut_examples, split_counts
from ml.inputs.view import ModelInput
from ml.tasks import Task
from orchestration.checking import concept_sets, reasons, run_task_checks
from orchestration.expectations import judge
from orchestration.platform import Platform
from orchestration.step import Computed, Record, carry_out, result, upstream
from orchestration.task_checks import checks_of, left_out_checks
from orchestration.versions import library_versions

OWNERS = ["team:clinical-ml"]


def leakage_step(task: str) -> str:
    """Name the step that looks for leaks in what the arms of a task are shown."""
    return f"{task}/leakage"


def blocked_by(platform: Platform, task: str) -> str | None:
    """Return why nothing of a task may be made: failed checks of its examples or data; None if it may."""
    record = upstream(platform, f"{task}/examples", verify=False)
    # No counts of patients: 1 to 10 must not leave, and the check table holds them for those inside.
    more = {name: f" ({words})" for name, words in record.metadata["reasons"].items()}
    failed = [f"check `{row['name']}` failed{more.get(row['name'], '')}" for row in failed_blocks(record)]
    quality = failed_blocks(upstream(platform, "quality", verify=False))
    names = [row["name"] for row in quality if row["task"] in ("", task)]
    failed += [f"{words} of data quality failed" for words in _together(names)]
    return "; ".join(failed) or None


def _together(names: Iterable[str]) -> list[str]:
    """Name a check once, however many tables or splits it failed on."""
    of_check: dict[str, list[str]] = {}
    for name in names:
        check, _, part = name.partition(" (")
        of_check.setdefault(check, []).append(part.rstrip(")"))
    return [
        f"check `{check} ({', '.join(parts)})`" if parts[0] else f"check `{check}`"
        for check, parts in of_check.items()
    ]


def refusal_by(platform: Platform, task: str, inputs: Iterable[ModelInput]) -> dict[str, str] | None:
    """Return the guard and reason that keep an arm with these inputs from learning; None if nothing does.

    Read from the stored verdicts on the task's examples, then on what its arms are shown, then from what
    stopped an input of this arm.
    """
    reason = blocked_by(platform, task)
    if reason is not None:
        return {"guard": "task_checks", "reason": reason}
    leaks = failed_blocks(upstream(platform, leakage_step(task), verify=False))
    if leaks:
        return {"guard": "leakage", "reason": "; ".join(f"check `{row['name']}` failed" for row in leaks)}
    made = [upstream(platform, f"{task}/{shown.name}", verify=False) for shown in inputs]
    refused = [record.refused for record in made if record.refused]
    if not refused:
        return None
    reasons = dict.fromkeys(one["reason"] for one in refused)  # joined arms may share an input
    return {"guard": refused[0]["guard"], "reason": "; ".join(reasons)}


def failed_blocks(record: Record) -> list[dict[str, Any]]:
    """Return the check rows of a record that block and did not pass."""
    return [row for row in record.checks if row["severity"] == "block" and not row["passed"]]


def examples_asset(platform: Platform, task: Task) -> dg.AssetsDefinition:
    """Cut a task's rows from the snapshot and judge them before anything learns."""
    key = dg.AssetKey([task.task, "examples"])
    checks = checks_of(task)

    @dg.asset(
        key=key,
        deps=[dg.AssetKey("published"), dg.AssetKey("quality")],
        group_name=task.task,
        owners=OWNERS,
        kinds={"parquet"},
        description=f"{task.title}: its rows of the snapshot, all that its arms ever read. {task.question}",
        # Not `blocking`: Dagster would run no descendant, and the report descends from every arm.
        check_specs=[
            dg.AssetCheckSpec(check.name, asset=key, description=check.description) for check in checks
        ],
        code_version=code_key("ml.inputs.examples", "orchestration.checking")[:16],
    )
    def examples(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        published = upstream(platform, "published")
        if blocking := failed_blocks(published):
            raise DamagedArtefactError(
                f"The snapshot failed {', '.join(row['name'] for row in blocking)} and was not published"
            )
        options = ExampleOptions(platform.study.max_examples_per_task, platform.study.seed)
        target = platform.home.examples(task.task)

        def compute(_: Cost) -> Computed:
            published = platform.home.published
            counts = cut_examples(published, task.task, target, options)
            rows = run_task_checks(published, target, task)
            splits = {split: n for split, (n, _) in split_counts(target).items()}
            facts = {
                **counts,
                "splits": splits,
                "reasons": reasons(published, target, task),
                "checks_left_out": left_out_checks(task),
                "concept_sets": concept_sets(published, task),
                "attrition": attrition(published, task.task),
            }
            return Computed(facts, judge(rows))

        record = carry_out(
            platform,
            context,
            f"{task.task}/examples",
            key={
                "published": published.data_version,
                "task": dataclasses.asdict(task),
                "options": dataclasses.asdict(options),
                "code": code_key(
                    "ml.inputs.examples", "orchestration.checking", "orchestration.expectations"
                ),
                "libraries": library_versions("duckdb", "great-expectations"),
            },
            outputs=[target],
            compute=compute,
            task=task.task,
        )
        return result(record, key, [check.name for check in checks])

    return examples


def not_made(reason: str, guard: str = "task_checks", *, stale: Sequence[Path] = ()) -> Computed:
    """Return what a step records that made nothing because its task is blocked, or a guard stopped it.

    What an earlier run left in `stale` goes: nobody may read it as this run's.
    """
    for path in stale:
        remove(path)
    return Computed({"not_made": reason}, refused={"guard": guard, "reason": reason})
