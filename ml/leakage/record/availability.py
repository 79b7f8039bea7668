"""When events were known: those of the whole record, whether or not an index falls on such a day."""

from ml.leakage.record.known import STAYS, make_known_table
from ml.leakage.rows import Finding, LeakCheck, in_words
from ml.leakage.shown import Shown

LOOSE_SHARE = 0.05  # of the billed rows dated within a stay of their person, or linked to an open one

EARLY = """
select
    count(*),
    count(*) filter (where is_early),
    string_agg(distinct source_table, ', ' order by source_table) filter (where is_early)
from (select source_table, not coalesce(available_date >= known_date, false) as is_early from known)
"""

# What is billed waits for the end of its stay, if it is linked to one and that has ended. Rows of no visit of
# the person do not, nor those of a stay without an end, nor those of a visit that ends before the stay that
# they are dated within. A visit that is under way on their day may be theirs all the same: the emergency part
# of the stay, a consultation. But then the stay has rows of its own. A row of the last day is final that day.
LOOSE = """
with
visit as (
    select
        person_id,
        visit_occurrence_id,
        min(event_date) filter (where domain = 'Visit') as start_date,
        max(event_date) filter (where domain = 'Visit end') as end_date,
        bool_or(
            concept_id in (select concept_id from concept_set_member where concept_set = $stays)
        ) as is_stay
    from clinical_event
    where domain in ('Visit', 'Visit end') and person_id in (select person_id from example)
    group by person_id, visit_occurrence_id
),
billed as (
    select
        known.event_id,
        known.person_id,
        known.visit_occurrence_id,
        known.event_date,
        known.known_date,
        visit.person_id is not null as is_linked,
        coalesce(
            known.event_date between visit.start_date and coalesce(visit.end_date, visit.start_date), false
        ) as is_under_way,
        coalesce(visit.is_stay and visit.end_date is null, false) as is_of_an_open_stay
    from known
    left join visit
        on known.person_id = visit.person_id
        and known.visit_occurrence_id = visit.visit_occurrence_id
    where known.is_billed
),
with_rows as (
    select distinct person_id, visit_occurrence_id from billed where is_linked
),
stay as (
    select
        visit.person_id,
        visit.start_date,
        visit.end_date,
        with_rows.person_id is not null as has_rows
    from visit
    left join with_rows
        on visit.person_id = with_rows.person_id
        and visit.visit_occurrence_id = with_rows.visit_occurrence_id
    where visit.is_stay and visit.start_date < visit.end_date
),
within_stay as (
    select
        billed.event_id,
        billed.person_id,
        billed.is_linked,
        billed.is_under_way,
        billed.known_date < min(stay.end_date) as is_early,
        bool_or(stay.has_rows) as has_rows
    from billed
    inner join stay
        on billed.person_id = stay.person_id
        and billed.event_date >= stay.start_date
        and billed.event_date < stay.end_date
    where not billed.is_of_an_open_stay
    group by
        billed.event_id, billed.person_id, billed.is_linked, billed.is_under_way, billed.known_date
)
select
    (select count(*) from billed),
    count(*),
    count(*) filter (where is_early and not is_linked),
    count(*) filter (where is_early and is_linked and not is_under_way),
    count(*) filter (where is_early and is_under_way and not has_rows),
    (select count(*) from billed where is_of_an_open_stay)
from within_stay
"""

# What a visit recorded was known on its first day at the earliest, whatever day the row bears: the onset of a
# complaint, the day before by another clock. Rows of several days of one visit lie within it.
BEFORE_VISIT = """
with
visit as (
    select
        person_id,
        visit_occurrence_id,
        min(event_date) as start_date
    from clinical_event
    where domain = 'Visit' and person_id in (select person_id from example)
    group by person_id, visit_occurrence_id
),
by_table as (
    select
        known.source_table,
        count(*) as n,
        count(*) filter (where known.known_date < visit.start_date) as n_before
    from known
    inner join visit
        on known.person_id = visit.person_id
        and known.visit_occurrence_id = visit.visit_occurrence_id
    where known.domain not in ('Visit', 'Visit end')
    group by known.source_table
)
select
    coalesce(sum(n), 0)::bigint,
    coalesce(sum(n_before) filter (where n_before > $share * n), 0)::bigint,
    coalesce(string_agg(source_table, ', ' order by source_table) filter (where n_before > $share * n), '')
from by_table
"""
# Of the rows of a table: some are dated by the appointment, or by the day on which a sample was taken.
BEFORE_SHARE = 0.05


def _early(shown: Shown) -> Finding:
    make_known_table(shown)
    looked_at, found, tables = shown.row(EARLY)
    unseen = "" if shown.landing else "Nothing was landed: when a result was recorded is not known."
    return Finding(looked_at, found, f"Of {tables}." if found else "", unseen)


def _loose(shown: Shown) -> Finding:
    """A share of rows: in every hospital some are recorded outside any visit, and some stays go on."""
    make_known_table(shown)
    looked_at, within, unlinked, of_other, of_bare, of_open = shown.row(LOOSE, stays=STAYS)
    note = (
        f"Dated within a stay: {in_words(within)}; of these without a visit: {in_words(unlinked)}, of a visit"
        f" of other days that ends before: {in_words(of_other)}, of one of the day, with a stay that has no"
        f" rows: {in_words(of_bare)}. Of a stay without an end: {in_words(of_open)}."
    )
    loose = unlinked + of_other + of_bare + of_open
    return Finding(looked_at, loose if loose > LOOSE_SHARE * (within + of_open) else 0, note)


def _before_visit(shown: Shown) -> Finding:
    """A share of rows of each table: a source that dates by onset does so with most of its diagnoses."""
    make_known_table(shown)
    looked_at, found, tables = shown.row(BEFORE_VISIT, share=BEFORE_SHARE)
    return Finding(looked_at, found, f"Of {tables}." if found else "")


CHECKS = (
    LeakCheck(
        "no_event_is_known_too_early",
        ("L01", "L03", "L04"),
        "blocks",
        "No published event of the cut's persons, shown or not, is available before the declared rules allow:"
        " its own day, the end of its stay, the day its result was recorded, and the lag.",
        "Rows that a rule does not reach: a bill without a visit id, a visit without an end, a result without"
        " a date of its own; and a rule that is wrong.",
        _early,
    ),
    LeakCheck(
        "bills_wait_for_the_end_of_their_stay",
        ("L03",),
        "warns",
        "Of the diagnoses and procedures dated within a stay of their person, before its last day, 95 of 100"
        " wait for the end of a stay, or are of a visit of their day while the stay has others; they have not"
        " lost their visit, nor are they of a visit of other days that ends before, nor of a stay without an"
        " end.",
        "Fewer lost or wrong links or ends; some of a stay's rows, where its emergency part has them; rows"
        " dated outside the stay that they are of.",
        _loose,
    ),
    LeakCheck(
        "rows_are_not_older_than_their_visit",
        ("L02", "L05"),
        "warns",
        "Of the rows of a table that are linked to a visit 95 of 100 count as known on its first day or"
        " later, not on a day before somebody came.",
        "Rows without a visit; a visit that bears the earlier day as well.",
        _before_visit,
    ),
)
