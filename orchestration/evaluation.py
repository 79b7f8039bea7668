"""Evaluation: one task's arms on the same held-out examples, with the study's comparisons."""

import dataclasses
from typing import Any

import dagster as dg

from ml.code_key import code_key, module_key
from ml.compatibility import depends_on_seed, rests_on_smoke
from ml.cost import Cost
from ml.models.registry import MODELS
from ml.study import Arm, Study
from ml.tasks import Task
from orchestration.arms import step_name
from orchestration.child import run_child
from orchestration.held_out import log_reading, readings
from orchestration.leakage import (
    arms_with_leaks,
    check_results,
    check_specs,
    leak_checks,
    look_at_scores,
)
from orchestration.oracle import has_oracle
from orchestration.platform import Platform
from orchestration.step import Computed, Record, carry_out, result, upstream
from orchestration.tasks import OWNERS, not_made
from orchestration.versions import library_versions


def evaluation_step(task: str) -> str:
    """Name the evaluation step of a task."""
    return f"{task}/evaluation"


def evaluation_asset(platform: Platform, task: Task) -> dg.AssetsDefinition:
    """Metrics, verdicts and curves of one task."""
    key = dg.AssetKey([task.task, "evaluation"])
    home, study = platform.home, platform.study
    target = home.evaluation / task.task
    with_oracle = has_oracle(platform, task)
    checks = leak_checks(platform, task, "scores")

    @dg.asset(
        key=key,
        deps=[
            *(dg.AssetKey([task.task, "prediction", arm.name]) for arm in study.arms),
            *([dg.AssetKey([task.task, "oracle"])] if with_oracle else []),
        ],
        group_name=task.task,
        owners=OWNERS,
        kinds={"scikitlearn"},
        description="Metrics with intervals over persons, verdicts and curves; unsuppressed, they stay here.",
        check_specs=check_specs(checks, key, task),
        code_version=code_key("ml.evaluation.evaluate")[:16],
    )
    def evaluation(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        arms = {arm.name: upstream(platform, step_name(task.task, arm.name)) for arm in study.arms}
        oracle = upstream(platform, f"{task.task}/oracle") if with_oracle else None
        for name, arm in arms.items():
            if not arm.refused:  # reused scores under an edited protocol are a reading too
                log_reading(platform, context.run_id, task.task, name)
        judged = look_at_scores(platform, context, task, arms)
        leaking = arms_with_leaks(judged, [name for name, arm in arms.items() if not arm.refused])
        arguments = _arguments(
            platform, task, arms, leaking, with_oracle=oracle is not None and not oracle.refused
        )

        def compute(cost: Cost) -> Computed:
            if not arguments["predictions"]:
                reason = "every arm was refused"
                return Computed({"not_made": reason}, refused={"guard": "no_predictions", "reason": reason})
            done = run_child("evaluate", {**arguments, "target": str(target)}, cost, context.log.info)
            return not_made(**done["refused"], stale=[target]) if "refused" in done else Computed(done)

        record = carry_out(
            platform,
            context,
            evaluation_step(task.task),
            key={
                "arguments": {k: v for k, v in arguments.items() if k not in ("predictions", "oracle")},
                "arms": {name: arm.data_version for name, arm in arms.items()},
                "oracle": oracle.data_version if oracle else None,
                "code": code_key("ml.evaluation.evaluate"),
                "run": module_key("ml.run"),
                "libraries": library_versions("numpy", "pandas", "scipy"),
            },
            outputs=[target],
            compute=compute,
            task=task.task,
        )
        return result(record, key)._replace(check_results=check_results(judged, checks, key))

    return evaluation


def _arguments(
    platform: Platform,
    task: Task,
    arms: dict[str, Record],
    leaking: dict[str, str],
    *,
    with_oracle: bool,
) -> dict[str, Any]:
    study, home = platform.study, platform.home
    comparisons = [dataclasses.asdict(row) for row in study.comparisons if row.task == task.task]
    refused = {name: arm.refused["reason"] for name, arm in arms.items() if arm.refused} | leaking
    return {
        "task": task.task,
        "title": task.title,
        "predictions": {name: str(home.predictions(task.task, name)) for name in arms if name not in refused},
        "refused": refused,
        "oracle": str(home.oracle(task.task)) if with_oracle else None,
        "comparisons": comparisons,
        "n_bootstrap": study.bootstrap_replicates,
        "seed": study.seed,
        "alpha": study.alpha,
        "n_primary": max(1, len(study.comparisons)),
        "qualifiers": [] if study.data == "real" else [f"{study.data} patients"],
        "competitors": {arm.name: _competitor(study, arm, arms[arm.name]) for arm in study.arms},
        "n_reading": max(1, readings(platform, task.task)),
        "looks_ahead": task.looks_ahead,
    }


def _competitor(study: Study, arm: Arm, record: Record) -> dict[str, Any]:
    """Say what competed: parameters, what it was pretrained on, where it was trained (METHODS 20)."""
    model = MODELS[arm.model]
    size = f"{model.parameters / 1e6:.1f} M parameters, " if model.parameters else ""
    what = f"joins {', '.join(arm.of)}" if arm.of else f"{size}pretrained on {model.pretrained_on}"
    named = {one.name: one for one in study.arms}
    return {
        "description": f"{what}, {arm.regime} here",
        "qualifiers": ["smoke only"] if rests_on_smoke(arm, named, MODELS) else [],
        "is_converged": bool(record.metadata.get("converged", True)),
        "is_deterministic": not depends_on_seed(arm, named),
    }
