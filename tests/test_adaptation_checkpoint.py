"""A training that is killed goes on from its checkpoint and ends in the same weights, to the bit."""

import json
import multiprocessing
import os
import random
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from adaptation_world import (
    LORA,
    model_of,
    recipe_of,
    setting_of,
    shown_texts,
    tiny_classifier,
    training_of,
    write_tiny,
)

from ml.adaptation import budgets, tuning
from ml.adaptation import training as training_module
from ml.adaptation.checkpoint import Checkpoints, random_state, restore_random_state
from ml.adaptation.regimes import REGIMES
from ml.adaptation.training import Training
from ml.artefact import DamagedArtefactError, manifest

RECIPE = recipe_of(max_epochs=4, patience=4)
STEPS = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny("bert", tmp_path_factory.mktemp("checkpoint"))


def state_of(where: Path) -> dict[str, str]:
    """Hashes of the last checkpoint: weights, optimiser and generators, all but the time it took."""
    hashes = manifest(where / f"step-{STEPS:09d}")
    return {name: sha256 for name, sha256 in hashes.items() if name.endswith(".safetensors")}


def train(folder: Path, where: Path, say, key: str = "here", **changes):
    torch.set_num_threads(1)
    scorer = tiny_classifier(folder, "bert")  # with dropout: the generator's state matters
    training = training_of(
        scorer, where, RECIPE, progress=say, key=key, **{"checkpoint_seconds": 0.0, **changes}
    )
    return scorer, training.run(), training


def train_in_child(folder: Path, where: Path, sender) -> None:
    train(folder, where, sender.send)


