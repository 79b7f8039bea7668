"""The hand-written label programs of the benchmark against the oracle, on persons at every window's edges."""

from collections import Counter
from datetime import date

import pandas as pd
import pytest
from definitions.catalogue import read_seed
from definitions.oracle import Source, judge
from definitions.record import Event, Period, Record
from definitions.task import read_task

from benchmarks.labels import by_duckdb, by_pandas
from benchmarks.labels.boundary import DATA_END, HEART_FAILURE, TYPE_2_DIABETES, boundary_rows
from benchmarks.labels.comparing import compared, made, of_file

SETS = {"type_2_diabetes": frozenset({TYPE_2_DIABETES}), "heart_failure": frozenset({HEART_FAILURE})}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """The tables that the programs read, of 2,000 persons."""
    folder = tmp_path_factory.mktemp("inputs")
    members = [{"concept_set": name, "concept_id": i} for name, ids in SETS.items() for i in sorted(ids)]
    for name, rows in {**boundary_rows(2000, seed=3), "concept_set_member": pd.DataFrame(members)}.items():
        rows.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


@pytest.fixture(scope="module")
def expected(inputs):
    """The oracle's labels as a file of the same form."""
    task = next(row for row in read_seed("tasks") if row["task"] == "dhf_1y")
    records = _records(inputs)
    judged = judge(Source(records, SETS, Counter(), DATA_END), read_task(task, read_seed("criteria")), 0)
    rows = pd.DataFrame([vars(row) for row in judged.labels])
    rows.astype({"y_true": "Int64"}).to_parquet(inputs / "oracle_labels.parquet", index=False)
    return of_file(inputs / "oracle_labels.parquet")


def test_the_oracle_finds_every_label_and_reason(expected):
    assert min(made(expected).values()) >= 10
    assert set(made(expected)) == {
        "y_true_0",
        "y_true_1",
        "death_before_index_known_later",
        "outcome_before_index_known_later",
        "lost_to_follow_up",
    }


@pytest.mark.parametrize("program", [by_duckdb, by_pandas], ids=["duckdb", "pandas"])
def test_a_program_agrees_with_the_oracle(program, inputs, expected, tmp_path):
    program.main(inputs, tmp_path / "labels.parquet")
    counts = compared(expected, of_file(tmp_path / "labels.parquet"))
    assert counts.pop("equal") == sum(made(expected).values())
    assert set(counts.values()) == {0}


def test_differences_are_counted_once_each(inputs, expected, tmp_path):
    labels = pd.read_parquet(inputs / "oracle_labels.parquet").sort_values("person_id", ignore_index=True)
    cases = labels.index[labels["y_true"] == 1]
    changed = labels.drop(index=cases[0])
    changed.loc[cases[1], "y_true"] = 0
    changed.loc[cases[2], "index_date"] = date(1999, 1, 1)
    changed.loc[labels["reason"].notna().idxmax(), "reason"] = "another"
    changed.loc[cases[3], "outcome_date"] = date(1999, 1, 1)
    changed.to_parquet(tmp_path / "changed.parquet", index=False)
    assert compared(expected, of_file(tmp_path / "changed.parquet")) == {
        "equal": len(labels) - 5,
        "only_ours": 2,
        "only_theirs": 1,
        "other_label": 1,
        "other_reason": 1,
        "other_outcome_date": 1,
    }


def _records(inputs):
    tables = {file.stem: pd.read_parquet(file).to_dict("records") for file in inputs.glob("*.parquet")}
    records = {}
    for row in tables["person"]:
        birth = row["birth_date"]
        born = None if birth is None else (birth.year, birth.month, birth.day)
        records[row["person_id"]] = Record(row["person_id"], row["gender_concept_id"], born)
    for row in tables["observed_period"]:
        period = Period(row["observation_period_start_date"], row["observation_period_end_date"])
        records[row["person_id"]].periods.append(period)
    for row in tables["clinical_event"]:
        record = records[row["person_id"]]
        event = Event(row["domain"], row["concept_id"], row["event_date"], row["available_date"])
        if event.domain == "Death":
            deaths = [event] if record.death is None else [event, record.death]
            record.death = min(deaths, key=lambda death: (death.date, death.available))
        else:
            record.add(event)
    return records
