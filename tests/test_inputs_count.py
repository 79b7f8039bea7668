"""Count features: distinct days by concept and window, on a vocabulary that only train decides."""

import itertools
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from input_cut import write_cut
from published_world import CONCEPTS, make_world, write_world

from ml.artefact import manifest
from ml.inputs import columns
from ml.inputs.columns import first_equal
from ml.inputs.count import read_count_columns, read_count_features, write_count_features
from ml.inputs.examples import ExampleOptions, cut_examples
from ml.inputs.view import LEVELS, CountOptions

# Two groups, one above the other; a group that is also recorded itself; a concept as its own ancestor.
ANCESTORS = [(9000, 1000), (9000, 1001), (9000, 1002), (9001, 1003), (9001, 1010), (9100, 1000), (9100, 1003),
             (1004, 1005), (1004, 1004), (9200, 7777), (9000, 1010), (9001, 1011)]  # fmt: skip
OPTIONS = CountOptions(windows_days=(30, 365, 36_525), min_train_examples=5)


@pytest.fixture
def examples(tmp_path) -> Path:
    """A cut of a small world."""
    tables = make_world(3)
    tables["concept_ancestor"] = pd.DataFrame(
        ANCESTORS, columns=["ancestor_concept_id", "descendant_concept_id"]
    )
    write_world(tmp_path / "published", tables)
    cut_examples(tmp_path / "published", "first_1y", tmp_path / "examples", ExampleOptions(None, 1))
    return tmp_path / "examples"


def read(folder: Path) -> tuple[pd.DataFrame, list[str], list[str]]:
    """The matrix as a table of example by feature, its rows and its columns."""
    rows = pd.read_parquet(folder / "row.parquet")["example_id"].tolist()
    columns = pd.read_parquet(folder / "column.parquet").iloc[:, 0].tolist()
    value = pd.read_parquet(folder / "value.parquet")
    assert not value.duplicated(["row", "column"]).any()
    assert (value["value"] != 0).all()
    matrix = np.zeros((len(rows), len(columns)))
    matrix[value["row"], value["column"]] = value["value"]
    return pd.DataFrame(matrix, rows, columns), rows, columns


def written(examples: Path, options: CountOptions = OPTIONS, name: str = "counts"):
    facts = write_count_features(examples, examples.parent / name, options)
    return facts, *read(examples.parent / name)


def expected(examples: Path, options: CountOptions) -> pd.DataFrame:
    """Plain Python: every value of every example, columns as train has them."""
    example = pd.read_parquet(examples / "example.parquet")
    event = pd.read_parquet(examples / "event.parquet")
    train = set(example.loc[example["split"] == "train", "example_id"])
    seen = defaultdict(set)
    event = event if options.level == "ALL" else event[event["domain"].isin(LEVELS[options.level])]
    event = event[event["days_before"] <= (options.look_back_days or 10**6)]
    above = pd.read_parquet(examples / "ancestor.parquet")
    above = (
        above.groupby("concept_id")["ancestor_concept_id"].apply(list).to_dict() if options.ancestors else {}
    )
    for row in event.itertuples():
        if row.example_id in train:
            for concept in (row.concept_id, *above.get(row.concept_id, [])):
                seen[concept].add(row.example_id)
    known = {concept for concept, who in seen.items() if len(who) >= options.min_train_examples}
    cells: dict[tuple[str, str], float] = {}
    for row in example.itertuples():
        sex = row.sex if isinstance(row.sex, str) else "unknown"
        cells[row.example_id, "age"] = float(row.age)
        cells[row.example_id, f"sex/{sex}"] = 1.0
        everything = event[event["example_id"] == row.example_id]
        days_of = defaultdict(set)
        for one in everything.itertuples():
            for concept in {one.concept_id, *above.get(one.concept_id, [])} & known:
                days_of[concept].add(one.days_before)
        for concept, all_days in days_of.items():
            for window in options.windows_days:
                days = {day for day in all_days if day <= window}
                if days:
                    cells[row.example_id, f"days_with/{concept}/{window}"] = float(len(days))
        for concept, rows in everything[everything["concept_id"].isin(known)].groupby("concept_id"):
            measured = rows[rows["value_as_number"].notna()]
            if len(measured) and options.latest_values:
                units = measured["unit_name"].astype(object).where(measured["unit_name"].notna(), "")
                for unit, of_unit in measured.groupby(units):
                    last = of_unit[of_unit["days_before"] == of_unit["days_before"].min()]
                    cells[row.example_id, f"latest_value/{concept}/{unit}"] = last["value_as_number"].max()
                    cells[row.example_id, f"measured/{concept}/{unit}"] = 1.0
    columns = sorted({feature for (who, feature), value in cells.items() if who in train and value})
    table = pd.DataFrame(0.0, sorted(example["example_id"]), columns)
    for (who, feature), value in cells.items():
        if feature in table.columns:
            table.loc[who, feature] = value
    return table


