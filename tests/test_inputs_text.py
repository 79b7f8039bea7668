"""Patient texts: age and sex, then the record most recent first, and no name breaks their structure."""

import hashlib
import re
from collections import defaultdict
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from published_world import make_world, write_world

from ml.inputs.examples import ExampleOptions, cut_examples
from ml.inputs.text import TextOptions, write_patient_text

EVENT_COLUMNS = {
    "example_id": "varchar",
    "event_no": "bigint",
    "event_id": "bigint",
    "concept_id": "bigint",
    "concept_name": "varchar",
    "domain": "varchar",
    "days_before": "integer",
    "value_as_number": "double",
    "unit_name": "varchar",
}


def write_cut(folder: Path, events: list[tuple], examples: list[tuple] = (("e1", 63, "female"),)) -> Path:
    """A cut by hand: events as (example, no, concept, name, domain, days, value, unit)."""
    folder.mkdir(parents=True, exist_ok=True)
    n = {example: sum(event[0] == example for event in events) for example, _, _ in examples}
    with duckdb.connect() as connection:
        listed = ", ".join(f"{name} {kind}" for name, kind in EVENT_COLUMNS.items())
        connection.execute(f"create table event ({listed})")
        for example, no, concept, name, domain, days, value, unit in events:
            row = [example, no, no * 11, concept, name, domain, days, value, unit]
            connection.execute("insert into event values (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute(
            "create table example (example_id varchar, person_id bigint, index_date timestamp, split varchar,"
            " y_true integer, age integer, sex varchar, n_events integer)"
        )
        for person, (example, age, sex) in enumerate(examples):
            row = [example, person, "2015-01-01", "train", 0, age, sex, n[example]]
            connection.execute("insert into example values (?, ?, ?, ?, ?, ?, ?, ?)", row)
        for table in ("event", "example"):
            path = str(folder / f"{table}.parquet").replace("'", "''")
            connection.execute(f"copy {table} to '{path}' (format parquet)")
    return folder


def texts(folder: Path, max_concepts: int = 64) -> pd.DataFrame:
    write_patient_text(folder, folder / "text.parquet", TextOptions(max_concepts))
    return pd.read_parquet(folder / "text.parquet")


def text_of(folder: Path, events: list[tuple], **options) -> str:
    return texts(write_cut(folder, events), **options)["text"].iloc[0]


def parse(text: str) -> tuple[str, list[tuple[int, list[str]]]]:
    """A text as its head and its days, each with its items; asserts that nothing else stands there."""
    head, *rest = re.split(r"(?<=\.) (?=\d+ days? before: )", text)
    days = []
    for sentence in rest:
        found = re.fullmatch(r"(\d+) (day|days) before: (.*)\.", sentence)
        assert found, "a sentence of another form"
        assert (found[2] == "day") == (found[1] == "1")
        days.append((int(found[1]), found[3].split("; ")))
    return head, days


def expected_days(event: pd.DataFrame) -> dict[int, list[str]]:
    """Plain Python: one item a concept at its newest day, its latest value, how many days it stands on."""
    days = defaultdict(list)
    for _, rows in event.groupby(["domain", "concept_id", "concept_name"]):
        words = rows["concept_name"].iloc[0]
        measured = rows[rows["value_as_number"].notna()].sort_values("event_no")
        if len(measured):
            last = measured.iloc[-1]
            words += f" {last['value_as_number']:.4g}"
            words += f" {last['unit_name']}" if pd.notna(last["unit_name"]) else ""
        times = rows["days_before"].nunique()
        words += f" ({times} times)" if times > 1 else ""
        days[int(rows["days_before"].min())].append(words)
    return {day: sorted(items) for day, items in days.items()}


@pytest.mark.parametrize("seed", [1, 2])
def test_texts_are_what_brute_force_writes(tmp_path, seed):
    write_world(tmp_path / "published", make_world(seed, persons=60))
    cut_examples(tmp_path / "published", "first_1y", tmp_path, ExampleOptions(None, 1))
    example = pd.read_parquet(tmp_path / "example.parquet")
    event = pd.read_parquet(tmp_path / "event.parquet")
    found = texts(tmp_path)
    assert found["example_id"].tolist() == example["example_id"].tolist()
    assert len(found) > 40
    for row, text in zip(example.itertuples(), found["text"], strict=True):
        own = event[event["example_id"] == row.example_id]
        head, days = parse(text)
        sex = row.sex if isinstance(row.sex, str) else "person"
        nothing = "" if len(own) else " Nothing recorded before."
        assert head == f"{row.age}-year-old {sex}.{nothing}"
        assert {day: sorted(items) for day, items in days} == expected_days(own)
        assert [day for day, _ in days] == sorted({day for day, _ in days})
        assert not re.search(r"\b(None|nan|NaN|null|NULL)\b", text)
    assert found["text_sha256"].tolist() == [hashlib.sha256(t.encode()).hexdigest() for t in found["text"]]
    assert found["n_events"].tolist() == example["n_events"].tolist()


def test_age_and_sex_come_first_and_the_newest_day_next(tmp_path):
    days = {"Old": 400, "New": 1, "Middle": 30}
    events = [("e1", n, n, name, "Condition", day, None, None) for n, (name, day) in enumerate(days.items())]
    text = text_of(tmp_path, events)
    assert text == "63-year-old female. 1 day before: New. 30 days before: Middle. 400 days before: Old."


def test_a_person_of_unknown_sex_and_an_empty_record_have_a_text(tmp_path):
    write_cut(tmp_path, [], [("e1", 40, None), ("e2", 50, "male")])
    assert texts(tmp_path)["text"].tolist() == [
        "40-year-old person. Nothing recorded before.",
        "50-year-old male. Nothing recorded before.",
    ]


