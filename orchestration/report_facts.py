"""The facts of the report that stand in no table: cohorts, arms, refusals, provenance."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml.artefact import read_json
from ml.compatibility import rests_on_smoke
from ml.in_memory import in_memory
from ml.inputs.examples import attrition, split_counts
from ml.leakage.statistics.alarms import FAMILIES
from ml.models.model import Model
from ml.models.registry import MODELS
from ml.report.facts import (
    ArmFacts,
    AttritionStep,
    AvailabilityCount,
    ConceptSetFacts,
    LabelCount,
    Refusal,
    ReportFacts,
    SignOff,
    SplitSize,
    TaskFacts,
    Unseen,
)
from ml.report.task_words import cohort_sentence, label_sentence
from ml.study import Arm
from ml.tasks import Task
from orchestration.arms import step_name
from orchestration.checks import SNAPSHOT_CHECKS
from orchestration.evaluation import evaluation_step
from orchestration.held_out import readings
from orchestration.home import ROOT
from orchestration.leakage import arms_with_leaks, leak_checks, score_step
from orchestration.oracle import has_oracle
from orchestration.platform import Platform, read_registrations
from orchestration.quality.catalogue import name_of
from orchestration.sensitivity import sensitivity_steps
from orchestration.step import Record
from orchestration.task_checks import checks_of
from orchestration.tasks import leakage_step
from orchestration.versions import library_versions

LIBRARIES = ("dagster", "dbt-core", "duckdb", "lightgbm", "numpy", "scikit-learn", "torch", "transformers")


def collect_facts(platform: Platform, records: dict[str, Record]) -> ReportFacts:
    """Return what the page says beyond its tables; counts, hashes and names only."""
    study, home = platform.study, platform.home
    published = records["published"].metadata
    registered = next(row for row in read_registrations(home) if row["study_sha256"] == study.sha256)
    seeds = {"study": str(study.seed), "split salt": study.split_salt}
    if platform.simulates and study.source.simulate:
        seeds["simulated world"] = str(study.source.simulate.seed)
    return ReportFacts(
        study=study.name,
        question=study.question,
        data=study.data,
        source=_source_name(platform),
        n_persons=published["persons"],
        n_events=published["events"],
        data_end=published["data_end"],
        snapshot=published["snapshot"],
        study_hash=study.sha256,
        registered_at=registered["registered_at"],
        n_readings=max(readings(platform, task) for task in platform.tasks),
        home_created_at=read_json(home.identity)["made_at"],
        tasks=tuple(
            _task(platform, task, published["examples_by_task"].get(task.task, 0), records)
            for task in platform.tasks.values()
        ),
        arms=_arms(study.arms),
        refusals=_refusals(platform, records),
        sign_offs=_sign_offs(platform, records),
        unseen=_unseen(records),
        claims=_claims(platform, records),
        alarms=frozenset(name for names in FAMILIES.values() for name in names),
        git_commit=_git_commit(),
        seeds=seeds,
        libraries=library_versions(*LIBRARIES),
        code_versions={name: record.key[:12] for name, record in records.items()},
        artefacts={name: record.data_version[:12] for name, record in records.items()},
        availability=_availability(home.published),
        quality_pages=f"../{records['quality'].metadata['pages']}",
    )


def _availability(published: Path) -> tuple[AvailabilityCount, ...]:
    with in_memory(published.parent) as connection:
        rows = connection.execute(
            "select source_table, kind, applied_rule, n_events, n_later from read_parquet(?)"
            " order by source_table, kind desc, applied_rule",
            [str(published / "availability_count.parquet")],
        ).fetchall()
    return tuple(AvailabilityCount(*row) for row in rows)


def _source_name(platform: Platform) -> str:
    if platform.simulates and platform.study.source.simulate:
        return f"the simulated world of {platform.study.source.simulate.persons:,} persons"
    return f"`{platform.source.name}`"


def _task(platform: Platform, task: Task, in_cohort: int, records: dict[str, Record]) -> TaskFacts:
    home = platform.home
    cut = records[f"{task.task}/examples"].metadata
    examples = home.examples(task.task)
    steps: list[dict[str, Any]] = attrition(home.published, task.task)
    with in_memory(home.published.parent) as connection:
        nulls = connection.execute(
            "select reason, count(*) from read_parquet(?) where task = ? and reason is not null"
            " group by reason order by all",
            [str(home.published / "label.parquet"), task.task],
        ).fetchall()
        by_class = connection.execute(
            "select quantity, y_true, n from read_parquet(?) where task = ? order by all",
            [str(home.published / "label_count.parquet"), task.task],
        ).fetchall()
        total = connection.execute(
            "select count(*) from read_parquet(?)", [str(examples / "example.parquet")]
        ).fetchall()[0][0]
    oracle = (
        "The oracle is the true risk given the record up to the index: the best that any model could do."
        if has_oracle(platform, task)
        else ""
    )
    return TaskFacts(
        name=task.task,
        title=task.title,
        question=task.question,
        cohort=cohort_sentence(task),
        label=label_sentence(task),
        attrition=tuple(AttritionStep(**row) for row in steps),
        splits=tuple(SplitSize(split, n, cases) for split, (n, cases) in _ordered(split_counts(examples))),
        null_labels=dict(nulls),
        oracle=oracle,
        n_examples=total if total < in_cohort else None,
        looks_ahead=task.looks_ahead,
        breaks=task.broken_checks,
        left_out=tuple((row.source_row, row.reason) for row in task.left_out),
        concept_sets=tuple(ConceptSetFacts(**row) for row in cut["concept_sets"]),
        label_counts=tuple(LabelCount(*row) for row in by_class),
        checks_left_out={
            **cut["checks_left_out"],
            **records[leakage_step(task.task)].metadata.get("checks_left_out", {}),
        },
    )


def _ordered(splits: dict[str, tuple[int, int]]) -> list[tuple[str, tuple[int, int]]]:
    return [(split, splits[split]) for split in ("train", "tuning", "held_out")]


def _arms(arms: Sequence[Arm]) -> tuple[ArmFacts, ...]:
    named = {arm.name: arm for arm in arms}
    return tuple(_arm(arm, smoke_only=rests_on_smoke(arm, named, MODELS)) for arm in arms)


def _arm(arm: Arm, *, smoke_only: bool) -> ArmFacts:
    model = MODELS[arm.model]
    tokens = f", up to {arm.max_tokens} tokens" if arm.max_tokens else ""
    return ArmFacts(
        name=arm.name,
        model=model.title,
        kind=model.kind,
        regime=arm.regime,
        input_view=f"{arm.input}{tokens}",
        parameters=model.parameters,
        licence=model.licence,
        note=_weights(model, smoke_only=smoke_only),
        smoke_only=smoke_only,
    )


def _weights(model: Model, *, smoke_only: bool) -> str:
    if smoke_only:
        return "rests on random weights: its numbers say that it runs, and no verdict may rest on them"
    return f"pretrained on {model.pretrained_on}" if model.parameters else ""


def _refusals(platform: Platform, records: dict[str, Record]) -> tuple[Refusal, ...]:
    refused = []
    for task in platform.tasks:
        for arm in platform.study.arms:
            record = records[step_name(task, arm.name)]
            if record.refused:
                words = f"{record.refused['guard']}: {record.refused['reason']}"
                refused.append(Refusal(task, arm.name, words))
        judged = records[score_step(task)]
        scored = [arm.name for arm in platform.study.arms if not records[step_name(task, arm.name)].refused]
        for arm, reason in arms_with_leaks(judged, scored).items():
            refused.append(Refusal(task, arm, f"leakage: {reason}"))
        for step in sensitivity_steps(platform, task):
            record = records[step]
            if record.refused and record.refused["guard"] != "task_checks":
                words = f"{record.refused['guard']}: {record.refused['reason']}"
                refused.append(Refusal(task, "own-date refits", words))
        record = records[evaluation_step(task)]
        if record.refused and record.refused["guard"] != "no_predictions":  # each arm has its own reason then
            words = f"{record.refused['guard']}: {record.refused['reason']}"
            refused.append(Refusal(task, "evaluation", words))
    return tuple(refused)


def _sign_offs(platform: Platform, records: dict[str, Record]) -> tuple[SignOff, ...]:
    """Return what the study signed off, with what came of it; the check may not have run."""
    signed = []
    for row in platform.study.signed_off:
        found = [
            check["passed"]
            for step in (leakage_step(row.task), score_step(row.task))
            for check in records[step].checks
            if check["name"] == row.check
        ]
        found += [
            check["passed"]
            for check in records["quality"].checks
            if name_of(check["name"]) == row.check and check["task"] in ("", row.task) and check["looked_at"]
        ]
        signed.append(SignOff(row.task, row.check, row.reason, all(found) if found else None))
    return tuple(signed)


def _unseen(records: dict[str, Record]) -> tuple[Unseen, ...]:
    return tuple(
        Unseen(row["name"], row["task"], row["cannot_see"])
        for record in records.values()
        for row in record.checks
        if row.get("cannot_see")
    )


def _claims(platform: Platform, records: dict[str, Record]) -> dict[str, str]:
    """Return what each failed check of data, examples, inputs and scores says of what it judges."""
    held: dict[str, str] = {row["name"]: row["claim"] for row in records["quality"].checks}
    held |= {check.name: check.description for check in SNAPSHOT_CHECKS}
    for task in platform.tasks.values():
        held |= {check.name: check.description for check in checks_of(task)}
        for stage in ("inputs", "scores"):
            held |= {check.name: check.description for check in leak_checks(platform, task, stage)}
    failed = {row["name"] for record in records.values() for row in record.checks if not row["passed"]}
    return {name: words for name, words in held.items() if name in failed}


def _git_commit() -> str:
    """Return the commit of the code, marked when the tree differs from it; empty outside a checkout."""
    if not (Path(ROOT) / ".git").exists():
        return ""
    commit = _git("rev-parse", "--short=12", "HEAD")
    return f"{commit} with changes" if commit and _git("status", "--porcelain") else commit


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
