"""How far the outcome can be told without what was found: by being seen at all, and by the calendar."""

from typing import Any

import numpy as np
import pandas as pd

from ml.leakage.fits.scores import scores_of
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.statistics.alarms import JUDGED, Evidence, judged, level, strongest
from ml.leakage.statistics.tails import auroc_smallest, auroc_tail, contrast_tail, rank_tail

# A shortcut alone that has more than this share of a model's AUROC above one half explains the model.
SHARE_EXPLAINED = 0.8
DAYS_AUROC = 0.06  # above one half
# AUROC of having been seen often: what is fair, and what the alarm fires from.
FAIR_SEEN, SEEN_AUROC = 0.65, 0.75
SEEN_DAYS = (180, 100_000)

UTILISATION = f"""
with {JUDGED}
select
    ln(1 + count(event.event_id)) as n_events,
    ln(1 + count(distinct event.concept_id)) as n_codes,
    ln(1 + count(distinct event.visit_no)) as n_visits,
    ln(1 + count(distinct event.days_before)) as n_days,
    coalesce(ln(1 + greatest(0, max(event.days_before))), 0) as first,
    coalesce(ln(1 + greatest(0, min(event.days_before))), 0) as last
from judged
left join event on judged.example_id = event.example_id
group by judged.example_id
order by judged.example_id
"""

SEEN = f"""
with {JUDGED}
select
    judged.y_true,
    {", ".join(
        f"count(distinct event.{what}) filter (where event.days_before <= {days}) as {name}_{days}"
        for days in SEEN_DAYS for name, what in (("days", "days_before"), ("visits", "visit_no"))
    )}
from judged
left join event on judged.example_id = event.example_id
group by judged.example_id, judged.y_true
order by judged.example_id
"""  # fmt: skip

# On which days of the week something was ordered or found: as shares, so that how often says nothing.
DAYS_OF_ORDERS = f"""
with
{JUDGED},
order_day as (
    select distinct
        judged.example_id,
        isodow(judged.index_date - event.days_before::integer) as weekday,
        event.days_before
    from judged
    inner join event on judged.example_id = event.example_id
    where event.domain in ('Measurement', 'Procedure', 'Drug', 'Observation')
)
select
    {", ".join(f"coalesce(avg((weekday = {day})::double), 1 / 7) as share_{day}" for day in range(1, 8))},
    {", ".join(f"coalesce(arg_min(weekday, days_before) = {day}, false)::double as last_{day}"
               for day in range(1, 8))}
from judged
left join order_day on judged.example_id = order_day.example_id
group by judged.example_id
order by judged.example_id
"""  # fmt: skip


def utilisation(shown: Shown) -> pd.DataFrame:
    """Return what says how often each judged example was seen, (N, 6), in order of example_id."""
    return shown.frame(UTILISATION)


def calendar(shown: Shown) -> pd.DataFrame:
    """Return year, month and weekday of the index of each judged example as indicators, (N, D)."""
    index = judged(shown)["index_date"].astype("datetime64[ns]").dt
    parts = {"year": index.year, "month": index.month, "weekday": index.day_of_week}
    return pd.concat([pd.get_dummies(part, prefix=name, dtype=float) for name, part in parts.items()], axis=1)


def shortcuts_explain(shown: Shown) -> Finding:
    """Fit each shortcut on train and compare it on tuning with the arm that is best there."""
    alarm = "shortcuts_explain_little"
    known = judged(shown)
    best, best_arm = None, -np.inf
    for arm in shown.arms:
        score = scores_of(shown, arm, "tuning")
        score = score[score["example_id"].isin(known["example_id"])]  # also where a person is in two splits
        labels = score["y_true"].to_numpy()
        if not _has_both(labels):
            continue
        auroc = rank_tail(labels, score["score"], 0.5).auroc
        if auroc > best_arm:
            best, best_arm = score, auroc
    train = (known["split"] == "train").to_numpy()
    if best is None or not _has_both(known["y_true"][train]):
        return Finding(0, 0)
    rows = np.flatnonzero(known["example_id"].isin(best["example_id"]))
    labels, full = best["y_true"].to_numpy(), best["score"].to_numpy()
    seen = []
    for name, make in (("utilisation", utilisation), ("the calendar", calendar)):
        table = make(shown).to_numpy(dtype=np.float64)
        score = _fitted(table[train], known["y_true"][train]).predict_proba(table[rows])[:, 1]
        excess = rank_tail(labels, score, 0.5).auroc - 0.5
        seen.append(
            Evidence(
                looked_at=len(labels),
                p_value=contrast_tail(labels, score, full, SHARE_EXPLAINED),
                effect=excess / (best_arm - 0.5) if best_arm > 0.5 else 0.0,
                minimum=SHARE_EXPLAINED,
                smallest=SHARE_EXPLAINED,
                what=f"share of the best arm's AUROC above one half that {name} alone has",
                unseen=_unseen(name, labels, level(alarm, shown.n_tasks) / 2),
            )
        )
    return strongest(alarm, shown, seen)


