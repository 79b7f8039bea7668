"""Scores must not hold the label, nor be chosen or recalibrated on it (L28, L35, L38)."""

import functools

import numpy as np
import pandas as pd
from scipy import sparse

from ml.artefact import read_json
from ml.evaluation.calibration import Recalibration, fit_recalibration
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.signals.columns import order_of
from ml.leakage.signals.presence import Labels
from ml.leakage.statistics.alarms import Evidence, finding, judged_of, level
from ml.leakage.statistics.column_auroc import column_aurocs
from ml.leakage.statistics.tails import rank_tail

# AUROC that the alarm fires from; AUROC that is fair.
SCORE_LIMITS = (0.97, 0.75)
# How much above one half the share of pairs may be of which held-out has the better score.
BETTER_BY = 0.1
# Parameters are recorded with six decimals, and a slope of 20 turns that into so much of a score.
PARAMETER_TOLERANCE, SCORE_TOLERANCE = 1e-4, 1e-3
# A network scores a little otherwise when its examples are batched otherwise; two pairs of a small split.
AUROC_TOLERANCE = 0.02
# AUROCs of trials are recorded with six decimals.
TRIAL_TOLERANCE = 1e-6


def score_is_outcome(shown: Shown, *, alarm: str) -> list[Finding]:
    """Look at each arm's scores of tuning and held-out, whether they are as good as the label."""
    found = []
    for arm in shown.arms:
        score = scores_of(shown, arm, "tuning", "held_out")
        labels = Labels.of(score["y_true"])
        if not labels.n_cases or not labels.n_others:
            found.append(Finding(0, 0, arm=arm))
            continue
        area = column_aurocs(sparse.csr_matrix(score[["score"]]), score["y_true"].to_numpy(dtype=np.float64))
        best = abs(float(area[0]) - 0.5) + 0.5
        part = level(alarm, shown.n_tasks) / len(shown.arms)
        evidence: Evidence = order_of(labels, best, 2, part, SCORE_LIMITS)
        found.append(finding(alarm, shown, evidence, looks=len(shown.arms), arm=arm))
    return found


def held_out_is_better(shown: Shown) -> list[Finding]:
    """Compare each arm's scores of held-out with those of tuning, within cases and within others.

    To a model that has seen neither, persons of the two are exchangeable, for a hash dealt them; choosing on
    tuning moves its scores the right way alone. So held-out's are further that way but by chance.
    """
    alarm, found = "scores_are_no_better_on_held_out", []
    part = level(alarm, shown.n_tasks) / max(1, len(shown.arms))
    for arm in shown.arms:
        tuning, held_out = (scores_of(shown, arm, split) for split in ("tuning", "held_out"))
        both = pd.concat([tuning.assign(is_held_out=0), held_out.assign(is_held_out=1)])
        right = both["score"] * (2 * both["y_true"] - 1)
        tail = rank_tail(both["is_held_out"], right, part, strata=both["y_true"], two_sided=False)
        evidence = Evidence(
            looked_at=len(both),
            p_value=tail.p_value,
            effect=tail.auroc - 0.5,
            minimum=BETTER_BY,
            smallest=tail.smallest,
            what="share of pairs above one half in which a case of held-out has a higher score than one of"
            " tuning, or a non-case a lower",
        )
        found.append(finding(alarm, shown, evidence, looks=len(shown.arms), arm=arm))
    return found


def scores_of(shown: Shown, arm: str, *splits: str) -> pd.DataFrame:
    """Return example_id, y_true and an arm's score of an example a person of some splits, mean of its runs.

    Few-shot runs count where there are no others.
    """
    return shown.frame(
        f"with {judged_of(*splits)}"
        " select judged.example_id, judged.y_true, avg(prediction.y_score_raw) as score"
        f" from judged inner join {shown.scores(arm)} as prediction"
        " on judged.example_id = prediction.example_id"
        f" where (prediction.k is null or not exists (select 1 from {shown.scores(arm)} where k is null))"
        " group by all order by judged.example_id"
    )


def recalibrated_otherwise(shown: Shown) -> list[Finding]:
    """Fit the recalibration of each run again on its tuning scores, and apply what was recorded to all.

    A run of a few examples has none: its scores are the raw ones.
    """
    found = []
    for arm in shown.arms:
        looked_at = wrong = 0
        for facts, own in runs_of(shown, arm):
            looked_at += len(own)
            raw, said = own["y_score_raw"].to_numpy(), own["y_score"].to_numpy()
            inside = (raw >= 0) & (raw <= 1)
            if not inside.all():
                wrong += int((~inside).sum())
            elif facts["k"] is not None:
                wrong += int((raw != said).sum())
            else:
                noted = Recalibration(facts["recalibration_intercept"], facts["recalibration_slope"])
                wrong += int((~(np.abs(noted.apply(raw) - said) <= SCORE_TOLERANCE)).sum())
                wrong += int(not _is_of_tuning(noted, own)) * int((own["split"] == "tuning").sum())
        found.append(Finding(looked_at, wrong, arm=arm))
    return found


