"""The arms: one asset a task and arm, made from the study's rows."""

import dataclasses

import dagster as dg

from ml.artefact import write_json
from ml.code_key import code_key, module_key
from ml.cost import Cost
from ml.inputs.view import ModelInput
from ml.models.registry import MODELS
from ml.study import Arm
from ml.tasks import Task
from orchestration.child import run_child
from orchestration.held_out import log_reading
from orchestration.inputs import arm_inputs, embedding_store, input_path
from orchestration.platform import Platform
from orchestration.step import Computed, blocking_row, carry_out, result, upstream
from orchestration.tasks import OWNERS, blocked_by
from orchestration.versions import library_versions

LIBRARIES = ("lightgbm", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy", "skops", "torch")


def step_name(task: str, arm: str) -> str:
    """Name the step of an arm on a task."""
    return f"{task}/prediction/{arm}"


def arm_asset(platform: Platform, task: Task, arm: Arm) -> dg.AssetsDefinition:
    """One arm on one task: trained on train, chosen on tuning, scoring every labelled example."""
    name = step_name(task.task, arm.name)
    key = dg.AssetKey([task.task, "prediction", arm.name])
    model = MODELS[arm.model]
    inputs = arm_inputs(platform, arm)
    home = platform.home

    @dg.asset(
        key=key,
        deps=[dg.AssetKey([task.task, part]) for part in ("examples", *(shown.name for shown in inputs))],
        group_name=task.task,
        owners=OWNERS,
        kinds={model.kind, "scikitlearn"},
        description=f"Predictions of {model.title}, regime `{arm.regime}`, shown `{arm.input}`.",
        check_specs=[
            dg.AssetCheckSpec("not_refused", asset=key, description="No guard and no check stopped this arm.")
        ],
        code_version=code_key("ml.arm")[:16],
    )
    def prediction(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        examples = upstream(platform, f"{task.task}/examples")
        read = {shown.name: upstream(platform, f"{task.task}/{shown.name}") for shown in inputs}
        reason = blocked_by(platform, task.task, inputs)
        predictions, refusal = home.predictions(task.task, arm.name), home.refusal(task.task, arm.name)

        def compute(cost: Cost) -> Computed:
            if reason is not None:
                return _refused(platform, task, arm, {"guard": "task_checks", "reason": reason})
            log_reading(platform, context.run_id, task.task, arm.name)
            done = run_child("arm", _spec(platform, task, arm, inputs), cost, context.log.info)
            if "refused" in done:
                return _refused(platform, task, arm, done["refused"])
            refusal.unlink(missing_ok=True)
            return Computed(done, [blocking_row("not_refused", task.task, looked_at=1, found=0)])

        record = carry_out(
            platform,
            context,
            name,
            key={
                "examples": examples.data_version,
                "shown": {name: record.data_version for name, record in read.items()},
                "blocked": reason,
                "arm": dataclasses.asdict(arm),
                "model": dataclasses.asdict(model),
                "seed": platform.study.seed,
                "configurations": platform.study.configurations,
                "code": code_key("ml.arm"),
                "run": module_key("ml.run"),
                "libraries": library_versions(*LIBRARIES),
            },
            outputs=[refusal]
            if reason is not None
            else [predictions, home.fitted(task.task, arm.name), refusal],
            compute=compute,
            task=task.task,
            arm=arm.name,
        )
        more = {"refused": record.refused["reason"]} if record.refused else {}
        return result(record, key, ["not_refused"], **more)

    return prediction


def _spec(platform: Platform, task: Task, arm: Arm, inputs: tuple[ModelInput, ...]) -> dict[str, object]:
    home = platform.home
    shown = inputs[0] if inputs else None
    store = embedding_store(platform, task.task, shown) if shown else None
    return {
        "model": arm.model,
        "regime": arm.regime,
        "input": arm.input,
        "seed": platform.study.seed,
        "configurations": platform.study.configurations,
        "examples": str(home.examples(task.task)),
        "view": None if shown is None else str(input_path(platform, task.task, shown)),
        "store": None if store is None else str(store),
        "predictions": str(home.predictions(task.task, arm.name)),
        "fitted": str(home.fitted(task.task, arm.name)),
    }


def _refused(platform: Platform, task: Task, arm: Arm, refusal: dict[str, str]) -> Computed:
    """Leave the reason beside where predictions would be; a refusal is a result."""
    write_json(platform.home.refusal(task.task, arm.name), refusal)
    return Computed(checks=[blocking_row("not_refused", task.task, looked_at=1, found=1)], refused=refusal)
