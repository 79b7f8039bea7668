"""What the arms of a task are shown: its input views, and the embeddings of its texts."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from ml.code_key import code_key, module_key
from ml.cost import Cost
from ml.embedding.encoder import encoder_configuration
from ml.embedding.store import EncoderConfiguration, store_folder
from ml.inputs.count import write_count_features
from ml.inputs.sequence import write_patient_sequences
from ml.inputs.text import instruction_prefix
from ml.inputs.view import CountOptions, ModelInput, SequenceOptions, TextOptions
from ml.models.loading import find_model
from ml.models.registry import MODELS
from ml.refusal import RefusalError
from ml.study import Arm
from ml.tasks import Task
from orchestration.child import run_child
from orchestration.platform import Platform
from orchestration.step import Computed, carry_out, find_record, result, upstream
from orchestration.tasks import OWNERS, blocked_by, leakage_step, not_made, refusal_by
from orchestration.versions import library_versions

EMBEDDED_REGIMES = ("frozen",)
LIBRARIES = ("duckdb", "numpy", "pandas", "pyarrow")
CODE = {
    "text": ("ml.inputs.text", "ml.embedding.tokens"),
    "sequence": ("ml.inputs.sequence",),
    "counts": ("ml.inputs.count",),
}
DESCRIPTIONS = {
    "text": "Each example's record in words, cut to a context. Never shown here.",
    "sequence": "Each example's record as codes with visit, age and time gaps; fitted on train.",
    "counts": "Each example's record as sparse counts a concept and window; columns fitted on train.",
}


def arm_inputs(platform: Platform, arm: Arm) -> tuple[ModelInput, ...]:
    """Return what an arm reads, in order; of an arm that joins others, what those read."""
    if arm.of:
        named = {other.name: other for other in platform.study.arms}
        parts = [shown for name in arm.of for shown in arm_inputs(platform, named[name])]
        return tuple(dict.fromkeys(parts))
    view = platform.study.views[arm.input]
    if view.kind == "none":
        return ()
    if view.kind == "text":
        return (ModelInput(view, arm.model, arm.max_tokens, embedded=arm.regime in EMBEDDED_REGIMES),)
    return (ModelInput(view),)


def study_inputs(platform: Platform) -> list[ModelInput]:
    """Return every input that some arm of the study reads, embeddings after their texts."""
    read = {shown for arm in platform.study.arms for shown in arm_inputs(platform, arm)}
    texts = {shown.text for shown in read if shown.embedded}
    return sorted(read | texts, key=lambda shown: (shown.embedded, shown.name))


def input_path(platform: Platform, task: str, shown: ModelInput) -> Path:
    """Return where an input lies: the folder of a view, or the index file of an embedding."""
    return platform.home.input_view(task, f"{shown.name}.parquet" if shown.embedded else shown.name)


def embedding_store(platform: Platform, task: str, shown: ModelInput) -> Path | None:
    """Return the store that holds the vectors of an embedding; None for a view, or where none was made."""
    record = find_record(platform, f"{task}/{shown.name}") if shown.embedded else None
    return None if record is None or record.refused else platform.home.embeddings / record.metadata["store"]


def input_assets(platform: Platform, task: Task) -> Iterable[dg.AssetsDefinition]:
    """Return the assets of what the study's arms read of a task."""
    for shown in study_inputs(platform):
        yield _embedding(platform, task, shown) if shown.embedded else _view(platform, task, shown)