def kill_at(folder: Path, where: Path, step: int) -> int:
    """Start a training in a process of its own and kill it once it says `step`; return the last step said."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=train_in_child, args=(folder, where, sender))
    child.start()
    sender.close()
    said = 0
    while said < step:
        found = re.match(r"step (\d+) ", receiver.recv())
        said = int(found.group(1)) if found else said
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    return said


@pytest.fixture(scope="module")
def whole(folder, tmp_path_factory):
    """The same training, never interrupted."""
    where = tmp_path_factory.mktemp("whole")
    _, trained, training = train(folder, where, str)
    assert trained.steps == STEPS
    assert len(state_of(where)) == 3
    return state_of(where), training.now.aurocs


def test_killed_at_several_steps_and_resumed_it_ends_in_the_same_weights(folder, tmp_path, whole):
    killed = [kill_at(folder, tmp_path, step) for step in (2, 6, 7, 13)]
    assert killed == sorted(killed)
    lines: list[str] = []
    _, trained, training = train(folder, tmp_path, lines.append)
    found = re.match(r"resumed at step (\d+)", lines[0])
    assert found
    assert killed[-1] <= int(found.group(1)) < STEPS
    assert (state_of(tmp_path), training.now.aurocs) == whole
    assert trained.steps == STEPS


def test_without_the_generators_a_resumed_training_ends_elsewhere(folder, tmp_path, whole, monkeypatch):
    kill_at(folder, tmp_path, 6)
    monkeypatch.setattr(training_module, "restore_random_state", lambda state: None)
    train(folder, tmp_path, str)
    assert state_of(tmp_path)["trainable.safetensors"] != whole[0]["trainable.safetensors"]


def test_a_finished_training_is_not_trained_again(folder, tmp_path, whole):
    train(folder, tmp_path, str)
    lines: list[str] = []
    _, trained, _ = train(folder, tmp_path, lines.append)
    assert lines == [f"resumed at step {STEPS}"]
    assert (state_of(tmp_path), trained.steps) == (whole[0], STEPS)


def test_the_newest_and_the_best_are_kept_as_plain_files(folder, tmp_path):
    _, trained, training = train(folder, tmp_path, str)
    kept = sorted(int(path.name.removeprefix("step-")) for path in tmp_path.glob("step-*"))
    assert kept == sorted({training.now.best_step, trained.steps})
    suffixes = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert suffixes == {".safetensors", ".json"}  # nothing that could run code


def test_work_of_minutes_is_saved_although_no_epoch_ended(folder, tmp_path, monkeypatch):
    clock = iter(np.arange(0, 1e6, 45.0))  # each look at the clock finds 45 seconds gone
    monkeypatch.setattr(training_module.time, "monotonic", lambda: float(next(clock)))
    saved: list[tuple[int, float]] = []
    save = Checkpoints.save

    def spy(self, checkpoint, *, best_step):
        saved.append((checkpoint.step, checkpoint.progress["wall_s"]))
        save(self, checkpoint, best_step=best_step)

    monkeypatch.setattr(Checkpoints, "save", spy)
    train(folder, tmp_path, str, checkpoint_seconds=training_module.CHECKPOINT_SECONDS)
    gaps = np.diff([wall for _, wall in saved])
    assert len(saved) > 5
    assert training_module.CHECKPOINT_SECONDS + 45 < 300
    assert gaps.max() <= 300


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(folder, tmp_path, damage):
    _, trained, training = train(folder, tmp_path, str)
    best = training.now.best_step
    assert best < trained.steps
    path = tmp_path / f"step-{trained.steps:09d}" / "trainable.safetensors"
    if damage == "truncate":
        path.write_bytes(path.read_bytes()[:-8])
    elif damage == "flip":
        flip_a_bit(path)
    else:
        path.unlink()
    newest = Checkpoints(tmp_path, "here").newest()
    assert newest is not None
    assert newest.step == best


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def test_damaged_best_weights_are_never_the_result(folder, tmp_path, whole):
    _, trained, training = train(folder, tmp_path, str)
    best = training.now.best_step
    assert best < trained.steps
    flip_a_bit(tmp_path / f"step-{best:09d}" / "trainable.safetensors")
    checkpoints = Checkpoints(tmp_path, "here")
    with pytest.raises(DamagedArtefactError, match=f"step {best} changed .*\n\nhint: run again"):
        checkpoints.weights(best)
    # The newest is whole, but what it calls the best is gone: training begins anew and finds it again.
    assert checkpoints.newest() is None
    train(folder, tmp_path, str)
    assert state_of(tmp_path) == whole[0]


def test_a_finished_training_leaves_its_best_weights_alone_and_is_taken_up(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(budgets, "MAX_EPOCHS", 2)
    monkeypatch.setattr(tuning, "THREADS", 1)
    tried = LORA, {**LORA, "learning_rate": 1e-3}
    once, setting = (
        setting_of(model_of("bert"), folder, tmp_path / name, *tried) for name in ("once", "again")
    )
    expected = REGIMES["lora"](shown_texts(), once)
    run, runs = Training.run, []

    def dies_at_the_second(self):
        runs.append(1)
        if len(runs) == 2:
            raise KeyboardInterrupt
        return run(self)

    monkeypatch.setattr(Training, "run", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        REGIMES["lora"](shown_texts(), setting)
    (left,) = setting.work.iterdir()
    assert {path.relative_to(left).as_posix() for path in left.rglob("*") if path.is_file()} == {
        "finished/trainable.safetensors", "finished/state.json", "finished/manifest.json"
    }  # fmt: skip
    adapted = REGIMES["lora"](shown_texts(), setting)
    assert len(runs) == 3  # the first is not trained again
    assert (adapted.y_score_raw == expected.y_score_raw).all()
    assert adapted.trials == expected.trials
    flip_a_bit(left / "finished" / "trainable.safetensors")
    assert Checkpoints(left, setting.key).finished() is None


def test_a_checkpoint_of_other_inputs_is_thrown_away(folder, tmp_path):
    train(folder, tmp_path, str)
    assert Checkpoints(tmp_path, "here").newest() is not None
    assert Checkpoints(tmp_path, "other").newest() is None
    assert not list(tmp_path.glob("step-*"))


def test_every_generator_is_set_back_through_json(tmp_path):
    torch.manual_seed(1)
    np.random.seed(2)  # noqa: NPY002
    random.seed(3)
    np.random.standard_normal()  # noqa: NPY002  half of a pair is kept
    state = random_state()
    plain = {name: value for name, value in state.items() if not isinstance(value, torch.Tensor)}
    state = {**state, **json.loads(json.dumps(plain))}

    def draw() -> list[float]:
        return [*torch.rand(3).tolist(), *np.random.standard_normal(3), random.random(), random.gauss(0, 1)]  # noqa: NPY002

    first = draw()
    assert draw() != first
    restore_random_state(state)
    assert draw() == first
