"""The true risk of an example: the world rolled forward, the outcome summed in closed form (METHODS 23)."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ml.simulator.concepts import codes
from ml.simulator.hazards import needed
from ml.simulator.processes import CONDITIONS, HAZARDS, INDEX, STEP_DAYS
from ml.simulator.restart import Restart, read_switches, restart
from ml.simulator.state import advance
from ml.simulator.step import draw
from ml.simulator.switches import Switches

_COLUMNS = 8192  # persons times rollouts rolled at once: what the caches hold
FIRST_ROLLOUTS, MOST_ROLLOUTS = 32, 2048
AGREEMENT = 0.002


def outcome_processes(outcome_concept_ids: Iterable[int]) -> tuple[int, ...]:
    """Return the processes that record the outcome.

    Raises ValueError where no process records it, or where one records it under some of its codes only.
    """
    wanted, found = set(outcome_concept_ids), []
    for process in CONDITIONS:
        own = set(codes(process.name).concept_ids.tolist())
        if own & wanted and not own <= wanted:
            raise ValueError(
                f"The outcome holds {len(own & wanted)} of the {len(own)} concepts of the process "
                f"`{process.name}`: its risk has no closed form\n\nhint: include all of them"
            )
        if own <= wanted:
            found.append(INDEX[process.name])
    shared = wanted & set(codes("admission_cause").concept_ids.tolist())
    if shared:
        raise ValueError(f"{len(shared)} of the outcome's concepts are also recorded at admissions")
    if not found:
        raise ValueError("No process of this world records the outcome")
    return tuple(found)


def true_risk(
    world_directory: Path,
    examples: pd.DataFrame,
    *,
    outcome_concept_ids: set[int],
    tar_start_days: int,
    tar_end_days: int,
    seed: int,
    agreement: float = AGREEMENT,
    first_rollouts: int = FIRST_ROLLOUTS,
    most_rollouts: int = MOST_ROLLOUTS,
) -> pd.DataFrame:
    """Return P(y_true = 1 | record to the end of the index day, y_true not null) of each example.

    `examples`: example_id, person_id, index_date; with a column `y_true` the two halves' AUROC is measured
    against it, otherwise against labels expected from the risks themselves. Rollouts are doubled until the
    halves agree within `agreement`, or `most_rollouts`. Death first is 0; loss to follow-up (or the world's
    end) first is null, as is an outcome before the time-at-risk; one lost on the index day has no risk (NaN).
    Returns example_id, p, standard_error (Monte-Carlo, of a ratio), n_rollouts, in the order given; the
    values do not depend on that order. Raises ValueError as `restart` and `outcome_processes` do.
    """
    if not 1 <= tar_start_days <= tar_end_days:
        raise ValueError(f"Time-at-risk of {tar_start_days}..{tar_end_days} days. Allowed: 1 <= start <= end")
    if examples.empty:
        return pd.DataFrame(
            {"example_id": examples["example_id"], "p": [], "standard_error": [], "n_rollouts": []}
        )
    ordered = examples.sort_values("example_id", kind="stable")
    day = ordered["index_date"].to_numpy("datetime64[D]").astype(np.int64)
    start = restart(world_directory, ordered["person_id"].to_numpy(np.int64), day)
    outcomes = outcome_processes(outcome_concept_ids)
    task = Task(outcomes, tar_start_days, tar_end_days, read_switches(world_directory))
    rng = np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence([seed, *outcomes])))
    labels = ordered["y_true"].to_numpy(float) if "y_true" in ordered else None
    if labels is not None and len(np.unique(labels[~np.isnan(labels)])) < 2:
        labels = None
    halves, size = [Sums.none(len(ordered)), Sums.none(len(ordered))], first_rollouts // 2
    while True:
        for half in halves:
            half.add(roll(start, task, rng, size))
        p = [half.risk() for half in halves]
        whole = halves[0].plus(halves[1])
        gap = abs(auroc(p[0], whole.risk(), labels) - auroc(p[1], whole.risk(), labels))
        if gap < agreement or 2 * whole.n >= most_rollouts + 1:
            break
        size = halves[0].n
    result = pd.DataFrame(
        {
            "example_id": ordered["example_id"],
            "p": whole.risk(),
            "standard_error": whole.standard_error(),
            "n_rollouts": whole.n,
        }
    )
    return result.loc[examples.index].reset_index(drop=True)


@dataclass(frozen=True)
class Task:
    """What is asked of the world: numbers of the outcome's processes, time-at-risk, switches."""

    outcomes: tuple[int, ...]
    tar_start_days: int
    tar_end_days: int
    switches: Switches


