"""The published record against the landed source: each event is a row of it, and no row is left out.

Everything else here recomputes from the published record; a value that is wrong in it already, or a date, a
unit or a link, is seen by going back to what was landed.
"""

from dataclasses import dataclass

from ml.leakage.rows import Finding, LeakCheck, in_words
from ml.leakage.shown import Shown


@dataclass(frozen=True)
class _Recorded:
    """Rows of one landed table as events of one domain: the columns that they are made of, null for none."""

    table: str
    domain: str
    prefix: str  # of its concept columns
    day: str
    type_concept: str = ""
    visit: str = "visit_occurrence_id"
    number: str = "null"
    value: str = "null"
    unit: str = "null"
    result_day: str = "null"
    rows: str = ""  # which of the table's rows, where not all

    def select(self, relation: str) -> str:
        return f"""
            select
                '{self.table}' as source_table,
                '{self.domain}' as domain,
                person_id,
                coalesce({self.prefix}_concept_id, 0) as concept_id,
                coalesce({self.prefix}_source_concept_id, 0) as source_concept_id,
                {self.type_concept or self.prefix + "_type_concept_id"} as type_concept_id,
                {self.day} as event_date,
                {self.visit}::bigint as visit_occurrence_id,
                {self.number}::double as value_as_number,
                {self.value}::bigint as value_as_concept_id,
                {self.unit}::bigint as unit_concept_id,
                {self.result_day}::date as result_date
            from {relation} {self.rows}
        """


EARLIEST_DEATH = """qualify row_number() over (
    partition by person_id
    order by death_date, death_type_concept_id, cause_concept_id, cause_source_concept_id
) = 1"""
VALUES = {"number": "value_as_number", "value": "value_as_concept_id", "unit": "unit_concept_id"}

# A visit is its start, and its end once it has one: not before the start, with where the person went.
RECORDED = (
    _Recorded("visit_occurrence", "Visit", "visit", "visit_start_date"),
    _Recorded("visit_occurrence", "Visit end", "visit", "greatest(visit_start_date, visit_end_date)",
              value="discharged_to_concept_id", rows="where visit_end_date is not null"),
    _Recorded("condition_occurrence", "Condition", "condition", "condition_start_date"),
    _Recorded("drug_exposure", "Drug", "drug", "drug_exposure_start_date"),
    _Recorded("procedure_occurrence", "Procedure", "procedure", "procedure_date"),
    _Recorded("measurement", "Measurement", "measurement", "measurement_date",
              result_day="measurement_datetime", **VALUES),
    _Recorded("observation", "Observation", "observation", "observation_date", **VALUES),
    _Recorded("death", "Death", "cause", "death_date", type_concept="death_type_concept_id", visit="null",
              rows=EARLIEST_DEATH),
)  # fmt: skip

# What an event says, as one number of 64 bits, so that 10 million of them are compared without being sorted.
# Alike rows have the same one; a row that differs is missed once in 10^12 if it stands beside 10 million.
CONTENT = """hash(
    source_table::varchar, domain::varchar, person_id::bigint, concept_id::bigint, source_concept_id::bigint,
    type_concept_id::bigint, event_date::date, visit_occurrence_id::bigint, value_as_number::double,
    value_as_concept_id::bigint, unit_concept_id::bigint
)"""

# Rows of nobody and rows without a date are no events (event_availability.sql); all others are.
LANDED_EVENT = f"""
create temp table if not exists landed_event as
with recorded as ({{recorded}})
select source_table, type_concept_id, event_date, result_date, {CONTENT} as content
from recorded
where
    event_date is not null
    and person_id in (select person_id from example)
    and person_id in (select person_id from {{person}})
"""

NO_LANDED_EVENT = """
create temp table if not exists landed_event (
    source_table varchar, type_concept_id bigint, event_date date, result_date date, content ubigint
)
"""

