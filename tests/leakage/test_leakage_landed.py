"""The published record against the landed source, and when it was known, on a few persons written by hand."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from dbt_world import land_rows, observed, person, visit
from published_world import OUTCOME, TASK

from leakage.small_site import write_seeds
from ml.leakage.inputs import lineage
from ml.leakage.record import availability, landed
from ml.leakage.rows import LeakRow
from ml.leakage.shown import open_shown

CHECKS = {check.name: check for module in (landed, availability, lineage) for check in module.CHECKS}
EVENTS = "every_event_is_a_row_of_the_source"
PERSONS = "persons_and_periods_are_those_of_the_source"
EARLY = "no_event_is_known_too_early"
WAITS = "bills_wait_for_the_end_of_their_stay"
CONCEPTS = "outcome_concepts_can_be_recomputed"
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
         "unit": "unit_concept_id"}  # fmt: skip


def published() -> Tables:
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
    with open_shown(root, TASK, seeds=root / "seeds", landing=landing) as shown:
        return CHECKS[name].run(shown)


@pytest.fixture(scope="module")
def landing(tmp_path_factory) -> Path:
    return land_rows(LANDED, tmp_path_factory.mktemp("landed") / "site")


@pytest.mark.parametrize(
    ("name", "looked_at"),
    [(EVENTS, len(PUBLISHED)), (PERSONS, 8), (EARLY, len(PUBLISHED)), (CONCEPTS, 2)],
)
def test_what_was_made_of_the_rows_by_hand_passes(tmp_path, landing, name, looked_at):
    row = look(write_site(tmp_path / "site", published()), name, landing)
    assert (row.looked_at, row.found) == (looked_at, 0)
    assert row.cannot_see


@pytest.mark.parametrize("name", [EVENTS, PERSONS])
def test_without_a_landed_source_nothing_was_looked_at(tmp_path, name):
    row = look(write_site(tmp_path / "site", published()), name, tmp_path / "gone")
    assert (row.looked_at, row.found, row.severity) == (0, 0, "block")


def cell(column: str, value: Any, *, of: int = 12) -> Callable[[Tables], None]:
    """Another value in a column of the event at this place of `PUBLISHED`."""

    def fault(tables: Tables) -> None:
        tables["clinical_event"].loc[of, column] = value

    fault.__name__ = f"{column}_of_{of}"
    return fault


def row_left_out(tables: Tables) -> None:
    tables["clinical_event"] = tables["clinical_event"].iloc[1:]


def one_of_two_alike_left_out(tables: Tables) -> None:
    tables["clinical_event"] = tables["clinical_event"].drop(index=7)


def row_twice(tables: Tables) -> None:
    tables["clinical_event"] = pd.concat([tables["clinical_event"], tables["clinical_event"].tail(1)])


def later_birth(tables: Tables) -> None:
    tables["person"].loc[1, "birth_date"] = date(1951, 1, 1)


def other_sex(tables: Tables) -> None:
    tables["person"].loc[0, "gender_concept_id"] = 8532


def longer_period(tables: Tables) -> None:
    tables["observed_period"].loc[0, "observation_period_end_date"] = date(2021, 12, 31)


def first_period_alone(tables: Tables) -> None:
    tables["observed_period"] = tables["observed_period"].iloc[1:]


def without_what_is_below(tables: Tables) -> None:
    tables["concept_set_member"] = tables["concept_set_member"].iloc[:2]


def with_what_is_invalid(tables: Tables) -> None:
    tables["concept_set_member"].loc[0] = ["outcome", INVALID]


FAULTS = [
    (without_what_is_below, CONCEPTS, 1),
    (with_what_is_invalid, CONCEPTS, 1),
    (cell("value_as_number", 8.5), EVENTS, 2),
    (cell("value_as_number", None), EVENTS, 2),
    (cell("value_as_number", 2.0, of=5), EVENTS, 2),
    (cell("unit_concept_id", None), EVENTS, 2),
    (cell("value_as_concept_id", 8536, of=0), EVENTS, 2),
    (cell("visit_occurrence_id", None, of=5), EVENTS, 2),
    (cell("person_id", 2, of=5), EVENTS, 2),
    (cell("concept_id", 102, of=5), EVENTS, 2),
    (cell("type_concept_id", 1, of=5), EVENTS, 2),
    (cell("event_date", date(2015, 3, 1), of=5), EVENTS, 2),
    (cell("source_table", "condition_era", of=5), EVENTS, 2),
    (row_left_out, EVENTS, 1),
    (one_of_two_alike_left_out, EVENTS, 1),
    (row_twice, EVENTS, 1),
    (later_birth, PERSONS, 2),
    (other_sex, PERSONS, 2),
    (longer_period, PERSONS, 2),
    (first_period_alone, PERSONS, 1),
    (cell("available_date", date(2015, 3, 8), of=5), EARLY, 1),
    (cell("available_date", date(2015, 3, 8), of=10), EARLY, 1),
    (cell("available_date", date(2015, 3, 8), of=1), EARLY, 1),
    (cell("available_date", date(2015, 4, 1), of=13), EARLY, 1),
    (cell("available_date", None, of=11), EARLY, 1),
]


@pytest.mark.parametrize(
    ("fault", "name", "found"), FAULTS, ids=lambda value: getattr(value, "__name__", None)
)
def test_a_fault_of_the_published_record_is_found(tmp_path, landing, fault, name, found):
    tables = published()
    fault(tables)
    row = look(write_site(tmp_path / "site", tables), name, landing)
    assert (row.found, row.severity) == (found, "block")


def test_an_event_that_is_known_late_is_not_known_early(tmp_path, landing):
    tables = published()
    tables["clinical_event"]["available_date"] += timedelta(days=400)
    assert look(write_site(tmp_path / "site", tables), EARLY, landing).found == 0


@pytest.mark.parametrize(("lag", "found"), [(0, 0), (3, 3)])
def test_a_lag_is_for_results_without_a_day_of_their_own(tmp_path, landing, lag, found):
    """Two of the four results have one; the third event that is known too early is the drug."""
    root = write_site(tmp_path / "site", published())
    rules = (root / "seeds" / "availability.csv").read_text(encoding="utf-8")
    rules = rules.replace("result_date,0", f"result_date,{lag}").replace(
        "drug_exposure,,own_date,0", f"drug_exposure,,own_date,{lag}"
    )
    (root / "seeds" / "availability.csv").write_text(rules, encoding="utf-8")
    assert look(root, EARLY, landing).found == found


@pytest.mark.parametrize(
    ("visit_id", "day", "open_stay", "found"),
    [(10, 2, None, 0), (10, 2, 20, 1), (None, 2, None, 3), (999, 2, None, 3), (None, 9, None, 0)],
)
def test_bills_that_do_not_wait_for_a_stay_are_counted(tmp_path, landing, visit_id, day, open_stay, found):
    """A row of the last day is final on it; the stay of person 2 has no end."""
    tables = published()
    events = tables["clinical_event"]
    events.loc[8, "visit_occurrence_id"] = open_stay
    mine = (events["person_id"] == -1) & (events["source_table"] == "condition_occurrence")
    events.loc[mine, "visit_occurrence_id"] = visit_id
    events.loc[mine, ["event_date", "available_date"]] = date(2015, 3, day)
    row = look(write_site(tmp_path / "site", tables), WAITS, landing)
    assert (row.looked_at, row.found, row.severity) == (6, found, "warn")


@pytest.mark.parametrize(
    ("concept", "first", "last", "day", "procedure_of", "known_later", "found"),
    [
        (9203, 1, 1, 1, 10, 0, 0),  # the emergency part of a stay that has a bill of its own
        (9203, 1, 1, 1, 11, 0, 4),  # all bills of the stay hang on it
        (9203, 1, 1, 2, 10, 0, 3),  # it was over
        (9203, 1, 1, 2, 10, 9, 0),  # it was over, but nothing was known before the stay was
        (OFFICE, 2, 3, 2, 10, 0, 0),  # a consultation
        (OFFICE, 3, 3, 2, 10, 0, 3),  # one that was to come
        (STAY, 1, 9, 2, 10, 0, 0),  # another stay that lasts as long
    ],
)
def test_bills_of_a_visit_that_ends_before_the_stay_are_counted(
    tmp_path, landing, concept, first, last, day, procedure_of, known_later, found
):
    """Person -1 is in hospital from the first to the ninth, with three diagnoses and a procedure."""
    tables = published()
    events = tables["clinical_event"]
    events.loc[8, "visit_occurrence_id"] = None
    events.loc[[5, 6, 7], "visit_occurrence_id"] = 11
    events.loc[[5, 6, 7], "event_date"] = date(2015, 3, day)
    events.loc[[5, 6, 7], "available_date"] = date(2015, 3, day + known_later)
    events.loc[10, "visit_occurrence_id"] = procedure_of
    events.loc[10, "available_date"] = date(2015, 3, 8)
    more = events.loc[[0, 1]].assign(
        event_id=[100, 101], visit_occurrence_id=11, event_date=[date(2015, 3, n) for n in (first, last)],
        value_as_concept_id=None,
    )  # fmt: skip
    more["concept_id"] = concept
    tables["clinical_event"] = pd.concat([events, more.astype(events.dtypes)], ignore_index=True)
    tables["concept_set_member"].loc[3] = ["inpatient_or_emergency_visit", 9203]
    row = look(write_site(tmp_path / "site", tables), WAITS, landing)
    assert (row.found, row.severity) == (found, "warn")


@pytest.mark.parametrize(("starts", "known", "found"), [(4, 4, 0), (5, 4, 3), (5, 5, 0), (3, 4, 0)])
def test_rows_that_are_older_than_their_visit_are_counted(tmp_path, landing, starts, known, found):
    """Three diagnoses of the third of March, known on another day, of a visit that begins on one."""
    tables = published()
    events = tables["clinical_event"]
    events["visit_occurrence_id"] = pd.array([None] * len(events), dtype="Int64")
    events.loc[[5, 6, 7], "visit_occurrence_id"] = 11
    events.loc[[5, 6, 7], "event_date"] = date(2015, 3, 3)
    events.loc[[5, 6, 7], "available_date"] = date(2015, 3, known)
    visit = events.loc[[0]].assign(event_id=100, visit_occurrence_id=11, event_date=date(2015, 3, starts))
    visit["concept_id"] = OFFICE
    tables["clinical_event"] = pd.concat([events, visit.astype(events.dtypes)], ignore_index=True)
    row = look(write_site(tmp_path / "site", tables), "rows_are_not_older_than_their_visit", landing)
    assert (row.looked_at, row.found, row.severity) == (3, found, "warn")
