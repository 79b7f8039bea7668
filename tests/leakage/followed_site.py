"""A site of hand-made persons for what was followed: periods, deaths, stays and values, no views.

    write(tmp_path, task, [Person(...), ...])

Days are counted from 1 January 2015, the index of everybody is day 0 unless a person says otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
from published_world import TASK

from ml.tasks import Criterion, Task

FIRST = date(2015, 1, 1)
ENTRY, OUTCOME, STAY, VALUE, UNIT = 1, 2, 3, 4, 5
SETS = {"entry": ENTRY, "outcome": OUTCOME, "inpatient": STAY, "test": VALUE}

OF_EVENT = replace(TASK, death_policy="null_label")
OF_STAY = replace(
    TASK, anchor="visit_start", tar_end="visit_end", tar_end_days=None, outcome_in_history="allow",
    index_day_input="include",
    criteria=(
        Criterion(TASK.task, 1, "entry", "Stay", "admission", concept_set="inpatient"),
        Criterion(TASK.task, 2, "outcome", "Stay", "a week", concept_set="inpatient", min_length_days=7),
    ),
)  # fmt: skip
OF_VALUE = replace(
    TASK, unmeasured_policy="null_label",
    criteria=(
        Criterion(TASK.task, 1, "entry", "Condition", "an entry", concept_set="entry"),
        Criterion(TASK.task, 2, "outcome", "Measurement", "low", concept_set="test", value_operator="<",
                  value_threshold=11.0, unit_concept_id=UNIT),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """One example and what its label should be; `events` are (day, domain, concept, value, known days later).

    `stays`: (first day, last day or None) of visits to a hospital.
    """

    y_true: int | None = 0
    reason: str | None = None
    outcome: int | None = None
    events: tuple[tuple[int, str, int, float | None, int], ...] = ()
    stays: tuple[tuple[int, int | None], ...] = ()
    dies: int | None = None
    dies_known: int = 0
    starts: int = -900
    ends: int = 900
    index: int = 0
    born: int = -60 * 365


def day(n: int | None) -> date | None:
    """Return a day by its number."""
    return None if n is None else FIRST + timedelta(days=n)


def write(root: Path, task: Task, persons: Sequence[Person], *, data_end: int = 1000) -> Path:
    """Write the snapshot and the cut of these persons, ids 1, 2, ...; splits in turns of ten."""
    rows: dict[str, list[dict]] = {}

    def add(table: str, **cells) -> None:
        rows.setdefault(table, []).append(cells)

    for number, one in enumerate(persons, start=1):
        key = {"task": task.task, "example_id": f"{number:016x}", "person_id": number}
        split = ("train", "tuning", "held_out")[(number % 10 > 6) + (number % 10 > 7)]
        period = {
            "observation_period_start_date": day(one.starts),
            "observation_period_end_date": day(one.ends),
        }
        last = min(one.ends, one.ends if one.dies is None else one.dies)
        ends = [end for start, end in one.stays if start == one.index]
        at_risk = {"tar_start_date": day(one.index + 1), "tar_end_date": day(one.index + 365)}
        if task.tar_end == "visit_end":
            at_risk["tar_end_date"] = day(ends[0]) if ends else None
        label = {"y_true": one.y_true, "reason": one.reason, "outcome_date": day(one.outcome)}
        add("person", person_id=number, birth_date=day(one.born), gender_concept_id=8507)
        add("split", person_id=number, split=split)
        add("observed_period", person_id=number, **period)
        add("cohort", **key, index_date=day(one.index), **period)
        add("label", **key, **label, **at_risk, follow_up_end_date=day(last))
        add("example", **key, index_date=day(one.index), split=split, y_true=one.y_true,
            age=(one.index - one.born) // 365)  # fmt: skip
        events: list[tuple[int, int, str, int, float | None, int | None]] = [
            (n, n + later, domain, concept, value, None) for n, domain, concept, value, later in one.events
        ]
        for visit, (start, end) in enumerate(one.stays):
            events.append((start, start, "Visit", STAY, None, visit))
            events += [] if end is None else [(end, end, "Visit end", STAY, None, visit)]
        if one.dies is not None:
            events.append((one.dies, one.dies + one.dies_known, "Death", 0, None, None))
        for n, known, domain, concept, value, visit in events:
            add("clinical_event", event_id=len(rows.get("clinical_event", [])), person_id=number,
                domain=domain, concept_id=concept, event_date=day(n), available_date=day(known),
                visit_occurrence_id=visit, value_as_number=value, value_as_concept_id=None,
                unit_concept_id=UNIT if value is not None else None)  # fmt: skip
    rows["study_period"] = [
        {"data_end": day(data_end), "coding_lag_days": 0, "last_tar_end_date": day(data_end)}
    ]
    rows["concept_set_member"] = [{"concept_set": name, "concept_id": one} for name, one in SETS.items()]
    rows["event"], rows["ancestor"] = [{"event_id": 0}], [{"ancestor_concept_id": 0}]
    examples = root / "tasks" / task.task / "examples"
    for table, made in rows.items():
        folder = examples if table in ("example", "event", "ancestor") else root / "published"
        folder.mkdir(parents=True, exist_ok=True)
        _typed(pd.DataFrame(made)).to_parquet(folder / f"{table}.parquet", index=False)
    return root


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """Give columns that hold nulls the type that the snapshot has."""
    types = {"y_true": "Int64", "visit_occurrence_id": "Int64", "value_as_concept_id": "Int64",
             "unit_concept_id": "Int64", "value_as_number": "Float64", "reason": "string"}  # fmt: skip
    dates = {name: "date32[day][pyarrow]" for name in map(str, frame) if name.endswith(("_date", "_end"))}
    return frame.astype({name: kind for name, kind in {**types, **dates}.items() if name in frame})