EVENTS = f"""
with
side as (
    select source_table, content, 0 as n_published, 1 as n_landed
    from landed_event
    union all
    select source_table, {CONTENT}, 1, 0
    from clinical_event
    where person_id in (select person_id from example)
),
by_content as (
    select
        source_table,
        sum(n_published)::bigint as n_published,
        sum(n_landed)::bigint as n_landed
    from side
    group by source_table, content
),
by_table as (
    select
        source_table,
        sum(greatest(n_published, n_landed))::bigint as n,
        sum(greatest(n_published - n_landed, 0))::bigint as published_alone,
        sum(greatest(n_landed - n_published, 0))::bigint as landed_alone
    from by_content
    group by source_table
)
select
    coalesce(sum(n), 0)::bigint,
    coalesce(sum(published_alone), 0)::bigint,
    coalesce(sum(landed_alone), 0)::bigint,
    string_agg(source_table, ', ' order by source_table) filter (where published_alone + landed_alone > 0)
from by_table
"""

# A month or day of birth that is missing is the first, and so is a day that its month does not have.
PERSONS = """
with
landed as (
    select
        person_id,
        gender_concept_id,
        try(make_date(year_of_birth, coalesce(month_of_birth, 1), 1)) as birth_month,
        coalesce(day_of_birth, 1) as day_of_birth
    from {person}
    where person_id in (select person_id from example)
),
born as (
    select
        person_id,
        gender_concept_id,
        birth_month + case
            when day_of_birth between 1 and day(last_day(birth_month)) then (day_of_birth - 1)::integer
            else 0
        end as birth_date
    from landed
),
period as (
    select distinct
        person_id,
        observation_period_start_date as start_date,
        observation_period_end_date as end_date
    from {observation_period}
    where
        observation_period_start_date <= observation_period_end_date
        and person_id in (select person_id from born)
),
side as (
    select 'person' as what, hash(person_id, gender_concept_id, birth_date::date) as content, 1 as n
    from born
    union all
    select 'period', hash(person_id, start_date, end_date), 1
    from period
    union all
    select 'person', hash(person_id::bigint, gender_concept_id::bigint, birth_date::date), -1
    from person
    where person_id in (select person_id from example)
    union all
    select
        'period',
        hash(person_id::bigint, observation_period_start_date::date, observation_period_end_date::date),
        -1
    from observed_period
    where person_id in (select person_id from example)
),
by_content as (
    select count(*) as n, sum(n)::bigint as surplus
    from side
    group by what, content
)
select count(*), coalesce(sum(abs(surplus)), 0)::bigint
from by_content
"""

NO_LANDING = "There is no landed source."


def make_landed_table(shown: Shown) -> bool:
    """Make `landed_event` on the connection, once, and say whether there is a landed source; empty if none.

    One row an event that the landed rows of a person of the cut should give: source_table, type_concept_id,
    event_date, result_date, and `content`, which `CONTENT` gives of a published event.
    """
    if shown.landing is None:
        shown.connection.execute(NO_LANDED_EVENT)
        return False
    recorded = " union all ".join(one.select(shown.landed(one.table)) for one in RECORDED)
    shown.connection.execute(LANDED_EVENT.format(recorded=recorded, person=shown.landed("person")))
    return True


def _events(shown: Shown) -> Finding:
    """Multisets, both ways: rows alike are counted, and no key of a table is needed."""
    if not make_landed_table(shown):
        return Finding(0, 0, NO_LANDING)
    looked_at, published_alone, landed_alone, tables = shown.row(EVENTS)
    note = (
        f"Published and not landed: {in_words(published_alone)}; landed and not published:"
        f" {in_words(landed_alone)}; of {tables}."
    )
    return Finding(looked_at, published_alone + landed_alone, note if tables else "")


def _persons(shown: Shown) -> Finding:
    if shown.landing is None:
        return Finding(0, 0, NO_LANDING)
    tables = {table: shown.landed(table) for table in ("person", "observation_period")}
    return Finding(*shown.row(PERSONS.format(**tables)))


CHECKS = (
    LeakCheck(
        "every_event_is_a_row_of_the_source",
        ("L01", "L03", "L04", "L06", "L11", "L12", "L20", "L35", "L39"),
        "blocks",
        "Every published event of the cut's persons is a row of the landed source as it stands there: table,"
        " person, concepts, day, visit, type, value and unit; and each such row with a day is an event.",
        "What is wrong in the source itself, or was landed wrongly. When an event was known is judged apart.",
        _events,
    ),
    LeakCheck(
        "persons_and_periods_are_those_of_the_source",
        ("L11", "L12", "L17"),
        "blocks",
        "Sex and date of birth of the cut's persons, and when they were observed, are those of the landed"
        " source.",
        "What is wrong in the source itself.",
        _persons,
    ),
)
