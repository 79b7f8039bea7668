"""A few persons written by hand: their landed rows, and the snapshot that an analyst makes of them."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from dbt_world import observed, person, visit
from published_world import OUTCOME, TASK

from leakage.small_site import write_seeds
from ml.leakage.inputs import lineage
from ml.leakage.record import availability, landed
from ml.leakage.rows import LeakRow
from ml.leakage.shown import open_shown

CHECKS = {check.name: check for module in (landed, availability, lineage) for check in module.CHECKS}
STAY, OFFICE, TYPE = 9201, 9202, 32020
BELOW, INVALID = 3001, 3002  # the outcome
Tables = dict[str, pd.DataFrame]


def row(table: str, prefix: str, person_id: int, concept: int | None, day: str | None, **cells: Any) -> dict:
    """A landed row of a table whose columns start with a prefix."""
    dated = {"drug": "drug_exposure_start_date", "condition": "condition_start_date"}
    return {
        "person_id": person_id,
        f"{prefix}_concept_id": concept,
        f"{prefix}_type_concept_id": TYPE,
        dated.get(prefix, f"{prefix}_date"): day,
        **cells,
    }


def of_table(table: str, *rows: tuple) -> list[dict]:
    prefix = table.split("_")[0]
    return [row(table, prefix, *cells[:3], **(cells[3] if len(cells) > 3 else {})) for cells in rows]


# Ids are signed. Person 7 is in no person row. What stands here as odd stands in some source: a code that is
# null, a row twice, a row without a day, a visit that is nowhere, an end before its start, several deaths.
LANDED = {
    "person": [
        person(-1),
        {**person(2), "month_of_birth": None, "day_of_birth": None},
        {**person(3), "month_of_birth": 2, "day_of_birth": 31},
        person(4),
    ],
    "observation_period": [
        *(observed(one) for one in (-1, 2, 3, 4, 7)),
        observed(2),
        observed(3, "2022-01-01", "2021-01-01"),
    ],
    "visit_occurrence": [
        {**visit(10, -1, STAY, "2015-03-01", "2015-03-09"), "discharged_to_concept_id": 8536},
        visit(20, 2, STAY, "2015-03-01", None),
        visit(30, 3, OFFICE, "2015-03-05", "2015-03-04"),
        visit(70, 7, OFFICE, "2015-03-05", "2015-03-05"),
    ],
    "condition_occurrence": of_table(
        "condition_occurrence",
        (-1, 101, "2015-03-02", {"visit_occurrence_id": 10}),
        (-1, 102, "2015-03-02", {"visit_occurrence_id": 10, "condition_source_concept_id": 55}),
        (-1, 102, "2015-03-02", {"visit_occurrence_id": 10, "condition_source_concept_id": 55}),
        (2, None, "2015-03-02", {"visit_occurrence_id": 20}),
        (2, 103, None),
        (3, 103, "2015-03-05", {"visit_occurrence_id": 999}),
        (7, 103, "2015-03-05"),
    ),
    "procedure_occurrence": of_table(
        "procedure_occurrence", (-1, 201, "2015-03-08", {"visit_occurrence_id": 10})
    ),
    "drug_exposure": of_table("drug_exposure", (2, 301, "2015-04-01")),
    "measurement": of_table(
        "measurement",
        (2, 401, "2015-04-01", {"value_as_number": 7.5, "unit_concept_id": 8840}),
        (2, 402, "2015-04-01", {"value_as_number": 3.0, "measurement_datetime": "2015-04-01 10:00"}),
        (2, 402, "2015-04-01", {"value_as_number": 3.0, "measurement_datetime": "2015-04-06 10:00"}),
        (3, 401, "2015-04-01"),
    ),
    "observation": of_table("observation", (3, 501, "2015-04-01", {"value_as_concept_id": 45877994})),
    "death": [
        {"person_id": 4, "death_date": "2016-02-01", "cause_concept_id": 6},
        {"person_id": 4, "death_date": "2016-01-01"},
    ],
    "concept": [{"concept_id": INVALID, "invalid_reason": "D"}, {"concept_id": BELOW}],
    "concept_ancestor": [
        {"ancestor_concept_id": OUTCOME, "descendant_concept_id": one} for one in (OUTCOME, BELOW, INVALID)
    ],
}
# person, table, domain, concept, day, known, and what else: what an analyst makes of these rows by hand.
PUBLISHED = [
    (-1, "visit_occurrence", "Visit", STAY, "03-01", "03-01", {"visit": 10}),
    (-1, "visit_occurrence", "Visit end", STAY, "03-09", "03-09", {"visit": 10, "value": 8536}),
    (2, "visit_occurrence", "Visit", STAY, "03-01", "03-01", {"visit": 20}),
    (3, "visit_occurrence", "Visit", OFFICE, "03-05", "03-05", {"visit": 30}),
    (3, "visit_occurrence", "Visit end", OFFICE, "03-05", "03-05", {"visit": 30}),
    (-1, "condition_occurrence", "Condition", 101, "03-02", "03-09", {"visit": 10}),
    (-1, "condition_occurrence", "Condition", 102, "03-02", "03-09", {"visit": 10, "source": 55}),
    (-1, "condition_occurrence", "Condition", 102, "03-02", "03-09", {"visit": 10, "source": 55}),
    (2, "condition_occurrence", "Condition", 0, "03-02", "03-02", {"visit": 20}),
    (3, "condition_occurrence", "Condition", 103, "03-05", "03-05", {"visit": 999}),
    (-1, "procedure_occurrence", "Procedure", 201, "03-08", "03-09", {"visit": 10}),
    (2, "drug_exposure", "Drug", 301, "04-01", "04-01", {}),
    (2, "measurement", "Measurement", 401, "04-01", "04-01", {"number": 7.5, "unit": 8840}),
    (2, "measurement", "Measurement", 402, "04-01", "04-06", {"number": 3.0}),
    (2, "measurement", "Measurement", 402, "04-01", "04-01", {"number": 3.0}),
    (3, "measurement", "Measurement", 401, "04-01", "04-01", {}),
    (3, "observation", "Observation", 501, "04-01", "04-01", {"value": 45877994}),
    (4, "death", "Death", 0, "01-01", "01-01", {"year": 2016}),
]
KINDS = {"visit": "visit_occurrence_id", "value": "value_as_concept_id", "number": "value_as_number",
         "unit": "unit_concept_id"}  # fmt: skip  # fmt: skip


def published() -> Tables:
    """Return the tables of the snapshot, to put a fault in."""
    events = [
        {
            "event_id": n,
            "person_id": person_id,
            "concept_id": concept,
            "source_concept_id": cells.get("source", 0),
            "domain": domain,
            "event_date": date.fromisoformat(f"{cells.get('year', 2015)}-{day}"),
            "available_date": date.fromisoformat(f"{cells.get('year', 2015)}-{known}"),
            "source_table": table,
            "type_concept_id": {"visit_occurrence": 44818517, "death": None}.get(table, TYPE),
            **{column: cells.get(kind) for kind, column in KINDS.items()},
        }
        for n, (person_id, table, domain, concept, day, known, cells) in enumerate(PUBLISHED)
    ]
    frame = pd.DataFrame(events).astype(
        {column: "Int64" for kind, column in KINDS.items() if kind != "number"}
    )
    born = {-1: "1950-06-15", 2: "1950-01-01", 3: "1950-02-01", 4: "1950-06-15"}
    persons = pd.DataFrame(
        {
            "person_id": list(born),
            "gender_concept_id": 8507,
            "birth_date": [date.fromisoformat(day) for day in born.values()],
        }
    )
    periods = pd.DataFrame({"person_id": list(born)}).assign(
        observation_period_start_date=date(2010, 1, 1), observation_period_end_date=date(2020, 12, 31)
    )
    return {
        "clinical_event": frame.astype({"value_as_number": "float64"}),
        "person": persons,
        "observed_period": periods,
        "concept_set_member": pd.DataFrame(
            {
                "concept_set": ["inpatient_or_emergency_visit", "outcome", "outcome"],
                "concept_id": [STAY, OUTCOME, BELOW],
            }
        ),
        **dict.fromkeys(("cohort", "label"), pd.DataFrame({"task": ["other"], "example_id": ["none"]})),
    }


def write_site(root: Path, tables: Tables) -> Path:
    """Write the tables, and a cut that holds every person."""
    examples = root / "tasks" / TASK.task / "examples"
    for folder in (root / "published", examples):
        folder.mkdir(parents=True)
    for name, frame in tables.items():
        frame.to_parquet(root / "published" / f"{name}.parquet", index=False)
    ids = [one["person_id"] for one in LANDED["person"]]
    for name in ("example", "event", "ancestor"):
        frame = pd.DataFrame({"example_id": list(map(str, ids)), "person_id": ids})
        frame.to_parquet(examples / f"{name}.parquet", index=False)
    write_seeds(root / "seeds")
    return root


def look(root: Path, name: str, landing: Path) -> LeakRow:
    """Run a check on what is written below a folder, beside these landed rows."""
    with open_shown(root, TASK, seeds=root / "seeds", landing=landing) as shown:
        return CHECKS[name].run(shown)


def cell(column: str, value: Any, *, of: int = 12) -> Callable[[Tables], None]:
    """Another value in a column of the event at this place of `PUBLISHED`."""

    def fault(tables: Tables) -> None:
        tables["clinical_event"].loc[of, column] = value

    fault.__name__ = f"{column}_of_{of}"
    return fault
