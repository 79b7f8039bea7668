"""When events were known: those of the whole record, whether or not an index falls on such a day."""

from ml.leakage.known import STAYS, make_known_table
from ml.leakage.rows import Finding, LeakCheck, in_words
from ml.leakage.shown import Shown

LOOSE_SHARE = 0.05  # of the billed rows of a stay: dated within one of their person, or linked to one

EARLY = """
select
    count(*),
    count(*) filter (where is_early),
    string_agg(distinct source_table, ', ' order by source_table) filter (where is_early)
from (select source_table, not coalesce(available_date >= known_date, false) as is_early from known)
"""

# What is billed waits for the end of its stay, if it is linked to one and that has ended. Rows of no visit of
# the person do not, nor do those of a stay without an end. A row of the last day is final on that day.
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
        known.event_date,
        visit.person_id is not null as is_linked,
        coalesce(visit.is_stay and visit.end_date is null, false) as is_of_an_open_stay
    from known
    left join visit
        on known.person_id = visit.person_id
        and known.visit_occurrence_id = visit.visit_occurrence_id
    where known.is_billed
),
stay as (
    select person_id, start_date, end_date from visit where is_stay and start_date < end_date
),
within_stay as (
    select billed.event_id, billed.is_linked
    from billed
    semi join stay
        on billed.person_id = stay.person_id
        and billed.event_date >= stay.start_date
        and billed.event_date < stay.end_date
    where not billed.is_of_an_open_stay
)
select
    (select count(*) from billed),
    (select count(*) from within_stay),
    (select count(*) from within_stay where not is_linked),
    (select count(*) from billed where is_of_an_open_stay)
"""


def _early(shown: Shown) -> Finding:
    make_known_table(shown)
    looked_at, found, tables = shown.row(EARLY)
    unseen = "" if shown.landing else "Nothing was landed: when a result was recorded is not known."
    return Finding(looked_at, found, f"Of {tables}." if found else "", unseen)


def _loose(shown: Shown) -> Finding:
    """A share of rows: in every hospital some are recorded outside any visit, and some stays go on."""
    make_known_table(shown)
    looked_at, within, unlinked, of_open = shown.row(LOOSE, stays=STAYS)
    note = (
        f"Dated within a stay: {in_words(within)}; of these without a visit: {in_words(unlinked)}. Of a stay"
        f" without an end: {in_words(of_open)}."
    )
    loose = unlinked + of_open
    return Finding(looked_at, loose if loose > LOOSE_SHARE * (within + of_open) else 0, note)


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
        " are linked to a visit of the person, and not to a stay without an end; the others count as known on"
        " their own date.",
        "Fewer lost links or ends; links to the wrong visit; rows dated outside the stay that they are of.",
        _loose,
    ),
)
