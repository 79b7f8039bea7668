"""The oracle of a task on simulated data: the best that any model could know."""

from pathlib import Path

import dagster as dg

from ml.code_key import code_key, module_key
from ml.cost import Cost
from ml.in_memory import in_memory
from ml.tasks import Task
from orchestration.child import run_child
from orchestration.platform import Platform
from orchestration.step import Computed, carry_out, result, upstream
from orchestration.tasks import OWNERS, blocked_by, not_made
from orchestration.versions import library_versions


def has_oracle(platform: Platform, task: Task) -> bool:
    """Whether the true risk of a task's examples can be computed: simulated here, and declared."""
    return platform.simulates and task.oracle != "none"


def oracle_asset(platform: Platform, task: Task) -> dg.AssetsDefinition:
    """The true risk of a task's held-out examples."""
    key = dg.AssetKey([task.task, "oracle"])

    @dg.asset(
        key=key,
        deps=[dg.AssetKey([task.task, "examples"]), dg.AssetKey(["omop", "person"])],
        group_name=task.task,
        owners=OWNERS,
        kinds={"numpy"},
        description="True risk of each held-out example, by rolling the world forward. No arm reads it.",
        code_version=code_key("ml.simulator.oracle")[:16],
    )
    def oracle(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        examples = upstream(platform, f"{task.task}/examples")
        world = upstream(platform, "simulated_source")
        reason = blocked_by(platform, task.task)
        target = platform.home.oracle(task.task)
        outcome = sorted(_concepts(platform.home.published, task.outcome_concept_sets))

        def compute(cost: Cost) -> Computed:
            if reason is not None:
                return not_made(reason)
            arguments = {
                "examples": str(platform.home.examples(task.task)),
                "world_directory": str(platform.home.simulated_world),
                "outcome_concept_ids": outcome,
                "tar_start_days": task.tar_start_days,
                "tar_end_days": task.tar_end_days,
                "seed": platform.study.seed,
                "target": str(target),
            }
            target.parent.mkdir(parents=True, exist_ok=True)
            return Computed(run_child("oracle", arguments, cost, context.log.info))

        record = carry_out(
            platform,
            context,
            f"{task.task}/oracle",
            key={
                "examples": examples.data_version,
                "blocked": reason,
                "world": world.data_version,
                "outcome": outcome,
                "window": [task.tar_start_days, task.tar_end_days],
                "seed": platform.study.seed,
                "code": code_key("ml.simulator.oracle"),
                "run": module_key("ml.run"),
                "libraries": library_versions("numpy", "pandas"),
            },
            outputs=[target],
            compute=compute,
            task=task.task,
            arm="oracle",
        )
        return result(record, key)

    return oracle


def _concepts(published: Path, concept_sets: tuple[str, ...]) -> set[int]:
    with in_memory(published.parent) as connection:
        rows = connection.execute(
            "select distinct concept_id from read_parquet(?) where concept_set in (select unnest(?))",
            [str(published / "concept_set_member.parquet"), list(concept_sets)],
        ).fetchall()
    return {int(row[0]) for row in rows}
