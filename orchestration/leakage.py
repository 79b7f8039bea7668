"""Leakage, judged on what was shown: inputs before anything of a task learns, scores before comparisons."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import dagster as dg

from ml.artefact import sha256_file
from ml.code_key import code_key, module_key
from ml.cost import Cost
from ml.inputs.view import CountOptions, ModelInput
from ml.leakage.fits.permutation import FULL, LOOK
from ml.leakage.registry import checks_of, left_out_checks
from ml.leakage.rows import BROKEN, LeakCheck, Stage
from ml.tasks import Task
from orchestration.child import run_child
from orchestration.expectations import judge
from orchestration.held_out import readings
from orchestration.home import DBT_PROJECT
from orchestration.inputs import study_inputs
from orchestration.platform import Platform
from orchestration.source import landing_folder
from orchestration.step import Computed, Record, carry_out, check_result, result, upstream
from orchestration.tasks import OWNERS, blocked_by, failed_blocks, leakage_step, not_made
from orchestration.versions import library_versions

SEEDS = DBT_PROJECT / "seeds"
READ_SEEDS = ("availability.csv", "concept_sets.csv", "criteria.csv", "tasks.csv")
LIBRARIES = ("duckdb", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "great-expectations")


def score_step(task: str) -> str:
    """Name the step that looks at the scores of a task's arms."""
    return f"{task}/score_leakage"


