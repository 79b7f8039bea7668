"""Ids, order of rows, units and cuts must not tell the outcome (L31, L36, L37)."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.statistics.alarms import JUDGED, Evidence, best_look, judged, level, strongest
from ml.leakage.statistics.tails import RankTail, rank_tail, table_tail
from ml.task_definition import Task

ORDER_AUROC, CUT_AUROC = 0.06, 0.1  # distance from one half
UNIT_DIFFERENCE = 0.1  # of the shares of cases and of non-cases with a unit
CALENDAR_STRATA, LENGTH_STRATA = 10, 20

# Where an example stands in each file as it is stored: threads are one, so that a scan keeps the order.
COHORT_ORDER = f"""
with
{JUDGED},
placed as (
    select
        example_id,
        entry_event_id,
        row_number() over () as place
    from cohort_of_all
    where task = $task
)
select
    judged.example_id,
    placed.place as cohort_place,
    placed.entry_event_id
from judged
inner join placed on judged.example_id = placed.example_id
order by judged.example_id
"""
EXAMPLE_ORDER = "select example_id, row_number() over () as place from example"

# Files that hold examples stand in the order of their ids, which are hashes; of a view each example once.
ONE_ROW_FILES = {"text": ("text", "shown"), "sequence": ("sequence", "shown"), "counts": ("row", "shown")}
OUT_OF_ORDER = """
with
placed as (
    select
        example_id,
        row_number() over () as place
    from {table}
),
neighbour as (
    select
        example_id,
        lag(example_id) over (order by place) as before
    from placed
)
select
    count(*),
    count(*) filter (where {is_wrong} or example_id is null)
    + (
        select count(*) from example
        where not exists (select 1 from placed where placed.example_id = example.example_id)
    )
from neighbour
"""

CELLS = """
with
placed as (
    select
        ("row", "column") as cell,
        row_number() over () as place
    from {table}
),
neighbour as (
    select
        cell,
        lag(cell) over (order by place) as before
    from placed
)
select
    count(*),
    count(*) filter (where cell <= before)
from neighbour
"""

# Of those in whom a concept was measured with a value: who has it in this unit.
UNITS = f"""
with
{JUDGED},
measured as (
    select distinct
        judged.example_id,
        judged.y_true,
        event.concept_id,
        coalesce(event.unit_name, '') as unit
    from judged
    inner join event on judged.example_id = event.example_id
    where event.value_as_number is not null and not isnan(event.value_as_number)
),
measured_concept as (
    select
        concept_id,
        count(distinct example_id) as n,
        count(distinct case when y_true = 1 then example_id end) as n_cases
    from measured
    group by concept_id
)
select
    count(*)::bigint as n_present,
    sum(measured.y_true)::bigint as n_both,
    any_value(measured_concept.n) as n,
    any_value(measured_concept.n_cases) as n_cases
