"""Codes that were named after what followed them: an admission, a death, the outcome (L04, L06, L08).

A visit that bears the name of its episode of care, an order that was closed by a death, a finding that was
renamed when its cause was found: what is nearly always followed by the same thing within weeks, where the
other days of the same persons are not, knew of it. It is a warning: a referral for admission is followed by
one, too, and a reader decides.
"""

import numpy as np
import numpy.typing as npt

from ml.leakage.outcomes import IS_OUTCOME
from ml.leakage.record.known import STAYS
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.statistics.alarms import Evidence, level, strongest
from ml.leakage.statistics.differences import looks_that_count
from ml.leakage.statistics.tails import share_tail

ALARM = "no_code_knows_what_follows"
WITHIN_DAYS = 90
# Of persons with a fair code so many at most are followed; the alarm says nothing unless their other days are
# followed so much more rarely: they are not where everybody is admitted every month.
FAIR_SHARE, LEAST_APART = 0.8, 0.3
LEAST_SHOWN = 0.01  # of the persons: what hardly any example shows tells little
TARGETS = {"admission": "a stay over night", "death": "death", "outcome": "the first outcome"}

# A code, and a code with its result as a concept. Where a stay led to is known at its end.
CODED = f"""
create temp table coded as
with
shown as (
    select distinct
        example.person_id,
        event.domain,
        event.concept_id::bigint as concept_id,
        unnest([null, event.value_as_concept_id::bigint]) as value_id
    from event
    inner join example on event.example_id = example.example_id
    where example.split in ('train', 'tuning') and event.domain not in ('Visit end', 'Death')
),
shown_code as (
    select
        domain,
        concept_id,
        value_id
    from shown
    group by domain, concept_id, value_id
    having count(*) >= {LEAST_SHOWN} * (
        select count(distinct person_id) from example where split in ('train', 'tuning')
    )
),
own as (
    select
        event_id,
        person_id,
        domain,
        coalesce(nullif(concept_id, 0), source_concept_id, 0)::bigint as concept_id,
        value_as_concept_id::bigint as value_id,
        available_date as day
    from clinical_event
    where
        available_date is not null
        and person_id in (select person_id from split where split in ('train', 'tuning'))
)
select
    own.person_id,
    own.event_id,
    own.day,
    hash(shown_code.domain, shown_code.concept_id, shown_code.value_id) as code
from own
inner join shown_code
    on own.domain = shown_code.domain
    and own.concept_id = shown_code.concept_id
    and (shown_code.value_id is null or own.value_id = shown_code.value_id)
where own.concept_id <> 0
"""

# One row a person and day with anything: what follows within so many days. Null: the outcome has been, or is
# of that day, so that the first one cannot follow.
AHEAD = f"""
create temp table ahead as
with
visit as (
    select
        person_id,
        min(event_date) filter (where domain = 'Visit') as start_date,
        max(event_date) filter (where domain = 'Visit end') as end_date
    from clinical_event
    where
        domain in ('Visit', 'Visit end')
        and concept_id in (select concept_id from concept_set_member where concept_set = $stays)
    group by person_id, visit_occurrence_id
),
admission as (
    select distinct
        person_id,
        start_date
    from visit
    where start_date < coalesce(end_date, date '9999-01-01')
),
first_outcome as (
    select
        person_id,
        min(event_date) as outcome_date
    from clinical_event
    where {IS_OUTCOME}
    group by person_id
),
person_day as (
    select distinct
        person_id,
        available_date as day
    from clinical_event
    where person_id in (select person_id from coded) and available_date is not null
),
next_admission as (
    select
        person_day.person_id,
        person_day.day,
        admission.start_date
    from person_day
    asof left join admission
        on person_day.person_id = admission.person_id
        and person_day.day < admission.start_date
)
select
    next_admission.person_id,
    next_admission.day,
    coalesce(next_admission.start_date - next_admission.day <= $within, false) as admission,
    coalesce(death.death_date - next_admission.day between 1 and $within, false) as death,
    case
        when first_outcome.outcome_date <= next_admission.day then null
        else coalesce(first_outcome.outcome_date - next_admission.day <= $within, false)
    end as outcome
from next_admission
left join death on next_admission.person_id = death.person_id
left join first_outcome on next_admission.person_id = first_outcome.person_id
"""

