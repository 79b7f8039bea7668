"""When events were known: those of the whole record, whether or not an index falls on such a day."""

from ml.leakage.known import STAYS, make_known_table
from ml.leakage.rows import Finding, LeakCheck, in_words
from ml.leakage.shown import Shown

UNLINKED_SHARE = 0.05  # of the billed rows that are dated within a stay of their person

EARLY = """
select
    count(*),
    count(*) filter (where is_early),
    string_agg(distinct source_table, ', ' order by source_table) filter (where is_early)
from (select source_table, not coalesce(available_date >= known_date, false) as is_early from known)
"""

# A row of the last day is final on that day: only rows of days before it are dated too early.
UNLINKED = """
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
        visit.person_id is not null as is_linked
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
    select billed.is_linked
    from billed
    semi join stay
        on billed.person_id = stay.person_id
        and billed.event_date >= stay.start_date
        and billed.event_date < stay.end_date
)
select
    (select count(*) from billed),
    (select count(*) from within_stay),
    (select count(*) from within_stay where not is_linked)
"""


def _early(shown: Shown) -> Finding:
    make_known_table(shown)
    looked_at, found, tables = shown.row(EARLY)
    unseen = "" if shown.landing else "Nothing was landed: when a result was recorded is not known."
    return Finding(looked_at, found, f"Of {tables}." if found else "", unseen)


def _unlinked(shown: Shown) -> Finding:
    """A share of rows: single ones are recorded outside any visit in every hospital."""
    make_known_table(shown)
    looked_at, within, unlinked = shown.row(UNLINKED, stays=STAYS)
    note = f"Dated within a stay: {in_words(within)}; of these without a visit: {in_words(unlinked)}."
    return Finding(looked_at, unlinked if unlinked > UNLINKED_SHARE * within else 0, note)


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
        "billed_rows_are_linked_to_their_visit",
        ("L03",),
        "warns",
        "Of the diagnoses and procedures dated within a stay of their person, before its last day, 95 of 100"
        " are linked to a visit of the person; the others count as known on their own date.",
        "Fewer lost links; links to the wrong visit; rows dated outside the stay that they are of.",
        _unlinked,
    ),
)