def preference(feature: str, above: dict[int, list[int]], in_train: set[int]) -> tuple:
    """Person facts, days, values, that there is one; the concept above the fewest, the longest window."""
    kind, *rest = feature.split("/")
    place = ["age", "sex", "days_with", "latest_value", "measured"].index(kind)
    if kind in ("age", "sex"):
        return place, feature
    concept = int(rest[0])
    n_below = sum(concept in above.get(recorded, []) for recorded in in_train)
    return place, n_below, -int(rest[1]) if kind == "days_with" else 0, concept, feature


def kept_columns(examples: Path, table: pd.DataFrame, options: CountOptions) -> dict[str, list[str]]:
    """Plain Python: every pair of columns compared on train, the preferred one kept."""
    example, event, ancestor = (
        pd.read_parquet(examples / f"{name}.parquet") for name in ("example", "event", "ancestor")
    )
    train = example.loc[example["split"] == "train", "example_id"]
    event = event if options.level == "ALL" else event[event["domain"].isin(LEVELS[options.level])]
    event = event[event["days_before"] <= (options.look_back_days or 10**6)]
    in_train = set(event.loc[event["example_id"].isin(train), "concept_id"])
    above = ancestor.groupby("concept_id")["ancestor_concept_id"].apply(list).to_dict()
    kept: dict[str, list[str]] = {}
    for feature in sorted(table, key=lambda name: preference(name, above, in_train)):
        same = [one for one in kept if (table.loc[train, one] == table.loc[train, feature]).all()]
        if same:
            kept[same[0]].append(feature)
        else:
            kept[feature] = []
    return {feature: sorted(kept[feature]) for feature in sorted(kept)}


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        CountOptions(windows_days=(7,), min_train_examples=1),
        CountOptions(windows_days=(10, 400), min_train_examples=12, ancestors=False),
        CountOptions(windows_days=(365,), min_train_examples=10_000),
        CountOptions("D", 300, windows_days=(30, 900), min_train_examples=2),
        CountOptions("DMP", latest_values=False),
    ],
)
def test_the_features_are_what_brute_force_counts(examples, options):
    facts, found, rows, columns = written(examples, options)
    every = expected(examples, options)
    kept = kept_columns(examples, every, options)
    table = every[list(kept)]
    assert rows == table.index.tolist()
    assert read_count_columns(examples.parent / "counts") == kept
    assert columns == table.columns.tolist()
    assert facts["features_equal_on_train"] == every.shape[1] - table.shape[1]
    pd.testing.assert_frame_equal(found, table, check_exact=False, rtol=1e-12)
    assert (facts["examples"], facts["features"]) == table.shape
    assert facts["values"] == int((table != 0).to_numpy().sum())


def test_utilisation_says_how_often_a_person_was_seen_and_nothing_else(examples):
    _, found, rows, _ = written(examples, CountOptions(windows_days=(90, 36_525), counted="utilisation"))
    event = pd.read_parquet(examples / "event.parquet").set_index("example_id")
    table = pd.DataFrame(index=pd.Index(rows))
    for window in (90, 36_525):
        recent = event[event["days_before"] <= window].groupby("example_id")
        for name, column in (("visits", "visit_no"), ("concepts", "concept_id"), ("days", "days_before")):
            table[f"n_{name}/{window}"] = recent[column].nunique()
    table["days_since/newest"] = event.groupby("example_id")["days_before"].min()
    table["days_since/oldest"] = event.groupby("example_id")["days_before"].max()
    kept = read_count_columns(examples.parent / "counts")
    assert {name for column, others in kept.items() for name in (column, *others)} == set(table)
    expected = table[list(kept)].fillna(0.0).astype(float)
    pd.testing.assert_frame_equal(found, expected, check_names=False)


