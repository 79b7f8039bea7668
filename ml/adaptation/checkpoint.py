"""Checkpoints: folders that are whole or absent, from which training goes on as if it had never stopped."""

import json
import random
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ml.artefact import DamagedArtefactError, manifest, whole_folder

WEIGHTS, OPTIMISER, RANDOM, STATE = (
    "trainable.safetensors",
    "optimiser.safetensors",
    "random.safetensors",
    "state.json",
)
MANIFEST = "manifest.json"
FINISHED = "finished"


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a training is, at one step.

    Attributes:
        step: optimiser steps taken.
        weights: trainable weights by name.
        optimiser: its state_dict.
        scheduler: its state_dict, plain values.
        progress: sampler position and early-stopping state, plain values.
        random_state: from `random_state()`.
    """

    step: int
    weights: dict[str, torch.Tensor]
    optimiser: dict[str, Any]
    scheduler: dict[str, Any]
    progress: dict[str, Any]
    random_state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one training: the newest and the best; at its end, the best weights alone."""

    def __init__(self, folder: Path, key: str):
        """Open `folder`; checkpoints of another `key` (other data, recipe or code) are removed."""
        self.folder, self.key = folder, key
        if folder.exists() and any(_state(one)["key"] != key for one in self._whole()):
            shutil.rmtree(folder)

    def save(self, checkpoint: Checkpoint, *, best_step: int | None) -> None:
        """Write a checkpoint whole, then remove all but it and the best."""
        with whole_folder(self._place(checkpoint.step)) as temporary:
            save_file(_on_cpu(checkpoint.weights), temporary / WEIGHTS)
            tensors, groups = _flat_optimiser(checkpoint.optimiser)
            save_file(tensors, temporary / OPTIMISER)
            generators = {name: value for name, value in checkpoint.random_state.items() if _is_tensor(value)}
            save_file(generators, temporary / RANDOM)
            state = {
                "key": self.key,
                "step": checkpoint.step,
                "best_step": best_step,
                "optimiser": groups,
                "scheduler": checkpoint.scheduler,
                "progress": checkpoint.progress,
                "random": {k: v for k, v in checkpoint.random_state.items() if not _is_tensor(v)},
            }
            _seal(temporary, state)
        for folder in self.folder.glob("step-*"):
            if folder not in (self._place(checkpoint.step), self._place(best_step)):
                shutil.rmtree(folder)

    def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole, its best one too; None if there is none."""
        whole = self._whole()
        for folder in reversed(whole):
            best_step = _state(folder)["best_step"]
            if best_step is None or self._place(best_step) in whole:
                return _read(folder)
        return None

    def weights(self, step: int) -> dict[str, torch.Tensor]:
        """Return the trainable weights at a step that was kept.

        Raises:
            DamagedArtefactError: its bytes are not those that were written.
        """
        if not _is_whole(self._place(step)):
            raise DamagedArtefactError(
                f"The checkpoint of step {step} changed since it was written"
                "\n\nhint: run again; training goes on from one that is whole"
            )
        return load_file(self._place(step) / WEIGHTS)

    def finish(self, weights: Mapping[str, torch.Tensor], facts: dict[str, Any]) -> None:
        """Keep the best weights and what the training said at its end, and nothing to go on from."""
        with whole_folder(self.folder / FINISHED) as temporary:
            save_file(_on_cpu(weights), temporary / WEIGHTS)
            _seal(temporary, {"key": self.key, "facts": facts})
        for folder in self.folder.glob("step-*"):
            shutil.rmtree(folder)

    def finished(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """Return the best weights and the facts of a training that ended; None if it did not."""
        folder = self.folder / FINISHED
        return (load_file(folder / WEIGHTS), _state(folder)["facts"]) if _is_whole(folder) else None

    def _place(self, step: int | None) -> Path:
        return self.folder / f"step-{step or 0:09d}"

    def _whole(self) -> list[Path]:
        """Return the checkpoints that are whole, in order of their steps."""
        return [one for one in sorted(self.folder.glob("step-*")) if _is_whole(one)]


def random_state() -> dict[str, Any]:
    """Return the state of every generator: torch on each device, numpy, Python."""
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002
    version, numbers, gauss_next = random.getstate()
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": [str(name), np.asarray(keys).tolist(), int(position), int(has_gauss), float(gauss)],
        "python": [version, list(numbers), gauss_next],
    }
    if torch.cuda.is_available():
        states = torch.cuda.get_rng_state_all()
        state |= {f"cuda_{n}": generator for n, generator in enumerate(states)}
    return state


def restore_random_state(state: dict[str, Any]) -> None:
    """Set every generator back to a state from `random_state`."""
    torch.set_rng_state(state["torch"])
    name, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), position, has_gauss, gauss))  # noqa: NPY002
    version, numbers, gauss_next = state["python"]
    random.setstate((version, tuple(numbers), gauss_next))
    devices = sorted(name for name in state if name.startswith("cuda_"))
    if devices and torch.cuda.is_available():
        torch.cuda.set_rng_state_all([state[f"cuda_{n}"] for n in range(len(devices))])


def _read(folder: Path) -> Checkpoint:
    state = _state(folder)
    tensors = load_file(folder / OPTIMISER)
    by_weight: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, what = name.partition(".")
        by_weight.setdefault(int(number), {})[what] = tensor
    return Checkpoint(
        step=state["step"],
        weights=load_file(folder / WEIGHTS),
        optimiser={"state": by_weight, "param_groups": state["optimiser"]},
        scheduler=state["scheduler"],
        progress=state["progress"],
        random_state={**state["random"], **load_file(folder / RANDOM)},
    )


def _flat_optimiser(state: dict[str, Any]) -> tuple[dict[str, torch.Tensor], list[dict[str, Any]]]:
    """Split an optimiser's state into named tensors and plain groups."""
    tensors = {
        f"{number}.{what}": tensor.detach().cpu().contiguous()
        for number, slots in state["state"].items()
        for what, tensor in slots.items()
    }
    return tensors, state["param_groups"]


def _on_cpu(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def _seal(folder: Path, state: dict[str, Any]) -> None:
    """Write the plain state, then the hashes of all that lies in a checkpoint."""
    (folder / STATE).write_text(json.dumps(state), encoding="utf-8")
    hashes = manifest(folder)
    (folder / MANIFEST).write_text(json.dumps(hashes), encoding="utf-8")


def _is_whole(folder: Path) -> bool:
    path = folder / MANIFEST
    if not path.exists():
        return False
    hashes = json.loads(path.read_text(encoding="utf-8"))
    return {name: sha256 for name, sha256 in manifest(folder).items() if name != MANIFEST} == hashes


def _state(folder: Path) -> dict[str, Any]:
    return json.loads((folder / STATE).read_text(encoding="utf-8"))
