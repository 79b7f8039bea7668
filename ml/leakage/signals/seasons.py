"""The calendar must not tell cases: neither the order of index dates nor a stretch of them (L32)."""

import numpy as np
import pandas as pd

from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.statistics.alarms import Evidence, best_look, finding, judged, level
from ml.leakage.statistics.tails import rank_tail, table_tail

CALENDAR_AUROC = 0.12  # distance from one half
# Of the months of a year: where a stretch begins, how long it is. Half a year more is the other half.
STRETCHES = [(first, length) for length in (3, 4, 6) for first in range(12 if length < 6 else 6)]
TENTHS, CALENDAR_SHARE = 10, 0.15  # dates that split the examples; difference of shares


def calendar_says(shown: Shown) -> Finding:
    """Look whether the index date orders cases, or more of them than of others are indexed in some stretch.

    A stretch is all before one of nine dates, 3, 4 or 6 months of every year, a day of the week or its end.
    """
    alarm = "the_calendar_says_little"
    known = judged(shown)
    if known["y_true"].nunique() < 2:
        return Finding(0, 0)
    index = known["index_date"].astype("datetime64[ns]")
    inside = _stretches(index)
    looks = 1 + len(inside)
    part = level(alarm, shown.n_tasks) / looks
    tail = rank_tail(known["y_true"], index.astype("int64"), part)
    ordered = Evidence(
        looked_at=len(known),
        p_value=min(1.0, looks * tail.p_value),
        effect=abs(tail.auroc - 0.5),
        minimum=CALENDAR_AUROC,
        smallest=tail.smallest,
        what="distance of the AUROC of the index date from one half",
    )
    evidence = (ordered, _most_apart(known["y_true"].to_numpy(dtype=np.int64), inside, looks, part))
    findings = [finding(alarm, shown, one) for one in evidence]
    fired = [one.found for one in findings]
    return Finding(
        looked_at=len(known),
        found=int(any(fired)),
        note=" ".join(one.note for one in findings if one.found or not any(fired)),
        cannot_see=" ".join(one.limits for one in evidence),
    )


def _stretches(index: pd.Series) -> list[np.ndarray]:
    month, day = index.dt.month.to_numpy() - 1, index.dt.day_of_week.to_numpy()
    place = index.rank(pct=True).to_numpy()
    inside = [place <= tenth / TENTHS for tenth in range(1, TENTHS)]
    inside += [(month - first) % 12 < length for first, length in STRETCHES]
    return [*inside, *(day == one for one in range(7)), day >= 5]


def _most_apart(y_true: np.ndarray, inside: list[np.ndarray], looks: int, part: float) -> Evidence:
    """Compare the shares of cases and of others that are indexed in each stretch of the calendar."""
    n, n_cases = len(y_true), int(y_true.sum())
    present = np.array([rows.sum() for rows in inside])
    cases = np.array([y_true[rows].sum() for rows in inside])
    apart = np.abs(cases / n_cases - (present - cases) / (n - n_cases))
    p_values = table_tail(cases, present, n_cases, n)
    best = best_look(p_values, apart, CALENDAR_SHARE)
    least = [_least_apart(int(one), n_cases, n, part) for one in np.unique(present)]
    return Evidence(
        looked_at=n,
        p_value=min(1.0, looks * float(p_values[best])),
        effect=float(apart[best]),
        minimum=CALENDAR_SHARE,
        smallest=min(least),
        what=f"difference of the shares indexed in a stretch of the calendar, strongest of {len(inside)}",
    )


def _least_apart(present: int, n_cases: int, n: int, part: float) -> float:
    possible = np.arange(max(0, present + n_cases - n), min(present, n_cases) + 1)
    apart = np.abs(possible / n_cases - (present - possible) / (n - n_cases))
    excluded = apart[table_tail(possible, present, n_cases, n) <= part]
    return float(excluded.min()) if excluded.size else float("inf")


CHECKS = (
    LeakCheck(
        "the_calendar_says_little",
        ("L32",),
        "warns",
        "Neither the index date nor its year, months and weekday tell cases.",
        "Drift of what a code means.",
        calendar_says,
    ),
)
