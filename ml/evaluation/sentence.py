"""The sentence a verdict is read by: what was compared, the difference, the verdict, and its qualifiers."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ml.evaluation.metrics import METRIC_TITLES
from ml.evaluation.verdict import (
    MINIMUM_CASES,
    NO_VERDICT,
    TOO_FEW_CASES,
    UNDETERMINED,
    Competitor,
    Judgement,
)

ONE_SEED = "for this trained model (one seed)"
# Counts below this never stand in a sentence: CMS small-cell rule (reliability notes 4.3).
SMALLEST_SHOWN = 11

PHRASES = {
    "superior": "is superior to",
    "non-inferior": "is non-inferior to",
    "inferior": "is inferior to",
}


@dataclass(frozen=True)
class Difference:
    """The measured difference of one comparison; intervals at the verdict's level and at 95%."""

    delta: float
    low: float
    high: float
    level: float
    low_95: float
    high_95: float
    identical: str = ""


def signed(value: float) -> str:
    """A difference with its sign and three digits; a true minus sign.

    >>> signed(-0.0123)
    '\u22120.012'
    """
    text = f"{abs(value):.3f}"
    return text if float(text) == 0 else ("+" if value > 0 else "\u2212") + text


def percent(level: float) -> str:
    """A level in percent with the digits it needs, rounded down: 0.9875 gives '98.75%'."""
    return f"{math.floor(level * 10000 + 1e-6) / 100:g}%"


def count_words(n: int, noun: str) -> str:
    """A count with its noun; 1 to 10 is not printed.

    >>> count_words(7, "cases")
    'fewer than 11 cases'
    """
    return f"fewer than {SMALLEST_SHOWN} {noun}" if 0 < n < SMALLEST_SHOWN else f"{n:,} {noun}"


def about(n: int) -> str:
    """A planned number to two significant digits.

    >>> about(1234)
    '1,200'
    """
    digits = len(str(n)) - 2
    return f"{round(n, -max(0, digits)):,}"


def gather_qualifiers(
    study: Iterable[str], challenger: Competitor, reference: Competitor, *, n_runs: tuple[int, int]
) -> list[str]:
    """Every qualifier once, in order: the study's, the arms', not converged, one seed."""
    words = [*study, *challenger.qualifiers, *reference.qualifiers]
    if not challenger.is_converged:
        words.append("challenger not converged")
    if not reference.is_converged:
        words.append("reference not converged")
    runs = zip((challenger, reference), n_runs, strict=True)
    if any(n == 1 and not arm.is_deterministic for arm, n in runs):
        words.append(ONE_SEED)
    return list(dict.fromkeys(words))


def verdict_sentence(
    judgement: Judgement,
    difference: Difference,
    *,
    task: str,
    metric: str,
    margin: float,
    names: tuple[str, str],
    n_held_out: int,
    n_cases: int,
    to_settle: list[tuple[str, int | None]],
    qualifiers: list[str],
    n_reading: int,
) -> str:
    """Say one verdict in one or two sentences.

    Args:
        judgement: the verdict and its addition.
        difference: with both intervals.
        task: as the reader knows it.
        metric: its identifier.
        margin: registered margin.
        names: challenger and reference, each with what it is.
        n_held_out: examples.
        n_cases: cases among them.
        to_settle: (assumed difference in words, cases needed).
        qualifiers: from `gather_qualifiers`.
        n_reading: 1 gives the verdict; more is monitoring.
    """
    title = METRIC_TITLES[metric]
    if judgement.verdict in PHRASES:
        head = f"On {task}, {names[0]} {PHRASES[judgement.verdict]} {names[1]}"
    else:
        head = f"On {task}, the comparison of {names[0]} with {names[1]} is {judgement.verdict}"
    bounds = f"{percent(difference.level)} interval {signed(difference.low)} to {signed(difference.high)}"
    if difference.level != 0.95:
        bounds += f"; 95% interval {signed(difference.low_95)} to {signed(difference.high_95)}"
    found = f"{title} difference {signed(difference.delta)} ({bounds}) at a margin of {margin:g}"
    extras = [words for words in (difference.identical, judgement.addition) if words]
    parts = [f"{head}: {', '.join([found, *extras])}, on {n_held_out:,} held-out examples"]
    parts[0] += f" with {count_words(n_cases, 'cases')}."
    if judgement.verdict == TOO_FEW_CASES:
        parts.append(f"Too few cases: a verdict needs at least {MINIMUM_CASES} cases and as many non-cases.")
    if judgement.verdict in (TOO_FEW_CASES, UNDETERMINED):
        needs = [f"about {about(n)} if {words}" for words, n in to_settle if n is not None]
        if needs:
            parts.append(f"Held-out cases that would settle it (80% power): {'; '.join(needs)}.")
    if n_reading > 1:
        parts.append(f"Monitoring, reading {n_reading} of held-out data: not the registered verdict.")
    return " ".join([*parts, *_qualifier_sentence(qualifiers)])


def missing_sentence(task: str, names: tuple[str, str], reason: str, qualifiers: list[str]) -> str:
    """Say why a comparison has no verdict."""
    head = f"On {task}, {NO_VERDICT} on {names[0]} against {names[1]}: {reason.rstrip('.')}."
    return " ".join([head, *_qualifier_sentence(qualifiers)])


def _qualifier_sentence(qualifiers: list[str]) -> list[str]:
    if not qualifiers:
        return []
    text = "; ".join(qualifiers)
    return [text[0].upper() + text[1:] + "."]
