"""Guards over what an arm is shown: rows, persons, splits, draws and prompts."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from adaptation_world import LORA, N, model_of, quiet, setting_of, shown_texts
from test_arm import spec_of

import ml.arm
from guards.faults import run_lr, stops
from ml.adaptation.regimes import REGIMES
from ml.arm import run_arm


def test_test_rows_dropped(world, monkeypatch):
    """As where long or unparsed rows vanish: three held-out examples are not scored."""
    run_examples = ml.arm.run_examples

    def drop(labelled, spec, run):
        examples = run_examples(labelled, spec, run)
        return examples.drop(examples.index[examples["split"] == "held_out"][:3])

    monkeypatch.setattr(ml.arm, "run_examples", drop)
    with stops("held_out_differs"):
        run_lr(world)


def test_few_shot_examples_repeated_in_test(tiny, tmp_path):
    """The examples of the prompt are persons who are judged as well."""
    shown = shown_texts()
    shown.person_id = np.where(np.arange(N) == 50, 0, shown.person_id)  # held-out is person 0 of train too
    setting = setting_of(model_of("qwen3"), tiny["qwen3"], tmp_path, mode="in_context")
    with stops("few_shot_example_in_test"):
        REGIMES["verbalizer"](shown, setting)


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("splits", [("train", "held_out"), ("tuning", "held_out"), ("train", "tuning")])
def test_a_person_in_two_splits(world, splits, labelled):
    path = world / "examples" / "example.parquet"
    example = pd.read_parquet(path)
    one, other = (example.index[example["split"] == split][0] for split in splits)
    example.loc[other, "person_id"] = example.loc[one, "person_id"]
    if not labelled:  # its events may have been fitted on all the same
        example.loc[other, "y_true"] = None
    example.to_parquet(path, index=False)
    with stops("person_in_two_splits") as refused:
        run_lr(world)
    assert all(split in refused.value.reason for split in splits)


def test_too_few_examples_to_draw(world):
    from ml.adaptation.draws import write_draws
    from ml.inputs.examples import read_examples

    example = read_examples(world / "examples")
    write_draws(example, world / "draws.parquet", draws=2, seed=1, largest=500)
    spec = dataclasses.replace(
        spec_of(world, "logistic_regression"), k=(500,), draws=str(world / "draws.parquet"), n_draws=2
    )
    with stops("too_few_to_draw"):
        run_arm(spec, quiet)


@pytest.mark.parametrize("split", ["train", "tuning"])
@pytest.mark.parametrize("label", [0, 1])
def test_a_split_of_one_class(world, split, label):
    file = Path(spec_of(world, "logistic_regression").examples) / "example.parquet"
    example = pd.read_parquet(file)
    own = (example["split"] == split) & example["y_true"].notna()
    example.loc[own, "y_true"] = label
    example.to_parquet(file, index=False)
    with stops("one_class") as refused:
        run_arm(spec_of(world, "logistic_regression"), quiet)
    assert split in refused.value.reason


@pytest.mark.parametrize(("mode", "n_shown"), [("zero_shot", 0), ("in_context", 4), ("lora", 0)])
def test_a_prompt_that_is_longer_than_the_model_reads(tiny, tmp_path, mode, n_shown):
    model = model_of("qwen3", max_tokens=60)
    with stops("prompt_too_long") as refused:
        tried = [LORA] if mode == "lora" else []
        REGIMES["verbalizer"](shown_texts(k=2), setting_of(model, tiny["qwen3"], tmp_path, *tried, mode=mode))
    assert re.search(
        rf"with {n_shown} examples in it has \d+ tokens, the model reads 60", refused.value.reason
    )


@pytest.mark.parametrize("of_one_person", [False, True])
def test_too_few_persons_to_leave_some_out(world, of_one_person):
    """A stack of one case: its scores cannot be out of sample; nor with two of the same person."""
    path = world / "examples" / "example.parquet"
    example = pd.read_parquet(path)
    train = example.index[example["split"] == "train"]
    cases = example.index[(example["person_id"] == example["person_id"][train].mode()[0])]
    example.loc[train, "y_true"] = 0
    example.loc[cases if of_one_person else cases[:1], "y_true"] = 1
    assert len(cases) == 2
    example.to_parquet(path, index=False)
    parts = tuple(spec_of(world, model) for model in ("logistic_regression", "lightgbm"))
    for part in parts:
        run_arm(part, quiet)
    spec = dataclasses.replace(spec_of(world, "logistic_regression"), regime="stack", parts=parts, views=())
    with stops("too_few_to_fold"):
        run_arm(spec, quiet)
