"""Whether cases and others are recorded alike: how far back, how densely, of which kinds (L16, L33, L37).

A sick person is seen more often, and lately more often still. So nothing here is a plain count: what is
compared lies among persons who were seen as often in the year before the index, or is a person's own recent
year against the own years before.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.statistics.alarms import JUDGED, Evidence, best_look, level, strongest
from ml.leakage.statistics.tails import rank_tail, share_tail

# Distances of an AUROC from one half. How often a kind is recorded also follows from what somebody has.
FULL_AUROC, KIND_AUROC = 0.15, 0.2
RECENT_DAYS, LEAST_DAYS, STRATA = 365, 730, 5
DOMAINS = ("Visit", "Condition", "Drug", "Measurement")
RECORD = f"""
with {JUDGED}
select
    judged.y_true,
    judged.index_date - cohort.observation_period_start_date::date as observed,
    coalesce(max(event.days_before), 0) as reach,
    count(distinct event.days_before) filter (where event.days_before <= {RECENT_DAYS}) as recent,
    count(distinct event.days_before) filter (where event.days_before > {RECENT_DAYS}) as older,
    {", ".join(
        f"count(distinct event.days_before) filter (where event.domain = '{domain}'"
        f" and event.days_before {side} {RECENT_DAYS}) as {name}_{domain.lower()}"
        for domain in DOMAINS for name, side in (("recent", "<="), ("older", ">"))
    )}
from judged
inner join cohort on judged.example_id = cohort.example_id
left join event on judged.example_id = event.example_id
group by judged.example_id, judged.y_true, observed
order by judged.example_id
"""  # fmt: skip

# How many have each number of rows, of each table and of all, in the whole record and before the index.
ROWS = f"""
with
{JUDGED},
counted as (
    select
        judged.example_id,
        judged.y_true,
        coalesce(event.source_table, 'all') as source_table,
        count(*) as "the whole record",
        count(*) filter (where event.event_date < judged.index_date) as "the record before the index"
    from judged
    inner join clinical_event as event on judged.person_id = event.person_id
    group by grouping sets (
        (judged.example_id, judged.y_true, event.source_table), (judged.example_id, judged.y_true)
    )
)
select
    source_table,
    scope,
    y_true,
    n,
    count(*) as persons
