"""Whether periods of observation are those in which somebody looked (L14, L17).

A period that goes on after its person has left makes a non-case of who was lost; an extract of those who
were still there at its end holds nobody of the earlier years who left or died.
"""

import numpy as np
import numpy.typing as npt

from ml.leakage.record.calendar import LAST_DAY, NO_END
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.statistics.alarms import Evidence, level, strongest
from ml.leakage.statistics.shares import more_often
from ml.leakage.statistics.tails import share_tail

Days = npt.NDArray[np.int64]

# Of the last period of each person who did not die in it: whether nothing was recorded in its last days, and
# in as many days drawn by a hash from those between its first record and its last. Both begin after a record;
# only the second are followed by one, so that the person was still there. Periods are cut at the last day.
SILENCE = """
with
period as (
    select
        person_id,
        observation_period_start_date as start_date,
        least(observation_period_end_date, $last_day::date) as end_date
    from observed_period
    where observation_period_start_date <= coalesce($last_day::date, observation_period_end_date)
    qualify row_number() over (
        partition by person_id order by observation_period_end_date desc, observation_period_start_date
    ) = 1
),
recorded as (
    select
        period.person_id,
        period.end_date,
        coalesce(period.end_date >= $last_day::date, false) as is_at_the_end,
        min(event.event_date) as first_date,
        max(event.event_date) as last_date
    from period
    inner join clinical_event as event
        on period.person_id = event.person_id
        and event.event_date between period.start_date and period.end_date
        and event.domain <> 'Death'
    left join death on period.person_id = death.person_id
    where death.death_date is null or death.death_date > period.end_date
    group by all
),
last as (
    select person_id, is_at_the_end, last_date <= end_date - $days as is_silent
    from recorded
    where first_date <= end_date - $days
),
between_records as (
    select
        person_id,
        first_date + $days + (
            cast('0x' || substr(sha256(person_id || '/' || $days), 1, 15) as bigint)
            % (last_date - first_date - $days)
        )::integer as end_date
    from recorded
    where last_date - first_date > $days
),
usual as (
    select not exists (
        select 1 from clinical_event as event
        where
            event.person_id = between_records.person_id
            and event.domain <> 'Death'
            and event.event_date between between_records.end_date - $days + 1 and between_records.end_date
    ) as is_silent
    from between_records
)
select
    (select count(*) from last),
    (select count(*) from last where is_silent),
    (select count(*) from last where is_at_the_end),
    (select count(*) from last where is_at_the_end and is_silent),
    (select count(*) from usual),
    (select count(*) from usual where is_silent)
"""
SILENT_DAYS = (365, 730)
# Who has not been seen for long comes back less often: a register keeps persons who never ask for care, so a
# tenth more silence at the end of periods is fair, and half as much again is not.
FAIR_SILENCE, SILENCE_DIFFERENCE = 0.1, 0.15

# From the first index of each person, of any task, to the end of the period around it, in days before the
# last one, and whether it ended with a death: one within 90 days of the end of the period is why it ended.
# Before an index all had to live: a source of those with a disease holds nobody who died without it.
FOLLOWED = """
with
entered as (
    select
        person_id,
        min(index_date)::date as index_date,
        arg_min(observation_period_end_date, index_date)::date as end_date
    from cohort_of_all
    group by person_id
),
followed as (
    select
        $last_day::date - entered.index_date as first_day,
        $last_day::date - least(entered.end_date, death.death_date, $last_day::date) as last_day,
        coalesce(death.death_date <= least(entered.end_date + 90, $last_day::date), false) as is_dead
    from entered
    left join death on entered.person_id = death.person_id
)
select first_day, last_day, is_dead
from followed
where first_day >= last_day
order by all
"""
LATE_YEARS = (2, 4, 8)
# Where periods end with a record, who has not come again for two years may still be there: an end so late is
# no leaving. (In GiBleed four periods in five end in the last year.)
STILL_THERE_DAYS = 730
# Mortality doubles in eight years of age, and who moves changes with the times: that the early years have a
# fifth of the later rate may be true.
FEWEST_DEPARTURES = 0.2


