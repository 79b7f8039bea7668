"""A process that makes and looks at many sites, none of which outlives it: the same results in less time.

DuckDB takes 20 ms to start an instance; here every short connection is a database of its own on one that is
warm. Nothing is forced to the disk: a site that a crash halves is thrown away with its folder. Memory is
searched for cycles a hundred times less often: records are read as many small tuples, which have none.
"""

import gc
import itertools
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import duckdb

SELDOM = (100_000, 20, 50)  # of the three generations


def quickened() -> ExitStack:
    """Return a context in which short connections are warm, and disk and memory are left alone."""
    stack = ExitStack()
    stack.callback(gc.set_threshold, *gc.get_threshold())
    stack.callback(gc.unfreeze)
    gc.freeze()
    gc.set_threshold(*SELDOM)
    stack.enter_context(patch("ml.in_memory.duckdb", WarmDuckDB()))
    stack.enter_context(patch("ml.artefact._fsync", lambda _: None))
    return stack


class WarmDuckDB:
    """Stands for the module `duckdb` where only `connect` of an in-memory database is asked of it."""

    def __init__(self) -> None:
        # What a file held must not be remembered: plants put others under the same name.
        config = {"threads": 1, "enable_external_file_cache": False}
        self._instance = duckdb.connect(config=config)
        self._names: Iterator[int] = itertools.count()

    def connect(self, *, config: Mapping[str, Any]) -> "WarmDatabase":
        """Open an empty database of one thread; it overflows to the first that was asked for."""
        assert set(config) == {"temp_directory", "threads"} and config["threads"] == 1
        return WarmDatabase(self._instance.cursor(), f"passing_{next(self._names)}")


class WarmDatabase:
    """A connection with a database of its own, which goes when the connection is closed."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        self._connection, self._name = connection, name
        connection.execute(f"attach ':memory:' as {name}; use {name}")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __enter__(self) -> "WarmDatabase":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Drop the database and close the connection."""
        self._connection.execute(f"use memory; detach {self._name}")
        self._connection.close()
