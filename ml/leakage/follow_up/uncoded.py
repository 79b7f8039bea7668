"""Whether those who are still seen at the end of the data are still coded (L19).

A clinic that sends its visits and no longer their codes makes non-cases of its patients; among the records of
everybody else that is not seen.
"""

from collections import defaultdict

from ml.leakage.record.calendar import LAST_DAY, NO_END
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.statistics.alarms import level, strongest
from ml.leakage.statistics.shares import more_often

# Persons with records of other kinds on at least three days in each of two stretches on end, and of this kind
# on at least two days of the earlier one: in how many the later one has none. The last two stretches of the
# data, and the second last with the one before it.
UNCODED = """
with
day as (
    select distinct person_id, event_date, domain, ($last_day::date - event_date) // $days as stretch
    from clinical_event
    where
        event_date between $last_day::date - 3 * $days + 1 and $last_day::date
        and domain in ('Visit', 'Condition', 'Drug', 'Procedure', 'Measurement', 'Observation')
),
kind as (
    select unnest(['Condition', 'Drug', 'Procedure', 'Measurement']) as domain
),
told as (
    select
        kind.domain,
        day.person_id,
        day.stretch,
        count(distinct day.event_date) filter (where day.domain <> kind.domain) as n_seen,
        count(distinct day.event_date) filter (where day.domain = kind.domain) as n_coded
    from day
    cross join kind
    group by kind.domain, day.person_id, day.stretch
),
followed as (
    select later.domain, later.stretch = 0 as is_last, later.n_coded = 0 as is_uncoded
    from told as later
    inner join told as earlier
        on later.domain = earlier.domain
        and later.person_id = earlier.person_id
        and later.stretch + 1 = earlier.stretch
    where later.n_seen >= 3 and earlier.n_seen >= 3 and earlier.n_coded >= 2
)
select domain, is_last, count(*) filter (where is_uncoded) as n_uncoded, count(*) as n
from followed
group by domain, is_last
order by domain, is_last
"""
STRETCH_DAYS = (180, 365, 730)
KINDS = {"Condition": "diagnoses", "Drug": "drugs", "Procedure": "procedures", "Measurement": "measurements"}
# Codes are forgotten and practices change: so much of a difference between two stretches is fair, and twice
# as much is a feed that stopped.
FAIR_DIFFERENCE, DIFFERENCE = 0.05, 0.1


def stops_being_coded(shown: Shown) -> Finding:
    """Compare the share of persons seen whose codes of a kind stop in the last stretch with one before."""
    alarm = "who_is_seen_at_the_end_is_coded"
    (last_day,) = shown.row(LAST_DAY)
    (n_persons,) = shown.row("select count(distinct person_id) from clinical_event")
    if last_day is None:
        return Finding(n_persons, 0, cannot_see=NO_END)
    part = level(alarm, shown.n_tasks) / (len(STRETCH_DAYS) * len(KINDS))
    seen = []
    for days in STRETCH_DAYS:
        table = shown.frame(UNCODED, last_day=last_day, days=days)
        counts: dict[str, dict[bool, tuple[int, int]]] = defaultdict(dict)
        for domain, is_last, n_uncoded, n in table.itertuples(index=False):
            counts[domain][is_last] = int(n_uncoded), int(n)
        for domain, pair in counts.items():
            if len(pair) == 2:
                what = f"share of those seen whose {KINDS[domain]} stop in the last {days} days, above usual"
                seen.append(more_often(pair[True], pair[False], FAIR_DIFFERENCE, DIFFERENCE, part, what))
    if not seen:
        return Finding(
            n_persons, 0, cannot_see="Nobody is seen often enough in the last days and before them."
        )
    return strongest(alarm, shown, seen)


CHECKS = (
    LeakCheck(
        "who_is_seen_at_the_end_is_coded",
        ("L19",),
        "warns",
        "Of persons seen in the last half year, year or two years of the data as many have no diagnosis,"
        " drug, procedure or measurement any more as had none any more in the stretch before.",
        "Codes that stop for fewer than one in ten of those who had them, or that never came.",
        stops_being_coded,
    ),
)
