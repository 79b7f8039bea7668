"""What a refresh brought of days that the snapshot before it had closed, and what it took away (L05)."""

from pathlib import Path

from ml.leakage.record.calendar import NO_END
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown

LATE_SHARE = 0.05  # of the new rows of a table: 95 of 100 arrived within the lag
FEWEST_ROWS = 20  # new rows of a table, to speak of a share

# The last day that the snapshot before had closed.
ENDED = """ended as (
    select last_tar_end_date as last_date
    from read_parquet($earlier_period)
)"""

# Rows that are new for persons who were known before; an amended row is one, for its id follows its content.
ARRIVED = f"""
with
{ENDED},
arrived as (
    select
        event.source_table,
        event.available_date <= ended.last_date as is_late
    from clinical_event as event
    cross join ended
    where
        event.person_id in (select person_id from read_parquet($earlier_person))
        and event.event_id not in (select event_id from read_parquet($earlier_event))
),
by_table as (
    select
        source_table,
        count(*) as n,
        count(*) filter (where is_late) as n_late
    from arrived
    group by source_table
    having count(*) >= $fewest
)
select
    coalesce(sum(n), 0)::bigint,
    coalesce(sum(n_late) filter (where n_late > $share * n), 0)::bigint,
    coalesce(string_agg(source_table, ', ' order by source_table) filter (where n_late > $share * n), '')
from by_table
"""


def _has_calendar(shown: Shown, earlier: Path) -> bool:
    """Return whether the snapshot before says when it ended; shifted dates say nothing of a refresh."""
    (last_day,) = shown.row(
        "select last_tar_end_date from read_parquet($period)", period=str(earlier / "study_period.parquet")
    )
    return last_day is not None


def _late(shown: Shown) -> Finding:
    earlier = shown.earlier
    if earlier is None:
        return Finding(0, 0, "There is no earlier snapshot.")
    if not _has_calendar(shown, earlier):
        return Finding(0, 0, NO_END)
    looked_at, found, late = shown.row(
        ARRIVED,
        earlier_period=str(earlier / "study_period.parquet"),
        earlier_event=str(earlier / "clinical_event.parquet"),
        earlier_person=str(earlier / "person.parquet"),
        fewest=FEWEST_ROWS,
        share=LATE_SHARE,
    )
    return Finding(looked_at, found, f"Late: {late}." if late else "")


# Rows of closed days that the snapshot before had of persons who are still here, by code, and which of them
# are gone: taken back, or amended, for an id follows its content.
GONE = f"""
with
{ENDED},
known as (
    select
        event.source_table,
        coalesce(nullif(event.concept_id, 0), event.source_concept_id, 0) as code,
        event.event_id not in (select event_id from clinical_event) as is_gone
    from read_parquet($earlier_event) as event
    cross join ended
    where
        event.available_date <= ended.last_date
        and event.person_id in (select person_id from person)
),
by_code as (
    select
        source_table,
        code,
        count(*) as n,
        count(*) filter (where is_gone) as n_gone
    from known
    group by source_table, code
    having count(*) >= $fewest
)
select
    coalesce(sum(n), 0)::bigint,
    coalesce(sum(n_gone) filter (where n_gone > $share * n), 0)::bigint,
    count(*) filter (where n_gone > $share * n),
    count(*),
    coalesce(string_agg(distinct source_table, ', ' order by source_table)
        filter (where n_gone > $share * n), '')
from by_code
"""
# Of the rows of a code so many may be entered in error and corrected later; of fewer rows no share is told.
GONE_SHARE, FEWEST_OF_CODE = 0.05, 100


def _gone(shown: Shown) -> Finding:
    earlier = shown.earlier
    if earlier is None:
        return Finding(0, 0, "There is no earlier snapshot.")
    if not _has_calendar(shown, earlier):
        return Finding(0, 0, NO_END)
    looked_at, found, n_found, n_codes, tables = shown.row(
        GONE,
        earlier_period=str(earlier / "study_period.parquet"),
        earlier_event=str(earlier / "clinical_event.parquet"),
        fewest=FEWEST_OF_CODE,
        share=GONE_SHARE,
    )
    note = f"{n_found} of {n_codes} codes with {FEWEST_OF_CODE} rows or more lost some, of {tables}."
    return Finding(looked_at, found, note if found else "")


CHECKS = (
    LeakCheck(
        "rows_arrive_within_the_lag",
        ("L05",),
        "warns",
        "Of the rows of a table that this refresh brought for known persons, 95 of 100 are of days that the"
        " snapshot before had not closed, the coding lag allowed.",
        "Lateness before the first refresh; a snapshot alone does not tell when a row arrived.",
        _late,
    ),
    LeakCheck(
        "rows_stay_in_the_record",
        ("L05", "L07"),
        "warns",
        "Of the rows of a code that the snapshot before had of closed days, of persons who are still here, 95"
        " of 100 are as they were: what is taken back or amended later was shown to whoever predicted then.",
        "What was taken back before the first snapshot, or of rare codes; it may be right that it was.",
        _gone,
    ),
)
