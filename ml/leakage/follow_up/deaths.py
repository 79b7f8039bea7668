"""Whether a source knows of the deaths that there must have been, and of their days (L18).

Who died unknown goes on as observed: a non-case for ever. Whose death bears a later day, that of its
registration, is lost before it, or lives on in it without being seen.
"""

import math

import numpy as np

from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.statistics.alarms import Evidence, finding, level, strongest
from ml.leakage.statistics.rates import few_tail
from ml.leakage.statistics.tails import share_tail

# Deaths a person-year that no population stays below, by age from: a tenth of what women of Nagano died of
# in 1975-79 (0.0163, 0.0292, 0.0555, 0.1064 and 0.1772; Japanese Mortality Database, National Institute of
# Population and Social Security Research, females 5x5). A tenth leaves room for how mortality has fallen and
# for a healthy clientele. Nobody is expected to die before 65.
LOWEST = {65: 0.0016, 70: 0.0029, 75: 0.0055, 80: 0.0106, 85: 0.0177}

# Years observed in each age band, periods that overlap counted once; deaths known from the first band on.
OBSERVED = """
with
band as (
    select unnest($ages::integer[]) as age, unnest($next_ages::integer[]) as next_age,
        unnest($rates::double[]) as rate
),
clipped as (
    select
        person_id,
        greatest(
            observation_period_start_date,
            max(observation_period_end_date) over (
                partition by person_id order by observation_period_start_date, observation_period_end_date
                rows between unbounded preceding and 1 preceding
            ) + 1
        ) as start_date,
        observation_period_end_date as end_date
    from observed_period
),
stretch as (
    select
        band.rate,
        greatest(
            0,
            least(
                clipped.end_date, death.death_date, (person.birth_date + to_years(band.next_age))::date - 1
            )
            - greatest(clipped.start_date, (person.birth_date + to_years(band.age))::date) + 1
        ) as days
    from clipped
    inner join person on clipped.person_id = person.person_id
    left join death on clipped.person_id = death.person_id
    cross join band
    where person.birth_date is not null
)
select
    (select count(*) from person),
    coalesce(sum(days), 0) / 365.25,
    coalesce(sum(rate * days), 0) / 365.25,
    (
        select count(*) from death
        inner join person on death.person_id = person.person_id
        where coalesce(death.death_date >= person.birth_date + to_years(list_min($ages::integer[])), true)
    )
from stretch
"""

# Deaths in observation or soon after it, or after the data end, and which of them lie after it. Whoever left
# and died later is in a register of deaths as of right: those deaths are left out. A week is none.
AFTER_OBSERVATION = """
with
ended as (
    select person_id, max(observation_period_end_date) as end_date
    from observed_period
    group by person_id
),
placed as (
    select
        death.death_date > ended.end_date + 7 as is_after,
        death.death_date <= ended.end_date + 180
        or coalesce(death.death_date > study_period.data_end, false) as counts
    from death
    inner join ended on death.person_id = ended.person_id
    cross join study_period
)
select
    (select count(*) from ended),
    count(*) filter (where counts),
    count(*) filter (where counts and is_after)
from placed
"""
TOLERATED_AFTER, FEWEST_DEATHS = 0.25, 20

# Whether anything was recorded of those who died in the days up to the death, and in as many a year before.
SEEN_BEFORE = """
with
seen as (
    select
        death.person_id,
        count(*) filter (where event.event_date between death.death_date - $days + 1 and death.death_date) > 0
        as is_seen,
        count(*) filter (
            where event.event_date between death.death_date - 365 - $days + 1 and death.death_date - 365
        ) > 0 as was_seen
    from death
    left join clinical_event as event
        on death.person_id = event.person_id
        and event.domain <> 'Death'
        and event.event_date between death.death_date - 365 - $days + 1 and death.death_date
    group by death.person_id
)
select
    (select count(*) from person),
    count(*) filter (where is_seen and not was_seen),
    count(*) filter (where was_seen and not is_seen),
    count(*) filter (where was_seen)
from seen
"""
SEEN_DAYS = (14, 30, 90)
# Who is about to die is seen more often than before. In a register of deaths some left in the last year, so a
# quarter fewer may still be fair.
SEEN_DROP = 0.25


