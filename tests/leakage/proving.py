"""What the checks say of a planted site and of its clean original, and of clean worlds.

Every check of the platform looks: those of the snapshot, of the task's cut, and every leakage check of
inputs and of scores. A check *finds* what is over its limit; one that looked at nothing is kept apart, so
that a site whose arms a guard stopped does not count as seen by a check that had no scores to look at.
"""

import traceback
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from leakage import evidence, pipeline
from leakage.plants import Plant
from leakage.sets import plant_named
from leakage.site import Site, Sites, make_site
from ml.inputs.examples import split_counts
from ml.inputs.view import CountOptions
from ml.leakage.catalogue import Leak, read_catalogue
from ml.leakage.fits.permutation import FULL, LOOK
from ml.leakage.registry import checks_of
from ml.leakage.rows import LeakCheck
from ml.leakage.shown import Shown, open_shown
from ml.random_labels import CountArm, write_random_labels
from ml.tasks import Task, read_tasks
from orchestration.checking import run_snapshot_checks, run_task_checks

SEEDS = Path(__file__).resolve().parents[2] / "dbt_project" / "seeds"
DEALT = "L38"  # judged on labels dealt at random, in full
# The task checks that stop a task for want of data: what follows would not run, and nothing leaked.
WANT = ("cohort_is_not_empty", "splits_have_enough_cases", "concept_sets_are_known")

Row = dict[str, Any]


def look(site: Site, task: str, *, dealt: int = 0) -> list[Row]:
    """Run every check that reads a site's snapshot or one of its tasks; rows of the check table.

    A leakage check that raises is a row with `error`: the others look all the same.

    Args:
        site: whose own faulty code is in force meanwhile.
        task: one of the site's.
        dealt: how often labels are dealt at random to each arm that scored; 0 for not at all.
    """
    own = read_own_tasks()[task]
    with site.in_force():
        rows = run_snapshot_checks(site.published)
        rows += run_task_checks(site.published, site.examples(task), own)
        arms = [arm for arm in pipeline.ARMS if site.predictions(task, arm).exists()] if dealt else []
        counts = CountOptions()
        dealt_to = [CountArm(arm, pipeline.ARMS[arm], counts, pipeline.CONFIGURATIONS, dealt) for arm in arms]
        write_random_labels(site.root, task, dealt_to, seed=site.seed, progress=lambda _: None)
        n_tasks = len(pipeline.TASKS)
        landing = site.root / "landing" / "site"
        with open_shown(
            site.root, own, seeds=SEEDS, refits=arms, seed=site.seed, n_tasks=n_tasks, landing=landing
        ) as shown:
            for stage in ("inputs", "scores"):
                rows += [_row(check, shown) for check in checks_of(own, shown.kinds, stage)]
    return rows


def _row(check: LeakCheck, shown: Shown) -> Row:
    try:
        return check.run(shown).as_row()
    except Exception as error:
        blocks = "warn" if check.how == "warns" else "block"
        none = {"looked_at": 0, "found": 0, "limit": 0, "severity": blocks}
        return {"name": check.name, "task": shown.task.task, **none, "error": described(error)}


def described(error: BaseException) -> dict[str, Any]:
    """Return an error's kind and where it rose, without its message: that may quote a row."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    return {"kind": type(error).__name__, "places": places[-12:]}


@cache
def read_own_tasks() -> dict[str, Task]:
    """Return the project's tasks."""
    return read_tasks(SEEDS)


def found(rows: Sequence[Row]) -> dict[str, str]:
    """Return the checks that found more than their limit, by name, with what that does: block, warn."""
    return {row["name"]: row["severity"] for row in rows if row["found"] > row["limit"]}


def empty(rows: Sequence[Row]) -> list[str]:
    """Return the checks that looked at nothing."""
    return sorted(row["name"] for row in rows if not row["looked_at"] and "error" not in row)


