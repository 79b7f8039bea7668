"""What changes sharply just before the index: codes that are new, and being seen more than before.

A risk factor has stood in a record for long, or comes to some whenever it comes. What comes to cases in the
last days, and to few others, may be the outcome being treated or worked up before it is written down (L09),
its follow-up (L08), what was filed of it (L04), or worry (L10). It is a warning: an acute disease does begin.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.signals.presence import SHOWN_CODE, Labels
from ml.leakage.statistics.alarms import JUDGED, Evidence, best_look, judged, level, strongest
from ml.leakage.statistics.differences import looks_that_count
from ml.leakage.statistics.tails import rank_tail

# Codes that an example is first shown within so many days of its index, at all.
NEW_DAYS, NEW_DIFFERENCE = (7, 30, 90), 0.1
NEW_CODES = f"""
with
{JUDGED},
{SHOWN_CODE},
first_shown as (
    select
        example_id,
        code,
        max(days_before) as days
    from shown_code
    group by example_id, code
),
-- what the same examples have is one look: a code and the one above it, seven days and thirty
newly_had as (
    select
        time_window.days,
        first_shown.code,
        count(*) as n_present,
        sum(judged.y_true)::bigint as n_cases,
        bit_xor(hash(first_shown.example_id)) as examples
    from first_shown
    inner join unnest($windows) as time_window(days) on first_shown.days <= time_window.days
    inner join judged on first_shown.example_id = judged.example_id
    group by first_shown.code, time_window.days
)
select
    min(days) as days,
    n_present,
    n_cases
from newly_had
group by n_present, n_cases, examples
order by n_present, n_cases, examples
"""

# Days with anything recorded: the last ones, and as many as usual before them.
BUSY_DAYS, BUSY_AUROC, BUSY_STRATA = ((7, 365), (30, 365), (180, 180)), 0.15, 5
BUSY = f"""
with {JUDGED}
select
    judged.y_true,
    {", ".join(
        f"count(distinct days_before) filter (where days_before <= {last}) as last_{last},"
        f" count(distinct days_before) filter (where days_before between {last + 1} and {last + usual})"
        f" as usual_{last}"
        for last, usual in BUSY_DAYS
    )}
from judged
left join event on judged.example_id = event.example_id
group by judged.example_id, judged.y_true
order by judged.example_id
"""  # fmt: skip


def new_codes_tell(shown: Shown) -> Finding:
    """Look at each code that is new shortly before the index, whether as many cases get it as others."""
    alarm = "new_codes_come_to_all_alike"
    labels = Labels.of(judged(shown)["y_true"])
    if not labels.n_cases or not labels.n_others:
        return Finding(0, 0)
    table = shown.frame(NEW_CODES, windows=list(NEW_DAYS))
    if table.empty:
        return Finding(labels.n, 0, note="No code is new so shortly before the index.")
    part = level(alarm, shown.n_tasks)
    present, cases = (table[name].to_numpy(dtype=np.int64) for name in ("n_present", "n_cases"))
    difference = cases / labels.n_cases - (present - cases) / labels.n_others
    most = np.minimum(present, labels.n_cases)
    furthest = most / labels.n_cases - (present - most) / labels.n_others
    # What cannot lie so far apart cannot fire, whatever the labels, and is no look.
    least = np.where(furthest >= NEW_DIFFERENCE, _above(most, present, labels), 1.0)
    looks = looks_that_count(least, part)
    p_values = np.where(difference >= NEW_DIFFERENCE, _above(cases, present, labels), 1.0)
    best = best_look(p_values, difference, NEW_DIFFERENCE)
    could = furthest[least <= part / looks]
    evidence = Evidence(
        looked_at=labels.n,
        p_value=min(1.0, looks * float(p_values[best])),
        effect=float(difference[best]),
        minimum=NEW_DIFFERENCE,
        smallest=float(could.min(initial=np.inf)),
        what=f"how much more often a code is new to cases within {table['days'][best]} days,"
        f" strongest of {len(table)} codes and windows",
    )
    return strongest(alarm, shown, [evidence])


def _above(cases: npt.NDArray, present: npt.NDArray, labels: Labels) -> npt.NDArray:
    """Chance that so many or more of those who have a thing are cases, by the margins: hypergeometric."""
    from scipy import stats

    return stats.hypergeom.sf(cases - 1, labels.n, labels.n_cases, present)


def busier_before(shown: Shown) -> Finding:
    """Compare on how many of the last days cases and others were seen, of those seen as often before."""
    alarm = "cases_are_not_busier_just_before"
    table = shown.frame(BUSY)
    part = level(alarm, shown.n_tasks) / len(BUSY_DAYS)
    seen = []
    for last, usual in BUSY_DAYS:
        before = table[f"usual_{last}"].rank(method="dense")
        strata = pd.qcut(before, BUSY_STRATA, labels=False, duplicates="drop")
        tail = rank_tail(table["y_true"], table[f"last_{last}"], part, strata=strata)
        seen.append(
            Evidence(
                looked_at=len(table),
                p_value=tail.p_value,
                effect=abs(tail.auroc - 0.5),
                minimum=BUSY_AUROC,
                smallest=tail.smallest,
                what=f"distance of the AUROC of days seen of the last {last} from one half,"
                f" among persons seen as often in the {usual} days before",
            )
        )
    return strongest(alarm, shown, seen)


CHECKS = (
    LeakCheck(
        "new_codes_come_to_all_alike",
        ("L04", "L08", "L09"),
        "warns",
        "A code, concept above one or result that is new in the last 7, 30 or 90 days comes to cases hardly"
        " more often than to others.",
        "What is not new: a treatment that was given before; proxies spread over many codes.",
        new_codes_tell,
    ),
    LeakCheck(
        "cases_are_not_busier_just_before",
        ("L10", "L33"),
        "warns",
        "Of persons who were seen as often before, cases are seen on no more of the last 7, 30 or 180 days.",
        "More orders on the same days; a rise that is as long as the record.",
        busier_before,
    ),
)
