"""What was shown can be recomputed from the snapshot, and the check notices when it cannot."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from published_world import make_world, write_world

from ml.inputs.count import write_count_features
from ml.inputs.examples import ExampleOptions, cut_examples
from ml.inputs.recompute import SAMPLE, recompute
from ml.inputs.sequence import write_patient_sequences
from ml.inputs.shown import SHOWN
from ml.inputs.text import write_patient_texts
from ml.inputs.view import CountOptions, InputView, SequenceOptions, TextOptions

VIEWS = [
    *(InputView(form, "text", TextOptions(form)) for form in ("concat", "list_recent_freq", "markdown")),
    InputView("one_year", "text", TextOptions("list_recent", "D", 365)),
    InputView("codes", "sequence", SequenceOptions(max_events=5, value_bins=3, min_train_examples=2)),
    InputView("diagnoses", "sequence", SequenceOptions("D", 300, 4)),
    InputView("counts", "counts", CountOptions(min_train_examples=2)),
    InputView("few", "counts", CountOptions("D", 300, (30, 90), ancestors=False, min_train_examples=2)),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    tables = make_world(4)
    pairs = [(9000, 1000 + n) for n in range(6)] + [(9001, 1010)]
    tables["concept_ancestor"] = pd.DataFrame(pairs, columns=["ancestor_concept_id", "descendant_concept_id"])
    write_world(folder / "published", tables)
    cut_examples(folder / "published", "first_1y", folder / "examples", ExampleOptions(None, 1))
    return folder


def write(world: Path, view: InputView, target: Path) -> Path:
    examples, options = world / "examples", view.options
    if isinstance(options, CountOptions):
        write_count_features(examples, target, options)
    elif isinstance(options, SequenceOptions):
        write_patient_sequences(examples, target, options)
    elif isinstance(options, TextOptions):
        write_patient_texts(
            examples, target, options, prefix="", max_tokens=60, progress=lambda line: None,
            count_tokens=lambda texts: [len(text) // 3 for text in texts],
        )  # fmt: skip
    return target


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_sample_made_again_is_what_is_shown(world, tmp_path, view):
    folder = write(world, view, tmp_path / "view")
    shown = pq.read_table(folder / "shown.parquet")
    assert shown.schema.names == SHOWN.names
    assert shown.num_rows == len(pd.read_parquet(world / "examples" / "example.parquet")) > SAMPLE
    for seed in (1, 2):
        assert recompute(world / "published", "first_1y", folder, view, seed=seed) == (
            SAMPLE + (view.kind != "text"),
            0,
        )
    frame = shown.to_pandas()
    assert (frame["n_events_kept"] <= frame["n_events_in_view"]).all()
    assert (frame["n_events_kept"] > 0).sum() > 50
    if view.name in ("list_recent_freq", "markdown", "codes"):
        assert (frame["n_events_kept"] < frame["n_events_in_view"]).any()


@pytest.mark.parametrize("view", [VIEWS[1], VIEWS[4], VIEWS[6]], ids=lambda view: view.kind)
def test_a_snapshot_with_another_event_or_another_record_of_it_is_noticed(world, tmp_path, view):
    folder = write(world, view, tmp_path / "view")
    published = tmp_path / "published"
    published.mkdir()
    for file in (world / "published").iterdir():
        table = pd.read_parquet(file)
        if file.stem == "clinical_event":
            newest = table.groupby("person_id")["event_no"].transform("max") - table["event_no"] < 8
            table["concept_id"] = table["concept_id"].where(~newest | (table["concept_id"] == 0), 1004)
        table.to_parquet(published / file.name, index=False)
    looked_at, found = recompute(published, "first_1y", folder, view, seed=1)
    assert looked_at == SAMPLE + (view.kind != "text")
    assert found > 10


def test_a_wrong_number_of_events_is_noticed(world, tmp_path):
    view = VIEWS[1]
    folder = write(world, view, tmp_path / "view")
    shown = pd.read_parquet(folder / "shown.parquet")
    shown["n_events_kept"] = shown["n_events_kept"] - 1
    shown.to_parquet(folder / "shown.parquet", index=False)
    assert recompute(world / "published", "first_1y", folder, view, seed=1)[1] > 20


def test_examples_that_left_the_cohort_are_noticed(world, tmp_path):
    view = VIEWS[6]
    folder = write(world, view, tmp_path / "view")
    assert recompute(world / "published", "second_1y", folder, view, seed=1) == (SAMPLE + 1, SAMPLE + 1)