def raised(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the checks that raised, by name, with the error's kind and places."""
    return {row["name"]: row["error"] for row in rows if "error" in row}


class Planting:
    """Plants, one after the other, on clean sites that are made and looked at once."""

    def __init__(self, persons: int, tasks: Sequence[str] = pipeline.TASKS) -> None:
        self.tasks = tuple(tasks)
        self._sites = Sites(tasks=tasks)
        self._persons = persons
        self._clean: dict[tuple[int, str, int], list[Row]] = {}

    def clean(self, seed: int) -> Site:
        """Return the clean site of a seed, to read."""
        return self._sites.clean(seed, self._persons)

    def run(self, name: str, seed: int) -> dict[str, Any]:
        """Plant a leak in a copy of the site of a seed and say which checks see it that did not before."""
        plant = plant_named(name)
        dealt = FULL if plant.leak == DEALT else 0
        clean, before = self.clean(seed), self._before(seed, plant.task, dealt)
        site = self._sites.copy(seed, self._persons, [plant.task])
        try:
            plant(site, np.random.default_rng(seed))
            after = look(site, plant.task, dealt=dealt)
            refused = [one.refused.get(plant.task, {}) for one in (clean, site)]
            guards = sorted(set(refused[1].values()) - set(refused[0].values()))
            return {
                **judged(catalogue()[plant.leak].held_by, before, after, guards),
                "rows_that_show_it": _trace(clean, site, plant),
            }
        finally:
            self._sites.forget(site)

    def _before(self, seed: int, task: str, dealt: int) -> list[Row]:
        key = seed, task, dealt
        if key not in self._clean:
            self._clean[key] = look(self.clean(seed), task, dealt=dealt)
        return self._clean[key]

    def close(self) -> None:
        """Remove the sites."""
        self._sites.close()


@cache
def catalogue() -> Mapping[str, Leak]:
    """Return the catalogue by id."""
    return {leak.id: leak for leak in read_catalogue()}


def _trace(clean: Site, planted: Site, plant: Plant) -> list[int] | str:
    """Count the rows that only the fault leaves behind, without and with it; words where none are counted."""
    if plant.name not in evidence.FOUND:
        return "code only" if plant.name in evidence.BY_SCORES else "not counted"
    return [evidence.found(site, plant) for site in (clean, planted)]


def judged(
    named: Collection[str], before: Sequence[Row], after: Sequence[Row], guards: Sequence[str]
) -> dict[str, Any]:
    """Say who sees a plant: a check finds something in the planted site, and nothing in the clean one.

    Args:
        named: checks that the catalogue names for its leak.
        before: rows of the clean site.
        after: rows of the planted one.
        guards: that stopped an arm of the planted site alone.
    """
    clean = found(before)
    seen = {name: does for name, does in found(after).items() if name not in clean}
    own = {name: does for name, does in seen.items() if name in named}
    said = {
        row["name"]: f"looked at {row['looked_at']}, found {row['found']}. {row.get('note', '')}".strip()
        for row in after
        if row["name"] in named and not own
    }
    others = {name: does for name, does in seen.items() if name not in named}
    return {
        "verdict": "caught" if own else "by_another" if others or guards else "not_caught",
        "blocks": "block" in own.values(),
        "by": dict(sorted(own.items())),
        "by_others": dict(sorted(others.items())),
        "said": dict(sorted(said.items())),  # by the named checks, where none of them saw it
        "guards": list(guards),
        "in_the_clean_site": dict(sorted(clean.items())),
        "looked_at_nothing": sorted(set(empty(after)) - set(empty(before))),
        "raised": raised(after),
    }


def clean_world(root: Path, seed: int, persons: int, tasks: Sequence[str]) -> dict[str, Any]:
    """Make a site without any plant and say what blocks and what warns, by task (`snapshot` for all of them).

    A task that lacks cases is stopped by its task checks before anything looks for leaks; the leakage checks
    look here all the same, and what they find is marked by `wanting`.
    """
    site = make_site(root, seed, persons, tasks)
    made: dict[str, Any] = {}
    for task in site.tasks:
        rows = look(site, task, dealt=LOOK)
        of_snapshot = [row for row in rows if not row["task"]]
        own = [row for row in rows if row["task"]]
        made["snapshot"] = _alarms(of_snapshot)
        made[task] = {**_alarms(own), "examples": _labelled(site, task)}
    return made


def _alarms(rows: Sequence[Row]) -> dict[str, Any]:
    over = found(rows)
    nothing = set(empty(rows))
    return {
        "checks": len(rows),
        "wanting": sorted({*over, *nothing} & set(WANT)),
        "blocks": sorted(name for name, does in over.items() if does == "block" and name not in WANT),
        "warns": sorted(name for name, does in over.items() if does == "warn" and name not in WANT),
        "looked_at_nothing": sorted(nothing - set(WANT)),
        "raised": raised(rows),
    }


def _labelled(site: Site, task: str) -> dict[str, list[int]]:
    """Return labelled examples and cases of each split."""
    return {split: list(counts) for split, counts in sorted(split_counts(site.examples(task)).items())}