def test_the_calendar_is_that_of_the_index_and_shows_no_event(examples):
    _, found, rows, columns = written(examples, CountOptions(counted="calendar"))
    index = pd.read_parquet(examples / "example.parquet").set_index("example_id")["index_date"][rows]
    for column in columns:
        part, value = column.split("/")
        read = {"index_year": index.dt.year, "index_month": index.dt.month}
        read["index_weekday"] = index.dt.day_of_week + 1
        assert (found[column] == (read[part] == int(value))).all()
    assert {column.split("/")[0] for column in columns} == {"index_year", "index_month", "index_weekday"}
    shown = pd.read_parquet(examples.parent / "counts" / "shown.parquet")
    assert not shown[["n_events_kept", "n_events_in_view"]].to_numpy().any()


def test_of_equal_columns_the_concept_itself_stays_with_its_longest_window(tmp_path):
    # 5 stands below 50 and 60; 60 also above 7, which is in no one's train. All of train: 5 on one day.
    people = [(f"e{n}", 60, "female") for n in range(8)]
    events = [(who, 1, 5, "Cough", "Condition", 9, None, None, 1) for who, _, _ in people[:5]]
    events += [(who, 2, 7, "Fever", "Condition", 8, None, None, 1) for who, _, _ in people[6:]]
    events += [
        (who, 3, 70 + n, "Rash", "Condition", 5, None, None, 1) for n, (who, _, _) in enumerate(people)
    ]
    cut = write_cut(
        tmp_path / "cut", events, people, splits={"e6": "tuning", "e7": "held_out"},
        ancestors=[(5, 50), (5, 60), (7, 60)],
    )  # fmt: skip
    facts, found, _, columns = written(cut, CountOptions(windows_days=(30, 365), min_train_examples=5))
    assert columns == ["age", "days_with/5/365", "sex/female"]
    assert read_count_columns(tmp_path / "counts")["days_with/5/365"] == [
        "days_with/5/30", "days_with/50/30", "days_with/50/365", "days_with/60/30", "days_with/60/365",
    ]  # fmt: skip
    assert facts["features_equal_on_train"] == 5
    assert found["days_with/5/365"].tolist() == [1.0] * 5 + [0.0] * 3


def test_columns_are_equal_entry_by_entry_and_not_by_hash(monkeypatch):
    column = np.array([0, 0, 1, 1, 2, 3, 3, 4, 4])
    row = np.array([0, 2, 0, 2, 1, 0, 2, 0, 1], dtype=np.int32)
    value = np.array([1.0, 2, 1, 2, 1, 1, 3, 1, 2])
    assert first_equal(column, row, value).tolist() == [0, 0, 2, 3, 4]
    monkeypatch.setattr(columns, "_digest", lambda *_: b"")
    assert first_equal(column, row, value).tolist() == [0, 0, 2, 3, 4]
    assert first_equal(column[:0], row[:0], value[:0]).tolist() == []


def test_the_latest_of_a_day_follows_what_was_measured_and_zero_is_a_value(tmp_path):
    people = [(f"e{n}", 60, "female") for n in range(4)]
    numbers = {"e0": (1, 2), "e1": (2, 1)}  # equal records, numbered by a hash of the person
    events = [
        (who, number, 9, "Pain", "Measurement", 5, value, None, 1)
        for who, own in numbers.items()
        for number, value in zip(own, (3.0, 4.0), strict=True)
    ]
    events += [("e2", 1, 9, "Pain", "Measurement", 7, 4.0, None, 1)]
    events += [("e2", 2, 9, "Pain", "Measurement", 2, 0.0, None, 1)]
    cut = write_cut(tmp_path / "cut", events, people, splits={"e2": "held_out", "e3": "held_out"})
    _, found, _, names = written(cut, CountOptions(windows_days=(30,), min_train_examples=1))
    assert found.loc["e0"].equals(found.loc["e1"])
    assert found.loc["e0", "latest_value/9/"] == 4.0
    measured = [name for name in ("measured/9/", "days_with/9/30") if name in names]
    assert found.loc["e2", "latest_value/9/"] == found.loc["e3", "latest_value/9/"] == 0.0
    assert (found.loc["e2", measured] != found.loc["e3", measured]).all()


def change(examples: Path, table: str, edit) -> Path:
    """Another cut that differs in one table."""
    other = examples.parent / "other" / "examples"
    other.mkdir(parents=True)
    for file in examples.glob("*.parquet"):
        frame = pd.read_parquet(file)
        (edit(frame) if file.stem == table else frame).to_parquet(other / file.name, index=False)
    return other


def who(examples: Path, *splits: str) -> list[str]:
    example = pd.read_parquet(examples / "example.parquet")
    return example.loc[example["split"].isin(splits), "example_id"].tolist()


