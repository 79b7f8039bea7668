"""The arms: one asset a task and arm, made from the study's rows, and the draws that few-shot arms share."""

import dataclasses
import shutil
from pathlib import Path

import dagster as dg

from ml.adaptation.draws import write_draws
from ml.arm_spec import LIBRARIES, ArmSpec, ViewSpec
from ml.artefact import write_json
from ml.code_key import code_key, module_key
from ml.compatibility import depends_on_seed, rests_on_smoke
from ml.cost import Cost
from ml.inputs.examples import read_examples
from ml.inputs.view import ModelInput
from ml.models.registry import MODELS
from ml.study import Arm
from ml.tasks import Task
from orchestration.child import run_child
from orchestration.held_out import log_reading
from orchestration.inputs import arm_inputs, embedding_store, input_path
from orchestration.platform import Platform
from orchestration.step import Computed, blocking_row, carry_out, result, upstream
from orchestration.tasks import OWNERS, leakage_step, refusal_by
from orchestration.versions import library_versions

TRAINED_NETWORKS = ("lora", "full", "verbalizer")


def step_name(task: str, arm: str) -> str:
    """Name the step of an arm on a task."""
    return f"{task}/prediction/{arm}"


def draws_step(task: str) -> str:
    """Name the step of a task's few-shot draws."""
    return f"{task}/draws"


def draws_path(platform: Platform, task: str) -> Path:
    """Return where a task's few-shot draws lie."""
    return platform.home.input_view(task, "draws.parquet")


def has_draws(platform: Platform) -> bool:
    """Whether some arm of the study learns from a few examples."""
    return any(arm.k for arm in platform.study.arms)


