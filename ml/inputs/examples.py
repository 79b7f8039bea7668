"""The firebreak: one task's rows cut from the published snapshot; everything after it reads only these."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from ml.artefact import whole_folder, write_json
from ml.in_memory import in_memory
from ml.schema import check

# What was drawn by: without it nobody can tell a limit from a choice.
DRAW_FILE = "draw.json"


@dataclass(frozen=True)
class ExampleOptions:
    """At most `max_examples` examples, whole persons drawn by hash and never by label; None takes all."""

    max_examples: int | None
    seed: int


# Persons in the order of a hash of (seed, person): stable when others join, blind to labels.
EXAMPLE = """
with
cohort as (
    select *
    from read_parquet($cohort)
    where task = $task and ($only is null or example_id in (select unnest($only)))
),
person_size as (
    select
        person_id,
        count(*) as n_examples,
        sha256($seed || '/' || person_id) as place
    from cohort
    group by person_id
),
person_drawn as (
    select
        person_id,
        sum(n_examples) over (order by place, person_id) as n_examples_so_far
    from person_size
),
example as (
    select
        cohort.example_id,
        cohort.person_id,
        cohort.index_date::timestamp as index_date,
        split.split,
        label.y_true::integer as y_true,
        cohort.age::integer as age,
        lower(concept.concept_name) as sex,
        example_input.n_events::integer as n_events,
        label.reason
    from cohort
    inner join person_drawn on cohort.person_id = person_drawn.person_id
    inner join read_parquet($label) as label
        on cohort.task = label.task
        and cohort.example_id = label.example_id
    inner join read_parquet($split) as split on cohort.person_id = split.person_id
    inner join read_parquet($example_input) as example_input
        on cohort.task = example_input.task
        and cohort.example_id = example_input.example_id
    left join read_parquet($concept) as concept
        on cohort.sex_concept_id = concept.concept_id
        and concept.concept_id <> 0
    where $max_examples is null or person_drawn.n_examples_so_far <= $max_examples
)
select * from example order by example_id
"""

# The input of an example is a contiguous run of its person's events and nothing else (METHODS 6).
# A visit is what shares a visit id, or a day where there is none. Events known on one day, and visits that
# begin on one, are ordered by what they hold: their numbers follow a hash of the person there, and equal
# records would differ. Diagnoses come last of a day, so that they are the last to be cut.
EVENT = """
with
event as (
    select
        example.example_id,
        event.*,
        date_diff('day', event.event_date, example.index_date::date)::integer as days_before,
        (
            event.available_date,
            event.event_date,
            list_position(
                ['Visit end', 'Visit', 'Observation', 'Measurement', 'Procedure', 'Drug', 'Condition'],
                event.domain
            ),
            event.domain,
            coalesce(nullif(event.concept_id, 0), event.source_concept_id, 0),
            event.value_as_number,
            event.unit_concept_id,
            event.value_as_concept_id
        ) as content,
        min(event.event_no) over (
            partition by
                example.example_id,
                event.visit_occurrence_id,
                case when event.visit_occurrence_id is null then event.event_date end
        ) as first_event_no
    from read_parquet($example) as example
    inner join read_parquet($example_input) as example_input
        on example.example_id = example_input.example_id
        and example_input.task = $task
    inner join read_parquet($clinical_event) as event
        on example.person_id = event.person_id
        and event.event_no between example_input.first_event_no and example_input.last_event_no
),
visit as (
    select
        example_id,
        first_event_no,
        (row_number() over (
            partition by example_id order by list_sort(list(content)), first_event_no
        ))::integer as visit_no
    from event
    group by example_id, first_event_no
)
select
    event.example_id,
    event.event_no,
    event.event_id,
    coalesce(nullif(event.concept_id, 0), event.source_concept_id, 0) as concept_id,
    coalesce(standard.concept_name, source.concept_name, 'unnamed ' || lower(event.domain)) as concept_name,
    event.domain,
    event.days_before,
    visit.visit_no,
    event.value_as_number,
    unit.concept_name as unit_name,
    event.value_as_concept_id,
    result.concept_name as value_name
from event
inner join visit
    on event.example_id = visit.example_id
    and event.first_event_no = visit.first_event_no
left join read_parquet($concept) as standard
    on event.concept_id = standard.concept_id
    and standard.concept_id <> 0
left join read_parquet($concept) as source
    on event.source_concept_id = source.concept_id
    and source.concept_id <> 0
left join read_parquet($concept) as unit
    on event.unit_concept_id = unit.concept_id
    and unit.concept_id <> 0