def _view(platform: Platform, task: Task, shown: ModelInput) -> dg.AssetsDefinition:
    key = dg.AssetKey([task.task, shown.name])
    view, folder = shown.view, input_path(platform, task.task, shown)

    @dg.asset(
        key=key,
        deps=[dg.AssetKey([task.task, "examples"])],
        group_name=task.task,
        owners=OWNERS,
        kinds={"parquet"},
        description=DESCRIPTIONS[view.kind],
        code_version=code_key(*CODE[view.kind])[:16],
    )
    def input_view(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        examples = upstream(platform, f"{task.task}/examples")
        reason = blocked_by(platform, task.task)

        def compute(cost: Cost) -> Computed:
            if reason is not None:
                return not_made(reason, stale=[folder])
            return _computed(lambda: _write(platform, task, shown, cost, context.log.info), stale=[folder])

        record = carry_out(
            platform,
            context,
            f"{task.task}/{shown.name}",
            key={
                "examples": examples.data_version,
                "blocked": reason,
                "view": dataclasses.asdict(view),
                **_tokenizer_key(task, shown),
                "code": code_key(*CODE[view.kind]),
                "libraries": library_versions(*LIBRARIES),
            },
            outputs=[folder],
            compute=compute,
            task=task.task,
        )
        return result(record, key)

    return input_view


def _write(
    platform: Platform, task: Task, shown: ModelInput, cost: Cost, log: Callable[[str], None]
) -> dict[str, Any]:
    examples = platform.home.examples(task.task)
    folder, options = input_path(platform, task.task, shown), shown.view.options
    if isinstance(options, CountOptions):
        return write_count_features(examples, folder, options)
    if isinstance(options, SequenceOptions):
        return write_patient_sequences(examples, folder, options)
    assert shown.model is not None
    model = find_model(MODELS[shown.model], platform.models_folder, download=platform.download)
    arguments = {
        "examples": str(examples),
        "target": str(folder),
        "options": dataclasses.asdict(options) if options else {},
        "prefix": _prefix(task, shown),
        "max_tokens": shown.max_tokens,
        "folder": str(model),
    }
    return run_child("text", arguments, cost, log)


def _embedding(platform: Platform, task: Task, shown: ModelInput) -> dg.AssetsDefinition:
    key = dg.AssetKey([task.task, shown.name])
    assert shown.model is not None and shown.max_tokens is not None
    model, max_tokens = MODELS[shown.model], shown.max_tokens
    target = input_path(platform, task.task, shown)

    @dg.asset(
        key=key,
        deps=[dg.AssetKey([task.task, shown.text.name]), dg.AssetKey(leakage_step(task.task).split("/"))],
        group_name=task.task,
        owners=OWNERS,
        kinds={"pytorch", "huggingface"},
        description=f"Each text as a vector of {model.title}, up to {max_tokens} tokens; in the store.",
        code_version=code_key("ml.embedding.encode")[:16],
    )
    def embedding(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        texts = upstream(platform, f"{task.task}/{shown.text.name}")
        encoder = _encoder(task, shown)
        blocked = refusal_by(platform, task.task, (shown.text,))

        def compute(cost: Cost) -> Computed:
            if blocked is not None:
                return not_made(**blocked, stale=[target])
            return _computed(lambda: _embed(platform, task, shown, cost, context.log.info), stale=[target])

        record = carry_out(
            platform,
            context,
            f"{task.task}/{shown.name}",
            key={
                "texts": texts.data_version,
                "blocked": blocked and blocked["reason"],
                "model": dataclasses.asdict(model),
                "encoder": dataclasses.asdict(encoder),
                "code": code_key("ml.embedding.encode"),
                "run": module_key("ml.run"),
            },
            outputs=[target],
            beside=[store_folder(platform.home.embeddings, encoder)],
            compute=compute,
            task=task.task,
        )
        return result(record, key)

    return embedding


def _embed(
    platform: Platform, task: Task, shown: ModelInput, cost: Cost, log: Callable[[str], None]
) -> dict[str, Any]:
    assert shown.model is not None
    model = MODELS[shown.model]
    arguments = {
        "texts": str(input_path(platform, task.task, shown.text) / "text.parquet"),
        "model": model.name,
        "folder": str(find_model(model, platform.models_folder, download=platform.download)),
        "store": str(platform.home.embeddings),
        "configuration": dataclasses.asdict(_encoder(task, shown)),
        "target": str(input_path(platform, task.task, shown)),
    }
    embedded = run_child("embed", arguments, cost, log)
    cost.tokens += embedded.get("tokens", 0)
    cost.accelerator_s += embedded.get("accelerator_s", 0.0)
    return embedded


def _computed(make: Callable[[], dict[str, Any]], *, stale: Sequence[Path]) -> Computed:
    """Return the facts of what was made, or the refusal of a guard that stopped it, here or in the child."""
    try:
        made = make()
    except RefusalError as error:
        return not_made(error.reason, error.guard, stale=stale)
    return not_made(**made["refused"], stale=stale) if "refused" in made else Computed(made)


def _encoder(task: Task, shown: ModelInput) -> EncoderConfiguration:
    options = shown.view.options
    assert isinstance(options, TextOptions) and shown.model is not None and shown.max_tokens is not None
    return encoder_configuration(
        MODELS[shown.model],
        max_tokens=shown.max_tokens,
        prefix=_prefix(task, shown),
        truncation_side=options.truncation_side,
    )


def _prefix(task: Task, shown: ModelInput) -> str:
    options = shown.view.options
    assert isinstance(options, TextOptions) and shown.model is not None
    template = MODELS[shown.model].instruction_template
    return instruction_prefix(options, question=task.question, template=template)


def _tokenizer_key(task: Task, shown: ModelInput) -> dict[str, Any]:
    """Return what else shapes a text: the instruction, the context and the tokenizer that measures it."""
    if shown.model is None:
        return {}
    return {
        "prefix": _prefix(task, shown),
        "max_tokens": shown.max_tokens,
        "files": MODELS[shown.model].files,
        "tokenizer": library_versions("transformers", "tokenizers"),
        "run": module_key("ml.run"),
    }
