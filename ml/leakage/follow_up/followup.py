"""Who was followed, for how long, and who was lost (L17), found again in the published periods and deaths."""

import numpy as np
import pandas as pd

from ml.leakage.cohort.relabel import can_be_relabelled, make_relabelled
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.statistics.alarms import Evidence, level, strongest
from ml.leakage.statistics.tails import table_tail

FOLLOWED = """
select
    count(*),
    count(*) filter (where
        cohort.observation_period_start_date is distinct from again.period_start_date
        or cohort.observation_period_end_date is distinct from again.period_end_date
        or label.follow_up_end_date is distinct from again.follow_up_end_date
    )
from relabelled as again
inner join cohort on again.example_id = cohort.example_id
inner join label on again.example_id = label.example_id
"""

# What is recorded of each person of train and tuning before the index, and whether the person was lost
# afterwards: one example a person, as other alarms draw it.
HISTORY = """
with
drawn as (
    select example_id, person_id, index_date::date as index_date, age
    from example
    where split in ('train', 'tuning')
    qualify row_number() over (
        partition by person_id order by sha256('one a person/' || example_id), example_id
    ) = 1
)
select
    again.is_lost,
    drawn.age,
    count(event.event_id) filter (where event.event_date >= drawn.index_date - 365) as "events in the year",
    count(distinct event.concept_id) filter (where event.domain = 'Condition') as diagnoses,
    count(distinct event.concept_id) filter (where event.domain = 'Drug') as drugs,
    count(distinct event.event_date) filter (where event.domain = 'Visit') as visits
from drawn
inner join relabelled as again on drawn.example_id = again.example_id
left join clinical_event as event
    on drawn.person_id = event.person_id
    and drawn.index_date > event.event_date
    and drawn.index_date > event.available_date
where again.reason is null or again.is_lost
group by drawn.example_id, again.is_lost, drawn.age
order by drawn.example_id
"""
LOOKS = ("age", "events in the year", "diagnoses", "drugs", "visits")
# Of the one half a tenth more is lost than of the other: so much may a risk among those who were followed
# differ from that of all, in one half, and no less has a name.
LOST_DIFFERENCE = 0.1


def _followed(shown: Shown) -> Finding:
    make_relabelled(shown)
    return Finding(*shown.row(FOLLOWED))


def lost_differ(shown: Shown) -> Finding:
    """Compare the shares lost among those above and not above the middle of what was recorded before."""
    alarm = "who_is_lost_is_like_the_others"
    make_relabelled(shown)
    table = shown.frame(HISTORY)
    is_lost = table["is_lost"].to_numpy(dtype=bool)
    n, n_lost = len(table), int(is_lost.sum())
    if not n:
        return Finding(0, 0)
    if not n_lost:
        return Finding(n, 0, note="Nobody was lost.")
    part = level(alarm, shown.n_tasks) / len(LOOKS)
    seen = [_halves(table[column], is_lost, part, column) for column in LOOKS]
    return strongest(alarm, shown, seen)


def _halves(values: pd.Series, is_lost: np.ndarray, part: float, column: str) -> Evidence:
    """Whether more are lost above the middle value than at or below it."""
    measure = values.to_numpy(dtype=np.float64)
    is_above = measure > np.nanmedian(measure)
    n, n_lost, n_above = len(measure), int(is_lost.sum()), int(is_above.sum())
    n_below = n - n_above
    n_both = int((is_lost & is_above).sum())

    def differ(both: np.ndarray | int) -> np.ndarray:
        return np.abs(np.asarray(both) / max(n_above, 1) - (n_lost - np.asarray(both)) / max(n_below, 1))

    possible = np.arange(max(0, n_lost - n_below), min(n_lost, n_above) + 1)
    excluded = table_tail(possible, n_above, n_lost, n) <= part
    return Evidence(
        looked_at=n,
        p_value=float(table_tail(n_both, n_above, n_lost, n)),
        effect=float(differ(n_both)) if n_above else 0.0,
        minimum=LOST_DIFFERENCE,
        smallest=float(differ(possible[excluded]).min()) if excluded.any() else float("inf"),
        what=f"difference of the shares lost above and below the middle of {column}",
    )


CHECKS = (
    LeakCheck(
        "follow_up_is_found_in_the_record",
        ("L17",),
        "blocks",
        "The period of observation around each index, and the day to which the person was followed, are those"
        " of the published periods and deaths.",
        "A period that the source made longer than it looked.",
        _followed,
        applies=lambda task, kinds: can_be_relabelled(task),
        otherwise="the design looks ahead, or an outcome is one by its visit",
    ),
    LeakCheck(
        "who_is_lost_is_like_the_others",
        ("L17",),
        "warns",
        "Those who were lost were before the index as old, as ill and as often seen as those who were"
        " followed.",
        "A loss that follows what is not recorded; weights for the loss mend only what is.",
        lost_differ,
        applies=lambda task, kinds: can_be_relabelled(task) and task.follow_up_policy != "negative",
        otherwise="nobody counts as lost, or the design looks ahead",
    ),
)