def leakage_asset(platform: Platform, task: Task) -> dg.AssetsDefinition:
    """Look for leaks in what the arms of a task are shown, before any of them learns."""
    key = dg.AssetKey([task.task, "leakage"])
    views = _views(platform)
    checks = leak_checks(platform, task, "inputs")

    @dg.asset(
        key=key,
        deps=[
            dg.AssetKey("published"),
            dg.AssetKey([task.task, "examples"]),
            *(dg.AssetKey([task.task, shown.name]) for shown in views),
        ],
        group_name=task.task,
        owners=OWNERS,
        kinds={"duckdb"},
        description="What the arms are shown, held against the published record, and that against the landed"
        " source: nothing after the index, nobody on both sides of the split, nothing that gives the outcome"
        " away.",
        check_specs=check_specs(checks, key, task),
        code_version=code_key("ml.leakage.registry")[:16],
    )
    def leakage(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        made = {shown.name: upstream(platform, f"{task.task}/{shown.name}", verify=False) for shown in views}
        reason = blocked_by(platform, task.task)
        arguments = {
            "views": [name for name, record in made.items() if not record.refused],
            "arms": [],
            "count_arms": [],
        }
        left_out = left_out_checks(task, _kinds(platform), "inputs")

        def compute(cost: Cost) -> Computed:
            if reason is not None:
                return not_made(reason)
            landing = landing_folder(platform, upstream(platform, "landing"))
            # A snapshot of another source than the one landed now is found by the check of its events.
            given = {**arguments, "landing": str(landing)}
            rows = _look(platform, task, "inputs", given, cost, context.log.info)
            return Computed({"checks_left_out": left_out}, rows)

        record = carry_out(
            platform,
            context,
            leakage_step(task.task),
            key={
                **_key(platform, task),
                "blocked": reason,
                "landing": upstream(platform, "landing", verify=False).data_version,
                "views": {name: record.data_version for name, record in made.items()},
            },
            outputs=[],
            compute=compute,
            task=task.task,
        )
        return result(record, key)._replace(check_results=check_results(record, checks, key))

    return leakage


def look_at_scores(
    platform: Platform, context: dg.AssetExecutionContext, task: Task, arms: Mapping[str, Record]
) -> Record:
    """Look for leaks in the scores of a task's arms; of those refused there is none to look at."""
    scored = [name for name, arm in arms.items() if not arm.refused]
    views = [shown.name for shown in _views(platform)]
    made = [name for name in views if not upstream(platform, f"{task.task}/{name}", verify=False).refused]
    count_arms = [arm for arm in _count_arms(platform, made) if arm["arm"] in scored]
    arguments = {"views": made, "arms": scored, "count_arms": count_arms, "landing": None}

    def compute(cost: Cost) -> Computed:
        if not scored:
            return not_made("every arm was refused", "no_predictions")
        rows = _look(platform, task, "scores", arguments, cost, context.log.info)
        return Computed({}, rows)

    return carry_out(
        platform,
        context,
        score_step(task.task),
        key={
            **_key(platform, task),
            "arms": {name: arm.data_version for name, arm in arms.items()},
            "count_arms": count_arms,
            "readings": readings(platform, task.task),  # a check counts them in the log
        },
        outputs=[],
        compute=compute,
        task=task.task,
    )


def _count_arms(platform: Platform, made: Collection[str]) -> list[dict[str, Any]]:
    """Return the arms to fit again on labels dealt at random: baselines on a count view that was made."""
    study = platform.study
    return [
        {
            "arm": arm.name,
            "model": arm.model,
            "options": dataclasses.asdict(view.options),
            "n_configurations": study.configurations,
            "repetitions": FULL if study.data == "real" else LOOK,
        }
        for arm in study.arms
        for view in (study.views[arm.input],)
        if arm.regime == "fit" and isinstance(view.options, CountOptions) and ModelInput(view).name in made
    ]


def arms_with_leaks(record: Record, scored: Sequence[str]) -> dict[str, str]:
    """Return the arms whose scores a check that blocks found wrong, each with the checks by name.

    A check that failed without naming an arm has found them all wrong.
    """
    found: dict[str, list[str]] = {}
    for row in failed_blocks(record):
        for arm in row["arms"] or scored:
            found.setdefault(arm, []).append(f"check `{row['name']}` failed")
    return {arm: "; ".join(words) for arm, words in found.items()}


def leak_checks(platform: Platform, task: Task, stage: Stage) -> tuple[LeakCheck, ...]:
    """Return the checks of a stage on a task of the study."""
    return checks_of(task, _kinds(platform), stage)


def _views(platform: Platform) -> list[ModelInput]:
    """Return what the study's arms are shown, without vectors: those are made of texts, after the look."""
    return [shown for shown in study_inputs(platform) if not shown.embedded]


def _kinds(platform: Platform) -> set[str]:
    """Return what the study gives to look at, in the words of `Shown.kinds`."""
    views = _views(platform)
    refits = {"refits"} if _count_arms(platform, [shown.name for shown in views]) else set()
    return {shown.view.kind for shown in views} | refits


def check_specs(checks: Sequence[LeakCheck], key: dg.AssetKey, task: Task) -> list[dg.AssetCheckSpec]:
    """Return what Dagster is told of the checks of an asset."""
    return [
        dg.AssetCheckSpec(
            check.name,
            asset=key,
            description=f"{check.description} ({', '.join(check.leaks)}) Passes unseen: {check.cannot_see}"
            + (BROKEN if check.name in task.broken_checks else _what_a_failure_does(check)),
        )
        for check in checks
    ]


def _what_a_failure_does(check: LeakCheck) -> str:
    """Say it where Dagster calls the check non-blocking: its own blocking would stop other tasks, too."""
    if check.how == "warns":
        return " A failure warns."
    refused = "every arm of the task is" if check.stage == "inputs" else "the arms that it names are"
    unless = ", unless the study signs the check off" if check.how == "signed_off_or_blocks" else ""
    return f" On a failure {refused} refused{unless}."


def check_results(record: Record, checks: Sequence[LeakCheck], key: dg.AssetKey) -> list[dg.AssetCheckResult]:
    """Return the stored verdicts; a check that had nothing to look at is no pass and blocks nothing."""
    by_name = {row["name"]: row for row in record.checks}
    return [
        check_result(by_name[check.name], key)
        if check.name in by_name
        else dg.AssetCheckResult(
            check_name=check.name,
            asset_key=key,
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description="Not run: nothing was made that it could look at.",
        )
        for check in checks
    ]


def _look(
    platform: Platform,
    task: Task,
    stage: Stage,
    arguments: dict[str, Any],
    cost: Cost,
    log: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Run the checks of a stage in a process of its own; return their rows, judged, sign-offs in force."""
    for step in ("published", *(f"{task.task}/{name}" for name in ("examples", *arguments["views"]))):
        upstream(platform, step)  # whole, as it was written: what is looked at is what was shown
    signed = {row.check for row in platform.study.signed_off if row.task == task.task}
    spec = {
        **arguments,
        "stage": stage,
        "root": str(platform.home.root),
        "seeds": str(SEEDS),
        "task": task.task,
        "seed": platform.study.seed,
        "n_tasks": len(platform.tasks),
    }
    rows = run_child("leakage", spec, cost, log)["rows"]
    return judge([{**row, "severity": "signed_off"} if row["name"] in signed else row for row in rows])


def _key(platform: Platform, task: Task) -> dict[str, Any]:
    return {
        "published": upstream(platform, "published", verify=False).data_version,
        "examples": upstream(platform, f"{task.task}/examples", verify=False).data_version,
        "task": dataclasses.asdict(task),
        "signed_off": sorted(row.check for row in platform.study.signed_off if row.task == task.task),
        "seed": platform.study.seed,
        "n_tasks": len(platform.tasks),
        "seeds": {name: sha256_file(SEEDS / name) for name in READ_SEEDS},
        "code": code_key("ml.leakage.registry", "ml.random_labels", "orchestration.expectations"),
        "run": module_key("ml.run"),
        "libraries": library_versions(*LIBRARIES),
    }
