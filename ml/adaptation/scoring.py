"""Scores of many texts by one network: longest first, resumable, and smaller batches when memory runs out."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from ml.adaptation.hardware import is_out_of_memory, release
from ml.adaptation.network import TextScorer
from ml.artefact import write_json

BATCH_TOKENS = 16_384  # padded tokens of a batch; it halves when memory runs out
SAVE_SECONDS = 120.0


class ScoringPlan:
    """Which texts go together: by length, longest first, so that memory runs out at once or never."""

    def __init__(self, tokens: Sequence[Sequence[int]], batch_tokens: int):
        self.tokens = tokens
        self.batch_tokens = batch_tokens
        self.order = sorted(range(len(tokens)), key=lambda row: (-len(tokens[row]), row))

    def batch(self, start: int) -> list[int]:
        """Return the rows of the batch that begins at place `start` of the order."""
        width = max(1, len(self.tokens[self.order[start]]))
        return self.order[start : start + max(1, self.batch_tokens // width)]


def score(
    scorer: TextScorer,
    tokens: Sequence[Sequence[int]],
    *,
    work: Path | None = None,
    progress: Callable[[str], None] | None = None,
    save_seconds: float = SAVE_SECONDS,
) -> np.ndarray:
    """Return the probability of label 1 of N texts, float64 (N,).

    Args:
        scorer: left in its mode.
        tokens: token ids of each text.
        work: a file for what is done so far, taken up after a kill; removed at the end.
        progress: told the time left.
        save_seconds: of work between two writes of `work`.
    """
    plan = ScoringPlan(tokens, BATCH_TOKENS)
    logits = np.full(len(tokens), np.nan)
    done = _take_up(work, logits, plan)
    was_training = scorer.training
    scorer.eval()
    started = saved = time.monotonic()
    first = done
    while done < len(tokens):
        rows = plan.batch(done)
        try:
            with torch.inference_mode():
                logits[rows] = scorer(*scorer.collate([tokens[row] for row in rows])).double().cpu().numpy()
        except RuntimeError as error:
            if not is_out_of_memory(error) or len(rows) == 1:
                raise
            plan.batch_tokens //= 2
            release(scorer.device)
            continue
        done += len(rows)
        now = time.monotonic()
        if now - saved > save_seconds:
            saved = now
            _put_down(work, logits, plan, done)
            if progress:
                left = (now - started) / (done - first) * (len(tokens) - done)
                progress(f"scored {done} of {len(tokens)} texts, {left:.0f} s left")
    scorer.train(was_training)
    if work is not None:
        work.unlink(missing_ok=True)
    return torch.from_numpy(logits).sigmoid().numpy()


def _put_down(work: Path | None, logits: np.ndarray, plan: ScoringPlan, done: int) -> None:
    if work is not None:
        found = [float(logits[row]).hex() for row in plan.order[:done]]
        write_json(work, {"batch_tokens": plan.batch_tokens, "logits": found})


def _take_up(work: Path | None, logits: np.ndarray, plan: ScoringPlan) -> int:
    """Fill in what an earlier process scored; return how many texts those are."""
    if work is None or not work.exists():
        return 0
    stored = json.loads(work.read_text(encoding="utf-8"))
    plan.batch_tokens = stored["batch_tokens"]
    found = [float.fromhex(text) for text in stored["logits"]]
    logits[plan.order[: len(found)]] = found
    return len(found)