def draws_asset(platform: Platform, task: Task) -> dg.AssetsDefinition:
    """The few-shot draws of a task, shared by all arms (METHODS 12)."""
    key = dg.AssetKey([task.task, "draws"])
    target = draws_path(platform, task.task)

    @dg.asset(
        key=key,
        deps=[dg.AssetKey([task.task, "examples"])],
        group_name=task.task,
        owners=OWNERS,
        kinds={"parquet"},
        description="Cases and non-cases of train and tuning, one example a person, nested in k.",
        code_version=code_key("ml.adaptation.draws")[:16],
    )
    def draws(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        examples = upstream(platform, f"{task.task}/examples")
        study = platform.study
        options = {
            "draws": study.draws,
            "seed": study.seed,
            "largest": max(k for arm in study.arms for k in arm.k),
        }

        def compute(_: Cost) -> Computed:
            example = read_examples(platform.home.examples(task.task))
            return Computed(write_draws(example, target, **options))

        record = carry_out(
            platform,
            context,
            draws_step(task.task),
            key={
                "examples": examples.data_version,
                "options": options,
                "code": code_key("ml.adaptation.draws"),
                "libraries": library_versions("numpy", "pandas", "pyarrow"),
            },
            outputs=[target],
            compute=compute,
            task=task.task,
        )
        return result(record, key)

    return draws


def arm_asset(platform: Platform, task: Task, arm: Arm) -> dg.AssetsDefinition:
    """One arm on one task: trained on train, chosen on tuning, scoring every labelled example."""
    name = step_name(task.task, arm.name)
    key = dg.AssetKey([task.task, "prediction", arm.name])
    model = MODELS[arm.model]
    inputs = arm_inputs(platform, arm)
    home = platform.home
    parts = arm.of if arm.regime == "stack" else ()
    judged = (f"{task.task}/examples", leakage_step(task.task))
    read_steps = [
        *(f"{task.task}/{shown.name}" for shown in inputs),
        *(step_name(task.task, part) for part in parts),
        *([draws_step(task.task)] if arm.k else []),
    ]

    @dg.asset(
        key=key,
        deps=[dg.AssetKey(step.split("/")) for step in (*judged, *read_steps)],
        group_name=task.task,
        owners=OWNERS,
        kinds={model.kind, "pytorch" if arm.regime in TRAINED_NETWORKS else "scikitlearn"},
        description=_description(arm),
        check_specs=[
            dg.AssetCheckSpec("not_refused", asset=key, description="No guard and no check stopped this arm.")
        ],
        code_version=code_key("ml.arm")[:16],
    )
    def prediction(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        examples = upstream(platform, f"{task.task}/examples")
        read = {step: upstream(platform, step) for step in read_steps}
        blocked = refusal_by(platform, task.task, inputs)
        predictions, refusal = home.predictions(task.task, arm.name), home.refusal(task.task, arm.name)

        def compute(cost: Cost) -> Computed:
            if blocked is not None:
                return _refused(platform, task, arm, blocked)
            log_reading(platform, context.run_id, task.task, arm.name)
            spec = dataclasses.asdict(_spec(platform, task, arm))
            done = run_child("arm", spec, cost, context.log.info)
            if "refused" in done:
                return _refused(platform, task, arm, done["refused"])
            cost.tokens += done.get("tokens", 0)
            refusal.unlink(missing_ok=True)
            return Computed(done, [blocking_row("not_refused", task.task, looked_at=1, found=0)])

        record = carry_out(
            platform,
            context,
            name,
            key={
                "examples": examples.data_version,
                "read": {step: record.data_version for step, record in read.items()},
                "blocked": blocked and blocked["reason"],
                "arm": _spec(platform, task, arm).content,
                "model": dataclasses.asdict(model),
                "code": code_key("ml.arm"),
                "run": module_key("ml.run"),
                "libraries": library_versions(*LIBRARIES),
            },
            outputs=[predictions, home.fitted(task.task, arm.name), refusal],
            compute=compute,
            task=task.task,
            arm=arm.name,
        )
        more = {"refused": record.refused["reason"]} if record.refused else {}
        return result(record, key, ["not_refused"], **more)

    return prediction


def _spec(platform: Platform, task: Task, arm: Arm) -> ArmSpec:
    study, home = platform.study, platform.home
    arms = {one.name: one for one in study.arms}
    n_seeds = study.seeds if depends_on_seed(arm, arms) else 1
    compared = {side for row in study.comparisons for side in (row.challenger, row.reference)}
    return ArmSpec(
        arm=arm.name,
        model=arm.model,
        regime=arm.regime,
        views=tuple(_view(platform, task, shown) for shown in arm_inputs(platform, arm))
        if arm.regime != "stack"
        else (),
        seeds=tuple(study.seed + n for n in range(n_seeds)),
        configurations=study.configurations,
        examples=str(home.examples(task.task)),
        work=str(home.root / "work" / task.task / arm.name),
        predictions=str(home.predictions(task.task, arm.name)),
        fitted=str(home.fitted(task.task, arm.name)),
        k=arm.k,
        draws=str(draws_path(platform, task.task)) if arm.k else None,
        n_draws=study.draws,
        head=arm.head,
        mode=arm.mode,
        four_bit=arm.four_bit,
        question=task.question,
        models_folder=None if platform.models_folder is None else str(platform.models_folder),
        download=platform.download,
        is_compared=arm.name in compared,
        rests_on_smoke=rests_on_smoke(arm, arms, MODELS),
        parts=tuple(_spec(platform, task, arms[name]) for name in arm.of) if arm.regime == "stack" else (),
    )


def _view(platform: Platform, task: Task, shown: ModelInput) -> ViewSpec:
    path = str(input_path(platform, task.task, shown))
    if shown.embedded:
        store = embedding_store(platform, task.task, shown)
        return ViewSpec("vectors", path, None if store is None else str(store))
    return ViewSpec("text" if shown.view.kind == "text" else "counts", path)


def _description(arm: Arm) -> str:
    shown = f"joins {', '.join(arm.of)}" if arm.of else f"shown `{arm.input}`"
    few = f", from {', '.join(map(str, arm.k))} examples a class" if arm.k else ""
    return f"Predictions of {MODELS[arm.model].title}, regime `{arm.regime}`, {shown}{few}."


def _refused(platform: Platform, task: Task, arm: Arm, refusal: dict[str, str]) -> Computed:
    """Leave the reason where predictions would be, and nothing of an earlier run; a refusal is a result."""
    home = platform.home
    write_json(home.refusal(task.task, arm.name), refusal)
    home.predictions(task.task, arm.name).unlink(missing_ok=True)
    shutil.rmtree(home.fitted(task.task, arm.name), ignore_errors=True)
    row = blocking_row("not_refused", task.task, looked_at=1, found=1)
    return Computed(checks=[{**row, "note": f"{refusal['guard']}: {refusal['reason']}"}], refused=refusal)