def chosen_otherwise(shown: Shown) -> list[Finding]:
    """Hold each run's configuration against its trials, and their best AUROC against its tuning scores."""
    found = []
    for arm in shown.arms:
        looked_at = wrong = 0
        for facts, own in runs_of(shown, arm):
            tuning = own[own["split"] == "tuning"]
            said = [trial["auroc"] for trial in facts["trials"] if "auroc" in trial]
            looked_at += len(tuning)
            wrong += int(_is_not_the_best(facts))
            if facts["k"] is not None or not said or tuning["y_true"].nunique() < 2:
                continue  # a few examples, drawn: the scores do not say which; or nothing was chosen
            scores = sparse.csr_matrix(tuning[["y_score_raw"]].to_numpy())
            auroc = column_aurocs(scores, tuning["y_true"].to_numpy(dtype=np.float64))[0]
            wrong += int(abs(float(auroc) - max(said)) > AUROC_TOLERANCE)
        found.append(Finding(looked_at, wrong, arm=arm))
    return found


def _is_not_the_best(facts: dict) -> bool:
    """Whether another trial of a run has a higher AUROC of tuning than the configuration that was chosen."""
    chosen = facts.get("configuration", {}).items()
    known = [trial for trial in facts["trials"] if "auroc" in trial]
    own = [trial["auroc"] for trial in known if chosen <= trial.items()]
    return bool(own) and max(trial["auroc"] for trial in known) > max(own) + TRIAL_TOLERANCE


def runs_of(shown: Shown, arm: str) -> list[tuple[dict, pd.DataFrame]]:
    """Return what was recorded of each run of an arm, with its scores in order of example_id."""
    file = shown.root / "fitted" / shown.task.task / arm / "fit.json"
    if not file.exists():
        return []
    scores = shown.frame(
        f"select example_id, split, y_true, y_score, y_score_raw, seed, k, draw from {shown.scores(arm)}"
        " order by seed, k, draw, example_id"
    )
    runs = []
    for facts in read_json(file)["runs"]:
        own = scores[scores["seed"] == facts["seed"]]
        for column in ("k", "draw"):
            value = facts[column]
            own = own[own[column].isna() if value is None else own[column] == value]
        runs.append((facts, own))
    return runs


def _is_of_tuning(noted: Recalibration, own: pd.DataFrame) -> bool:
    tuning = own[own["split"] == "tuning"]
    if tuning["y_true"].nunique() < 2:
        return False  # nothing could have been fitted on it
    again = fit_recalibration(tuning["y_true"], tuning["y_score_raw"])
    pairs = ((again.intercept, noted.intercept), (again.slope, noted.slope))
    return all(abs(one - other) <= PARAMETER_TOLERANCE * (1 + abs(other)) for one, other in pairs)


CHECKS = (
    LeakCheck(
        "no_score_is_the_outcome",
        ("L35",),
        "signed_off_or_blocks",
        "No arm's score of tuning and held-out examples is as good as their label.",
        "A score that shares less with the label.",
        functools.partial(score_is_outcome, alarm="no_score_is_the_outcome"),
        stage="scores",
    ),
    LeakCheck(
        "few_scores_are_nearly_the_outcome",
        ("L35",),
        "warns",
        "The same, judged at the rate of alarms that warn.",
        "A score that shares less with the label.",
        functools.partial(score_is_outcome, alarm="few_scores_are_nearly_the_outcome"),
        stage="scores",
    ),
    LeakCheck(
        "scores_are_no_better_on_held_out",
        ("L27", "L28", "L35"),
        "warns",
        "To no arm do cases and others lie further apart in held-out than in tuning, by more than chance.",
        "The best of a few seeds or configurations of held-out: it gains less than chance moves it.",
        held_out_is_better,
        stage="scores",
    ),
    LeakCheck(
        "scores_are_recalibrated_on_tuning_alone",
        ("L24", "L27", "L28", "L35", "L38"),
        "blocks",
        "Every score is the raw score under the recalibration that the run recorded, and that is the one that"
        " its tuning scores and labels give when it is fitted again.",
        "A raw score that was wrong before it was recalibrated.",
        recalibrated_otherwise,
        stage="scores",
    ),
    LeakCheck(
        "configurations_were_chosen_on_tuning",
        ("L28", "L38"),
        "warns",
        "No other configuration of a run had a higher AUROC of tuning, as recorded, and the highest is that"
        f" of its stored tuning scores, within {AUROC_TOLERANCE}.",
        "Few-shot runs; a choice whose AUROC was the same on what it read.",
        chosen_otherwise,
        stage="scores",
    ),
)
