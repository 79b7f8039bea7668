"""Test of the ceiling (METHODS 24): no arm may beat the risk computed from the record itself."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.evaluation.bootstrap import bootstrap
from ml.evaluation.metrics import DIRECTION

CEILING_LEVEL = 0.999
CEILING_METRICS = ("auroc", "log_loss")
# The bound is the 1 in 1,000 quantile: fewer replicates would leave it to two or three of them.
CEILING_REPLICATES = 4000
CEILING_COLUMNS = ["task", "arm", "metric", "delta", "lower_bound", "n", "passed"]


def measure_ceiling(
    task: str,
    y_true: npt.ArrayLike,
    person_id: npt.ArrayLike,
    oracle: npt.ArrayLike,
    arms: Mapping[str, Mapping[str, npt.ArrayLike]],
    *,
    seed: int,
    n_bootstrap: int = CEILING_REPLICATES,
) -> pd.DataFrame:
    """Lower bound of (arm - oracle), one row an arm and metric; above 0: it knows what the record does not.

    Args:
        task: for the rows.
        y_true: held-out labels, (N,), both classes.
        person_id: (N,).
        oracle: P(y_true = 1 | record to the index), (N,).
        arms: arm -> metric -> the scores it reads, (N,) or (S, N) for several runs.
        seed: decides the draws.
        n_bootstrap: replicates.
    """
    labels = np.asarray(y_true)
    scores = {"oracle": np.asarray(oracle, dtype=np.float64)}
    metrics: dict[str, tuple[str, ...]] = {"oracle": CEILING_METRICS}
    for arm, by_metric in arms.items():
        for metric in CEILING_METRICS:
            scores[f"arm:{arm}|{metric}"] = np.asarray(by_metric[metric], dtype=np.float64)
            metrics[f"arm:{arm}|{metric}"] = (metric,)
    replicates = bootstrap(labels, person_id, scores, n_bootstrap=n_bootstrap, seed=seed, metrics=metrics)
    rows: list[dict[str, Any]] = []
    for arm in arms:
        for metric in CEILING_METRICS:
            mine = replicates.values[f"arm:{arm}|{metric}"][metric]
            best = replicates.values["oracle"][metric]
            differences = DIRECTION[metric] * (mine - best)
            bound = float(np.quantile(differences, 1 - CEILING_LEVEL))
            delta = float(differences.mean())
            row = {"task": task, "arm": arm, "metric": metric, "delta": delta, "lower_bound": bound}
            rows.append(row | {"n": labels.size, "passed": bound <= 0})
    return pd.DataFrame(rows, columns=pd.Index(CEILING_COLUMNS))


def ceiling_checks(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Check rows, one a metric: `found` is the highest lower bound of all arms, in units of the metric.

    Returns nothing for an empty table: the caller decides whether a missing oracle is a fault.
    """
    rows: list[dict[str, Any]] = []
    for (task, metric), part in cast(Any, table).groupby(["task", "metric"], sort=True):
        rows.append(
            {
                "name": f"no_arm_beats_the_oracle_{metric}",
                "task": task,
                "looked_at": int(part["n"].sum()),
                "found": float(part["lower_bound"].max()),
                "limit": 0.0,
                "severity": "block",
                "passed": bool(part["passed"].all()),
            }
        )
    return rows