@dataclass
class Sums:
    """Sums over `n` rollouts of N examples: case weight a, weight with a label b, and their products."""

    n: int
    a: np.ndarray
    b: np.ndarray
    aa: np.ndarray
    ab: np.ndarray
    bb: np.ndarray

    @classmethod
    def none(cls, size: int) -> "Sums":
        """Return the sums over no rollout."""
        return cls(0, *(np.zeros(size) for _ in range(5)))

    def add(self, weights: tuple[np.ndarray, np.ndarray]) -> None:
        """Add rollouts: (a, b), each float64 (N, R)."""
        a, b = weights
        self.n += a.shape[1]
        for name, value in (("a", a), ("b", b), ("aa", a * a), ("ab", a * b), ("bb", b * b)):
            getattr(self, name).__iadd__(value.sum(axis=1))

    def plus(self, other: "Sums") -> "Sums":
        """Return the sums over both sets of rollouts."""
        mine, others = vars(self).values(), vars(other).values()
        return Sums(*(one + another for one, another in zip(mine, others, strict=True)))

    def risk(self) -> np.ndarray:
        """Return P(case | labelled), float64 (N,); NaN where no rollout leaves a label."""
        return np.divide(self.a, self.b, out=np.full(len(self.a), np.nan), where=self.b > 0)

    def standard_error(self) -> np.ndarray:
        """Return the standard error of the ratio (linearised), float64 (N,)."""
        p = self.risk()
        spread = np.maximum(self.aa - 2 * p * self.ab + p * p * self.bb, 0)
        spread = np.sqrt(spread * self.n / max(self.n - 1, 1))
        return np.divide(spread, self.b, out=np.full(len(p), np.nan), where=self.b > 0)


def roll(
    start: Restart, task: Task, rng: np.random.Generator, rollouts: int
) -> tuple[np.ndarray, np.ndarray]:
    """Roll every restart forward `rollouts` times; returns (case weight, labelled weight), float64 (N, R)."""
    n, chunk = len(start.left), max(1, _COLUMNS // rollouts)
    case, labelled = np.zeros((n, rollouts)), np.zeros((n, rollouts))
    for begun in range(0, n, chunk):
        columns = np.arange(begun, min(begun + chunk, n))
        a, b = _roll(start.take(np.repeat(columns, rollouts)), task, rng)
        case[columns], labelled[columns] = a.reshape(-1, rollouts), b.reshape(-1, rollouts)
    return case, labelled


def _roll(start: Restart, task: Task, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Roll each column once without the outcome; return its weight as a case and as a labelled example.

    Given the path of everything else, the outcome's chance to come by day m of a step is
    1 - prod(1 - q (m + 1) / 30), since the processes of a step are independent given its start.
    """
    state, left, known_to = start.state, start.left.copy(), start.known_to
    n = len(left)
    opens, closes = known_to + task.tar_start_days, known_to + task.tar_end_days
    free, going = np.ones(n), ~start.ended
    case, null = np.zeros(n), (start.ended & ~start.died).astype(float)
    leave_out = frozenset(process.name for process in HAZARDS) - needed(task.outcomes, task.switches)
    step = 0
    while True:
        first = step == 0
        drawn = draw(
            state,
            task.switches,
            rng,
            left=left,
            known_to=known_to if first else None,
            known=start.known if first else None,
            leave_out=leave_out,
            outcomes=task.outcomes,
        )
        begun = known_to if first else np.full(n, -1)
        chance = drawn.chance[list(task.outcomes)].astype(float)

        def by(day: np.ndarray, chance: np.ndarray = chance, begun: np.ndarray = begun) -> np.ndarray:
            share = (np.minimum(day, STEP_DAYS - 1) - begun) / np.maximum(STEP_DAYS - 1 - begun, 1)
            return 1 - np.prod(1 - chance * np.clip(share, 0, 1), axis=0)

        last = np.minimum(drawn.end, closes)
        early = by(np.minimum(last, opens - 1))
        weight = np.where(going, free, 0)
        case += weight * (by(last) - early)
        null += weight * early
        lost = going & drawn.ended & ~drawn.died & (drawn.end < closes)
        null += np.where(lost, free * (1 - by(last)), 0)
        going &= ~drawn.ended & (closes >= STEP_DAYS)
        if not going.any():
            return case, 1 - null
        free *= np.where(going, 1 - by(np.full(n, STEP_DAYS - 1)), 1)
        advance(state, start.known.plus(drawn.events) if first else drawn.events)
        left, opens, closes = left - STEP_DAYS, opens - STEP_DAYS, closes - STEP_DAYS
        step += 1


def auroc(score: np.ndarray, risk: np.ndarray, labels: np.ndarray | None) -> float:
    """Return the AUROC of scores, against labels 0/1/NaN if given, else against labels drawn from `risk`.

    The latter is the expected share of ordered pairs: each example is a case with weight `risk` and a
    non-case with 1 - `risk`. Examples without a risk do not count. NaN with one class only.
    """
    has = ~np.isnan(score + risk)
    score, risk, labels = score[has], risk[has], None if labels is None else labels[has]
    case = risk if labels is None else np.where(np.isnan(labels), 0, labels)
    other = 1 - risk if labels is None else np.where(np.isnan(labels), 0, 1 - labels)
    _, at = np.unique(score, return_inverse=True)
    cases, others = np.bincount(at, weights=case), np.bincount(at, weights=other)
    below = np.cumsum(others) - others
    pairs = case.sum() * other.sum()
    return float((cases * (below + others / 2)).sum() / pairs) if pairs > 0 else float("nan")
