"""Patient sequences: codes, visits, ages and gaps of the newest events; fitted on train alone."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from input_cut import write_cut
from published_world import make_world, write_world

from ml.inputs.examples import ExampleOptions, cut_examples
from ml.inputs.sequence import SPECIAL_TOKENS, read_patient_sequences, write_patient_sequences
from ml.inputs.view import SequenceOptions

OPTIONS = SequenceOptions(max_events=6, value_bins=3, min_train_examples=3)


@pytest.fixture
def examples(tmp_path) -> Path:
    write_world(tmp_path / "published", make_world(3))
    cut_examples(tmp_path / "published", "first_1y", tmp_path / "examples", ExampleOptions(None, 1))
    return tmp_path / "examples"


def written(examples: Path, options: SequenceOptions = OPTIONS):
    facts = write_patient_sequences(examples, examples.parent / "sequence", options)
    ids = pd.read_parquet(examples / "example.parquet")["example_id"].tolist()
    return facts, read_patient_sequences(examples.parent / "sequence", ids), ids


def expected_edges(examples: Path, options: SequenceOptions) -> dict[tuple[int, str], list[float]]:
    """numpy's own quantiles (`inverted_cdf`, the discrete one) of the values in train."""
    example, event = (pd.read_parquet(examples / f"{name}.parquet") for name in ("example", "event"))
    train = example.loc[example["split"] == "train", "example_id"]
    event = event[event["example_id"].isin(train) & event["value_as_number"].notna()]
    units = event["unit_name"].astype(object).where(event["unit_name"].notna(), "")
    shares = np.arange(1, options.value_bins) / options.value_bins
    return {
        key: sorted(set(np.quantile(own["value_as_number"], shares, method="inverted_cdf")))
        for key, own in event.groupby([event["concept_id"], units])
        if len(own) >= options.value_bins * options.min_train_examples
    }


def test_sequences_are_what_brute_force_writes(examples):
    facts, found, ids = written(examples)
    edges = expected_edges(examples, OPTIONS)
    assert len(edges) >= 2
    example = pd.read_parquet(examples / "example.parquet").set_index("example_id")
    event = pd.read_parquet(examples / "event.parquet")
    codes, in_train = {}, Counter()
    for example_id in ids:
        own = event[event["example_id"] == example_id].tail(OPTIONS.max_events)
        own = own.assign(value=own["value_as_number"].fillna(0.0))
        own = own.sort_values(["days_before", "domain", "concept_id", "value", "visit_no"],
                              ascending=[False, True, True, True, True])  # fmt: skip
        codes[example_id] = own
        names = []
        for row in own.itertuples():
            unit = row.unit_name if isinstance(row.unit_name, str) else ""
            name = str(row.concept_id)
            if not np.isnan(row.value_as_number) and (row.concept_id, unit) in edges:
                place = sum(row.value_as_number > edge for edge in edges[row.concept_id, unit])
                name = f"{row.concept_id}|{unit}|{place}"
            names.append(name)
        own.attrs["names"] = names
        if example.loc[example_id, "split"] == "train":
            in_train.update(set(names))
    vocabulary = [*SPECIAL_TOKENS, *sorted(name for name, n in in_train.items() if n >= 3)]
    assert found.vocabulary == vocabulary
    n_unknown = 0
    for place, example_id in enumerate(ids):
        own = codes[example_id]
        names = own.attrs["names"]
        tokens = [vocabulary.index(name) if name in vocabulary else 1 for name in names]
        n_unknown += tokens.count(1)
        days = own["days_before"].tolist()
        seen = list(dict.fromkeys(own["visit_no"]))
        age = example.loc[example_id, "age"]
        assert found.token[place].tolist() == tokens
        assert found.days_before[place].tolist() == days
        assert found.gap_days[place].tolist() == [0, *(-np.diff(days))][: len(days)]
        assert found.visit[place].tolist() == [seen.index(visit) + 1 for visit in own["visit_no"]]
        assert found.age_years[place].tolist() == [int(age - day / 365.25) for day in days]
        assert found.token[place].dtype == np.int32
    assert facts["codes_unseen_in_train"] == n_unknown > 0
    assert facts["codes"] == sum(map(len, found.token))
    assert facts["sequences_cut"] == (event.groupby("example_id").size() > OPTIONS.max_events).sum() > 3
    assert facts["vocabulary"] == len(vocabulary)


