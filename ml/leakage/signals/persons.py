"""What is not told of a person must be as rare in cases as in others, and in the dead as in the living (L11).

The person table holds today's row: what is blanked when somebody dies, moves or is done with says so of every
day before. What stands in a row is held elsewhere; here it is what is missing from it.
"""

import pandas as pd

from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.statistics.alarms import judged, level, strongest
from ml.leakage.statistics.shares import most_apart

UNTOLD_DIFFERENCE = 0.1  # of the shares of two groups of whom something is not told

MALE, FEMALE = 8507, 8532  # OMOP vocabulary "Gender"
# A concept that stands for nothing: 0, or one whose name says so. Other sexes are few and are no blank.
NOTHING = (
    "(unknown|unspecified|no information|not (stated|reported|recorded|known|available)|declined|refused)"
)
# Columns of the published table, and of the landed one alone. The commonest birthday may stand for an unknown
# one: a first of January, a middle of the year.
PUBLISHED = {
    "sex": "coalesce(person.gender_concept_id, 0) = 0 or sex.says_nothing",
    "month of birth": "person.month_of_birth is null",
    "day of birth": "person.day_of_birth is null",
    "birthday": "(person.month_of_birth, person.day_of_birth) = (select birthday from commonest)",
    "race": "coalesce(person.race_concept_id, 0) = 0 or race.says_nothing",
    "ethnicity": "coalesce(person.ethnicity_concept_id, 0) = 0 or ethnicity.says_nothing",
}
LANDED = {
    "place": "coalesce(landed.location_id, 0) = 0",
    "provider": "coalesce(landed.provider_id, 0) = 0",
    "site of care": "coalesce(landed.care_site_id, 0) = 0",
    "number at the source": "coalesce(trim(landed.person_source_value), '') = ''",
    "sex at the source": "coalesce(trim(landed.gender_source_value), '') = ''",
    "race at the source": "coalesce(trim(landed.race_source_value), '') = ''",
    "ethnicity at the source": "coalesce(trim(landed.ethnicity_source_value), '') = ''",
}
# Persons of the cut in train and tuning, a row each, in order: whether they are dead by the end of the data,
# and what is not told of them.
UNTOLD = """
with
named as (
    select
        concept_id,
        concept_id in ({told}) is false
        and regexp_matches(lower(coalesce(concept_name, '')), '{nothing}') as says_nothing
    from concept
),
shown_person as (
    select distinct person_id
    from example
    where split in ('train', 'tuning')
),
commonest as (
    select (month_of_birth, day_of_birth) as birthday
    from person
    where person_id in (select person_id from shown_person) and month_of_birth + day_of_birth is not null
    group by month_of_birth, day_of_birth
    order by count(*) desc, month_of_birth, day_of_birth
    limit 1
)
select
    shown_person.person_id,
    death.person_id is not null as is_dead,
    {columns}
from shown_person
inner join person on shown_person.person_id = person.person_id
left join death on shown_person.person_id = death.person_id
left join named as sex on person.gender_concept_id = sex.concept_id
left join named as race on person.race_concept_id = race.concept_id
left join named as ethnicity on person.ethnicity_concept_id = ethnicity.concept_id
{landed}
order by shown_person.person_id
"""


def untold_tells(shown: Shown) -> Finding:
    """Compare of whom a field is not told: cases and others, and persons who died later and who did not."""
    alarm = "what_is_not_told_of_a_person_says_little"
    table, known = _untold(shown), judged(shown)
    if table.empty or known.empty:
        return Finding(0, 0)
    fields = [*PUBLISHED, *(LANDED if shown.landing else ())]
    labels = table[["person_id"]].merge(known[["person_id", "y_true"]], how="left", on="person_id")["y_true"]
    part = level(alarm, shown.n_tasks) / 2
    untold, labelled = table[fields].to_numpy(dtype=bool).T, labels.notna().to_numpy()
    is_case, is_dead = labels[labelled] == 1, table["is_dead"]
    what = "difference of the shares of {} of whom a field is not told"
    seen = [
        most_apart(is_case, untold[:, labelled], part, UNTOLD_DIFFERENCE, what.format("cases and others")),
        most_apart(is_dead, untold, part, UNTOLD_DIFFERENCE, what.format("the dead and the living")),
    ]
    return strongest(alarm, shown, seen)


def _untold(shown: Shown) -> pd.DataFrame:
    """Return person_id, is_dead and whether each field is not told, a row a person."""
    fields = dict(PUBLISHED)
    landed = ""
    if shown.landing is not None:
        fields |= LANDED
        landed = f"left join {shown.landed('person')} as landed on shown_person.person_id = landed.person_id"
    columns = ",\n    ".join(f'coalesce({untold}, false) as "{name}"' for name, untold in fields.items())
    query = UNTOLD.format(told=f"{MALE}, {FEMALE}", nothing=NOTHING, columns=columns, landed=landed)
    return shown.frame(query).drop_duplicates("person_id")


CHECKS = (
    LeakCheck(
        "what_is_not_told_of_a_person_says_little",
        ("L11",),
        "warns",
        "Sex, birth, race, place and the like are missing as rarely of cases as of others, and of persons who"
        " died later as of those who did not.",
        "What was written over with what many others have.",
        untold_tells,
    ),
)
