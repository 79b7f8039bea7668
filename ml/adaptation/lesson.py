"""What a training is given, where it stands, and what it says at its end: plain values."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Recipe:
    """How a configuration is trained; AdamW, warm-up, then cosine or linear decay to 0.

    `max_epochs` is a ceiling: training stops before, after `patience` epochs without a better tuning AUROC.
    """

    learning_rate: float
    batch_size: int
    max_epochs: int
    patience: int
    warmup_share: float
    weight_decay: float
    schedule: Literal["cosine", "linear"] = "cosine"
    gradient_norm: float = 1.0


@dataclass(frozen=True)
class Lesson:
    """What is trained on: N texts as token ids, labels float64 (N,), and which rows fit and choose."""

    tokens: Sequence[Sequence[int]]
    y_true: np.ndarray
    fit: np.ndarray
    tuning: np.ndarray


@dataclass(frozen=True)
class Trained:
    """How a training went; the network itself holds the best weights."""

    best_auroc: float
    best_epoch: int
    epochs: int
    steps: int
    tokens: int
    petaflops: float
    wall_s: float
    halvings: int
    converged: bool


@dataclass
class Progress:
    """Where a training stands: sampler position, early stopping, and what it used; saved as plain values."""

    step: int = 0
    epoch: int = 0
    place: int = 0
    micro_batch: int = 0
    halvings: int = 0
    aurocs: list[float] = field(default_factory=list)
    best_step: int | None = None
    tokens: int = 0
    wall_s: float = 0.0
    finished: bool = False

    @property
    def best_epoch(self) -> int:
        """The first epoch with the best tuning AUROC, from 1; 0 before any."""
        return int(np.argmax(self.aurocs)) + 1 if self.aurocs else 0


def hit_ceiling(best: int, last: int, *, ceiling: int, patience: int) -> bool:
    """Whether a fit ended at its ceiling before early stopping could say that it had stopped improving.

    >>> hit_ceiling(18, 20, ceiling=20, patience=5), hit_ceiling(15, 20, ceiling=20, patience=5)
    (True, False)
    """
    return last >= ceiling and last - best < patience


def rate_schedule(recipe: Recipe, steps: int) -> Callable[[int], float]:
    """Return the share of the learning rate at each step of `steps`: warm-up, then decay towards 0."""
    warmup = math.ceil(steps * recipe.warmup_share)

    def share(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        left = 1 - (step - warmup) / max(1, steps - warmup)
        return left if recipe.schedule == "linear" else (1 - math.cos(math.pi * left)) / 2

    return share