from (unpivot counted on "the whole record", "the record before the index" into name scope value n)
group by source_table, scope, y_true, n
order by source_table, scope, y_true, n
"""
# A number of rows at which records stop: of those with nearly as many, half or more have as many, and that is
# a twentieth of all. Where long records thin out, each number is rarer than the one before.
FEWEST_ROWS, NEARLY, STOPPED_SHARE, STOPPED_OF_ALL = 10, 0.8, 0.5, 0.05


def recorded_differently(shown: Shown) -> Finding:
    """Compare how far back, how densely and of which kinds cases and others are recorded."""
    alarm = "cases_and_others_are_recorded_alike"
    table = shown.frame(RECORD)
    if table.empty:
        return Finding(0, 0)
    looks = looks_of(table)
    part = level(alarm, shown.n_tasks) / (len(looks) + 1)
    seen = [_ordered(table, values, among, minimum, part, words) for words, values, among, minimum in looks]
    seen.append(stops(shown.frame(ROWS), len(table), part))
    return strongest(alarm, shown, seen)


Look = tuple[str, npt.NDArray[np.float64], npt.NDArray[np.bool_], float]


def looks_of(table: pd.DataFrame) -> list[Look]:
    """Return what is compared among persons seen as often in the recent year: words, values, who, minimum."""
    column = {name: values.to_numpy(dtype=np.float64) for name, values in table.items()}
    observed, recent, older = (column[name] for name in ("observed", "recent", "older"))
    reach = column["reach"] / np.maximum(observed, 1)  # above 1: there are records from before
    dense = older / np.maximum(observed - RECENT_DAYS, 1)
    looks: list[Look] = [
        ("how far the record reaches back into the time observed", reach, observed > 0, FULL_AUROC),
        ("the days seen before the recent year", dense, observed >= LEAST_DAYS, FULL_AUROC),
    ]
    for domain in DOMAINS:
        own_recent, own_older = (column[f"{name}_{domain.lower()}"] for name in ("recent", "older"))
        share = (own_recent + own_older) / np.maximum(recent + older, 1)
        looks.append((f"the share of days with a {domain.lower()}", share, recent + older > 0, KIND_AUROC))
        # Each day seen outside a stay is a visit or has none behind it: their rise is that of the others.
        if domain != "Visit":
            rise = _log_ratio(own_recent, own_older) - _log_ratio(recent, older)
            both = (recent > 0) & (older > 0) & (own_recent + own_older > 0)
            words = f"how much rarer or commoner days with a {domain.lower()} are in the recent year"
            looks.append((words, rise, both, KIND_AUROC))
    return looks


def _log_ratio(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.log((first + 0.5) / (second + 0.5))


def _ordered(
    table: pd.DataFrame,
    values: npt.NDArray[np.float64],
    among: npt.NDArray[np.bool_],
    minimum: float,
    part: float,
    words: str,
) -> Evidence:
    """Judge whether values order cases and others who were seen on as many days of the recent year."""
    own = table[among]
    strata = pd.qcut(own["recent"].rank(method="dense"), STRATA, labels=False, duplicates="drop")
    tail = rank_tail(own["y_true"], values[among], part, strata=strata)
    return Evidence(
        looked_at=len(table),
        p_value=tail.p_value,
        effect=abs(tail.auroc - 0.5),
        minimum=minimum,
        smallest=tail.smallest,
        what=f"distance of the AUROC of {words} from one half, among persons seen as often of late",
    )


def stops(rows: pd.DataFrame, n: int, part: float) -> Evidence:
    """Judge whether the records of one class stop at a number of rows that those of the other go beyond."""
    seen = [(1.0, 0.0)]
    for _, own in rows.groupby(["source_table", "scope"], sort=True):
        by_class = [one for _, one in own.groupby("y_true")]
        if len(by_class) == 2:
            shorter, longer = sorted(by_class, key=lambda one: one["n"].max())
            number, persons = (shorter[name].to_numpy(dtype=np.int64) for name in ("n", "persons"))
            seen.append(stop_of(number, persons, int(longer["n"].max())))
    chances, shares = zip(*seen, strict=True)
    p_value, share = seen[best_look(chances, shares, STOPPED_SHARE)]
    looks = max(1, len(seen) - 1)
    fewest = 1 + int(np.ceil(np.log(part / looks) / np.log(1 / _width(FEWEST_ROWS))))
    return Evidence(
        looked_at=n,
        p_value=min(1.0, looks * p_value),
        effect=share,
        minimum=STOPPED_SHARE,
        smallest=STOPPED_SHARE,
        what="share of the longest records of one class that stop at one number of rows",
        unseen=f"A number of rows at which the records of fewer than {fewest} persons stop.",
    )


def stop_of(
    number: npt.NDArray[np.int64], persons: npt.NDArray[np.int64], beyond: int
) -> tuple[float, float]:
    """Return the chance that so many stop at the most rows of all, and their share of those near it.

    Where longer records are rarer, the last of W numbers has at most 1 in W of those that have one of them.
    One person has the most in any case and is not counted: only how many others have as many is chance.

    Args:
        number: (M,) numbers of rows of one class.
        persons: (M,) who have each.
        beyond: the most rows of the other class.
    """
    most = int(number.max())
    if most < FEWEST_ROWS or beyond <= most:
        return 1.0, 0.0
    width = _width(most)
    n_near, n_most = (int(persons[number > limit].sum()) for limit in (most - width, most - 1))
    if n_most < STOPPED_OF_ALL * int(persons.sum()):
        return 1.0, 0.0
    return float(share_tail(n_most - 1, n_near - 1, 1 / width)), n_most / n_near


def _width(most: int) -> int:
    """Return how many numbers of rows are nearly the most."""
    return most - int(NEARLY * most) + 1


CHECKS = (
    LeakCheck(
        "cases_and_others_are_recorded_alike",
        ("L16", "L33", "L37"),
        "warns",
        "Of persons seen as often of late, the records of cases reach as far back as those of others, are as"
        " dense there and hold as much of each kind, and neither stop at a number of rows.",
        "A record that is thinner of everything and at all times, which is also what being well is.",
        recorded_differently,
    ),
)
