"""The rule that turns a difference and its interval into a verdict (METHODS 16 to 18, 20, 21)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from ml.refusal import RefusalError

MINIMUM_CASES = 100
POWER = 0.8

SUPERIOR = "superior"
NON_INFERIOR = "non-inferior"
INFERIOR = "inferior"
UNDETERMINED = "undetermined"
TOO_FEW_CASES = "undetermined (too few cases)"
NO_VERDICT = "no verdict"
VERDICTS = (SUPERIOR, NON_INFERIOR, INFERIOR, UNDETERMINED, TOO_FEW_CASES, NO_VERDICT)


class HeldOutMismatchError(RefusalError, ValueError):
    """Arms of one task were not scored on the same held-out examples and labels: none of it is evaluated."""

    def __init__(self, reason: str):
        super().__init__("held_out_differs", reason)


@dataclass(frozen=True)
class BestOf:
    """The best of a group of arms, chosen on tuning before held-out is scored."""

    group: str
    arms: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """One registered comparison; `margin` in units of the metric, with the reason for it in words."""

    challenger: str | BestOf
    reference: str | BestOf
    task: str
    metric: str = "auroc"
    margin: float = 0.02
    reason: str = ""


@dataclass(frozen=True)
class Competitor:
    """What a verdict sentence says of an arm (METHODS 20).

    Attributes:
        description: what competed, for example "110 M parameters, pretrained elsewhere, trained here".
        qualifiers: words about this arm that belong in the sentence, for example "smoke only".
        is_converged: False: it hit its step ceiling while still improving, so it cannot be called inferior.
        is_deterministic: True: another seed would give the same scores, so one seed needs no words.
    """

    description: str = ""
    qualifiers: tuple[str, ...] = ()
    is_converged: bool = True
    is_deterministic: bool = False


@dataclass(frozen=True)
class Judgement:
    """A verdict and the words that go with it, before any sentence is made."""

    verdict: str
    addition: str = ""


def verdict_level(n_primary: int, alpha: float = 0.05) -> float:
    """Two-sided level the verdict reads: 1 - alpha / K for K registered primary comparisons.

    >>> verdict_level(1)
    0.95
    """
    if n_primary < 1:
        raise ValueError(f"`n_primary` is {n_primary}: at least 1 comparison was expected")
    if not 0 < alpha < 1:
        raise ValueError(f"`alpha` is {alpha!r}: a number between 0 and 1 was expected")
    return 1 - alpha / n_primary


def judge(
    low: float, high: float, *, margin: float, n_cases: int, n_non_cases: int, is_converged: bool = True
) -> Judgement:
    """Read the interval of challenger - reference, signed so that more is better.

    Args:
        low: lower bound at the verdict's level, in units of the metric.
        high: upper bound.
        margin: m > 0.
        n_cases: held-out cases.
        n_non_cases: held-out non-cases.
        is_converged: whether the challenger was; one that was not is never called inferior.

    Raises:
        ValueError: margin not above 0, or bounds out of order.

    >>> judge(-0.03, 0.01, margin=0.05, n_cases=180, n_non_cases=720).verdict
    'non-inferior'
    """
    if not margin > 0:
        raise ValueError(f"`margin` is {margin!r}: a number above 0 was expected")
    if not low <= high:
        raise ValueError(f"interval runs from {low!r} to {high!r}: the lower bound must come first")
    unclear = "lower, amount unclear" if high < 0 else ""
    if min(n_cases, n_non_cases) < MINIMUM_CASES:
        return Judgement(TOO_FEW_CASES, unclear)
    if low > 0:
        return Judgement(SUPERIOR)
    if low > -margin:
        return Judgement(NON_INFERIOR, "measurably lower, by less than the margin" if high < 0 else "")
    if high < -margin:
        if not is_converged:
            return Judgement(UNDETERMINED, "lower, but not converged")
        return Judgement(INFERIOR)
    return Judgement(UNDETERMINED, unclear)


def cases_to_settle(
    half_width: float, level: float, *, n_cases: int, margin: float, assumed_delta: float
) -> int | None:
    """Held-out cases at which the verdict would be settled with 80% power, the share of cases unchanged.

    Settled: the interval lies on one side of -margin. The half-width shrinks with the square root of the
    number of cases, and the estimate itself varies, which asks for (z_level + z_power) / z_level times less.

    Args:
        half_width: of the interval at `level`, with `n_cases` cases.
        level: two-sided, for example 0.95.
        n_cases: cases it was measured on.
        margin: m > 0.
        assumed_delta: the true difference, as assumed.

    Returns:
        At least `MINIMUM_CASES`; None where the assumed difference is minus the margin: no number settles it.
    """
    distance = abs(assumed_delta + margin)
    if distance < 1e-6:
        return None
    z_level = NormalDist().inv_cdf(1 - (1 - level) / 2)
    ratio = half_width * (1 + NormalDist().inv_cdf(POWER) / z_level) / distance
    return max(MINIMUM_CASES, math.ceil(n_cases * ratio**2))


def choose_best(
    tuning_values: Mapping[str, float | None], best_of: BestOf, *, metric: str, split: str
) -> str | None:
    """Name the arm of a group with the best value on tuning; ties go to the first in alphabetical order.

    Args:
        tuning_values: arm -> metric, signed so that more is better; None or absent: not a candidate.
        best_of: the group.
        metric: named in the error.
        split: where the values come from; anything but "tuning" is refused.

    Returns:
        The arm, or None where no arm of the group has a value.

    Raises:
        ValueError: the values do not come from tuning.
    """
    if split != "tuning":
        raise ValueError(
            f"best of `{best_of.group}` by {metric} was asked for on {split!r}. Allowed: 'tuning'\n\n"
            "hint: an arm chosen on held-out data has seen the answer it is then judged on"
        )
    candidates = [(value, arm) for arm in best_of.arms if (value := tuning_values.get(arm)) is not None]
    return min(candidates, key=lambda pair: (-pair[0], pair[1]))[1] if candidates else None
