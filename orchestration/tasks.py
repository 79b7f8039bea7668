"""One task's assets: its examples (the firebreak), its input views and, on simulated data, its oracle."""

import dataclasses
from typing import Any

import dagster as dg

from ml.artefact import DamagedArtefactError
from ml.code_key import code_key, module_key
from ml.cost import Cost
from ml.embedding.encode import encoder_configuration
from ml.embedding.store import store_folder
from ml.inputs.count import CountOptions, write_count_features
from ml.inputs.examples import ExampleOptions, attrition, cut_examples, split_counts
from ml.inputs.text import TextOptions, write_patient_text
from ml.models.loading import find_model
from ml.models.registry import MODELS
from ml.study import Arm
from ml.tasks import Task
from orchestration.checking import concept_sets, reasons, run_task_checks
from orchestration.child import run_child
from orchestration.expectations import judge
from orchestration.platform import Platform
from orchestration.step import Computed, Record, carry_out, result, upstream
from orchestration.task_checks import checks_of, left_out_checks
from orchestration.versions import library_versions

OWNERS = ["team:clinical-ml"]


def embedding_view(arm: Arm) -> str:
    """Name the embedding that an arm reads: one a model and context."""
    return f"embedding_{arm.model}_{arm.max_tokens}"


def task_assets(platform: Platform, task: Task) -> list[dg.AssetsDefinition]:
    """Return every asset of a task up to the arms."""
    arms = platform.study.arms
    assets = [_examples(platform, task)]
    if any(arm.input == "counts" for arm in arms):
        assets.append(_count_features(platform, task))
    if any(arm.input == "text" for arm in arms):
        assets.append(_patient_text(platform, task))
        views = {embedding_view(arm): arm for arm in arms if arm.input == "text"}
        assets.extend(_embedding(platform, task, arm) for arm in views.values())
    return assets


def blocked_by(platform: Platform, task: str) -> str | None:
    """Return why nothing of a task may learn, from the stored verdict on its examples; None if it may."""
    record = upstream(platform, f"{task}/examples", verify=False)
    failed = failed_blocks(record)
    if not failed:
        return None
    # No counts of patients: 1 to 10 must not leave, and the check table holds them for those inside.
    more = {name: f" ({words})" for name, words in record.metadata["reasons"].items()}
    return "; ".join(f"check `{row['name']}` failed{more.get(row['name'], '')}" for row in failed)


def failed_blocks(record: Record) -> list[dict[str, Any]]:
    """Return the check rows of a record that block and did not pass."""
    return [row for row in record.checks if row["severity"] == "block" and not row["passed"]]


def _examples(platform: Platform, task: Task) -> dg.AssetsDefinition:
    key = dg.AssetKey([task.task, "examples"])
    checks = checks_of(task)

    @dg.asset(
        key=key,
        deps=[dg.AssetKey("published")],
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


def _patient_text(platform: Platform, task: Task) -> dg.AssetsDefinition:
    return _input_view(
        platform,
        task,
        "patient_text",
        description="Each example's record in words: age and sex, then most recent first. Never shown here.",
        options=TextOptions(),
        module="ml.inputs.text",
        libraries=("duckdb",),
        write=write_patient_text,
    )


def _count_features(platform: Platform, task: Task) -> dg.AssetsDefinition:
    return _input_view(
        platform,
        task,
        "count_features",
        description="Each example's record as sparse counts a concept and window, with latest values.",
        options=CountOptions(),
        module="ml.inputs.count",
        libraries=("duckdb", "numpy", "pandas", "pyarrow"),
        write=write_count_features,
    )


def _input_view(
    platform: Platform, task: Task, view: str, *, description, options, module, libraries, write
) -> dg.AssetsDefinition:
    key = dg.AssetKey([task.task, view])
    name = f"{task.task}/{view}"
    target = platform.home.input_view(task.task, "patient_text.parquet" if view == "patient_text" else view)

    @dg.asset(
        key=key,
        deps=[dg.AssetKey([task.task, "examples"])],
        group_name=task.task,
        owners=OWNERS,
        kinds={"parquet"},
        description=description,
        code_version=code_key(module)[:16],
    )
    def input_view(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        examples = upstream(platform, f"{task.task}/examples")
        reason = blocked_by(platform, task.task)

        def compute(_: Cost) -> Computed:
            if reason is not None:
                return not_made(reason)
            return Computed(write(platform.home.examples(task.task), target, options))

        record = carry_out(
            platform,
            context,
            name,
            key={
                "examples": examples.data_version,
                "blocked": reason,
                "options": dataclasses.asdict(options),
                "code": code_key(module),
                "libraries": library_versions(*libraries),
            },
            outputs=[target],
            compute=compute,
            task=task.task,
        )
        return result(record, key)

    return input_view


def _embedding(platform: Platform, task: Task, arm: Arm) -> dg.AssetsDefinition:
    view = embedding_view(arm)
    key = dg.AssetKey([task.task, view])
    model = MODELS[arm.model]
    assert arm.max_tokens is not None
    max_tokens = arm.max_tokens
    target = platform.home.input_view(task.task, f"{view}.parquet")

    @dg.asset(
        key=key,
        deps=[dg.AssetKey([task.task, "patient_text"])],
        group_name=task.task,
        owners=OWNERS,
        kinds={"pytorch", "huggingface"},
        description=f"Each text as a vector of {model.title}, up to {max_tokens} tokens; in the store.",
        code_version=code_key("ml.embedding.encode")[:16],
    )
    def embedding(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        texts = upstream(platform, f"{task.task}/patient_text")
        encoder = encoder_configuration(model, max_tokens=max_tokens)
        reason = blocked_by(platform, task.task)

        def compute(cost: Cost) -> Computed:
            if reason is not None:
                return not_made(reason)
            folder = find_model(model, platform.models_folder, download=platform.download)
            arguments = {
                "texts": str(platform.home.input_view(task.task, "patient_text.parquet")),
                "model": model.name,
                "folder": str(folder),
                "store": str(platform.home.embeddings),
                "target": str(target),
                "max_tokens": max_tokens,
            }
            embedded = run_child("embed", arguments, cost, context.log.info)
            cost.tokens += embedded["tokens"]
            return Computed(embedded)

        record = carry_out(
            platform,
            context,
            f"{task.task}/{view}",
            key={
                "texts": texts.data_version,
                "blocked": reason,
                "model": dataclasses.asdict(model),
                "encoder": dataclasses.asdict(encoder),
                "code": code_key("ml.embedding.encode"),
                "run": module_key("ml.run"),
            },
            outputs=[target],
            beside=[store_folder(platform.home.embeddings, encoder)],
            compute=compute,
            task=task.task,
            arm=arm.name,
        )
        return result(record, key)

    return embedding


def not_made(reason: str) -> Computed:
    """Return what a step records that made nothing because its task is blocked."""
    return Computed({"not_made": reason}, refused={"guard": "task_checks", "reason": reason})