def silent_ends(shown: Shown) -> Finding:
    """Compare how often periods end in long silence with how often there is one between records."""
    alarm = "periods_end_with_the_records"
    (last_day,) = shown.row(LAST_DAY)
    (n_persons,) = shown.row("select count(distinct person_id) from observed_period")
    part = level(alarm, shown.n_tasks) / (2 * len(SILENT_DAYS))
    seen = []
    for days in SILENT_DAYS:
        n, silent, n_at_end, silent_at_end, n_usual, silent_usual = shown.row(
            SILENCE, last_day=last_day, days=days
        )
        usual = silent_usual, n_usual
        ends = (
            ((silent, n), "all periods"),
            ((silent_at_end, n_at_end), "periods that reach the end of the data"),
        )
        seen += [
            more_often(
                counts, usual, FAIR_SILENCE, SILENCE_DIFFERENCE, part,
                f"share of {what} that end in {days} days without a record, above that between records",
            )
            for counts, what in ends
            if counts[1] and n_usual
        ]  # fmt: skip
    if not seen:
        return Finding(n_persons, 0, cannot_see="No record lies a year before the end of its period.")
    return strongest(alarm, shown, seen)


def early_departures(shown: Shown) -> Finding:
    """Compare how many leave or die a year observed in the early years with how many in the later ones."""
    alarm = "persons_leave_and_die_in_the_early_years_too"
    (last_day,) = shown.row(LAST_DAY)
    (n_persons,) = shown.row("select count(distinct person_id) from cohort_of_all")
    if last_day is None:
        return Finding(n_persons, 0, cannot_see=NO_END)
    table = shown.frame(FOLLOWED, last_day=last_day)
    first, last = (table[name].to_numpy(np.int64) for name in ("first_day", "last_day"))
    is_dead = table["is_dead"].to_numpy(dtype=bool)
    is_gone = is_dead | (last >= STILL_THERE_DAYS)
    late_days = [round(years * 365.25) for years in LATE_YEARS]
    stretches = [(0, days, is_dead, "deaths") for days in late_days]
    stretches += [
        (STILL_THERE_DAYS, days, is_gone, "leaving and deaths")
        for days in late_days
        if days >= 2 * STILL_THERE_DAYS
    ]
    part = level(alarm, shown.n_tasks) / len(stretches)
    seen = [
        _drop(*_departures(first, last, departs, least, days), part, f"{what} before the last {days} days")
        for least, days, departs, what in stretches
    ]
    found = strongest(alarm, shown, seen)
    return Finding(n_persons, found.found, found.note, found.cannot_see)


def _departures(
    first: Days, last: Days, departs: npt.NDArray[np.bool_], least: int, days: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return departures and days observed before the last `days`, and in them but for the `least` last."""
    counted = []
    for nearest, furthest in ((days, int(first.max(initial=0))), (least, days - 1)):
        observed = np.maximum(0, np.minimum(first, furthest) - np.maximum(last, nearest) + 1).sum()
        counted.append((int((departs & (last >= nearest) & (last <= furthest)).sum()), int(observed)))
    return counted[0], counted[1]


def _drop(early: tuple[int, int], late: tuple[int, int], part: float, what: str) -> Evidence:
    """Given all departures, those of the late years are binomial; the rates are at most so far apart."""
    n = early[0] + late[0]
    share = late[1] / (late[1] + FEWEST_DEPARTURES * early[1]) if early[1] else 1.0
    tails = share_tail(n - np.arange(n + 1), n, share)  # of so many early ones
    excluded = np.flatnonzero(tails <= part)

    def drop(n_early: int) -> float:
        usual = (n - n_early) / late[1] if late[1] else 0.0
        return 1 - n_early / early[1] / usual if usual and early[1] else 0.0

    return Evidence(
        looked_at=n,
        p_value=float(tails[early[0]]),
        effect=drop(early[0]),
        minimum=1 - FEWEST_DEPARTURES,
        smallest=drop(int(excluded.max())) if excluded.size else float("inf"),
        what=f"drop of the rate of {what}",
    )


CHECKS = (
    LeakCheck(
        "periods_end_with_the_records",
        ("L17", "L18", "L19"),
        "warns",
        "Of those who do not die at most a tenth more end their period with a year or two without a record"
        " than have such a silence between records: periods do not go on after persons left.",
        "Periods that go on for less than a year, or for fewer than one person in seven.",
        silent_ends,
    ),
    LeakCheck(
        "persons_leave_and_die_in_the_early_years_too",
        ("L14",),
        "warns",
        "After their index persons leave, and die, in the early years of the data at a fifth of the later"
        " rate or more: those who were gone by its end are in the extract.",
        "An extract that left out some of those who were gone, or that holds nobody who left at any time; of"
        " those who were there in its last two years, that nobody left before.",
        early_departures,
    ),
)
