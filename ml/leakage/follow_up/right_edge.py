"""Whether the data go on to the end that they declare: outcomes and records of the last days (L19).

An end that lies after the last records makes everybody a non-case who was only not written down yet.
"""

import bisect
from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from ml.leakage.outcomes import IS_OUTCOME, plain_outcomes
from ml.leakage.record.calendar import LAST_DAY, NO_END
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.statistics.alarms import Evidence, level, strongest
from ml.leakage.statistics.rates import ratio_tail
from ml.leakage.statistics.tails import share_tail
from ml.task_definition import Task

# Time at risk of a first outcome, or of death, a row a period: an outcome's from a year after its start, so
# that what a person came with is not counted as new. Days before the last one, so that larger is earlier.
AT_RISK = f"""
with
first_outcome as (
    select person_id, min(event_date) as event_date
    from clinical_event
    where if($of_death, domain = 'Death', {IS_OUTCOME})
    group by person_id
)
select
    $last_day::date - (period.observation_period_start_date + $days_before) as first_day,
    $last_day::date
    - least(period.observation_period_end_date, death.death_date, first_outcome.event_date) as last_day,
    coalesce(
        first_outcome.event_date between period.observation_period_start_date + $days_before
        and period.observation_period_end_date, false
    ) as is_case
from observed_period as period
inner join split on period.person_id = split.person_id
left join first_outcome on period.person_id = first_outcome.person_id
left join death on period.person_id = death.person_id
where split.split in ('train', 'tuning')
order by 1, 2, 3
"""
CODED_DAYS, BEFORE_DAYS = (30, 90, 180, 365), 730
RATE_DROP = 0.25

# Persons observed for so many days on end, and whether anything was recorded in them: the last days of the
# data, and as many days of each person, drawn by a hash, that end up to five years before those.
ACTIVE = """
with
alive as (
    select
        period.person_id,
        period.observation_period_start_date as start_date,
        least(period.observation_period_end_date, death.death_date) as end_date
    from observed_period as period
    left join death on period.person_id = death.person_id
),
late as (
    select distinct person_id, true as is_late, $last_day::date as last_day
    from alive
    where end_date >= $last_day::date and start_date <= $last_day::date - $days + 1
),
possible as (
    select
        person_id,
        greatest(start_date + $days - 1, $last_day::date - $days - 1826) as first_end,
        least(end_date, $last_day::date - $days) as last_end
    from alive
),
usual as (
    select
        person_id,
        false as is_late,
        first_end + (
            cast('0x' || substr(sha256(person_id || '/' || $days), 1, 15) as bigint)
            % (last_end - first_end + 1)
        )::integer as last_day
    from possible
    where first_end <= last_end
    qualify row_number() over (partition by person_id order by first_end, last_end desc) = 1
),
stretch as (
    select * from late
    union all
    select * from usual
)
select
    stretch.is_late,
    count(*) as n,
    count(*) filter (where exists (
        select 1 from clinical_event as event
        where
            event.person_id = stretch.person_id
            and event.event_date between stretch.last_day - $days + 1 and stretch.last_day
    )) as n_active
from stretch
group by stretch.is_late
"""
ACTIVE_DAYS = (30, 90, 180)
SILENT, THIN = 0.75, 0.5  # of the usual share of persons so much is missing: blocks, warns


def events_stop(shown: Shown, alarm: str, *, of_death: bool) -> Finding:
    """Compare the rate of first outcomes, or of deaths, in the last days with the two years before them."""
    (last_day,) = shown.row(LAST_DAY)
    days_before = 0 if of_death else 365
    periods = shown.frame(AT_RISK, last_day=last_day, of_death=of_death, days_before=days_before)
    if last_day is None:
        return Finding(len(periods), 0, cannot_see=NO_END)
    first, last = (periods[name].to_numpy(np.int64) for name in ("first_day", "last_day"))
    is_case = periods["is_case"].to_numpy(dtype=bool)
    part = level(alarm, shown.n_tasks) / len(CODED_DAYS)
    what = "deaths" if of_death else "first outcomes"
    seen = [_rates(first, last, is_case, days, part, what) for days in CODED_DAYS]
    return strongest(alarm, shown, seen)


