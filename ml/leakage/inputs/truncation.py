"""Truncation invariance (METHODS 5): a record cut to its past gives what was shown, to the byte."""

from pathlib import Path

import numpy as np

from ml.artefact import passing_folder
from ml.inputs.examples import ExampleOptions, cut_examples
from ml.inputs.recompute import differing_from
from ml.leakage.record.known import make_known_table
from ml.leakage.rows import Finding
from ml.leakage.shown import Shown

SAMPLE = 300  # persons; a fault in 1 of 100 is found 95 times in 100
CUT_TABLES = ("clinical_event", "example_input", "cohort", "label")

# What was known at the index, numbered anew; a visit's start knows neither end nor disposition.
CLINICAL_EVENT = """
select
    clinical_event.* replace (
        row_number() over (
            partition by clinical_event.person_id
            order by clinical_event.available_date, clinical_event.event_id
        ) as event_no,
        case when clinical_event.domain <> 'Visit' then clinical_event.value_as_number end as value_as_number,
        case
            when clinical_event.domain <> 'Visit' then clinical_event.value_as_concept_id
        end as value_as_concept_id
    )
from clinical_event
inner join sampled on clinical_event.person_id = sampled.person_id
inner join known
    on clinical_event.event_id = known.event_id
    and clinical_event.person_id = known.person_id
where known.known_date < sampled.index_date + $days and clinical_event.domain <> 'Death'
order by clinical_event.person_id, event_no
"""

EXAMPLE_INPUT = """
select
    $task as task,
    sampled.example_id,
    sampled.person_id,
    min(event.event_no) as first_event_no,
    max(event.event_no) as last_event_no,
    count(event.event_no) as n_events
from sampled
left join read_parquet($clinical_event) as event on sampled.person_id = event.person_id
group by sampled.example_id, sampled.person_id
order by sampled.example_id
"""

# Observation ends at the index, and nothing is labelled.
COHORT = """
select cohort.* replace (cohort.index_date as observation_period_end_date)
from cohort
inner join sampled on cohort.example_id = sampled.example_id
order by cohort.example_id
"""

LABEL = """
select
    label.task,
    label.example_id,
    label.person_id,
    label.index_date,
    null::integer as y_true,
    null::varchar as reason
from label
inner join sampled on label.example_id = sampled.example_id
order by label.example_id
"""


def look_at_the_past(shown: Shown) -> list[Finding]:
    """Make each view of a sample again from a snapshot that holds nothing else of these persons."""
    make_known_table(shown)
    example_id = _sample(shown)
    findings = []
    with passing_folder(shown.examples.with_name(".past")) as past:
        _write_past(shown, past)
        cut_examples(past, shown.task.task, past / "cut", ExampleOptions(None, 0), only=example_id)
        for view in shown.views:
            found = differing_from(past / "cut", view.folder, view.view, example_id)
            note = f"`{view.name}`: {len(example_id):,} examples."
            findings.append(Finding(len(example_id), found, note, _smallest(len(example_id))))
    return findings


def _sample(shown: Shown) -> list[str]:
    """Draw persons, and one example of each: the future of one would be the past of another."""
    frame = shown.frame(
        "select example_id, person_id from example order by sha256($seed || '/' || example_id)",
        seed=str(shown.seed),
    ).drop_duplicates("person_id")
    sample = frame.head(SAMPLE)
    shown.connection.register("drawn", sample)
    shown.connection.execute(
        "create or replace temp table sampled as select drawn.example_id, drawn.person_id,"
        " example.index_date::date as index_date from drawn inner join example"
        " on drawn.example_id = example.example_id"
    )
    return sample["example_id"].tolist()


def _write_past(shown: Shown, past: Path) -> None:
    for file in sorted(shown.published.glob("*.parquet")):
        if file.stem not in CUT_TABLES:
            (past / file.name).symlink_to(file.resolve())
    event = past / "clinical_event.parquet"
    for name, query, values in (
        ("clinical_event", CLINICAL_EVENT, {"days": int(shown.includes_index_day)}),
        ("example_input", EXAMPLE_INPUT, {"task": shown.task.task, "clinical_event": str(event)}),
        ("cohort", COHORT, {}),
        ("label", LABEL, {}),
    ):
        path = str(past / f"{name}.parquet").replace("'", "''")
        shown.connection.execute(f"copy ({query}) to '{path}' (format parquet)", values)


def _smallest(n: int) -> str:
    share = 1 - 0.05 ** (1 / n) if n else 1.0
    return f"A fault in fewer than {np.ceil(share * 1000) / 10:g} of 100 examples may pass."