def _unseen(name: str, labels: np.ndarray, part: float) -> str:
    from scipy import stats

    n_cases = int(labels.sum())
    error = np.sqrt((len(labels) + 1) / (12 * n_cases * (len(labels) - n_cases)))
    shortfall = stats.t.isf(part, max(1, min(n_cases, len(labels) - n_cases) - 1)) * error
    return (
        f"{name}: a share above {SHARE_EXPLAINED} that comes to less than about {shortfall:.2g} of AUROC more"
        " than that."
    )


def days_of_orders(shown: Shown) -> Finding:
    """Fit the days of the week of orders on half of the persons and judge them on the other half."""
    alarm = "the_days_of_orders_say_little"
    table = shown.frame(DAYS_OF_ORDERS)
    return strongest(alarm, shown, halves(alarm, shown, table, DAYS_AUROC, "AUROC of the days of orders"))


def being_seen_says(shown: Shown) -> Finding:
    """Look whether days and visits, of half a year and of all, order cases and others more than is fair."""
    alarm = "being_seen_says_little"
    table = shown.frame(SEEN)
    y_true = table["y_true"].to_numpy(dtype=np.int64)
    if not _has_both(y_true):
        return Finding(0, 0)
    n_cases = int(y_true.sum())
    part = level(alarm, shown.n_tasks) / (table.shape[1] - 1)
    seen = []
    for days in SEEN_DAYS:
        for name in ("days", "visits"):
            auroc = abs(rank_tail(y_true, table[f"{name}_{days}"], 0.5).auroc - 0.5) + 0.5
            chance = 2 * float(auroc_tail(auroc, n_cases, len(table) - n_cases, FAIR_SEEN))
            words = "at all" if days == SEEN_DAYS[-1] else f"in {days} days"
            seen.append(
                Evidence(
                    looked_at=len(table),
                    p_value=min(1.0, chance),
                    effect=auroc,
                    minimum=SEEN_AUROC,
                    smallest=auroc_smallest(n_cases, len(table) - n_cases, FAIR_SEEN, part / 2),
                    what=f"AUROC of the {name} seen {words}, either way",
                )
            )
    return strongest(alarm, shown, seen)


def halves(alarm: str, shown: Shown, table: pd.DataFrame, minimum: float, what: str) -> list[Evidence]:
    """Fit a logistic regression on one half of the judged persons, judge it on the other, and in turn.

    The score does not know the labels that judge it, so that the test of ranks is exact. Two looks.

    Args:
        table: columns of the judged examples, (N, D), in order of example_id.
        minimum: of the AUROC above one half.
    """
    known = judged(shown)
    y_true = known["y_true"].to_numpy()
    values = table.to_numpy(dtype=np.float64)
    # The first digits of a hash of the person, the id that nothing else here is drawn by.
    half = _hash(known["person_id"]) % 2 == 0
    seen = []
    for fit, judge in ((half, ~half), (~half, half)):
        if not (_has_both(y_true[fit]) and _has_both(y_true[judge])):
            return []
        score = _fitted(values[fit], y_true[fit]).predict_proba(values[judge])[:, 1]
        tail = rank_tail(y_true[judge], score, level(alarm, shown.n_tasks) / 2, two_sided=False)
        seen.append(
            Evidence(
                looked_at=int(judge.sum()),
                p_value=tail.p_value,
                effect=tail.auroc - 0.5,
                minimum=minimum,
                smallest=tail.smallest,
                what=f"{what} above one half, in one half of the persons",
            )
        )
    return seen


def _hash(person_id: pd.Series) -> np.ndarray:
    return pd.util.hash_pandas_object(person_id.astype("int64"), index=False).to_numpy()


def _has_both(y_true: pd.Series | np.ndarray) -> bool:
    return len(y_true) > 0 and bool(np.ptp(np.asarray(y_true)) > 0)


def _fitted(values: np.ndarray, y_true: pd.Series | np.ndarray) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(values, y_true)


CHECKS = (
    LeakCheck(
        "the_days_of_orders_say_little",
        ("L10",),
        "warns",
        "On which days of the week something was ordered does not tell cases.",
        "The hour of an order: dates have none.",
        days_of_orders,
    ),
    LeakCheck(
        "being_seen_says_little",
        ("L33",),
        "warns",
        "On how many days, and at how many visits, somebody was seen tells cases no better than is fair.",
        "A fair task in which the ill are seen much more often, as it would a leak.",
        being_seen_says,
    ),
    LeakCheck(
        "shortcuts_explain_little",
        ("L10", "L33"),
        "warns",
        "Neither how often a person was seen nor the calendar has 0.8 of the best arm's AUROC above 0.5.",
        "That an order was made, whatever was found: add an arm on the view `order_without_values`.",
        shortcuts_explain,
        stage="scores",
    ),
)
