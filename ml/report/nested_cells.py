"""Checks of all rows beside the same checks of a cohort's: what lies between the two must not be small."""

from typing import Any, cast

import pandas as pd

from ml.report.suppression import SMALLEST_SHOWN


def suppress_nested(checks: pd.DataFrame, shown: pd.DataFrame) -> pd.DataFrame:
    """Hide counts of a task's cohort that leave 1 to 10 of the same check's counts of all rows.

    Limits that are a share of rows looked at go where those went.

    Args:
        checks: unsuppressed; a row without a task is of all rows.
        shown: the same rows with small counts hidden; `looked_at` and `found` may be null.
    """
    table = cast(Any, checks)
    looked, found = table["looked_at"].astype("float64"), table["found"].astype("float64")
    of_all = table[table["task"].fillna("").eq("")].drop_duplicates("name").set_index("name")
    around = table["name"].map(of_all["looked_at"].astype("float64")) - looked
    beside = table["name"].map(of_all["found"].astype("float64")) - found
    is_count = found.eq(found.round())
    gone = is_count & _is_small(around)
    gone_found = is_count & (_is_small(beside) | _is_small(around - beside))
    result = cast(Any, shown).assign(
        looked_at=cast(Any, shown)["looked_at"].mask(gone), found=cast(Any, shown)["found"].mask(gone_found)
    )
    limit = result["limit"].astype("float64")
    return result.assign(limit=limit.mask(result["looked_at"].isna() & is_count & limit.gt(0)))


def _is_small(difference: pd.Series) -> pd.Series:
    return difference.between(1, SMALLEST_SHOWN - 1)
