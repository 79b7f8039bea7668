"""What the models of one task were shown, opened from stored files as they are.

A site is a folder laid out like a home: `published/`, `tasks/<task>/examples/`, `tasks/<task>/<view>/`,
`fitted/<task>/<arm>/fit_log.parquet`, `predictions/<task>/<arm>.parquet`; the landed source that it was made
of is named beside it. No setting of a study is read.
"""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from ml.artefact import read_json
from ml.in_memory import in_memory
from ml.inputs.view import OPTIONS, InputView
from ml.leakage.outcomes import make_outcome_table
from ml.strict import InputError, read_fields
from ml.task_definition import Task

# The day that a person is said to have died on, and when that was known.
DEATH = """
create table death as
select person_id, min(event_date) as death_date, arg_min(available_date, event_date) as known_date
from clinical_event
where domain = 'Death'
group by person_id
"""

# The file that only a view of this kind has.
KINDS = {"text": "text.parquet", "sequence": "sequence.parquet", "counts": "value.parquet"}


@dataclass(frozen=True)
class ShownView:
    """One input view as it was stored; `view` holds its kind and the options it was written with."""

    name: str
    folder: Path
    view: InputView

    def table(self, file: str) -> str:
        """Return the relation of one of its files, quoted for SQL.

        >>> ShownView("count_features_counts", Path(), InputView("counts", "counts")).table("value")
        '"count_features_counts/value"'
        """
        return _quoted_name(f"{self.name}/{file}")


@dataclass(frozen=True)
class Shown:
    """What a task's models were shown. Relations of `connection`:

    every published table by its name (of all tasks, except that `cohort` and `label` are this task's rows of
    the cut, and `cohort_of_all` and `label_of_all` the whole); `example`, `event`, `ancestor`: the cut;
    `outcome` (domain, concept_id, operator, threshold, unit_concept_id, value_set): what single events are
    the outcome; `death` (person_id, death_date, known_date); `ShownView.table(file)`; `Shown.scores(arm)`;
    `Shown.fit_log(arm)`; where there is a landed source, `Shown.landed(table)`.
    """

    connection: duckdb.DuckDBPyConnection
    root: Path
    seeds: Path  # the folder of availability.csv and concept_sets.csv
    task: Task
    views: tuple[ShownView, ...]
    arms: tuple[str, ...]  # those with predictions
    refits: tuple[str, ...]  # those made again with labels dealt at random
    availability: tuple[dict[str, str], ...]  # rows of availability.csv
    seed: int
    n_tasks: int  # of the run: alarms of all of them share a family rate
    landing: Path | None = None  # the folder of the landed source that the snapshot was made of

    @property
    def published(self) -> Path:
        """The snapshot."""
        return self.root / "published"

    @property
    def earlier(self) -> Path | None:
        """The latest snapshot that the home keeps beside the one in force."""
        kept = self.root / "snapshots"
        others = [
            folder
            for folder in (kept.iterdir() if kept.is_dir() else ())
            if (folder / "clinical_event.parquet").exists() and folder.resolve() != self.published.resolve()
        ]
        return max(others, key=lambda folder: folder.stat().st_mtime, default=None)

    @property
    def examples(self) -> Path:
        """The task's cut of it."""
        return self.root / "tasks" / self.task.task / "examples"

    @property
    def held_out_log(self) -> Path:
        """Every reading of held-out by this home, a line of JSON each; there is none before the first."""
        return self.root / "held_out_log.jsonl"

    @property
    def includes_index_day(self) -> bool:
        """Whether what was known by the end of the index day may be shown."""
        return self.task.index_day_input == "include"

    @property
    def kinds(self) -> frozenset[str]:
        """What there is to look at: kinds of views, and `refits` of arms with labels dealt at random."""
        refits = {"refits"} if self.refits else set()
        return frozenset({view.view.kind for view in self.views} | refits)

    def of_kind(self, kind: str) -> tuple[ShownView, ...]:
        """Return the views of a kind: text, sequence, counts."""
        return tuple(view for view in self.views if view.view.kind == kind)

    def scores(self, arm: str) -> str:
        """Return the relation of an arm's predictions, quoted for SQL."""
        return _quoted_name(f"prediction/{arm}")

    def fit_log(self, arm: str) -> str:
        """Return the relation of who was read to fit, choose and recalibrate an arm, quoted for SQL."""
        return _quoted_name(f"fit_log/{arm}")

    def landed(self, table: str) -> str:
        """Return the relation of a table of the landed source, quoted for SQL."""
        return _quoted_name(f"landed/{table}")

    def row(self, sql: str, **values: Any) -> tuple[Any, ...]:
        """Return the one row of a query; values by the names that its SQL reads as `$name`."""
        return self.connection.execute(sql, values).fetchall()[0]

    def frame(self, sql: str, **values: Any) -> pd.DataFrame:
        """Return the rows of a query; say an order where it matters."""
        return self.connection.execute(sql, values).df()


