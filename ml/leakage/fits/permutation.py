"""Nothing may be learned from labels dealt at random (L38): what still works read what it must not.

`ml.random_labels` deals labels within each split and makes everything from the count features on again. Its
held-out scores are judged against their own dealt labels: no true label of held-out is read. Given what a fit
saw, the labels that judge it are dealt anew, so that the ranks of each repetition have their exact
distribution and repetitions are independent.
"""

import functools

import pandas as pd

from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.statistics.alarms import Evidence, finding, level
from ml.leakage.statistics.tails import rank_tail

# How often labels are dealt: full for real data, a look for others. At 180 held-out cases of 900 a look sees
# a mean AUROC from 0.57, full from 0.53.
FULL, LOOK = 20, 4
RANDOM_AUROC = 0.02  # above one half, mean of the repetitions


def learned_from_random_labels(shown: Shown, *, alarm: str) -> list[Finding]:
    """Judge the repetitions of each arm that has them."""
    folder = shown.root / "random_labels" / shown.task.task
    files = [folder / f"{arm}.parquet" for arm in shown.refits]
    part = level(alarm, shown.n_tasks) / max(1, len(files))
    return [
        finding(alarm, shown, random_evidence(pd.read_parquet(file), part), looks=len(files), arm=file.stem)
        for file in files
    ]


def random_evidence(table: pd.DataFrame, part: float) -> Evidence:
    """Judge the mean AUROC of repetitions, each a stratum of its own.

    Args:
        table: repetition, y_true (as dealt), y_score; one row a held-out example and repetition.
        part: level that the alarm has.
    """
    n = int(table["repetition"].nunique())
    tail = rank_tail(
        table["y_true"], table["y_score"], part, strata=table["repetition"].to_numpy(), two_sided=False
    )
    return Evidence(
        looked_at=len(table),
        p_value=tail.p_value,
        effect=tail.auroc - 0.5,
        minimum=RANDOM_AUROC,
        smallest=tail.smallest,
        what=f"mean AUROC of {n} repetitions above one half",
    )


CHECKS = (
    LeakCheck(
        "nothing_is_learned_from_random_labels",
        ("L38",),
        "blocks",
        "Arms on counts, made again from the features on with labels dealt at random, rank as chance does.",
        "Leaks that need the true labels; arms on texts and sequences are proven by scripts of their own.",
        functools.partial(learned_from_random_labels, alarm="nothing_is_learned_from_random_labels"),
        stage="scores",
        applies=lambda task, kinds: "refits" in kinds,
        otherwise="no arm is fitted on counts alone",
    ),
    LeakCheck(
        "little_is_learned_from_random_labels",
        ("L38",),
        "warns",
        "The same, judged at the rate of alarms that warn.",
        "Leaks that need the true labels; arms on texts and sequences are proven by scripts of their own.",
        functools.partial(learned_from_random_labels, alarm="little_is_learned_from_random_labels"),
        stage="scores",
        applies=lambda task, kinds: "refits" in kinds,
        otherwise="no arm is fitted on counts alone",
    ),
)