left join read_parquet($concept) as result
    on event.value_as_concept_id = result.concept_id
    and result.concept_id <> 0
order by event.example_id, event.content, visit.visit_no, event.event_no
"""

# What stands above the concepts of the events; the vocabulary's own pairs of a concept with itself left out.
ANCESTOR = """
select distinct
    concept_ancestor.descendant_concept_id as concept_id,
    concept_ancestor.ancestor_concept_id
from read_parquet($concept_ancestor) as concept_ancestor
where
    concept_ancestor.descendant_concept_id <> concept_ancestor.ancestor_concept_id
    and concept_ancestor.descendant_concept_id in (select concept_id from read_parquet($event))
order by concept_id, ancestor_concept_id
"""


def cut_examples(
    published: Path,
    task: str,
    target: Path,
    options: ExampleOptions,
    *,
    only: Sequence[str] | None = None,
) -> dict[str, int]:
    """Write `example`, `event`, `ancestor` and `label` of one task as Parquet; return counts.

    `example` is schema `example`, one row an example in order of example_id; `event` its input events in
    the order in which they became known; `ancestor` what stands above their concepts; `label` the reason of
    each null label. The options stand in `draw.json`, so that who was left out can be told again.
    `only` cuts these examples again, to compare with what was shown of them.
    """
    tables = ("cohort", "label", "split", "example_input", "concept", "clinical_event", "concept_ancestor")
    paths = {name: str(published / f"{name}.parquet") for name in tables}
    with in_memory(target.parent) as connection, whole_folder(target) as folder:
        needed = ("cohort", "label", "split", "example_input", "concept")
        connection.execute(
            f"create temp table example as {EXAMPLE}",
            {
                **{name: paths[name] for name in needed},
                "task": task,
                "seed": str(options.seed),
                "max_examples": options.max_examples,
                "only": None if only is None else list(only),
            },
        )
        example, event = folder / "example.parquet", folder / "event.parquet"
        connection.execute(
            "copy (select * exclude (reason) from example order by example_id)"
            f" to '{_quoted(example)}' (format parquet)"
        )
        connection.execute(
            "copy (select example_id, y_true, reason from example order by example_id)"
            f" to '{_quoted(folder / 'label.parquet')}' (format parquet)"
        )
        connection.execute(
            f"copy ({EVENT}) to '{_quoted(event)}' (format parquet)",
            {
                "example": str(example),
                "task": task,
                **{name: paths[name] for name in ("example_input", "clinical_event", "concept")},
            },
        )
        connection.execute(
            f"copy ({ANCESTOR}) to '{_quoted(folder / 'ancestor.parquet')}' (format parquet)",
            {"concept_ancestor": paths["concept_ancestor"], "event": str(event)},
        )
        write_json(folder / DRAW_FILE, asdict(options))
        counts = connection.execute(
            "select count(*), count(distinct person_id), count(y_true), coalesce(sum(y_true), 0),"
            " (select count(*) from read_parquet(?)) from example",
            [str(event)],
        ).fetchall()[0]
    names = ("examples", "persons", "labelled", "cases", "events")
    return dict(zip(names, map(int, counts), strict=True))


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def read_examples(folder: Path) -> pd.DataFrame:
    """Return the checked `example` table of a cut, by example_id; y_true and age are Int64 with nulls."""
    frame = pd.read_parquet(folder / "example.parquet")
    for column in ("y_true", "age"):
        frame[column] = frame[column].astype("Int64")
    return check(frame, "example")


def attrition(published: Path, task: str) -> list[dict[str, int | str]]:
    """Return the attrition of a task, first step to last: description, entries, persons, cases."""
    with in_memory(published.parent) as connection:
        rows = connection.execute(
            "select description, entries, persons, cases from read_parquet(?) where task = ? order by step",
            [str(published / "attrition.parquet"), task],
        ).fetchall()
    return [dict(zip(("description", "entries", "persons", "cases"), row, strict=True)) for row in rows]


def split_counts(examples: Path) -> dict[str, tuple[int, int]]:
    """Return labelled examples and cases by split, every split named even when empty."""
    with in_memory(examples.parent) as connection:
        rows = connection.execute(
            "select split.name, count(example.y_true), coalesce(sum(example.y_true), 0)"
            " from unnest(['train', 'tuning', 'held_out']) as split(name)"
            " left join read_parquet(?) as example on split.name = example.split group by split.name",
            [str(examples / "example.parquet")],
        ).fetchall()
    return {split: (int(n), int(cases)) for split, n, cases in rows}