@contextmanager
def open_shown(
    root: Path,
    task: Task,
    *,
    seeds: Path,
    views: Sequence[str] | None = None,
    arms: Sequence[str] | None = None,
    refits: Sequence[str] | None = None,
    seed: int = 0,
    n_tasks: int = 1,
    landing: Path | None = None,
) -> Iterator[Shown]:
    """Open a site on one in-memory connection, one thread.

    Args:
        seeds: the folder of `availability.csv` and `concept_sets.csv`.
        views: folders below the task; None for every one that is an input view.
        arms: whose predictions to open; None for all there are.
        refits: arms made again with labels dealt at random; None for all there are.
        landing: the folder of the landed source; one that is not there is none.

    Raises:
        InputError: a view that is named is no stored input view.
    """
    below = root / "tasks" / task.task
    if views is None:
        views = sorted(path.parent.name for path in below.glob("*/view.json"))
    scored = root / "predictions" / task.task
    if arms is None:
        arms = sorted(path.stem for path in scored.glob("*.parquet"))
    if refits is None:
        refits = sorted(path.stem for path in (root / "random_labels" / task.task).glob("*.parquet"))
    with in_memory(root) as connection, (seeds / "availability.csv").open(newline="") as rules:
        shown = Shown(
            connection,
            root,
            seeds,
            task,
            views=tuple(_read_view(below / name) for name in views),
            arms=tuple(arms),
            refits=tuple(refits),
            availability=tuple(csv.DictReader(rules)),
            seed=seed,
            n_tasks=n_tasks,
            landing=landing if landing and landing.is_dir() else None,
        )
        for file in sorted(shown.landing.glob("*.parquet")) if shown.landing else ():
            _name(connection, f"landed/{file.stem}", file)
        for file in sorted(shown.published.glob("*.parquet")):
            own = file.stem in ("cohort", "label")
            _name(connection, f"{file.stem}_of_all" if own else file.stem, file)
        for name in ("example", "event", "ancestor"):
            _name(connection, name, shown.examples / f"{name}.parquet")
        for name in ("cohort", "label"):
            connection.execute(
                f"create table {name} as from {name}_of_all where task = ? and example_id in"
                " (select example_id from example)",
                [task.task],
            )
        make_outcome_table(connection, task)
        connection.execute(DEATH)
        for view in shown.views:
            for file in sorted(view.folder.glob("*.parquet")):
                _name(connection, f"{view.name}/{file.stem}", file)
        for arm in shown.arms:
            _name(connection, f"prediction/{arm}", scored / f"{arm}.parquet")
            fitted = root / "fitted" / task.task / arm / "fit_log.parquet"
            if fitted.exists():
                _name(connection, f"fit_log/{arm}", fitted)
        yield shown


def _read_view(folder: Path) -> ShownView:
    kinds = [kind for kind, file in KINDS.items() if (folder / file).exists()]
    if len(kinds) != 1 or not (folder / "view.json").exists():
        raise InputError(f"`{folder.name}` is no stored input view")
    options = read_fields(
        OPTIONS[kinds[0]], read_json(folder / "view.json")["options"], where=f"view.json of `{folder.name}`"
    )
    return ShownView(folder.name, folder, InputView(folder.name, kinds[0], options))  # pyright: ignore[reportArgumentType]


def _name(connection: duckdb.DuckDBPyConnection, name: str, file: Path) -> None:
    path = str(file).replace("'", "''")
    connection.execute(f"create view {_quoted_name(name)} as from read_parquet('{path}')")


def _quoted_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
