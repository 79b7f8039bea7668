"""What starts the study by itself: a look at the source, and every night."""

import json
from typing import Any

import dagster as dg

from ml.strict import InputError
from orchestration.landing import source_fingerprint
from orchestration.platform import Platform

JOB = "study"
LOOK_EVERY_S = 60
NIGHTLY = "0 3 * * *"


def study_job() -> Any:
    """Everything, in one job."""
    return dg.define_asset_job(JOB, selection=dg.AssetSelection.all(), description="The whole study.")


def study_sensor(platform: Platform, job: Any) -> dg.SensorDefinition:
    """Request the study when the source changed and then held still for two looks."""

    @dg.sensor(
        name="source_changed",
        job=job,
        minimum_interval_seconds=LOOK_EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Two equal looks at names, sizes and times; landing then hashes the contents.",
    )
    def source_changed(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if busy := _busy(context.instance):
            return dg.SkipReason(busy)
        seen = _look(platform)
        if seen is None:
            return dg.SkipReason("The source is not there yet")
        before = json.loads(context.cursor) if context.cursor else {}
        if seen != before.get("seen"):
            cursor = json.dumps({**before, "seen": seen})
            return dg.SensorResult(skip_reason="The source changed; looking once more", cursor=cursor)
        if seen == before.get("requested"):
            return dg.SkipReason("The source is what the last run was asked for")
        cursor = json.dumps({"seen": seen, "requested": seen})
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=seen)], cursor=cursor)

    return source_changed


def study_schedule(platform: Platform, job: Any) -> dg.ScheduleDefinition:
    """Request the study every night, with the source's fingerprint as run key."""

    @dg.schedule(
        job=job,
        cron_schedule=NIGHTLY,
        execution_timezone="UTC",
        name="nightly",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Run the study at 03:00 UTC, unless a run is queued or going."""
        if busy := _busy(context.instance):
            return dg.SkipReason(busy)
        seen = _look(platform)
        return dg.RunRequest(run_key=seen) if seen else dg.SkipReason("The source is not there")

    return nightly


def _look(platform: Platform) -> str | None:
    """Return the fingerprint of the source; a simulated one that is not written yet is its recipe."""
    if platform.simulates:
        return platform.study.sha256
    try:
        return source_fingerprint(platform.source)
    except InputError:
        return None  # nothing that is read lies there, or nothing at all: a reason to wait, not to fail


def _busy(instance: dg.DagsterInstance) -> str | None:
    going = dg.RunsFilter(
        statuses=[
            dg.DagsterRunStatus.QUEUED,
            dg.DagsterRunStatus.NOT_STARTED,
            dg.DagsterRunStatus.STARTING,
            dg.DagsterRunStatus.STARTED,
        ]
    )
    count = instance.get_runs_count(going)
    return f"{count} runs are queued or going" if count else None
