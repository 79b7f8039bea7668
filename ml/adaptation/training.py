"""The training loop: one for every network that gives a logit, resumable to the bit on one machine."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.flop_counter import FlopCounterMode

from ml.adaptation.checkpoint import Checkpoint, Checkpoints, random_state, restore_random_state
from ml.adaptation.guards import require_finite_loss, require_gradients, require_moved
from ml.adaptation.hardware import is_out_of_memory, release
from ml.adaptation.lesson import Lesson, Progress, Recipe, Trained, hit_ceiling, rate_schedule
from ml.adaptation.network import TextScorer
from ml.adaptation.scoring import score

CHECKPOINT_SECONDS = 240.0  # of work; a step is far shorter than the minute that is left of five
FINGERPRINT = 1000  # values of a tensor that are compared to see whether it moved


class Training:
    """One training of one network."""

    def __init__(
        self,
        scorer: TextScorer,
        lesson: Lesson,
        recipe: Recipe,
        *,
        seed: int,
        checkpoints: Checkpoints,
        work: Path,
        progress: Callable[[str], None],
        micro_batch: int | None = None,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
    ):
        """Prepare a training; `work` holds scores on their way, `micro_batch` defaults to the whole batch."""
        self.scorer, self.lesson, self.recipe, self.seed = scorer, lesson, recipe, seed
        self.checkpoints, self.work, self.say = checkpoints, work, progress
        self.checkpoint_seconds = checkpoint_seconds
        self.weights = scorer.trainable()
        self.fingerprints = {name: _fingerprint(weight) for name, weight in self.weights.items()}
        self.optimiser = torch.optim.AdamW(
            self.weights.values(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.steps_per_epoch = math.ceil(len(lesson.fit) / recipe.batch_size)
        steps = self.steps_per_epoch * recipe.max_epochs
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimiser, rate_schedule(recipe, steps))
        self.now = Progress(micro_batch=min(micro_batch or recipe.batch_size, recipe.batch_size))
        self.flops_per_token = 0.0

    def run(self) -> Trained:
        """Train until early stopping or the ceiling, from the newest checkpoint if there is one.

        Raises:
            RefusalError: the loss is not finite, no part has a gradient, or nothing moved.
        """
        torch.manual_seed(self.seed)
        self._rehearse()
        self._resume()
        self.clock = self.saved = time.monotonic()
        if self.now.step == 0:
            self._save()
        while not self.now.finished:
            if self.now.place < self.steps_per_epoch and not self._stepped():
                continue
            self._after_step()
        self.scorer.load_trainable(self.checkpoints.weights(self.now.best_step or 0))
        require_moved(self._by_part(self._moved))
        epochs = len(self.now.aurocs)
        return Trained(
            best_auroc=max(self.now.aurocs),
            best_epoch=self.now.best_epoch,
            epochs=epochs,
            steps=self.now.step,
            tokens=self.now.tokens,
            petaflops=self.flops_per_token * self.now.tokens / 1e15,
            wall_s=self.now.wall_s,
            halvings=self.now.halvings,
            converged=not hit_ceiling(
                self.now.best_epoch, epochs, ceiling=self.recipe.max_epochs, patience=self.recipe.patience
            ),
        )

    def _rehearse(self) -> None:
        """Go through one micro-batch and undo it: every part must get a gradient; its work is counted."""
        before = random_state()
        rows = self._batch(0, 0)[: min(2, self.now.micro_batch)]
        with FlopCounterMode(display=False) as counter:
            loss, tokens = self._backward(rows, share=1.0)
        require_finite_loss(loss, 0)
        require_gradients(self._by_part(_has_gradient))
        self.flops_per_token = counter.get_total_flops() / max(1, tokens)
        self.optimiser.zero_grad(set_to_none=True)
        restore_random_state(before)

    def _stepped(self) -> bool:
        """Take a step; where the optimiser itself runs out of memory, go back to the newest checkpoint."""
        try:
            self._step()
        except RuntimeError as error:
            if not is_out_of_memory(error) or not self._halve():
                raise
        else:
            return True
        self._return_to_checkpoint()  # some weights may have moved
        return False

    def _step(self) -> None:
        """Take one optimiser step; memory that runs out before it costs nothing but a smaller micro-batch."""
        rows = self._batch(self.now.epoch, self.now.place)
        before = random_state()
        while True:
            try:
                loss, tokens = self._accumulate(rows)
                break
            except RuntimeError as error:
                if not is_out_of_memory(error) or not self._halve():
                    raise
            # Neither weights nor optimiser have changed yet: gradients and generators are all there is.
            self.optimiser.zero_grad(set_to_none=True)
            restore_random_state(before)
        require_finite_loss(loss, self.now.step + 1)
        torch.nn.utils.clip_grad_norm_(self.weights.values(), self.recipe.gradient_norm)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.scheduler.step()
        self.now.step += 1
        self.now.place += 1
        self.now.tokens += tokens

    def _accumulate(self, rows: np.ndarray) -> tuple[float, int]:
        """Add up the gradients of a batch, a micro-batch at a time; return its mean loss and its tokens."""
        total, tokens = 0.0, 0
        for start in range(0, len(rows), self.now.micro_batch):
            part = rows[start : start + self.now.micro_batch]
            loss, seen = self._backward(part, share=len(part) / len(rows))
            total, tokens = total + loss, tokens + seen
        return total, tokens

    def _backward(self, rows: np.ndarray, *, share: float) -> tuple[float, int]:
        self.scorer.train()
        ids, mask = self.scorer.collate([self.lesson.tokens[row] for row in rows])
        labels = torch.tensor(self.lesson.y_true[rows], dtype=torch.float32, device=ids.device)
        loss = binary_cross_entropy_with_logits(self.scorer(ids, mask), labels) * share
        loss.backward()
        return loss.item(), int(mask.sum())

    def _after_step(self) -> None:
        """At an epoch's end judge on tuning; save what is new, at the latest every few minutes of work."""
        if self.now.place >= self.steps_per_epoch:
            if self._since_saved() > self.checkpoint_seconds / 4:  # judging may take minutes itself
                self._save()
            self._judge()
            self._save()
        elif self._since_saved() >= self.checkpoint_seconds:
            self._save()
            self._tell("")

    def _judge(self) -> None:
        tuning = self.lesson.tuning
        scores = score(
            self.scorer,
            [self.lesson.tokens[row] for row in tuning],
            work=self.work / f"tuning-{self.now.step}.json",
        )
        require_finite_loss(float(scores.sum()), self.now.step)
        self.now.aurocs.append(float(roc_auc_score(self.lesson.y_true[tuning], scores)))
        self.now.epoch, self.now.place = self.now.epoch + 1, 0
        if self.now.best_epoch == self.now.epoch:
            self.now.best_step = self.now.step
        waited = self.now.epoch - self.now.best_epoch
        self.now.finished = waited >= self.recipe.patience or self.now.epoch >= self.recipe.max_epochs
        self._tell(f", tuning AUROC {self.now.aurocs[-1]:.4f}, best {max(self.now.aurocs):.4f}")

    def _tell(self, more: str) -> None:
        spent = self.now.wall_s + time.monotonic() - self.clock
        steps = self.steps_per_epoch * self.recipe.max_epochs
        left = spent / max(1, self.now.step) * (steps - self.now.step)
        self.say(f"step {self.now.step} of at most {steps}{more}, at most {left:.0f} s left")

    def _halve(self) -> bool:
        """Halve the micro-batch, which doubles accumulation; False where it holds one text already."""
        if self.now.micro_batch == 1:
            return False
        self.now.micro_batch = (self.now.micro_batch + 1) // 2
        self.now.halvings += 1
        release(self.scorer.device)
        self.say(f"out of memory: the micro-batch is {self.now.micro_batch} now")
        return True

    def _batch(self, epoch: int, place: int) -> np.ndarray:
        """Return the rows of a batch: each epoch has its own order, from the seed alone."""
        order = np.random.default_rng([self.seed, epoch]).permutation(self.lesson.fit)
        return order[place * self.recipe.batch_size :][: self.recipe.batch_size]

    def _save(self) -> None:
        self._count_time()
        checkpoint = Checkpoint(
            step=self.now.step,
            weights={name: weight.data for name, weight in self.weights.items()},
            optimiser=self.optimiser.state_dict(),
            scheduler=self.scheduler.state_dict(),
            progress=asdict(self.now),
            random_state=random_state(),
        )
        self.checkpoints.save(checkpoint, best_step=self.now.best_step)
        self.saved = time.monotonic()

    def _resume(self) -> None:
        stored = self.checkpoints.newest()
        if stored is None:
            return
        self.scorer.load_trainable(stored.weights)
        self.optimiser.load_state_dict(stored.optimiser)
        self.scheduler.load_state_dict(stored.scheduler)
        self.now = Progress(**stored.progress)
        restore_random_state(stored.random_state)
        if self.now.step:
            self.say(f"resumed at step {self.now.step}")

    def _return_to_checkpoint(self) -> None:
        micro_batch, halvings = self.now.micro_batch, self.now.halvings
        self.optimiser.zero_grad(set_to_none=True)
        self._resume()
        self.now.micro_batch, self.now.halvings = micro_batch, halvings

    def _by_part(self, ask: Callable[[str, Any], bool]) -> dict[str, list[bool]]:
        parts: dict[str, list[bool]] = {}
        for name, weight in self.weights.items():
            parts.setdefault(_part(name), []).append(ask(name, weight))
        return parts

    def _moved(self, name: str, weight: torch.Tensor) -> bool:
        return not torch.equal(_fingerprint(weight), self.fingerprints[name])

    def _since_saved(self) -> float:
        return time.monotonic() - self.saved

    def _count_time(self) -> None:
        now = time.monotonic()
        self.now.wall_s += now - self.clock
        self.clock = now


def _part(name: str) -> str:
    if "lora_" in name:
        return "adapter"
    return "head" if name.startswith("head.") else "backbone"


def _has_gradient(_: str, weight: torch.Tensor) -> bool:
    return weight.grad is not None and bool((weight.grad != 0).any())


def _fingerprint(weight: torch.Tensor) -> torch.Tensor:
    """Return about a thousand values spread over a tensor."""
    flat = weight.detach().flatten()
    return flat[:: max(1, flat.numel() // FINGERPRINT)].clone().cpu()
