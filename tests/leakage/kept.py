"""A clean source with all its models run, kept in memory: a fault of the SQL runs again what it changes.

The same rows as a run of everything, and files of relations that nothing changed are linked.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from definitions.compiled import Database, Project, Rows

from ml.artefact import whole_folder
from orchestration.publish import RELATIONS as PUBLISHED

# Counts of quality and of availability: no check that looks at a site reads them, and they take a third of a
# build.
UNREAD = ("quality_count", "snapshot_profile", "availability_count", "label_count")
RELATIONS = {name: order for name, order in PUBLISHED.items() if name not in UNREAD}


class Kept:
    """The database of a clean site, and its files.

    Args:
        root: the site's, where `landing` and `published` lie; whoever keeps this leaves them alone.
        source: what was landed.
        seeds: what was loaded.
        database: with every model run.
    """

    def __init__(self, root: Path, source: Path, seeds: Rows, database: Database) -> None:
        self._root, self._database = root, database
        self._begun_with: tuple[object, Rows] | None = _identity(source), seeds

    def is_of(self, source: Path, seeds: Rows) -> bool:
        """Return whether a source holds the same files (linked ones are), with the same seeds."""
        return self._begun_with == (_identity(source), seeds)

    def publish(self, root: Path, sql: Mapping[str, str]) -> None:
        """Write `landing` and `published` below `root` as if all models had run, some with other SQL."""
        models = self._database.project.models
        changed = {name for name, text in sql.items() if text != models[name].sql}
        again = changed.union(*(self._database.project.below(name) for name in changed))
        shutil.rmtree(root / "landing", ignore_errors=True)
        shutil.copytree(self._root / "landing", root / "landing", copy_function=os.link)
        self._database.connection.execute("begin")
        try:
            self._database.run(again, sql)
            with whole_folder(root / "published") as folder:
                write_relations(self._database, folder, again)
                for name in RELATIONS.keys() - again:
                    os.link(self._root / "published" / f"{name}.parquet", folder / f"{name}.parquet")
        finally:
            self._database.connection.execute("rollback")

    def close(self) -> None:
        """Drop the database: this is of no source any more."""
        self._begun_with = None
        self._database.connection.close()


def landed(project: Project, landing: Path, seeds: Rows, sql: Mapping[str, str]) -> Database:
    """Return a database of a landed source with every model run, some with other SQL."""
    models = {name: replace(model, sql=sql.get(name, model.sql)) for name, model in project.models.items()}
    database = Database(replace(project, models=models))
    database.land_folder(landing)
    database.seed(seeds)
    database.run()
    return database


def write_relations(database: Database, folder: Path, names: set[str] | None = None) -> None:
    """Write published relations (all of them by default) as Parquet files of a folder, each in its order."""
    for name, order in RELATIONS.items():
        if names is None or name in names:
            database.connection.execute(
                f"copy (select * from {name} order by {order}) to '{folder / name}.parquet' (format parquet)"
            )


def _identity(source: Path) -> list[tuple[str, int, int, int]]:
    stats = [(file.name, file.stat()) for file in sorted(source.iterdir())]
    return [(name, stat.st_dev, stat.st_ino, stat.st_mtime_ns) for name, stat in stats]
