"""Patient texts: age and sex first, then the record, most recent first, with time and frequency."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from ml.artefact import whole_file


@dataclass(frozen=True)
class TextOptions:
    """How a record becomes words; `max_concepts` newest concepts are kept, the rest is counted."""

    max_concepts: int = 64


# One item a concept, at its most recent day, with its latest value and the number of distinct days it
# was recorded on. Names of concepts and units are data: line breaks, `;` and a `.` that ends a word are
# taken out, since they are the structure; the point of `0.5 MG` stays. NaN and infinity are no values.
PLAIN_NAME = (
    r"trim(regexp_replace(regexp_replace({0}, '[\pC\p{{Zl}}\p{{Zp}};]+', ' ', 'g'), '[.]+( |$)', ' ', 'g'))"
)
PATIENT_TEXT = rf"""
with
event as (
    select
        * replace (case when isfinite(value_as_number) then value_as_number end as value_as_number),
        coalesce(
            nullif({PLAIN_NAME.format("concept_name")}, ''), 'unnamed ' || lower(domain)
        ) as name,
        {PLAIN_NAME.format("unit_name")} as unit
    from read_parquet($event)
),
concept_seen as (
    select
        example_id,
        domain,
        name,
        min(days_before) as days_before,
        count(distinct days_before) as n_days,
        max(event_no) as last_event_no,
        arg_max(value_as_number, event_no) filter (where value_as_number is not null) as value,
        arg_max(coalesce(unit, ''), event_no) filter (where value_as_number is not null) as unit
    from event
    group by example_id, domain, concept_id, name
),
ranked as (
    select
        *,
        row_number() over (
            partition by example_id
            order by days_before, domain, last_event_no desc, name
        ) as rank
    from concept_seen
),
item as (
    select
        example_id,
        days_before,
        rank,
        name
        || case when value is null then '' else ' ' || printf('%.4g', value) || rtrim(' ' || unit) end
        || case when n_days > 1 then ' (' || n_days || ' times)' else '' end as words
    from ranked
    where rank <= $max_concepts
),
day as (
    select
        example_id,
        days_before,
        case
            when days_before = 1 then '1 day before: '
            else days_before || ' days before: '
        end || string_agg(words, '; ' order by rank) || '.' as words
    from item
    group by example_id, days_before
),
record as (
    select
        example_id,
        string_agg(words, ' ' order by days_before) as words
    from day
    group by example_id
),
concept_count as (
    select
        example_id,
        count(*) as n_concepts,
        count(*) filter (where rank <= $max_concepts) as n_concepts_shown
    from ranked
    group by example_id
),
patient_text as (
    select
        example.example_id,
        coalesce(
            example.age || '-year-old ' || coalesce(example.sex, 'person'),
            coalesce(example.sex, 'person') || ' of unknown age'
        ) || '. '
        || coalesce(record.words, 'Nothing recorded before.') as text,
        example.n_events,
        coalesce(concept_count.n_concepts, 0) as n_concepts,
        coalesce(concept_count.n_concepts_shown, 0) as n_concepts_shown
    from read_parquet($example) as example
    left join record on example.example_id = record.example_id
    left join concept_count on example.example_id = concept_count.example_id
)
select
    example_id,
    text,
    sha256(text) as text_sha256,
    n_events,
    n_concepts,
    n_concepts_shown
from patient_text
order by example_id
"""


def write_patient_text(examples: Path, target: Path, options: TextOptions) -> dict[str, int]:
    """Write one text an example as Parquet, ordered by example_id; return counts for the record.

    Columns: example_id, text, text_sha256, n_events, n_concepts, n_concepts_shown.
    `examples` is a folder with `example.parquet` and `event.parquet`, as the firebreak cuts them.
    """
    with duckdb.connect() as connection, whole_file(target) as temporary:
        connection.execute("set timezone = 'UTC'; set threads = 1")
        quoted = str(temporary).replace("'", "''")
        connection.execute(
            f"copy ({PATIENT_TEXT}) to '{quoted}' (format parquet)",
            {
                "event": str(examples / "event.parquet"),
                "example": str(examples / "example.parquet"),
                "max_concepts": options.max_concepts,
            },
        )
        counts = connection.execute(
            "select count(*), count(distinct text_sha256), coalesce(sum(n_concepts - n_concepts_shown), 0),"
            " coalesce(max(length(text)), 0) from read_parquet(?)",
            [str(temporary)],
        ).fetchall()[0]
    return dict(
        zip(("texts", "distinct_texts", "concepts_cut", "longest_text"), map(int, counts), strict=True)
    )