# Of each code one row a person, drawn by a hash.
OF_CODES = f"""
with
drawn as (
    select
        code,
        person_id,
        arg_min(day, hash(event_id)) as day
    from coded
    group by code, person_id
)
select
    drawn.code,
    {", ".join(
        f"count(ahead.{target}) as n_{target}, count(*) filter (where ahead.{target}) as followed_{target}"
        for target in TARGETS
    )}
from drawn
inner join ahead
    on drawn.person_id = ahead.person_id
    and drawn.day = ahead.day
group by drawn.code
order by drawn.code
"""  # fmt: skip

# The other days of those who have a code: how often they are followed, as a mean over persons.
OTHER_DAYS = f"""
with
with_code as (
    select distinct
        code,
        person_id,
        day
    from coded
    where code in (select unnest($codes::ubigint[]))
),
of_code as (
    select distinct
        code,
        person_id
    from with_code
),
of_person as (
    select
        of_code.code,
        of_code.person_id,
        {", ".join(f"avg(ahead.{target}::integer) as {target}" for target in TARGETS)}
    from of_code
    inner join ahead on of_code.person_id = ahead.person_id
    anti join with_code
        on of_code.code = with_code.code
        and of_code.person_id = with_code.person_id
        and ahead.day = with_code.day
    group by of_code.code, of_code.person_id
)
select
    code,
    {", ".join(f"coalesce(avg({target}), 0) as {target}" for target in TARGETS)}
from of_person
group by code
"""  # fmt: skip


def codes_that_know(shown: Shown) -> Finding:
    """Look at each code and answer, whether nearly all who have it are followed by one thing within weeks."""
    shown.connection.execute(CODED)
    try:
        shown.connection.execute(AHEAD, {"stays": STAYS, "within": WITHIN_DAYS})
        return _judge(shown)
    finally:
        shown.connection.execute("drop table if exists ahead")
        shown.connection.execute("drop table coded")


def _judge(shown: Shown) -> Finding:
    table, part = shown.frame(OF_CODES), level(ALARM, shown.n_tasks)
    if table.empty:
        return Finding(0, 0)
    (n_persons,) = shown.row("select count(distinct person_id) from coded")
    n, followed = (table[[f"{what}_{target}" for target in TARGETS]].to_numpy() for what in ("n", "followed"))
    looks = looks_that_count((FAIR_SHARE**n).ravel(), part)
    chances = share_tail(followed, n, FAIR_SHARE)
    places = np.argwhere(chances <= part / looks)
    if not places.size:
        places = np.argwhere(chances == chances.min())[:1]
    rows, targets = places.T
    shares = followed[rows, targets] / np.maximum(n[rows, targets], 1)
    apart = shares - _of_other_days(shown, table["code"].to_numpy()[rows], targets)
    best = int(np.argmax(apart))
    fewest = int(np.ceil(np.log(part / looks) / np.log(FAIR_SHARE)))
    evidence = Evidence(
        looked_at=n_persons,
        p_value=min(1.0, looks * float(chances[rows[best], targets[best]])),
        effect=float(apart[best]),
        minimum=LEAST_APART,
        smallest=LEAST_APART,
        what=f"how much more often {list(TARGETS.values())[targets[best]]} follows a code within"
        f" {WITHIN_DAYS} days than other days of those who have it, strongest of {len(table)} codes",
        unseen=f"A code of fewer than {fewest} persons, or that is followed in {FAIR_SHARE:.0%} of them.",
    )
    return strongest(ALARM, shown, [evidence])


def _of_other_days(
    shown: Shown, codes: npt.NDArray[np.uint64], targets: npt.NDArray[np.integer]
) -> npt.NDArray[np.float64]:
    """Return the share of other days that are followed, of N codes and the places of their targets."""
    others = shown.frame(OTHER_DAYS, codes=[int(code) for code in np.unique(codes)]).set_index("code")
    shares = others[list(TARGETS)].reindex(codes).fillna(0.0).to_numpy()
    return shares[np.arange(len(codes)), targets]


CHECKS = (
    LeakCheck(
        ALARM,
        ("L04", "L06", "L08"),
        "warns",
        "No code, result or kind of visit that 1% of persons are shown is followed within 90 days by a stay"
        " over night, death or the first outcome in nearly all who have it, while their other days are"
        " followed by it much more rarely.",
        "A name that comes to others as well; what follows later than that, or is not one of the three.",
        codes_that_know,
    ),
)