def few_deaths(shown: Shown) -> Finding:
    """Compare the deaths that are known with the fewest that so many person-years can have had."""
    alarm = "deaths_are_as_many_as_must_be"
    ages = list(LOWEST)
    n_persons, years, expected, n_deaths = shown.row(
        OBSERVED, ages=ages, next_ages=[*ages[1:], 120], rates=list(LOWEST.values())
    )
    part = level(alarm, shown.n_tasks)
    few = next((n for n in range(math.ceil(expected), -1, -1) if few_tail(n, expected) <= part), None)
    seen = "" if few is not None else f"{years:.0f} years observed from {ages[0]} on are too few to miss any."
    evidence = Evidence(
        looked_at=n_persons,
        p_value=few_tail(n_deaths, expected),
        effect=max(0.0, 1 - n_deaths / expected) if expected else 0.0,
        minimum=0,
        smallest=1 - few / expected if few is not None and expected else float("inf"),
        what="share missing of a tenth of the deaths that a long-lived population would have had",
        unseen=seen,
    )
    return finding(alarm, shown, evidence)


def deaths_after_observation(shown: Shown) -> Finding:
    """Count the deaths dated after their person's observation, beyond the share that is tolerated."""
    n_persons, n_deaths, n_after = shown.row(AFTER_OBSERVATION)
    if n_deaths < FEWEST_DEATHS:
        return Finding(
            n_persons, 0, cannot_see=f"Fewer than {FEWEST_DEATHS} deaths say nothing of the others."
        )
    share = n_after / n_deaths
    return Finding(
        n_persons,
        n_after if share > TOLERATED_AFTER else 0,
        note=f"{share:.0%} of the deaths lie more than a week after the observation of their person.",
    )


def seen_before_death(shown: Shown) -> Finding:
    """Compare who is seen just before the own death with who was seen a year before it, person by person."""
    alarm = "who_dies_is_seen_until_then"
    part = level(alarm, shown.n_tasks) / len(SEEN_DAYS)
    return strongest(alarm, shown, [_seen(shown, days, part) for days in SEEN_DAYS])


def _seen(shown: Shown, days: int, part: float) -> Evidence:
    """Of those seen in one of both stretches at most half were seen in the earlier one."""
    n_persons, now_alone, before_alone, before = shown.row(SEEN_BEFORE, days=days)
    differ = now_alone + before_alone
    tails = share_tail(np.arange(differ + 1), differ, 0.5)
    excluded = np.flatnonzero(tails <= part)

    def drop(n_before_alone: int) -> float:
        return (2 * n_before_alone - differ) / before if before else 0.0

    return Evidence(
        looked_at=n_persons,
        p_value=float(tails[before_alone]) if differ else 1.0,
        effect=drop(before_alone),
        minimum=SEEN_DROP,
        smallest=drop(int(excluded.min())) if excluded.size else float("inf"),
        what=f"drop of the share of the dying who are seen in the last {days} days, from a year earlier",
    )


CHECKS = (
    LeakCheck(
        "deaths_are_as_many_as_must_be",
        ("L18",),
        "warns",
        "Of the persons that the source observes from 65 on at least so many are known to have died as would"
        " have in a tenth of the mortality of a long-lived population.",
        "Up to nine deaths in ten that the source does not know, and deaths of the young.",
        few_deaths,
    ),
    LeakCheck(
        "deaths_fall_into_observation",
        ("L18",),
        "warns",
        "Of the deaths in observation, in the half year after it or after the data end, at most a quarter lie"
        " more than a week after the observation of their person: who dies is not lost before it.",
        "A late day of death to which the period goes on, and deaths of those who had long left.",
        deaths_after_observation,
    ),
    LeakCheck(
        "who_dies_is_seen_until_then",
        ("L18",),
        "warns",
        "Of those who die at least three quarters as many are seen in the weeks before as a year earlier:"
        " deaths do not bear the day on which they came to be known.",
        "A delay of days.",
        seen_before_death,
    ),
)
