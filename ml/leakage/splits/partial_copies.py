"""Records of two persons, in different splits, that share most of what few have: one human, or a copy (L22).

Two hospitals that number the same patient send most of the same rows, each some that the other lacks, so that
no record is another word for word. What shows it is what hardly anybody else has: the same code with the same
value on the same day.
"""

from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown

# An event is rare that at most so many have on its day. Of those who are not one human, one has a rare event
# of the other with a chance near 4 in the number of persons. A day's events come together, and so do those of
# a stay; therefore it must be half of a record, of several kinds, on days of several months. For two of 1,000
# persons three such months are a chance of (4 / 1,000)^3, and half a record is more than three. Those who are
# treated by one plan share few kinds of event; and where many are, their events are not rare.
MOST_PERSONS = 5
LEAST_SHARE, FEWEST_CODES, FEWEST_DAYS, FEWEST_MONTHS, MONTH_DAYS = 0.5, 8, 5, 3, 30
ALLOWED = 0.001  # of the persons: twins are vaccinated together

OF_PERSON = """
select
    clinical_event.person_id,
    clinical_event.domain,
    coalesce(nullif(clinical_event.concept_id, 0), clinical_event.source_concept_id, 0) as concept_id,
    clinical_event.value_as_number,
    clinical_event.value_as_concept_id,
    {day} as day
from clinical_event
where clinical_event.person_id in (select person_id from example)
"""
# Copies that were made of the cut have a record there alone: one example a person, drawn by a hash.
AS_SHOWN = """
select
    example.person_id,
    event.domain,
    event.concept_id,
    event.value_as_number,
    event.value_as_concept_id,
    event.days_before as day
from event
inner join (
    from example
    qualify row_number() over (
        partition by person_id order by sha256('one a person/' || example_id), example_id
    ) = 1
) as example on event.example_id = example.example_id
"""
RECORDS = {
    "on the same dates": OF_PERSON.format(day="clinical_event.event_date - date '1900-01-01'"),
    "as many days after the first": OF_PERSON.format(
        day="clinical_event.event_date"
        " - min(clinical_event.event_date) over (partition by clinical_event.person_id)"
    ),
    "as many days before the index": AS_SHOWN,
}

SHARED = f"""
with
record as ({{record}}),
dated as (
    select distinct
        person_id,
        day,
        hash(domain, concept_id, value_as_number, value_as_concept_id) as code
    from record
),
rare as (
    select
        day,
        code,
        list(person_id) as persons
    from dated
    group by day, code
    having count(*) <= {MOST_PERSONS}
),
had as (
    select
        unnest(persons) as person_id,
        day,
        code,
        len(persons) > 1 as is_shared
    from rare
),
size as (
    select
        person_id,
        count(*) as n
    from had
    group by person_id
),
person_split as (
    select
        person_id,
        min(split) as split
    from example
    group by person_id
),
shared as (
    select
        had.person_id,
        person_split.split,
        had.day,
        had.code
    from had
    inner join person_split on had.person_id = person_split.person_id
    where had.is_shared
),
pair as (
    select
        one.person_id as one_id,
        other.person_id as other_id,
        count(*) as n
    from shared as one
    inner join shared as other
        on one.day = other.day
        and one.code = other.code
        and one.person_id < other.person_id
        and one.split <> other.split
    group by one.person_id, other.person_id
    having
        count(distinct one.code) >= {FEWEST_CODES}
        and count(distinct one.day) >= {FEWEST_DAYS}
        and count(distinct one.day // {MONTH_DAYS}) >= {FEWEST_MONTHS}
),
alike as (
    select
        pair.one_id,
        pair.other_id
    from pair
    inner join size as of_one on pair.one_id = of_one.person_id
    inner join size as of_other on pair.other_id = of_other.person_id
    where pair.n >= {LEAST_SHARE} * least(of_one.n, of_other.n)
)
select
    (select count(*) from person_split),
    (select count(*) from size where n >= {FEWEST_CODES}),
    (
        select count(*)
        from (select one_id from alike union select other_id from alike)
    )
"""


def partly_copied(shown: Shown) -> list[Finding]:
    """Count persons who share half of the rare events of the shorter record with one of another split."""
    found = []
    for words, record in RECORDS.items():
        n_persons, n_seen, n_alike = map(int, shown.row(SHARED.format(record=record)))
        note = f"{n_alike / max(n_persons, 1):.2%} of persons share half a record {words}."
        unseen = f"Too few rare events {words}: {1 - n_seen / max(n_persons, 1):.0%} of persons."
        too_many = n_alike > ALLOWED * n_persons
        found.append(Finding(n_persons, n_alike if too_many else 0, note if too_many else "", unseen))
    return found


CHECKS = (
    LeakCheck(
        "few_persons_share_half_a_record",
        ("L22",),
        "warns",
        f"At most {ALLOWED:.1%} of persons share half of what hardly anybody else has (at most {MOST_PERSONS}"
        f" on a day) of the shorter record with one of another split: {FEWEST_CODES} codes or values on"
        f" {FEWEST_DAYS} days of {FEWEST_MONTHS} months, on the same dates, or as long after the first event"
        " or before the index.",
        "Two ids of one human who was elsewhere at each of them; copies whose days and values are others.",
        partly_copied,
    ),
)
