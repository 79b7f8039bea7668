"""The snapshot as if every event had been known on its own date: the sensitivity analysis is cut from it."""

from pathlib import Path

from ml.in_memory import in_memory

REMADE = ("clinical_event", "example_input")

# Numbered anew, as the snapshot numbers by the date of availability.
CLINICAL_EVENT = """
select
    * replace (
        row_number() over (partition by person_id order by event_date, event_id) as event_no,
        event_date as available_date
    )
from read_parquet($clinical_event)
where person_id in (select person_id from read_parquet($example))
order by person_id, event_no
"""

EXAMPLE_INPUT = """
select
    cohort.task,
    cohort.example_id,
    cohort.person_id,
    min(event.event_no) as first_event_no,
    max(event.event_no) as last_event_no,
    count(event.event_no) as n_events
from read_parquet($cohort) as cohort
left join read_parquet($event) as event
    on cohort.person_id = event.person_id
    and event.event_date < cohort.index_date + $index_days
where
    cohort.task = $task
    and cohort.example_id in (select example_id from read_parquet($example))
group by cohort.task, cohort.example_id, cohort.person_id
order by cohort.person_id, cohort.example_id
"""


def write_own_date_snapshot(
    published: Path, examples: Path, task: str, target: Path, *, includes_index_day: bool
) -> None:
    """Write `target`, an empty folder: events and inputs of one task's examples remade, the rest linked.

    An input is then what happened before the index day, or by its end where the task includes that day.
    `examples` is the task's cut: nobody else is read. The result is a snapshot to cut from like any other.
    """
    for file in sorted(published.glob("*.parquet")):
        if file.stem not in REMADE:
            (target / file.name).symlink_to(file.resolve())
    example = str(examples / "example.parquet")
    event = target / "clinical_event.parquet"
    with in_memory(target.parent) as connection:
        connection.execute(
            f"copy ({CLINICAL_EVENT}) to '{_quoted(event)}' (format parquet)",
            {"clinical_event": str(published / "clinical_event.parquet"), "example": example},
        )
        connection.execute(
            f"copy ({EXAMPLE_INPUT}) to '{_quoted(target / 'example_input.parquet')}' (format parquet)",
            {
                "cohort": str(published / "cohort.parquet"),
                "event": str(event),
                "example": example,
                "task": task,
                "index_days": int(includes_index_day),
            },
        )


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
