"""What was shown can be recomputed from the snapshot, and the check notices when it cannot."""

import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from published_world import make_world, write_world

from ml.artefact import read_json, write_json
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
    InputView("seen", "counts", CountOptions(windows_days=(30, 900), counted="utilisation")),
    InputView("calendar", "counts", CountOptions(counted="calendar")),
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
    assert (frame["n_events_kept"] > 0).sum() > 50 or view.name == "calendar"
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


def reverse(folder: Path, name: str, column: str) -> None:
    """Give each row another's value: the file stays readable and its record untouched."""
    path = folder / f"{name}.parquet"
    table = pq.read_table(path)
    place, reversed_rows = table.schema.get_field_index(column), range(table.num_rows)[::-1]
    spoilt = table.set_column(place, table.schema.field(column), table[column].take(list(reversed_rows)))
    pq.write_table(spoilt, path)


def edit_json(folder: Path, edit) -> None:
    view = read_json(folder / "view.json")
    edit(view["fit"])
    write_json(folder / "view.json", view)


SPOILT = {
    "text": (VIEWS[1], 30, lambda folder: reverse(folder, "text", "text")),
    "tokens": (VIEWS[4], 30, lambda folder: reverse(folder, "sequence", "token")),
    "vocabulary": (VIEWS[4], 1, lambda folder: reverse(folder, "vocabulary", "token")),
    "bins": (VIEWS[4], 1, lambda folder: edit_json(folder, lambda fit: fit["edges"][0][2].append(1e9))),
    "on whom": (VIEWS[4], 1, lambda folder: edit_json(folder, lambda fit: fit.update(fitted_on_examples=9))),
    "counts": (VIEWS[6], 30, lambda folder: reverse(folder, "value", "value")),
    "columns": (VIEWS[6], 1, lambda folder: reverse(folder, "column", "feature")),
    "what a column stands for": (VIEWS[6], 1, lambda folder: reverse(folder, "column", "stands_for")),
    "domains": (VIEWS[1], 20, lambda folder: reverse(folder, "shown", "domains")),
    "events in view": (VIEWS[4], 30, lambda folder: reverse(folder, "shown", "n_events_in_view")),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_is_stored_is_compared_and_not_its_record_alone(world, tmp_path, spoilt):
    view, at_least, spoil = SPOILT[spoilt]
    folder = write(world, view, tmp_path / "view")
    spoil(folder)
    assert recompute(world / "published", "first_1y", folder, view, seed=1)[1] >= at_least


@pytest.mark.parametrize("view", [VIEWS[4], VIEWS[6]], ids=lambda view: view.kind)
def test_a_fit_that_read_tuning_is_noticed(world, tmp_path, view):
    leaky = tmp_path / "examples"
    shutil.copytree(world / "examples", leaky)
    example = pd.read_parquet(leaky / "example.parquet")
    example["split"] = example["split"].replace("tuning", "train")
    example.to_parquet(leaky / "example.parquet", index=False)
    folder = write(tmp_path, view, tmp_path / "view")
    assert recompute(world / "published", "first_1y", folder, view, seed=1)[1] >= 1


def test_the_cuts_lie_beside_the_view_while_the_check_runs_and_nowhere_after(world, tmp_path, monkeypatch):
    folder = write(world, VIEWS[4], tmp_path / "home" / "view")
    left = tmp_path / "home" / ".view.recompute"
    (left / "sample").mkdir(parents=True)  # as after a kill
    targets = []

    def failing(published, task, target, options, *, only):
        targets.append(target)
        cut_examples(published, task, target, options, only=only)
        if target.name == "train":
            raise OSError("planted")

    monkeypatch.setattr("ml.inputs.recompute.cut_examples", failing)
    with pytest.raises(OSError, match="planted"):
        recompute(world / "published", "first_1y", folder, VIEWS[4], seed=1)
    assert [target.name for target in targets] == ["sample", "train"]
    assert all(target.parent.parent == tmp_path / "home" for target in targets)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["view"]


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
