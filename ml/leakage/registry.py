"""Every leakage check, and running those of a stage on what one task's models were shown."""

from collections.abc import Callable, Collection
from typing import Any

from ml.leakage.cohort import cohort, labels
from ml.leakage.fits import fitting, models, permutation, readings, scores, shortcuts
from ml.leakage.follow_up import deaths, ends, followup, periods, right_edge, uncoded
from ml.leakage.inputs import lineage, named
from ml.leakage.record import arrival, availability, landed
from ml.leakage.rows import LeakCheck, Stage
from ml.leakage.shown import Shown
from ml.leakage.signals import (
    columns,
    depth,
    hindsight,
    indexing,
    occasion,
    order,
    persons,
    presence,
    recency,
    seasons,
    sites,
    texts,
)
from ml.leakage.splits import duplicates, independence, partial_copies
from ml.task_definition import Task

CHECKS: tuple[LeakCheck, ...] = (
    *lineage.CHECKS,
    *landed.CHECKS,
    *availability.CHECKS,
    *arrival.CHECKS,
    *labels.CHECKS,
    *cohort.CHECKS,
    *followup.CHECKS,
    *deaths.CHECKS,
    *ends.CHECKS,
    *right_edge.CHECKS,
    *periods.CHECKS,
    *uncoded.CHECKS,
    *independence.CHECKS,
    *fitting.CHECKS,
    *readings.CHECKS,
    *named.CHECKS,
    *presence.CHECKS,
    *recency.CHECKS,
    *hindsight.CHECKS,
    *occasion.CHECKS,
    *columns.CHECKS,
    *indexing.CHECKS,
    *order.CHECKS,
    *sites.CHECKS,
    *persons.CHECKS,
    *depth.CHECKS,
    *duplicates.CHECKS,
    *partial_copies.CHECKS,
    *texts.CHECKS,
    *shortcuts.CHECKS,
    *seasons.CHECKS,
    *scores.CHECKS,
    *models.CHECKS,
    *permutation.CHECKS,
)


def checks_of(task: Task, kinds: Collection[str], stage: Stage) -> tuple[LeakCheck, ...]:
    """Return the checks of a stage that have something to look at; `kinds` as of `Shown`."""
    return tuple(check for check in CHECKS if check.stage == stage and check.applies(task, kinds))


def left_out_checks(task: Task, kinds: Collection[str], stage: Stage) -> dict[str, str]:
    """Return the checks of a stage that do not apply, each with the reason in words."""
    return {
        check.name: check.otherwise
        for check in CHECKS
        if check.stage == stage and not check.applies(task, kinds)
    }


def run_checks(shown: Shown, stage: Stage, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """Look at one task with every check of a stage; return rows of the check table without `passed`."""
    rows = []
    for check in checks_of(shown.task, shown.kinds, stage):
        row = check.run(shown)
        progress(f"{check.name}: looked at {row.looked_at}, found {row.found}")
        rows.append(row.as_row())
    return rows