def _rates(
    first: npt.NDArray[np.int64], last: npt.NDArray[np.int64], is_case: npt.NDArray[np.bool_], days: int,
    part: float, what: str,
) -> Evidence:  # fmt: skip
    """Given all cases of both stretches, those of the last are binomial with the share of its days."""
    at_risk, cases = [], []
    for least, most in ((0, days - 1), (days, days + BEFORE_DAYS - 1)):
        at_risk.append(int(np.maximum(0, np.minimum(first, most) - np.maximum(last, least) + 1).sum()))
        cases.append(int((is_case & (last >= least) & (last <= most)).sum()))
    n = sum(cases)
    usual = cases[1] / at_risk[1] if at_risk[1] else 0.0
    # So few in the last days is so many before them.
    tails = share_tail(n - np.arange(n + 1), n, at_risk[1] / max(sum(at_risk), 1))
    excluded = np.flatnonzero(tails <= part)

    def drop(late: int) -> float:
        before = (n - late) / max(at_risk[1], 1)
        return 1 - late / at_risk[0] / before if at_risk[0] and before else 0.0

    return Evidence(
        looked_at=len(first),
        p_value=float(tails[cases[0]]) if usual else 1.0,
        effect=drop(cases[0]),
        minimum=RATE_DROP,
        smallest=drop(int(excluded.max())) if excluded.size else float("inf"),
        what=f"drop of the rate of {what} in the last {days} days",
    )


def records_stop(shown: Shown, alarm: str, drop: float) -> Finding:
    """Compare the share of observed persons with any record in the last days with the usual share."""
    (last_day,) = shown.row(LAST_DAY)
    (n_persons,) = shown.row("select count(distinct person_id) from observed_period")
    if last_day is None:
        return Finding(n_persons, 0, cannot_see=NO_END)
    part = level(alarm, shown.n_tasks) / len(ACTIVE_DAYS)
    seen = []
    for days in ACTIVE_DAYS:
        table = shown.frame(ACTIVE, last_day=last_day, days=days)
        counts = {is_late: (int(active), int(n)) for is_late, n, active in table.itertuples(index=False)}
        if len(counts) == 2:
            seen.append(_shares(counts[True], counts[False], drop, days, part))
    if not seen:
        return Finding(n_persons, 0, cannot_see="Nobody is observed in the last days and before them.")
    return strongest(alarm, shown, seen)


def _shares(late: tuple[int, int], usual: tuple[int, int], drop: float, days: int, part: float) -> Evidence:
    share = usual[0] / usual[1]
    most = bisect.bisect_right(
        range(late[1] + 1), part, key=lambda active: ratio_tail((active, late[1]), usual, 1 - drop)
    )
    return Evidence(
        looked_at=late[1],
        p_value=ratio_tail(late, usual, 1 - drop),
        effect=1 - late[0] / late[1] / share if share else 0.0,
        minimum=drop,
        smallest=1 - (most - 1) / late[1] / share if most and share else float("inf"),
        what=f"drop of the share of persons with a record in the last {days} days",
    )


def _is_recorded_at_once(task: Task, kinds: Collection[str]) -> bool:
    return bool(plain_outcomes(task))


CHECKS = (
    LeakCheck(
        "outcomes_come_as_often_to_the_end",
        ("L19",),
        "warns",
        "Persons at risk have their first outcome in the last days of the data as often as in the two years"
        " before them: outcomes were coded by then.",
        "A delay of coding that is the same in all years; outcomes that truly became rarer look the same.",
        lambda shown: events_stop(shown, "outcomes_come_as_often_to_the_end", of_death=False),
        applies=_is_recorded_at_once,
        otherwise="death or a stay is the outcome: a stay that goes on at the end has no length yet",
    ),
    LeakCheck(
        "deaths_come_as_often_to_the_end",
        ("L18", "L19"),
        "warns",
        "Persons die in the last days of the data as often as in the two years before them: deaths were known"
        " by then.",
        "A delay that is the same in all years; deaths that truly became rarer look the same.",
        lambda shown: events_stop(shown, "deaths_come_as_often_to_the_end", of_death=True),
    ),
    LeakCheck(
        "records_go_on_to_the_end_of_the_data",
        ("L19",),
        "blocks",
        "Of persons observed in the last days of the data as many have any record in them as usual, or at"
        f" least {1 - SILENT:.0%} of that: periods do not go on after the data were taken.",
        "Silence shorter than a month or two, and that of a minority.",
        lambda shown: records_stop(shown, "records_go_on_to_the_end_of_the_data", SILENT),
        applies=lambda task, kinds: task.follow_up_policy != "negative",
        otherwise="the lost count as negative by design",
    ),
    LeakCheck(
        "few_records_are_missing_at_the_end",
        ("L19",),
        "warns",
        "Of persons observed in the last days of the data at least half as many have any record in them as"
        " usual.",
        "Silence shorter than a month or two, and that of a minority.",
        lambda shown: records_stop(shown, "few_records_are_missing_at_the_end", THIN),
        applies=lambda task, kinds: task.follow_up_policy != "negative",
        otherwise="the lost count as negative by design",
    ),
)
