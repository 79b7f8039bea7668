"""An in-memory DuckDB that keeps its overflow where the home's owner alone reads it."""

from pathlib import Path

import duckdb


def in_memory(below: Path) -> duckdb.DuckDBPyConnection:
    """Open one: a single thread, UTC; what does not fit in memory goes to a hidden folder in `below`.

    DuckDB's own default is `.tmp` in the working directory, outside the home. One thread, because sums and
    ties of several give other bytes from run to run.
    """
    spill = str(below / ".duckdb_spill")
    connection = duckdb.connect(config={"temp_directory": spill, "threads": 1})
    connection.execute("set timezone = 'UTC'")
    return connection
