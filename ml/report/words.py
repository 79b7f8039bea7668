"""The page's sentences: careful words from verdicts, metrics and checks."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd

from ml.evaluation.metrics import METRIC_TITLES
from ml.evaluation.sentence import percent, signed
from ml.report.facts import Refusal, SignOff

BANNERS = {
    "simulated": (
        "Simulated patients",
        "This page shows how the platform behaves, never which model is better for patients. "
        "Rates of disease were raised on purpose.",
    ),
    "synthetic": (
        "Synthetic patients",
        "This page shows how the platform behaves, never which model is better for patients.",
    ),
}

TONES = {
    "superior": "good",
    "non-inferior": "good",
    "inferior": "bad",
    "undetermined": "open",
    "undetermined (too few cases)": "open",
    "no verdict": "none",
}

GLOSSARY = (
    ("Arm", "One model, adapted in one way, shown one view of the record; as in a trial."),
    (
        "AUROC",
        "How often a randomly chosen patient who had the outcome is ranked above one who did not. "
        "0.5 is chance, 1 is perfect.",
    ),
    (
        "AUPRC",
        "Average precision: the share of true alarms, averaged over all thresholds. "
        "Read it against the prevalence, which is what a model without knowledge would reach.",
    ),
    ("Brier score", "Mean squared error of the predicted risk. 0 is perfect; lower is better."),
    (
        "Calibration",
        "Whether a predicted risk of 20% comes true in 20 of 100. A slope of 1 and an intercept of 0 "
        "are right; a slope below 1 means risks are too extreme.",
    ),
    (
        "Interval",
        "How far the number could lie from the truth by the chance of who was in the study, found by drawing "
        "persons again and again (bootstrap). Of 100 such intervals about 95 hold the true value.",
    ),
    (
        "Margin and verdict",
        "The margin, fixed beforehand, is how much worse is still acceptable. Superior: better even at "
        "the low end of the interval. Non-inferior: worse by less than the margin, if at all. "
        "Inferior: worse by more. Undetermined: the data cannot say.",
    ),
    ("Held-out", "Persons no model saw in training or selection. They are read once for a verdict."),
    (
        "Oracle",
        "The risk computed from the simulator's own rules and the record: the best any model could do on it.",
    ),
    ("Hidden", "Counts of 1 to 10 persons, and others from which they could be worked out, are not printed."),
)


def banner(data: str) -> tuple[str, str] | None:
    """Heading and words for data that are not real; None for real patients."""
    return BANNERS.get(data)


def verdict_in_short(row: Mapping[str, Any]) -> str:
    """One plain sentence for one verdict row."""
    challenger, reference, margin = row["challenger"], row["reference"], f"{row['margin']:g}"
    title, verdict, addition = METRIC_TITLES[row["metric"]], row["verdict"], row.get("addition") or ""
    if verdict == "no verdict":
        return (
            f"There is no verdict on {challenger} against {reference}{f': {addition}' if addition else ''}."
        )
    found = (
        f"{title} difference {signed(row['delta'])}, {percent(row['level'])} interval "
        f"{signed(row['ci_low'])} to {signed(row['ci_high'])}"
    )
    words = {
        "superior": f"{challenger} ranks patients better than {reference}",
        "non-inferior": f"{challenger} is at most {margin} {title} worse than {reference}",
        "inferior": f"{challenger} is worse than {reference} by more than {margin} {title}",
        "undetermined": f"These data cannot say whether {challenger} is as good as {reference}",
        "undetermined (too few cases)": f"Too few cases for a verdict on {challenger} against {reference}",
    }[verdict]
    if row["metric"] != "auroc" and verdict == "superior":
        words = f"{challenger} is better than {reference}"
    if verdict == "non-inferior" and "measurably lower" in addition:
        words = f"{challenger} is measurably worse than {reference}, by less than {margin} {title}"
    if verdict == "undetermined" and "not converged" in addition:
        words = f"{challenger} is worse than {reference}, but was still improving when its training stopped"
    elif verdict == "undetermined" and addition:
        words = (
            f"{challenger} is worse than {reference}, but these data cannot say whether by less than {margin}"
        )
    if "identical scores" in addition:
        words = f"{challenger} and {reference} gave {addition.split(';')[0]}"
    return f"{words} ({verdict}: {found})."


def context_in_short(values: Mapping[str, float], smoke: Collection[str]) -> str:
    """Which arm has the highest AUROC, and the oracle beside it; empty without values.

    Args:
        values: AUROC by arm.
        smoke: arms that rest on random weights, which are never the highest.
    """
    arms = {arm: value for arm, value in values.items() if arm != "oracle" and arm not in smoke}
    if not arms:
        return ""
    best = max(arms, key=lambda arm: arms[arm])
    words = f"The highest AUROC is {arms[best]:.3f} ({best})"
    if "oracle" in values:
        words += f"; the best any model could do on this record is {values['oracle']:.3f}"
    return f"{words}. The highest number is an observation, not a verdict."


IDLE = "nothing to look at"


def check_outcomes(checks: pd.DataFrame) -> list[str]:
    """Say what came of each check; one that only warns and looked at nothing is no pass and no warning."""
    rows = zip(checks["passed"], checks["severity"], checks["looked_at"], strict=True)
    return [_outcome(bool(passed), str(severity), looked_at == 0) for passed, severity, looked_at in rows]


def check_counts(checks: pd.DataFrame) -> dict[str, int]:
    """How many checks passed, warned, failed signed off, blocked, and had nothing to look at."""
    found = Counter(check_outcomes(checks))
    return {outcome: found[outcome] for outcome in ("passed", "warned", "signed off", "blocked", IDLE)}


def _outcome(passed: bool, severity: str, idle: bool) -> str:
    if passed:
        return "passed"
    if idle and severity == "warn":
        return IDLE
    return {"warn": "warned", "signed_off": "signed off"}.get(severity, "blocked")


def sign_off_in_words(row: SignOff) -> str:
    """Say what was signed off, why, and what came of it."""
    found = {
        None: "It did not run.",
        True: "It did not fail: the signature was not needed.",
        False: "It failed, and the task went on.",
    }[row.passed]
    return f"{check_name(row.check)}, on {row.task}: signed off because {row.reason.rstrip('.')}. {found}"


def refusals_in_words(refusals: Sequence[Refusal]) -> list[tuple[str, str, str]]:
    """Arms stopped on one task for one reason together: who, where, why."""
    together: dict[tuple[str, str], list[str]] = {}
    for one in refusals:
        together.setdefault((one.task, one.reason), []).append(one.arm or "every arm")
    return [(", ".join(arms), task or "every task", why) for (task, why), arms in together.items()]


def check_name(name: str) -> str:
    """A check's identifier as words: it is a claim."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def reading_in_words(readings: Sequence[str]) -> str:
    """What kind of reading of held-out data the verdicts come from."""
    if not readings:
        return ""
    later = [reading for reading in readings if reading != "verdict"]
    if later:
        number = max(int(reading.removeprefix("monitoring ")) for reading in later)
        return f"Reading {number} of held-out data: this is monitoring, not the registered verdict."
    return "First reading of held-out data: these are the registered verdicts."
