"""The sensitivity analysis: baselines on counts as if every event had been known on its own date."""

import dataclasses
from typing import Any

import dagster as dg

from ml.artefact import passing_folder
from ml.code_key import code_key, module_key
from ml.cost import Cost
from ml.inputs.examples import ExampleOptions, cut_examples
from ml.inputs.own_date import write_own_date_snapshot
from ml.models.registry import MODELS
from ml.study import Arm
from ml.tasks import Task
from orchestration.arms import LIBRARIES, step_name
from orchestration.child import run_child
from orchestration.held_out import log_reading
from orchestration.platform import Platform
from orchestration.step import Computed, Record, carry_out, result, upstream
from orchestration.tasks import OWNERS, blocked_by, not_made
from orchestration.versions import library_versions

NAME = "own_date_sensitivity"


def sensitivity_steps(platform: Platform, task: str) -> list[str]:
    """Name the steps of the analysis on a task; none where the study has no baseline on counts."""
    return [f"{task}/own_date_examples", f"{task}/{NAME}"] if refitted_arms(platform) else []


def refitted_arms(platform: Platform) -> list[Arm]:
    """Return the arms that are cheap to fit again: regime `fit` on counts, on all labels (METHODS 1)."""
    views = platform.study.views
    fitted = [arm for arm in platform.study.arms if arm.regime == "fit" and not arm.k]
    return [arm for arm in fitted if views[arm.input].kind == "counts"]


def sensitivity_asset(platform: Platform, task: Task) -> dg.AssetsDefinition:
    """AUROC of a task's count baselines under own-date availability, and its difference."""
    key = dg.AssetKey([task.task, NAME])
    arms = refitted_arms(platform)

    @dg.asset(
        key=key,
        deps=[
            dg.AssetKey("published"),
            dg.AssetKey([task.task, "examples"]),
            *(dg.AssetKey([task.task, "prediction", arm.name]) for arm in arms),
        ],
        group_name=task.task,
        owners=OWNERS,
        kinds={"scikitlearn"},
        description="Count baselines fitted again on what had happened before the index instead of what was"
        " known: how much the availability rules matter. No arm reads it.",
        code_version=code_key("ml.sensitivity")[:16],
    )
    def own_date_sensitivity(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        reason = blocked_by(platform, task.task)
        cut = _cut(platform, context, task, reason)
        records = {arm.name: upstream(platform, step_name(task.task, arm.name)) for arm in arms}
        scored = [arm for arm in arms if not records[arm.name].refused]
        if reason is None and not scored:
            reason = "every baseline on counts was refused"
        home = platform.home
        target, metrics = home.own_date_refits(task.task), home.own_date_metrics(task.task)

        def compute(cost: Cost) -> Computed:
            if reason is not None:
                return not_made(reason, stale=[target, metrics])
            # One more look at held-out within the same reading (METHODS 19): nothing is chosen by it.
            log_reading(platform, context.run_id, task.task, NAME)
            arguments = {
                **_arguments(platform, task, scored),
                "target": str(target),
                "metrics": str(metrics),
            }
            done = run_child("own_date", arguments, cost, context.log.info)
            if "refused" in done:
                return not_made(**done["refused"], stale=[target, metrics])
            return Computed(done)

        record = carry_out(
            platform,
            context,
            f"{task.task}/{NAME}",
            key={
                "cut": cut.data_version,
                "blocked": reason,
                "arms": {
                    arm.name: [dataclasses.asdict(arm), records[arm.name].data_version] for arm in scored
                },
                "models": {arm.name: dataclasses.asdict(MODELS[arm.model]) for arm in scored},
                "views": {arm.name: dataclasses.asdict(platform.study.views[arm.input]) for arm in scored},
                "configurations": platform.study.configurations,
                "bootstrap": [platform.study.bootstrap_replicates, platform.study.seed],
                "code": code_key("ml.sensitivity"),
                "run": module_key("ml.run"),
                "libraries": library_versions(*LIBRARIES),
            },
            outputs=[target, metrics],
            compute=compute,
            task=task.task,
        )
        return result(record, key)

    return own_date_sensitivity


def _cut(platform: Platform, context: dg.AssetExecutionContext, task: Task, reason: str | None) -> Record:
    """Cut the task's examples anew from own dates; a refresh that leaves them alone refits nothing."""
    home = platform.home
    target = home.own_date_examples(task.task)
    options = ExampleOptions(platform.study.max_examples_per_task, platform.study.seed)

    def compute(_: Cost) -> Computed:
        if reason is not None:
            return not_made(reason, stale=[target])
        with passing_folder(target.with_name(f".{target.name}.snapshot")) as folder:
            write_own_date_snapshot(
                home.published,
                home.examples(task.task),
                task.task,
                folder,
                includes_index_day=task.index_day_input == "include",
            )
            return Computed(cut_examples(folder, task.task, target, options))

    return carry_out(
        platform,
        context,
        f"{task.task}/own_date_examples",
        key={
            "published": upstream(platform, "published", verify=False).data_version,
            "examples": upstream(platform, f"{task.task}/examples").data_version,
            "blocked": reason,
            "index_day": task.index_day_input,
            "options": dataclasses.asdict(options),
            "code": code_key("ml.inputs.own_date", "ml.inputs.examples"),
            "libraries": library_versions("duckdb"),
        },
        outputs=[target],
        compute=compute,
        task=task.task,
    )


def _arguments(platform: Platform, task: Task, arms: list[Arm]) -> dict[str, Any]:
    study, home = platform.study, platform.home
    return {
        "task": task.task,
        "examples": str(home.own_date_examples(task.task)),
        "arms": [
            {
                "name": arm.name,
                "model": arm.model,
                "view": arm.input,
                "options": dataclasses.asdict(study.views[arm.input])["options"],
                "predictions": str(home.predictions(task.task, arm.name)),
            }
            for arm in arms
        ],
        "configurations": study.configurations,
        "n_bootstrap": study.bootstrap_replicates,
        "seed": study.seed,
    }
