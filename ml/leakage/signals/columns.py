"""No single column and no single value may be the outcome (L35, L04)."""

import functools

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ml.inputs.count import read_count_columns
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown, ShownView
from ml.leakage.signals.presence import Labels
from ml.leakage.statistics.alarms import JUDGED, Evidence, best_look, finding, judged, level, strongest
from ml.leakage.statistics.column_auroc import column_aurocs
from ml.leakage.statistics.differences import difference_smallest, difference_tail, looks_that_count
from ml.leakage.statistics.tails import auroc_smallest, auroc_tail, rank_tail

# No single column of a fair task reaches the first; that of a fair one has at most the second.
COLUMN_BLOCKS, COLUMN_WARNS = (0.97, 0.75), (0.85, 0.7)
# Among those who have a value, the latest of one measurement in one unit.
VALUE_AUROC, FAIR_VALUE = 0.85, 0.75
VALUES = f"""
with
{JUDGED},
latest as (
    select
        judged.example_id,
        judged.y_true,
        event.concept_id,
        coalesce(event.unit_name, '') as unit,
        arg_min(event.value_as_number, (event.days_before, -event.value_as_number)) as value
    from judged
    inner join event on judged.example_id = event.example_id
    where isfinite(event.value_as_number)
    group by all
)
select
    y_true,
    value,
    dense_rank() over (order by concept_id, unit) as measurement
from latest
order by measurement, example_id
"""


def columns_tell(shown: Shown, *, alarm: str, limits: tuple[float, float]) -> list[Finding]:
    """Look at each column of each count view alone, whether it, or having it at all, orders cases and others.

    Args:
        limits: AUROC that the alarm fires from; AUROC that is fair.
    """
    known = judged(shown)
    labels, views = Labels.of(known["y_true"]), shown.of_kind("counts")
    if not labels.n_cases or not labels.n_others:
        return [Finding(0, 0)]
    y_true = known["y_true"].to_numpy(dtype=np.float64)
    part = level(alarm, shown.n_tasks) / (2 * len(views))
    found = []
    for view in views:
        matrix = rows_of(view, known["example_id"])
        aurocs = column_aurocs(matrix, y_true)
        best = float(np.abs(aurocs - 0.5).max(initial=0.0)) + 0.5
        ranked = order_of(labels, best, 2 * max(1, len(aurocs)), part, limits)
        evidence = [ranked, _had(labels, matrix, y_true, part, limits)]
        one = strongest(alarm, shown, evidence, looks=len(views))
        found.append(one)
    return found


def order_of(labels: Labels, auroc: float, looks: int, part: float, limits: tuple[float, float]) -> Evidence:
    """Judge the highest of several AUROCs, either way, whatever the scores are like."""
    fires, fair = limits
    return Evidence(
        looked_at=labels.n,
        p_value=min(1.0, looks * float(auroc_tail(auroc, labels.n_cases, labels.n_others, fair))),
        effect=auroc,
        minimum=fires,
        smallest=auroc_smallest(labels.n_cases, labels.n_others, fair, part / looks),
        what="highest AUROC, either way",
    )


def _had(
    labels: Labels, matrix: sparse.csr_matrix, y_true: npt.NDArray, part: float, limits: tuple[float, float]
) -> Evidence:
    """Judge having a value other than 0, of which the chance is told better than of an order."""
    fires, fair = (2 * limit - 1 for limit in limits)  # differences of shares
    has = matrix.astype(bool).astype(np.int64)
    present, cases = np.asarray(has.sum(axis=0)).ravel(), np.asarray(has.T @ (y_true == 1)).ravel()
    cases = cases.astype(np.int64)
    others = present - cases
    difference = np.abs(cases / labels.n_cases - others / labels.n_others)
    looks = max(1, int((labels.furthest(present) >= fires).sum()))
    best = int(np.argmax(difference)) if difference.size else -1
    of_cases = (int(cases[best]), labels.n_cases) if difference.size else (0, labels.n_cases)
    of_others = (int(others[best]), labels.n_others) if difference.size else (0, labels.n_others)
    return Evidence(
        looked_at=labels.n,
        p_value=min(1.0, looks * difference_tail(of_cases, of_others, fair)),
        effect=0.5 + float(difference.max(initial=0.0)) / 2,
        minimum=limits[0],
        smallest=0.5 + difference_smallest(labels.n_cases, (0, labels.n_others), fair, part / looks) / 2,
        what="highest AUROC of a column being 0 or not, either way",
    )


