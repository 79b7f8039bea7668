"""Great Expectations judges the check table: each count against its limit, nothing looked at is no pass."""

import os
from collections.abc import Sequence
from typing import Any

import pandas as pd

RAISED = "Great Expectations could not judge a check"


def judge(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the check rows with `passed`, as one Great Expectations suite over one table says.

    Args:
        rows: name, task, looked_at, found, limit, severity; counts that DuckDB computed. Event tables
            never enter Great Expectations: its SQL sources do not work on DuckDB, and a copy in pandas
            would hold all patients in memory.
    """
    if not rows:
        return []
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.core.result_format import ResultFormat
    from great_expectations.expectations.core.expect_column_max_to_be_between import (
        ExpectColumnMaxToBeBetween,
    )
    from great_expectations.expectations.core.expect_column_min_to_be_between import (
        ExpectColumnMinToBeBetween,
    )

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}  # pyright: ignore[reportAttributeAccessIssue]
    # One row; two columns a check, so that each check is expectations of its own in the suite.
    table = pd.DataFrame({column: [value] for n, row in enumerate(rows) for column, value in _cells(n, row)})
    suite = gx.ExpectationSuite(name="checks")
    for n, row in enumerate(rows):
        suite.add_expectation(
            ExpectColumnMaxToBeBetween(
                column=f"found {n}", max_value=row["limit"], meta={"check": row["name"], "task": row["task"]}
            )
        )
        suite.add_expectation(
            ExpectColumnMinToBeBetween(
                column=f"looked_at {n}", min_value=1, meta={"check": row["name"], "task": row["task"]}
            )
        )
    batch = (
        context.data_sources.add_pandas("counts")
        .add_dataframe_asset("checks")
        .add_batch_definition_whole_dataframe("all")
    )
    # BOOLEAN_ONLY: the default result format would store values.
    outcome = batch.get_batch({"dataframe": table}).validate(suite, result_format=ResultFormat.BOOLEAN_ONLY)
    held: dict[str, bool] = {}
    for one in outcome.results:
        if one.exception_info and one.exception_info.get("raised_exception"):
            raise RuntimeError(RAISED)
        assert one.expectation_config is not None
        held[one.expectation_config.kwargs["column"]] = bool(one.success)
    return [{**row, "passed": held[f"found {n}"] and held[f"looked_at {n}"]} for n, row in enumerate(rows)]


def _cells(n: int, row: dict[str, Any]) -> tuple[tuple[str, float], tuple[str, float]]:
    return (f"found {n}", float(row["found"])), (f"looked_at {n}", float(row["looked_at"]))
