"""The platform's own steps without dbt and Dagster: from a source to a snapshot, and on to arms below a home.

Every file lies where the platform puts it (`orchestration.home`), written by the code that the platform runs.
A fault of the SQL is another text of a model, a fault of the code another attribute of a module.
"""

import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import pyarrow.parquet as pq
from dbt_world import land_folder
from definitions.compiled import Database, Project, catalogue, study_project

from leakage.kept import RELATIONS, Kept, landed, write_relations
from ml.arm import run_arm
from ml.arm_spec import ArmSpec, ViewSpec
from ml.artefact import manifest, sha256_json, whole_folder, write_json
from ml.inputs.count import write_count_features
from ml.inputs.examples import ExampleOptions, cut_examples
from ml.inputs.sequence import write_patient_sequences
from ml.inputs.text import write_patient_texts
from ml.inputs.view import BUILT_IN_VIEWS, CountOptions, ModelInput, SequenceOptions, TextOptions
from ml.refusal import RefusalError

TASKS = ("dhf_1y", "gi_bleed_1y", "paca_1y", "long_los")
MAX_EXAMPLES = 1000
MAX_TOKENS = 256
COUNTS = ModelInput(BUILT_IN_VIEWS["counts"])
SEQUENCE = ModelInput(BUILT_IN_VIEWS["sequence"])
TEXT = ModelInput(BUILT_IN_VIEWS["text"], "minilm", MAX_TOKENS)
VIEWS = (COUNTS, SEQUENCE, TEXT)
# Arms by name: model, whether it reads counts.
ARMS = {"count_lr": "logistic_regression", "count_gbm": "lightgbm"}
CONFIGURATIONS = 2
WORD = re.compile(r"\w+|[^\w\s]")

Seeds = dict[str, list[dict[str, str]]]


def compiled() -> Project:
    """Return the project with every published relation, compiled once."""
    return study_project("auto", 0, tuple(RELATIONS))


def seeds_of_tasks() -> Seeds:
    """Return the project's seeds with the rows of `TASKS` alone."""
    rows = catalogue()
    rows["tasks"] = [row for row in rows["tasks"] if row["task"] in TASKS]
    rows["criteria"] = [row for row in rows["criteria"] if row["task"] in TASKS]
    return rows


def publish(
    source: Path, root: Path, *, seeds: Seeds, sql: Mapping[str, str], kept: Kept | None = None
) -> None:
    """Land a source, run the models (some with other SQL) and publish every relation below `root`.

    `kept`, of the clean site, runs only what other SQL changes where the source is the clean one.
    """
    if kept is not None and kept.is_of(source, seeds):
        kept.publish(root, sql)
    else:
        with _published(source, root, seeds, sql):
            pass
    describe(root / "published")


def publish_and_keep(source: Path, root: Path, *, seeds: Seeds) -> Kept:
    """Do as `publish`, and return what it was made of."""
    database = _published(source, root, seeds, {})
    describe(root / "published")
    return Kept(root, source, seeds, database)


def _published(source: Path, root: Path, seeds: Seeds, sql: Mapping[str, str]) -> Database:
    shutil.rmtree(root / "landing", ignore_errors=True)
    landing = land_folder(source, root / "landing" / "site")
    database = landed(compiled(), landing, seeds, sql)
    with whole_folder(root / "published") as folder:
        write_relations(database, folder)
    return database


def describe(published: Path) -> str:
    """Write the manifest of a snapshot, after its files; return the snapshot's name."""
    (published / "manifest.json").unlink(missing_ok=True)
    files = manifest(published)
    rows = [{"file": file, "rows": _rows(published / file), "sha256": sha} for file, sha in files.items()]
    write_json(published / "manifest.json", rows)
    return sha256_json(files)[:16]


def _rows(file: Path) -> int:
    return pq.read_metadata(file).num_rows


def cut(root: Path, task: str, *, seed: int) -> None:
    """Cut a task's rows from the snapshot."""
    cut_examples(root / "published", task, examples(root, task), ExampleOptions(MAX_EXAMPLES, seed))


def show(root: Path, task: str) -> None:
    """Write every view of a task."""
    for shown in VIEWS:
        WRITERS[shown.view.kind](examples(root, task), view(root, task, shown))


def adapt(root: Path, task: str, *, seed: int) -> dict[str, str]:
    """Fit every arm of a task; return the reasons of those that a guard refused, by arm."""
    refused = {}
    for arm in ARMS:
        predictions = root / "predictions" / task / f"{arm}.parquet"
        refusal = predictions.with_suffix(".refused.json")
        for old in (predictions, refusal):
            old.unlink(missing_ok=True)
        shutil.rmtree(root / "fitted" / task / arm, ignore_errors=True)
        try:
            run_arm(_spec(root, task, arm, seed), lambda _: None)
        except RefusalError as error:
            write_json(refusal, {"guard": error.guard, "reason": error.reason})
            refused[arm] = error.guard
    return refused


def _spec(root: Path, task: str, arm: str, seed: int) -> ArmSpec:
    return ArmSpec(
        arm=arm,
        model=ARMS[arm],
        regime="fit",
        views=(ViewSpec("counts", str(view(root, task, COUNTS))),),
        seeds=(seed,),
        configurations=CONFIGURATIONS,
        examples=str(examples(root, task)),
        work=str(root / "work" / task / arm),
        predictions=str(root / "predictions" / task / f"{arm}.parquet"),
        fitted=str(root / "fitted" / task / arm),
    )


def examples(root: Path, task: str) -> Path:
    """Return where a task's cut lies."""
    return root / "tasks" / task / "examples"


def view(root: Path, task: str, shown: ModelInput) -> Path:
    """Return where a view of a task lies."""
    return root / "tasks" / task / shown.name


def _count(cut: Path, target: Path) -> None:
    write_count_features(cut, target, CountOptions())


def _sequence(cut: Path, target: Path) -> None:
    write_patient_sequences(cut, target, SequenceOptions())


def _text(cut: Path, target: Path) -> None:
    def count_tokens(prompts: list[str]) -> list[int]:  # words and marks: no tokenizer to load
        return [len(WORD.findall(prompt)) for prompt in prompts]

    write_patient_texts(cut, target, TextOptions(), prefix="", max_tokens=MAX_TOKENS,
                        count_tokens=count_tokens, progress=lambda _: None)  # fmt: skip


WRITERS: dict[str, Callable[[Path, Path], None]] = {"counts": _count, "sequence": _sequence, "text": _text}


def patched(faults: Mapping[str, object]) -> ExitStack:
    """Return a context in which attributes, by dotted name, are others."""
    stack = ExitStack()
    for name, value in faults.items():
        stack.enter_context(patch(name, value))
    return stack
