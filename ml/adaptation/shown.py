"""What a regime sees, is told, and gives back; what it read to learn is written down as it reads it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ml.models.model import Model

Purpose = Literal["fit", "select", "recalibrate"]


@dataclass(frozen=True)
class Texts:
    """N texts as a model is shown them: the instruction in its own template, then the record."""

    prefix: str
    texts: list[str]


@dataclass
class Shown:
    """N examples as one arm sees them.

    Attributes:
        split: str (N,).
        person_id: int64 (N,).
        may_fit: bool (N,), train examples whose labels may be fitted on (few-shot: those drawn).
        may_select: bool (N,), tuning examples whose labels may choose and stop.
        place: int64 (N,), place of a drawn example within its class; 0: not drawn.
        matrix: counts or vectors (N, D); None for texts.
        blocks: kind of each run of columns, with its width, in order: counts or vectors.
        texts: N texts; None for a matrix.
        parts: what a stack joins.
        used: purpose -> bool (N,), whose labels or columns were read for it; grows as they are.
    """

    split: np.ndarray
    person_id: np.ndarray
    may_fit: np.ndarray
    may_select: np.ndarray
    place: np.ndarray
    matrix: Any = None
    blocks: tuple[tuple[str, int], ...] = ()
    texts: Texts | None = None
    parts: "tuple[Part, ...]" = ()
    used: dict[str, np.ndarray] = field(default_factory=dict)
    _y_true: np.ndarray = field(default_factory=lambda: np.empty(0))

    @classmethod
    def of(cls, y_true: np.ndarray, **what: Any) -> "Shown":
        """Show N examples; labels that serve no purpose become NaN, so that reading them helps nobody."""
        known = what["may_fit"] | what["may_select"]
        return cls(**what, _y_true=np.where(known, y_true, np.nan))

    def __len__(self) -> int:
        return len(self.split)

    def labels(self, rows: np.ndarray, purpose: Purpose) -> np.ndarray:
        """Return the labels of `rows`, float64, and remember what they were read for."""
        self._remember(rows, purpose)
        return self._y_true[rows]

    def columns(self, rows: np.ndarray, purpose: Purpose) -> Any:
        """Return `rows` of the matrix, and remember what they were read for: scaling needs no label."""
        self._remember(rows, purpose)
        return self.matrix[rows]

    def _remember(self, rows: np.ndarray, purpose: Purpose) -> None:
        self.used.setdefault(purpose, np.zeros(len(self), dtype=bool))[rows] = True

    @property
    def fit_rows(self) -> np.ndarray:
        """Positions that may be fitted on."""
        return np.flatnonzero(self.may_fit)

    @property
    def tuning_rows(self) -> np.ndarray:
        """Positions that may choose and stop."""
        return np.flatnonzero(self.may_select)

    def without(self, out: np.ndarray) -> "Shown":
        """Return the examples that may fit or choose, with the rows `out` kept for scoring alone.

        Rows that serve neither are left out: nothing is scored in vain. Order is kept.
        """
        keep = np.flatnonzero(self.may_fit | self.may_select)
        left_out = np.zeros(len(self), dtype=bool)
        left_out[out] = True
        texts = self.texts and Texts(self.texts.prefix, [self.texts.texts[row] for row in keep])
        return Shown.of(
            self._y_true[keep],
            split=self.split[keep],
            person_id=self.person_id[keep],
            may_fit=(self.may_fit & ~left_out)[keep],
            may_select=self.may_select[keep],
            place=self.place[keep],
            matrix=None if self.matrix is None else self.matrix[keep],
            blocks=self.blocks,
            texts=texts,
        )


@dataclass(frozen=True)
class Setting:
    """How one run is made: the model, what may be tried, and where it writes.

    Attributes:
        model: row of the registry.
        folder: its weights; None for a baseline.
        configurations: those to try; one leaves no choice.
        seed: of everything random.
        target: folder for the fitted model.
        work: folder for checkpoints and scores on their way.
        key: of inputs and code; work under another key is thrown away.
        progress: told what happens.
    """

    model: Model
    folder: Path | None
    configurations: tuple[dict[str, Any], ...]
    seed: int
    target: Path
    work: Path
    key: str
    progress: Callable[[str], None]
    head: str = "logistic_regression"
    mode: str = "zero_shot"
    four_bit: bool = False
    question: str = ""


@dataclass(frozen=True)
class Adapted:
    """A chosen model, saved, with the scores of all N examples (probability of label 1, float64).

    `reload` loads the saved model anew and scores given rows; `reloaded_rows` says of how many that is asked
    (None: all), `tolerance` how far their logits may differ. `curve` is the AUROC of tuning after each
    round of boosting that was run, of the chosen configuration; `used` is steps, tokens and work of the run.
    """

    y_score_raw: np.ndarray
    configuration: dict[str, Any]
    reload: Callable[[np.ndarray], np.ndarray]
    tolerance: float
    reloaded_rows: int | None = None
    trials: list[dict[str, Any]] = field(default_factory=list)
    converged: bool = True
    curve: list[float] = field(default_factory=list)
    used: Mapping[str, float] = field(default_factory=dict)


Regime = Callable[[Shown, Setting], Adapted]


@dataclass(frozen=True)
class Part:
    """One arm that a stack joins: how it is made, what it sees, and its scores where they are out of sample.

    `y_score_raw` float64 (N,) holds its own run's scores; those of train are in sample and never read.
    `converged`: whether that run had.
    """

    name: str
    adapt: Regime
    setting: Setting
    shown: Shown
    y_score_raw: np.ndarray
    converged: bool = True
