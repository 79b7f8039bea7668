"""A site: a simulated source, and all that the platform makes of it, below one folder laid out as a home.

    sites = Sites()
    site = sites.copy(seed, persons, [plant.task])
    plant(site, np.random.default_rng(seed))
    with site.in_force():  # a fault of the code is one of the code that checks, too
        ...

A plant changes a copy: rows of the source, SQL of a model, an attribute of a module, or rows of an artefact;
what follows from it is made again by the platform's own code, so that all else agrees, as in the real fault.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
from sklearn.metrics import roc_auc_score

from leakage import pipeline
from leakage.kept import Kept
from leakage.pipeline import TASKS, Seeds
from ml.artefact import whole_file
from ml.simulator.source import write_source

STAGES = ("source", "published", "examples", "views", "arms")


@dataclass
class Site:
    """A home with artefacts of `tasks`.

    Attributes:
        sql: models whose SQL is another than dbt compiled, whole, by name.
        code: attributes that are others while anything is made, by dotted name.
        seeds: rows of the seeds as dbt would load them.
        refused: guard by task and arm, of arms that a guard stopped.
        kept: the database of the clean site that this is a copy of, where it was kept.
    """

    root: Path
    persons: int
    seed: int
    tasks: tuple[str, ...] = TASKS
    sql: dict[str, str] = field(default_factory=dict)
    code: dict[str, object] = field(default_factory=dict)
    seeds: Seeds = field(default_factory=pipeline.seeds_of_tasks)
    refused: dict[str, dict[str, str]] = field(default_factory=dict)
    kept: Kept | None = None

    @property
    def source(self) -> Path:
        """The OMOP source."""
        return self.root / "simulated" / "cdm"

    @property
    def published(self) -> Path:
        """The snapshot."""
        return self.root / "published"

    def examples(self, task: str) -> Path:
        """The cut of a task."""
        return pipeline.examples(self.root, task)

    def predictions(self, task: str, arm: str) -> Path:
        """Predictions of an arm."""
        return self.root / "predictions" / task / f"{arm}.parquet"

    def copy(self, root: Path, tasks: Sequence[str] | None = None) -> "Site":
        """Return a copy with some of its tasks; files are linked, and every writer makes a new file."""
        kept = tuple(tasks or self.tasks)
        left_out = {name for name in self.tasks if name not in kept}

        def ignore(folder: str, names: list[str]) -> set[str]:
            per_task = Path(folder).name in ("tasks", "predictions", "fitted")
            return left_out & set(names) if per_task else set()

        shutil.copytree(self.root, root, copy_function=os.link, ignore=ignore)
        refused = {task: dict(arms) for task, arms in self.refused.items() if task in kept}
        seeds = {name: [dict(row) for row in rows] for name, rows in self.seeds.items()}
        sql, code = dict(self.sql), dict(self.code)
        return Site(root, self.persons, self.seed, kept, sql, code, seeds, refused, self.kept)

    def in_force(self) -> AbstractContextManager[Any]:
        """Return a context in which the site's own faulty code runs: its checks run in it, and its refits."""
        return pipeline.patched(self.code)

    def rebuild(self, since: str) -> None:
        """Make again what follows from `since`, which was changed: source, published, examples or views.

        Changed code of a step counts as a change of what it reads: of the arms, a change of the views.
        """
        first = STAGES.index(since)
        with self.in_force():
            if first < STAGES.index("published"):
                pipeline.publish(self.source, self.root, seeds=self.seeds, sql=self.sql, kept=self.kept)
            for task in self.tasks:
                if first < STAGES.index("examples"):
                    pipeline.cut(self.root, task, seed=self.seed)
                if first < STAGES.index("views"):
                    pipeline.show(self.root, task)
                if first < STAGES.index("arms"):
                    self.refused[task] = pipeline.adapt(self.root, task, seed=self.seed)
        if first == STAGES.index("published"):
            pipeline.describe(self.published)

    def keep_snapshot(self) -> Path:
        """Keep the snapshot in force below `snapshots/`, by its name, as the platform keeps the one
        before.
        """
        kept = self.root / "snapshots" / pipeline.describe(self.published)
        shutil.copytree(self.published, kept, copy_function=os.link)
        return kept

    def mutate(self, model: str, old: str, new: str) -> None:
        """Replace a text that stands exactly once in a model's compiled SQL; spaces count as one."""
        text = self.sql.get(model, pipeline.compiled().models[model].sql)
        flat, wanted = " ".join(text.split()), " ".join(old.split())
        # A comment ends with its line, so comments go before lines are joined.
        if "--" in text:
            lines = [line.split("--")[0] for line in text.splitlines()]
            flat = " ".join(" ".join(lines).split())
        if flat.count(wanted) != 1:
            raise ValueError(f"`{wanted}` stands {flat.count(wanted)} times in `{model}`")
        self.sql[model] = flat.replace(wanted, " ".join(new.split()))

    def rows(self, query: str, **frames: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a query on published tables, on `cdm_<table>` of the source, and on frames."""
        with duckdb.connect(config={"threads": 1}) as connection:
            self._register(connection, frames)
            return connection.execute(query).df()

    def rewrite(self, file: str, query: str, **frames: pd.DataFrame) -> None:
        """Replace a Parquet file below the root by the rows of a query on it (`this`) and on other tables."""
        path = self.root / file
        with duckdb.connect(config={"threads": 1}) as connection, whole_file(path) as temporary:
            connection.execute("set preserve_insertion_order = true")
            self._register(connection, frames)
            connection.execute(f"create view this as select * from '{path}'")
            connection.execute(f"copy ({query}) to '{temporary}' (format parquet)")

    def _register(self, connection: duckdb.DuckDBPyConnection, frames: Mapping[str, pd.DataFrame]) -> None:
        for folder, prefix in ((self.published, ""), (self.source, "cdm_")):
            for file in sorted(folder.glob("*.parquet")):
                connection.execute(f"create view {prefix}{file.stem} as select * from '{file}'")
        for name, frame in frames.items():
            connection.register(name, frame)

    def labelled(self, task: str) -> pd.DataFrame:
        """Return the labelled examples of a task as published: ids, dates, split, y_true, by example_id."""
        return self.rows(
            "select label.*, split.split, cohort.entry_event_id, cohort.observation_period_end_date"
            " from label inner join cohort using (task, example_id) inner join split"
            f" on label.person_id = split.person_id where label.task = '{task}' and y_true is not null"
            " order by example_id"
        )

    def auroc(self, task: str, arm: str = "count_lr") -> float | None:
        """Return the held-out AUROC of an arm; None where it was refused."""
        if arm in self.refused.get(task, {}):
            return None
        scored = pd.read_parquet(self.predictions(task, arm))
        own = scored[scored["split"] == "held_out"]
        return float(roc_auc_score(own["y_true"], own["y_score_raw"]))


class Sites:
    """Clean sites by size and seed, each made once, below a temporary folder that goes with this."""

    def __init__(self, *, tasks: Sequence[str] = TASKS) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sites-")
        self._tasks = tuple(tasks)
        self._made: dict[tuple[int, int], Site] = {}
        self._copies = 0

    @cached_property
    def root(self) -> Path:
        """Where they lie."""
        return Path(self._folder.name)

    def clean(self, seed: int, persons: int = 4000) -> Site:
        """Return the site of a seed and size, to read; the database of the last one made is kept."""
        if (seed, persons) not in self._made:
            self._forget_databases()
            root = self.root / f"{seed}-{persons}"
            self._made[seed, persons] = make_site(root, seed, persons, self._tasks, keep=True)
        return self._made[seed, persons]

    def _forget_databases(self) -> None:
        for site in self._made.values():
            if site.kept:
                site.kept.close()
                site.kept = None

    def copy(self, seed: int, persons: int = 4000, tasks: Sequence[str] | None = None) -> Site:
        """Return a copy of that site, to change."""
        self._copies += 1
        return self.clean(seed, persons).copy(self.root / f"copy-{self._copies}", tasks)

    def forget(self, site: Site) -> None:
        """Remove a copy."""
        shutil.rmtree(site.root)

    def close(self) -> None:
        """Remove all of them."""
        self._forget_databases()
        self._folder.cleanup()


def make_site(
    root: Path, seed: int, persons: int, tasks: Sequence[str] = TASKS, *, keep: bool = False
) -> Site:
    """Simulate a source and make everything of it; the same seed and size give the same rows.

    `keep` keeps its database, for copies whose SQL is another.
    """
    site = Site(root, persons, seed, tuple(tasks))
    write_source(site.source, root / "simulated" / "world", persons=persons, seed=seed)
    if keep:
        site.kept = pipeline.publish_and_keep(site.source, root, seeds=site.seeds)
        site.rebuild("published")
    else:
        site.rebuild("source")
    return site