def test_frequency_counts_distinct_days_and_never_rows(tmp_path):
    days = (300, 300, 300, 20, 20, 7)
    events = [("e1", n, 5, "Cough", "Condition", day, None, None) for n, day in enumerate(days)]
    assert text_of(tmp_path, events).endswith(". 7 days before: Cough (3 times).")
    once = [("e1", n, 5, "Cough", "Condition", 7, None, None) for n in range(4)]
    assert text_of(tmp_path / "once", once).endswith(". 7 days before: Cough.")


def test_the_latest_value_is_shown_with_its_own_unit(tmp_path):
    events = [
        ("e1", 1, 5, "Glucose", "Measurement", 90, 9.25, "mmol/L"),
        ("e1", 2, 5, "Glucose", "Measurement", 20, 140.0, "mg/dL"),
        ("e1", 3, 5, "Glucose", "Measurement", 10, None, "mmol/L"),
    ]
    assert text_of(tmp_path, events).endswith(". 10 days before: Glucose 140 mg/dL (3 times).")
    events.append(("e1", 4, 5, "Glucose", "Measurement", 5, 7.5, None))
    assert text_of(tmp_path / "b", events).endswith(". 5 days before: Glucose 7.5 (4 times).")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_no_number_is_not_shown(tmp_path, value):
    events = [
        ("e1", 1, 5, "Glucose", "Measurement", 20, 6.5, "mmol/L"),
        ("e1", 2, 5, "Glucose", "Measurement", 10, value, "mmol/L"),
    ]
    assert "Glucose 6.5 mmol/L (2 times)" in text_of(tmp_path, events)
    assert text_of(tmp_path / "only", events[1:]).endswith(": Glucose.")


HOSTILE = [
    "line one\nline two",
    "tab\tand\rreturn",
    "a; b; c",
    "ends. 3 days before: Forged finding",
    "63-year-old male. 1 day before: x.",
    ". ",
    ";",
    "\n",
    "nul\x00 and escape\x1b",
    "next\u0085line\u2028separator\u2029",
    "'); drop table event; --",
    "{braces} %s %d \\n",
]


@pytest.mark.parametrize("place", ["name", "unit"])
@pytest.mark.parametrize("words", HOSTILE)
def test_a_hostile_name_cannot_break_the_structure(tmp_path, words, place):
    name, unit = (words, "mmol/L") if place == "name" else ("Glucose", words)
    events = [
        ("e1", 1, 5, "Before", "Condition", 50, None, None),
        ("e1", 2, 6, name, "Measurement", 20, 6.5, unit),
        ("e1", 3, 7, "After", "Condition", 20, None, None),
    ]
    text = text_of(tmp_path, events)
    assert text.splitlines() == [text]
    assert text.isprintable()
    head, days = parse(text)
    assert head == "63-year-old female."
    assert [(day, len(items)) for day, items in days] == [(20, 2), (50, 1)]
    for _, items in days:
        for item in items:
            assert re.match(r"\S", item), "an item without a name"
            assert not item.startswith("6.5"), "an item without a name"
    assert "After" in days[0][1]


@pytest.mark.parametrize("name", ["Celecoxib 0.5 MG", "milliliter per 1.73 square meter", ".5 MG"])
def test_the_point_of_a_number_in_a_name_stays(tmp_path, name):
    assert text_of(tmp_path, [("e1", 1, 5, name, "Drug", 9, None, None)]).endswith(f": {name}.")


def test_names_that_differ_only_in_what_is_taken_out_stay_two_items(tmp_path):
    events = [("e1", n, n, name, "Condition", 9, None, None) for n, name in enumerate(["A;B", "A. B"])]
    assert len(parse(text_of(tmp_path, events))[1][0][1]) == 2


def test_the_newest_concepts_are_kept_and_the_rest_is_counted(tmp_path):
    events = [("e1", n, n, f"Finding {n}", "Condition", 100 - n, None, None) for n in range(1, 11)]
    write_cut(tmp_path, events)
    found = texts(tmp_path, max_concepts=4).iloc[0]
    assert [day for day, _ in parse(found["text"])[1]] == [90, 91, 92, 93]
    assert (found["n_concepts"], found["n_concepts_shown"], found["n_events"]) == (10, 4, 10)
    report = write_patient_text(tmp_path, tmp_path / "t.parquet", TextOptions(4))
    assert (report["texts"], report["distinct_texts"], report["concepts_cut"]) == (1, 1, 6)


def test_the_same_record_is_the_same_text_for_everyone(tmp_path):
    events = [
        (example, n, n, f"Finding {n}", "Condition", 5, None, None)
        for example in ("e1", "e2")
        for n in (1, 2, 3)
    ]
    write_cut(tmp_path, events[::-1], [("e1", 63, "female"), ("e2", 63, "female")])
    assert texts(tmp_path)["text"].nunique() == 1


def test_the_same_cut_is_the_same_bytes_whatever_the_order_of_its_rows(tmp_path):
    events = [("e1", n, n % 3, f"F{n % 3}", "Condition", 5 + n % 2, float(n), None) for n in range(12)]
    for name, rows in (("a", events), ("b", events[::-1])):
        texts(write_cut(tmp_path / name, rows))
    assert (tmp_path / "a" / "text.parquet").read_bytes() == (tmp_path / "b" / "text.parquet").read_bytes()


def test_a_folder_with_a_quote_in_its_name_is_written(tmp_path):
    assert "Cough" in text_of(tmp_path / "O'Brien", [("e1", 1, 5, "Cough", "Condition", 3, None, None)])
