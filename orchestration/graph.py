"""The graph of a study: every asset, check, job and trigger, made from its rows."""

import dagster as dg

from orchestration.arms import arm_asset, draws_asset, has_draws
from orchestration.dbt import warehouse_assets
from orchestration.evaluation import evaluation_asset
from orchestration.inputs import input_assets
from orchestration.leakage import leakage_asset
from orchestration.oracle import has_oracle, oracle_asset
from orchestration.platform import Platform
from orchestration.publish import published_asset
from orchestration.quality.asset import quality_asset
from orchestration.report import report_asset
from orchestration.sensitivity import refitted_arms, sensitivity_asset
from orchestration.source import source_assets
from orchestration.task_checks import require_known_breaks
from orchestration.tasks import examples_asset
from orchestration.triggers import study_job, study_schedule, study_sensor

EXECUTORS = {"in_process": dg.in_process_executor, "multiprocess": dg.multiprocess_executor}


def build_definitions(platform: Platform, *, executor: str = "in_process") -> dg.Definitions:
    """Return the graph of a study: source, warehouse, each task's assets and arms, evaluation, report."""
    tasks = platform.tasks.values()
    require_known_breaks(platform.catalogue.values())
    assets = [
        source_assets(platform),
        warehouse_assets(platform),
        published_asset(platform),
        quality_asset(platform),
        *(examples_asset(platform, task) for task in tasks),
        *(asset for task in tasks for asset in input_assets(platform, task)),
        *(leakage_asset(platform, task) for task in tasks),
        *(oracle_asset(platform, task) for task in tasks if has_oracle(platform, task)),
        *(draws_asset(platform, task) for task in tasks if has_draws(platform)),
        *(arm_asset(platform, task, arm) for task in tasks for arm in platform.study.arms),
        *(sensitivity_asset(platform, task) for task in tasks if refitted_arms(platform)),
        *(evaluation_asset(platform, task) for task in tasks),
        report_asset(platform),
    ]
    job = study_job()
    return dg.Definitions(
        assets=assets,
        jobs=[job],
        schedules=[study_schedule(platform, job)],
        sensors=[study_sensor(platform, job)],
        executor=EXECUTORS[executor],
    )
