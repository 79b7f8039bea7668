"""Values that tell how long somebody will be observed, or live (L11, L12).

Months of membership, a count of all visits, a score that was made at the end: stored under an early date,
they rise and fall with what is left of the record. Nothing that was measured then does so in every person.
"""

import pandas as pd

from ml.leakage.record.calendar import LAST_DAY
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown

# Of so many persons nothing reaches such a rank correlation by chance: at 100 and 0.7 it is below 1e-15.
FEWEST_PERSONS, FAIR_CORRELATION = 100, 0.7
# Who is still there at the end of the data is told by the calendar alone; periods that end so early are not.
STILL_THERE_DAYS = 30

# One row a person and code with a number, drawn by a hash, of train and tuning: the days to the end of the
# period that it lies in, where that is before the end of the data, and to death.
TO_THE_END = """
with
measured as (
    select
        event_id,
        person_id,
        domain,
        coalesce(nullif(concept_id, 0), source_concept_id, 0) as code,
        unit_concept_id,
        event_date,
        value_as_number
    from clinical_event
    where
        isfinite(value_as_number)
        and person_id in (select person_id from split where split in ('train', 'tuning'))
),
drawn as (
    select *
    from measured
    qualify row_number() over (
        partition by person_id, domain, code, unit_concept_id order by hash(event_id), event_id
    ) = 1
)
select
    hash(drawn.domain, drawn.code, drawn.unit_concept_id) as code,
    drawn.value_as_number as value,
    case
        when period.observation_period_end_date <= $last_day::date - $still_there
            then period.observation_period_end_date - drawn.event_date
    end as to_the_end,
    case
        when death.death_date >= drawn.event_date then death.death_date - drawn.event_date
    end as to_death
from drawn
inner join observed_period as period
    on drawn.person_id = period.person_id
    and drawn.event_date between period.observation_period_start_date
    and period.observation_period_end_date
left join death on drawn.person_id = death.person_id
order by code, drawn.person_id
"""
ENDS = {"to_the_end": "of observation", "to_death": "of life"}


def values_know_the_end(shown: Shown) -> Finding:
    """Count codes whose values rise or fall with the time that is left."""
    (last_day,) = shown.row(LAST_DAY)
    table = shown.frame(TO_THE_END, last_day=last_day, still_there=STILL_THERE_DAYS)
    looked_at, found, strongest = 0, 0, 0.0
    for _, own in table.groupby("code", sort=True):
        known = [_correlation(own, end) for end in ENDS]
        looked_at += sum(n for n, _ in known)
        correlation = max((abs(one) for _, one in known), default=0.0)
        found += correlation > FAIR_CORRELATION
        strongest = max(strongest, correlation)
    return Finding(
        looked_at,
        found,
        "Strongest rank correlation of a code's values with the days to the end"
        f" {' or '.join(ENDS.values())}: {strongest:.2f}.",
        f"Codes with values of fewer than {FEWEST_PERSONS} persons who left or died.",
    )


def _correlation(own: pd.DataFrame, end: str) -> tuple[int, float]:
    """Return of how many persons, 0 if too few, and Spearman's correlation of values with the days left."""
    left = own[own[end].notna()]
    if len(left) < FEWEST_PERSONS or left["value"].nunique() < 2 or left[end].nunique() < 2:
        return 0, 0.0
    values, days = (left[name].astype("float64") for name in ("value", end))
    return len(left), float(values.corr(days, method="spearman"))


CHECKS = (
    LeakCheck(
        "no_value_knows_the_end",
        ("L11", "L12"),
        "warns",
        f"Of no code with numbers do the values of {FEWEST_PERSONS} persons or more rise or fall with the"
        " days to the end of their observation, or to their death, by a rank correlation above"
        f" {FAIR_CORRELATION}.",
        "Values that know the end and say little of it.",
        values_know_the_end,
    ),
)
