"""Whether a source knows of the deaths that there must have been (L18).

Who died unknown goes on as observed: a non-case for ever.
"""

import math

from ml.leakage.alarms import Evidence, finding, level
from ml.leakage.rates import few_tail
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown

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
death as (
    select person_id, min(event_date) as event_date
    from clinical_event
    where domain = 'Death'
    group by person_id
),
stretch as (
    select
        band.rate,
        greatest(
            0,
            least(
                clipped.end_date, death.event_date, (person.birth_date + to_years(band.next_age))::date - 1
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
        where coalesce(death.event_date >= person.birth_date + to_years(list_min($ages::integer[])), true)
    )
from stretch
"""


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
)