def rows_of(view: ShownView, example_id: pd.Series) -> sparse.csr_matrix:
    """Return the rows of examples in a count view, sparse (N, D).

    The first of one that stands there twice, an empty one of one that misses:
    `rows_stand_in_order_of_their_ids` finds both; here a broken view gets a verdict as well.
    """
    stored = pd.read_parquet(view.folder / "row.parquet")["example_id"]
    value = pd.read_parquet(view.folder / "value.parquet")
    shape = (len(stored) + 1, len(read_count_columns(view.folder)))
    matrix = sparse.csr_matrix((value["value"], (value["row"], value["column"])), shape)
    place = pd.Series(np.arange(len(stored)), index=stored)
    place = place[~place.index.duplicated()].reindex(example_id).fillna(len(stored))
    return matrix[place.to_numpy(dtype=np.int64)]


def values_tell(shown: Shown) -> Finding:
    """Look at the latest value of each measurement among those who have one, whether it orders cases."""
    alarm = "few_values_tell_cases"
    n_judged = len(judged(shown))
    if not n_judged:
        return Finding(0, 0)
    table = shown.frame(VALUES)
    seen: list[tuple[float, int, int]] = []
    for _, own in table.groupby("measurement"):
        n_cases = int(own["y_true"].sum())
        if 0 < n_cases < len(own):
            auroc = rank_tail(own["y_true"], own["value"], 0.5).auroc
            seen.append((abs(auroc - 0.5) + 0.5, n_cases, len(own) - n_cases))
    if not seen:
        return Finding(n_judged, 0, note="No value was measured in cases and others.")
    part = level(alarm, shown.n_tasks)
    few = np.array([min(cases, others) for _, cases, others in seen])
    looks = 2 * looks_that_count(np.minimum(1.0, 2 * FAIR_VALUE**few), part)
    p_values = np.array([float(auroc_tail(*one, FAIR_VALUE)) for one in seen])
    best = best_look(p_values, [auroc for auroc, _, _ in seen], VALUE_AUROC)
    most = int(np.argmax(few))
    evidence = Evidence(
        looked_at=n_judged,
        p_value=min(1.0, looks * float(p_values[best])),
        effect=seen[best][0],
        minimum=VALUE_AUROC,
        smallest=auroc_smallest(*seen[most][1:], FAIR_VALUE, part / looks),
        what=f"AUROC of a latest value among those with one, either way, strongest of {len(seen)}",
    )
    return finding(alarm, shown, evidence)


CHECKS = (
    LeakCheck(
        "no_feature_is_the_outcome",
        ("L35",),
        "blocks",
        "No column of a count view alone tells cases from non-cases.",
        "What only texts or sequences show.",
        functools.partial(columns_tell, alarm="no_feature_is_the_outcome", limits=COLUMN_BLOCKS),
        applies=lambda task, kinds: "counts" in kinds,
        otherwise="no arm reads counts",
    ),
    LeakCheck(
        "few_features_tell_cases",
        ("L35",),
        "warns",
        "The same, judged at the rate of alarms that warn: no column alone nearly tells cases.",
        "What only texts or sequences show.",
        functools.partial(columns_tell, alarm="few_features_tell_cases", limits=COLUMN_WARNS),
        applies=lambda task, kinds: "counts" in kinds,
        otherwise="no arm reads counts",
    ),
    LeakCheck(
        "few_values_tell_cases",
        ("L04", "L35"),
        "warns",
        "The latest value of no measurement tells cases among those who have one.",
        "Values of which only several together say it.",
        values_tell,
    ),
)