def test_what_held_out_and_tuning_hold_moves_no_column_and_no_value_of_train(examples):
    others = who(examples, "tuning", "held_out")
    first = {example: n for n, example in enumerate(others)}

    def edit(event: pd.DataFrame) -> pd.DataFrame:
        # New concepts, known ones in other windows, and values where train has none.
        rows = [
            {"example_id": example, "event_no": 900 + n, "event_id": 10_000 * n + first[example],
             "concept_id": concept, "concept_name": "x", "domain": "Condition", "days_before": 1 + n,
             "visit_no": 1, "value_as_number": 5.0, "unit_name": None, "value_as_concept_id": None,
             "value_name": None}
            for example in others
            for n, concept in enumerate([99, 98, *CONCEPTS, 3000])
        ]  # fmt: skip
        more = pd.DataFrame(rows).astype(event.dtypes.to_dict())
        return pd.concat([event, more], ignore_index=True)

    _, before, _, columns = written(examples)
    _, after, _, columns_after = written(change(examples, "event", edit))
    assert columns_after == columns
    train = who(examples, "train")
    pd.testing.assert_frame_equal(before.loc[train], after.loc[train])


def test_a_sex_that_only_held_out_has_is_no_column(examples):
    train = who(examples, "train")

    def edit(example: pd.DataFrame) -> pd.DataFrame:
        outside = ~example["example_id"].isin(train)
        return example.assign(sex=example["sex"].mask(outside, "another"))

    _, _, _, columns = written(change(examples, "example", edit))
    assert "sex/another" not in columns
    assert any(column.startswith("sex/") for column in columns)


def test_labels_change_no_byte(examples):
    def edit(example: pd.DataFrame) -> pd.DataFrame:
        return example.assign(y_true=pd.array([0] * len(example), dtype="Int32"))

    written(examples)
    other = change(examples, "example", edit)
    written(other)
    assert manifest(examples.parent / "counts") == manifest(other.parent / "counts")


def test_the_order_of_the_events_changes_no_byte(examples):
    written(examples)
    other = change(examples, "event", lambda event: event.sample(frac=1, random_state=5))
    written(other)
    assert manifest(examples.parent / "counts") == manifest(other.parent / "counts")


def test_repeated_rows_of_a_day_count_once(examples):
    _, before, _, _ = written(examples)

    def edit(event: pd.DataFrame) -> pd.DataFrame:
        again = event.assign(event_no=event["event_no"] + 500, event_id=event["event_id"] + 1)
        return pd.concat([event, again], ignore_index=True)

    _, after, _, _ = written(change(examples, "event", edit))
    pd.testing.assert_frame_equal(before, after)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_a_value_that_is_no_number_is_no_feature(examples, value):
    def edit(event: pd.DataFrame) -> pd.DataFrame:
        return event.assign(value_as_number=event["value_as_number"].where(event["event_no"] % 3 != 0, value))

    _, found, _, _ = written(change(examples, "event", edit))
    assert np.isfinite(found.to_numpy()).all()


def test_the_record_says_on_whom_the_vocabulary_was_fitted(examples):
    facts, _, _, columns = written(examples)
    fit = json.loads((examples.parent / "counts" / "view.json").read_text(encoding="utf-8"))["fit"]
    event = pd.read_parquet(examples / "event.parquet")
    every = [*columns, *itertools.chain(*read_count_columns(examples.parent / "counts").values())]
    known = {int(column.split("/")[1]) for column in every if column.startswith("days_with/")}
    assert fit["fitted_on_examples"] == len(who(examples, "train")) > 20
    assert fit["concepts_known"] == len(known) > fit["concepts_unseen_or_rare"]
    assert known & {9000, 9001, 9100}
    assert (
        fit["concepts_unseen_or_rare"] == event.loc[~event["concept_id"].isin(known), "concept_id"].nunique()
    )
    assert fit["events_unseen_or_rare"] == (~event["concept_id"].isin(known)).sum()
    assert {name: facts[name] for name in fit} == fit


def test_rows_are_read_as_csr_in_the_order_that_was_asked_and_none_is_invented(examples):
    _, found, rows, columns = written(examples)
    ids = rows[::-2]
    matrix = read_count_features(examples.parent / "counts", ids)
    assert matrix.format == "csr"
    assert matrix.shape == (len(ids), len(columns))
    assert (matrix.toarray() == found.loc[ids].to_numpy()).all()
    with pytest.raises(ValueError, match="1 of 2 examples have no row"):
        read_count_features(examples.parent / "counts", [rows[0], "f" * 16])