from measured
inner join measured_concept on measured.concept_id = measured_concept.concept_id
group by measured.concept_id, measured.unit
having count(*) < any_value(measured_concept.n)
order by measured.concept_id, measured.unit
"""


def order_says(shown: Shown) -> Finding:
    """Look whether ids or the order of rows in any file order cases and non-cases.

    Person ids often follow the day a person came: they are judged within tenths of the index dates.
    """
    alarm = "order_says_nothing_of_the_outcome"
    known = judged(shown)
    if known.empty:
        return Finding(0, 0)
    cohort = shown.frame(COHORT_ORDER, task=shown.task.task).drop_duplicates("example_id")
    cohort = known[["example_id"]].merge(cohort, how="left").fillna(0)
    days = known["index_date"].rank(method="first")
    tenth = pd.qcut(days, CALENDAR_STRATA, labels=False, duplicates="drop")
    looks: list[tuple[str, pd.Series | np.ndarray, pd.Series | None]] = [
        ("the person id", known["person_id"].rank(), tenth),
        ("the order of the cohort", cohort["cohort_place"], tenth),
        ("the id of the entry event", cohort["entry_event_id"].rank(), None),
        ("the example id", np.arange(len(known)), None),
        ("the order of the examples", _place(shown.frame(EXAMPLE_ORDER), known), None),
    ]
    for view in shown.views:
        stored = f"select example_id, row_number() over () as place from {view.table('shown')}"
        looks.append((f"the order of `{view.name}`", _place(shown.frame(stored), known), None))
    part = level(alarm, shown.n_tasks) / len(looks)
    seen = []
    for words, score, strata in looks:
        tail = rank_tail(known["y_true"], score, part, strata=strata)
        seen.append(_distance(len(known), tail, ORDER_AUROC, words))
    return strongest(alarm, shown, seen)


def rows_out_of_order(shown: Shown) -> list[Finding]:
    """Count rows that do not follow the id before them, and examples that a view misses or has twice."""
    tables = [("example", "example"), ("the cut", "event")]
    tables += [
        (f"{view.name}/{file}", view.table(file))
        for view in shown.views
        for file in ONE_ROW_FILES[view.view.kind]
    ]
    found = []
    for words, table in tables:
        is_wrong = f"example_id {'<' if table == 'event' else '<='} before"
        query = OUT_OF_ORDER.format(table=table, is_wrong=is_wrong)
        if table == "event":  # who has no event has no row
            query = query.replace("where not exists", "where n_events > 0 and not exists")
        looked_at, wrong = map(int, shown.row(query))
        found.append(Finding(looked_at, wrong, note=f"`{words}`: {_size(wrong)}." if wrong else ""))
    for view in shown.of_kind("counts"):
        looked_at, wrong = map(int, shown.row(CELLS.format(table=view.table("value"))))
        if looked_at:
            found.append(
                Finding(looked_at, wrong, note=f"`{view.name}/value`: {_size(wrong)}." if wrong else "")
            )
    return found


def units_tell(shown: Shown) -> Finding:
    """Look at each unit of each measured concept, whether cases and non-cases have it alike."""
    alarm = "units_do_not_tell_cases"
    table = shown.frame(UNITS)
    n_judged = len(judged(shown))
    if table.empty:  # every concept has one unit: all were looked at and none could differ
        return Finding(n_judged, 0, note="No concept was measured in two units.")
    both, present, cases, n = (
        table[name].to_numpy(dtype=np.int64) for name in ("n_both", "n_present", "n_cases", "n")
    )
    p_values = table_tail(both, present, cases, n)
    of_cases, of_others = both / np.maximum(cases, 1), (present - both) / np.maximum(n - cases, 1)
    apart = np.abs(of_cases - of_others)
    best = best_look(p_values, apart, UNIT_DIFFERENCE)
    evidence = Evidence(
        looked_at=n_judged,
        p_value=min(1.0, float(p_values[best]) * len(table)),
        effect=float(apart[best]),
        minimum=UNIT_DIFFERENCE,
        smallest=_smallest_difference(table, best, level(alarm, shown.n_tasks) / len(table)),
        what=f"difference of the shares with a unit, strongest of {len(table)}",
    )
    return strongest(alarm, shown, [evidence])


def cutting_tells(shown: Shown) -> Finding:
    """Look whether as much of a record is kept of cases as of non-cases with as long a record."""
    alarm = "cutting_does_not_tell_cases"
    known = judged(shown).set_index("example_id")
    seen = []
    views = [view for view in shown.views if view.view.kind != "counts"]
    for view in views:
        table = shown.frame(f"select example_id, n_events_kept, n_events_in_view from {view.table('shown')}")
        table = table.drop_duplicates("example_id").set_index("example_id").reindex(known.index).dropna()
        if table.empty:
            continue
        length = table["n_events_in_view"].to_numpy()
        kept = table["n_events_kept"].to_numpy() / np.maximum(length, 1)
        strata = pd.qcut(
            pd.Series(length).rank(method="dense"), LENGTH_STRATA, labels=False, duplicates="drop"
        )
        part = level(alarm, shown.n_tasks) / len(views)
        tail = rank_tail(known.loc[table.index, "y_true"], kept, part, strata=strata)
        seen.append(_distance(len(table), tail, CUT_AUROC, f"the share kept in `{view.name}`"))
    return strongest(alarm, shown, seen)


def _distance(n: int, tail: RankTail, minimum: float, words: str) -> Evidence:
    return Evidence(
        looked_at=n,
        p_value=tail.p_value,
        effect=abs(tail.auroc - 0.5),
        minimum=minimum,
        smallest=tail.smallest,
        what=f"distance of the AUROC of {words} from one half",
    )


def _place(stored: pd.DataFrame, known: pd.DataFrame) -> np.ndarray:
    """Return where each judged example stands first; one that is missing stands before all."""
    place = stored.drop_duplicates("example_id").set_index("example_id")["place"]
    return place.reindex(known["example_id"]).fillna(0).to_numpy()


def _size(n: int) -> str:
    """Say a count of rows in words that a small cell cannot be read from."""
    return "fewer than 20 rows" if n < 20 else f"{n:,} rows"


def _smallest_difference(table: pd.DataFrame, row: int, part: float) -> float:
    present, cases, n = (int(table[name].iloc[row]) for name in ("n_present", "n_cases", "n"))
    possible = np.arange(max(0, present + cases - n), min(present, cases) + 1)
    difference = np.abs(possible / max(cases, 1) - (present - possible) / max(n - cases, 1))
    excluded = difference[table_tail(possible, present, cases, n) <= part]
    return float(excluded.min()) if excluded.size else float("inf")


def _has_cuts(task: Task, kinds: Collection[str]) -> bool:
    return bool({"text", "sequence"} & set(kinds))


CHECKS = (
    LeakCheck(
        "rows_stand_in_order_of_their_ids",
        ("L31",),
        "blocks",
        "The rows of the cut and of every view stand in the order of the examples' ids, which are hashes, and"
        " every view has each example once.",
        "An order of the persons or of the snapshot, which is no order of a view.",
        rows_out_of_order,
    ),
    LeakCheck(
        "order_says_nothing_of_the_outcome",
        ("L31",),
        "blocks",
        "Neither an id nor the order of rows in any file tells cases.",
        "An order that says nothing on the whole and much in places.",
        order_says,
    ),
    LeakCheck(
        "units_do_not_tell_cases",
        ("L36",),
        "warns",
        "A measurement has each of its units as often in cases as in non-cases.",
        "Sources that differ in codes or names rather than units.",
        units_tell,
    ),
    LeakCheck(
        "cutting_does_not_tell_cases",
        ("L37",),
        "warns",
        "Of records of one length, as much is kept of cases as of non-cases.",
        "That longer records are cut more, which says how often a person was seen.",
        cutting_tells,
        applies=_has_cuts,
        otherwise="no arm reads texts or sequences",
    ),
)