def test_a_measurement_in_two_units_is_two_and_a_named_result_is_a_code_of_its_own(tmp_path):
    people = [(f"e{n}", 60, "female") for n in range(8)]
    events = [(who, 1, 9, "Glucose", "Measurement", 9, float(n), unit, 1)
              for n, (who, _, _) in enumerate(people) for unit in ("mg/dL",)]  # fmt: skip
    events += [(who, 2, 9, "Glucose", "Measurement", 8, 100.0 + n, "mmol/L", 1)
               for n, (who, _, _) in enumerate(people)]  # fmt: skip
    events += [(who, 3, 8, "Nitrite", "Measurement", 7, None, None, 1) for who, _, _ in people]
    events += [(who, 4, 9201, "Inpatient Visit", domain, 5, None, None, 2)
               for who, _, _ in people for domain in ("Visit", "Visit end")]  # fmt: skip
    cut = write_cut(tmp_path / "cut", events, people, results={3: (4181412, "Present")})
    _, found, _ = written(cut, SequenceOptions(value_bins=2, min_train_examples=1))
    names = [[found.vocabulary[token] for token in own] for own in found.token]
    assert names[0] == ["9|mg/dL|0", "9|mmol/L|0", "8=4181412", "9201", "end 9201"]
    assert names[7] == ["9|mg/dL|1", "9|mmol/L|1", "8=4181412", "9201", "end 9201"]


def test_units_that_are_shown_alike_are_binned_together(tmp_path):
    people = [(f"e{n}", 60, "female") for n in range(10)]
    units = ("10*3/uL", "10*3/uL\t")  # one and the same once plain
    events = [(who, 1, 9, "Leukocytes", "Measurement", 9, float(n), units[n >= 5], 1)
              for n, (who, _, _) in enumerate(people)]  # fmt: skip
    cut = write_cut(tmp_path / "cut", events, people)
    _, found, _ = written(cut, SequenceOptions(value_bins=2, min_train_examples=5))
    names = [found.vocabulary[int(own[0])] for own in found.token]
    assert names == ["9|10*3/uL|0"] * 5 + ["9|10*3/uL|1"] * 5


def change_outside_train(examples: Path, edit) -> Path:
    other = examples.parent / "other" / "examples"
    other.mkdir(parents=True)
    example = pd.read_parquet(examples / "example.parquet")
    outside = example.loc[example["split"] != "train", "example_id"]
    for file in examples.glob("*.parquet"):
        table = pd.read_parquet(file)
        (edit(table, table["example_id"].isin(outside)) if file.stem == "event" else table).to_parquet(
            other / file.name, index=False
        )
    return other


def test_what_held_out_and_tuning_hold_moves_no_bin_and_no_code(examples):
    def edit(event: pd.DataFrame, outside: pd.Series) -> pd.DataFrame:
        return event.assign(
            value_as_number=event["value_as_number"].where(~outside, event["value_as_number"] * 100),
            concept_id=event["concept_id"].where(~outside | (event["event_no"] % 2 == 0), 77_777),
        )

    before_facts, before, _ = written(examples)
    fit = json.loads((examples.parent / "sequence" / "view.json").read_text())["fit"]
    other = change_outside_train(examples, edit)
    after_facts, after, _ = written(other)
    assert json.loads((other.parent / "sequence" / "view.json").read_text())["fit"] == fit
    assert after.vocabulary == before.vocabulary
    example = pd.read_parquet(examples / "example.parquet")
    for place in np.flatnonzero(example["split"] == "train"):
        assert (before.token[place] == after.token[place]).all()
    assert after_facts["codes_unseen_in_train"] > before_facts["codes_unseen_in_train"]
    assert fit["fitted_on"] == "train"
    assert fit["fitted_on_examples"] == (example["split"] == "train").sum()


def test_padding_mask_and_unknown_have_ids_of_their_own_and_no_code_has_them(examples):
    _, found, _ = written(examples)
    assert len(set(SPECIAL_TOKENS)) == 5
    tokens = np.concatenate(found.token)
    assert not np.isin(tokens, [0, 2, 3, 4]).any()
    assert len(set(found.vocabulary)) == len(found.vocabulary)


def test_levels_and_look_back_choose_the_events(examples):
    event = pd.read_parquet(examples / "event.parquet")
    _, found, ids = written(examples, SequenceOptions("D", 100, 512, 3, 1))
    shown = event[(event["domain"] == "Condition") & (event["days_before"] <= 100)]
    sizes = shown.groupby("example_id").size().reindex(ids, fill_value=0)
    assert [len(own) for own in found.token] == sizes.tolist()
    assert sizes.sum() > 20


def test_a_person_of_unknown_age_has_no_age(tmp_path):
    cut = write_cut(tmp_path / "cut", [("e1", 1, 5, "Cough", "Condition", 9, None, None, 1)],
                    [("e1", None, "female"), ("e2", 40, "male")])  # fmt: skip
    _, found, _ = written(cut, SequenceOptions(min_train_examples=1))
    assert found.age_years[0].tolist() == [-1]
    assert found.token[1].tolist() == []


def test_sequences_are_read_in_the_order_that_was_asked(examples):
    _, found, ids = written(examples)
    read = read_patient_sequences(examples.parent / "sequence", ids[::-1])
    for one, other in zip(read.token, found.token[::-1], strict=True):
        assert (one == other).all()
    with pytest.raises(ValueError, match="1 of 1 examples have no row"):
        read_patient_sequences(examples.parent / "sequence", ["f" * 16])
