"""What is shown must not be the outcome itself, in whatever words, codes or columns (L08, L09, L35)."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from ml.inputs.count import read_count_features
from ml.leakage.alarms import JUDGED, Evidence, finding, judged, judged_of, level, strongest
from ml.leakage.column_auroc import column_aurocs
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.tails import auroc_smallest, auroc_tail, share_tail, shares_smallest, shares_tail
from ml.task_definition import Task

# A name that says the outcome has been: "History of heart failure". A relative's history is no outcome.
AFTERWARDS = (
    r"\b(history of|h/o|hx of|sequela|late effect|status post|s/p|follow[- ]?up|aftercare|complication)"
)
OF_RELATIVES = r"\b(family|mother|father|maternal|paternal|sibling|parent|no history|negative history)\b"
NAMED_AFTERWARDS = """
with
outcome_name as (
    select distinct lower(concept.concept_name) as name
    from outcome
    inner join concept on outcome.concept_id = concept.concept_id
    where outcome.operator is null and outcome.value_set is null and length(concept.concept_name) >= 4
),
shown_name as (
    select distinct
        concept_id,
        lower(concept_name) as name
    from event
),
afterwards as (
    select distinct shown_name.concept_id
    from shown_name
    inner join outcome_name on contains(shown_name.name, outcome_name.name)
    where
        regexp_matches(shown_name.name, $afterwards)
        and not regexp_matches(shown_name.name, $relatives)
)
select
    count(*),
    count(*) filter (where concept_id in (select concept_id from afterwards)),
    (select count(*) from afterwards)
from event
"""

# Who has a code, or one below it, within so many days: legitimate history thins out a proxy of last week.
WINDOWS_DAYS = (7, 30, 36_525)
PRESENCE = f"""
with
{JUDGED},
shown_code as (
    select
        event.example_id,
        event.concept_id,
        event.days_before
    from event
    union all
    select
        event.example_id,
        ancestor.ancestor_concept_id as concept_id,
        event.days_before
    from event
    inner join ancestor on event.concept_id = ancestor.concept_id
),
presence as (
    select
        shown_code.concept_id,
        time_window.days,
        shown_code.example_id
    from shown_code
    inner join unnest($windows) as time_window(days) on shown_code.days_before <= time_window.days
    group by all
)
select
    presence.concept_id,
    presence.days,
    count(*) as n_present,
    sum(judged.y_true) as n_cases
from presence
inner join judged on presence.example_id = judged.example_id
group by all
order by n_cases / n_present, presence.concept_id, presence.days
"""
# Of those with a fair code at most so many are cases: ten times the odds of all, and never more than 0.8.
HIGHEST_SHARE, ODDS_FACTOR = 0.8, 10
# Cases have a fair code at most so much more often than others; nothing is said of less than the second.
DIFFERENCE_ALLOWED, DIFFERENCE = 0.2, 0.5

# No single column, and no score, of a fair task reaches this; that of a fair one is at most what is allowed.
SAME_AUROC, FAIR_AUROC = 0.97, 0.75


@dataclass(frozen=True)
class Labels:
    """The judged labels counted."""

    n: int
    n_cases: int

    @classmethod
    def of(cls, y_true: pd.Series) -> "Labels":
        """Count labels 0 or 1."""
        return cls(len(y_true), int(y_true.sum()))

    @property
    def n_others(self) -> int:
        """Non-cases."""
        return self.n - self.n_cases


def outcome_named_afterwards(shown: Shown) -> Finding:
    """Look for names such as "history of" before the name of the outcome."""
    looked_at, found, n_names = shown.row(
        NAMED_AFTERWARDS, afterwards=AFTERWARDS, relatives=OF_RELATIVES
    )  # fmt: skip
    return Finding(looked_at, found, note=f"{n_names} such concepts." if found else "")


def code_gives_away(shown: Shown) -> Finding:
    """Look at each code, and each concept above one, whether whoever has it is a case."""
    alarm = "no_code_gives_the_outcome_away"
    labels = Labels.of(judged(shown)["y_true"])
    code = shown.frame(PRESENCE, windows=list(WINDOWS_DAYS))
    if not labels.n_cases or not labels.n_others or code.empty:
        return Finding(0, 0)
    present, cases = (code[name].to_numpy(dtype=np.int64) for name in ("n_present", "n_cases"))
    part = level(alarm, shown.n_tasks) / (2 * len(code))
    return strongest(
        alarm, shown, [_pure(labels, present, cases, part), _apart(labels, present, cases, part)]
    )


def _pure(labels: Labels, present: npt.NDArray, cases: npt.NDArray, part: float) -> Evidence:
    """The share of cases among those who have a code."""
    odds = ODDS_FACTOR * labels.n_cases / labels.n_others
    limit = min(HIGHEST_SHARE, odds / (1 + odds))
    p_values = share_tail(cases, present, limit)
    best = int(np.argmin(p_values))
    fewest = int(np.ceil(np.log(part) / np.log(limit)))
    return Evidence(
        looked_at=labels.n,
        p_value=min(1.0, float(p_values[best]) * len(present)),
        effect=float(cases[best] / present[best]),
        minimum=limit,
        smallest=limit,
        what=f"highest share of cases among those with a code, of {len(present)} codes and windows",
        unseen=f"A code of fewer than {fewest} examples, or with {limit:.2g} or less cases among them.",
    )


def _apart(labels: Labels, present: npt.NDArray, cases: npt.NDArray, part: float) -> Evidence:
    """How much more often cases have a code than non-cases, or the other way round."""
    others = present - cases
    difference = np.abs(cases / labels.n_cases - others / labels.n_others)
    best = int(np.argmax(difference))
    of_others = (int(others[best]), labels.n_others)
    p_value = shares_tail((int(cases[best]), labels.n_cases), of_others, DIFFERENCE_ALLOWED)
    return Evidence(
        looked_at=labels.n,
        p_value=min(1.0, len(present) * p_value),
        effect=float(difference[best]),
        minimum=DIFFERENCE,
        smallest=shares_smallest(labels.n_cases, of_others, DIFFERENCE_ALLOWED, part),
        what=f"largest difference of the shares with a code, of {len(present)} codes and windows",
    )


def feature_is_outcome(shown: Shown) -> list[Finding]:
    """Look at each column of each count view alone, whether it orders cases and non-cases."""
    alarm = "no_feature_is_the_outcome"
    known = judged(shown)
    labels, views = Labels.of(known["y_true"]), shown.of_kind("counts")
    if not labels.n_cases or not labels.n_others:
        return [Finding(0, 0)]
    found = []
    for view in views:
        matrix = read_count_features(view.folder, known["example_id"].tolist())
        aurocs = column_aurocs(matrix, known["y_true"].to_numpy(dtype=np.float64))
        best = float(np.abs(aurocs - 0.5).max(initial=0.0)) + 0.5
        evidence = _same(labels, best, 2 * len(aurocs), level(alarm, shown.n_tasks) / len(views))
        found.append(finding(alarm, shown, evidence, looks=len(views)))
    return found


def score_is_outcome(shown: Shown) -> list[Finding]:
    """Look at each arm's scores of tuning and held-out, whether they are as good as the label."""
    alarm = "no_score_is_the_outcome"
    found = []
    for arm in shown.arms:
        score = scores_of(shown, arm, "tuning", "held_out")
        labels = Labels.of(score["y_true"])
        if not labels.n_cases or not labels.n_others:
            found.append(Finding(0, 0, arm=arm))
            continue
        area = column_aurocs(sparse.csr_matrix(score[["score"]]), score["y_true"].to_numpy(dtype=np.float64))
        best = abs(float(area[0]) - 0.5) + 0.5
        evidence = _same(labels, best, 2, level(alarm, shown.n_tasks) / len(shown.arms))
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


def _same(labels: Labels, auroc: float, looks: int, part: float) -> Evidence:
    looks = max(1, looks)
    return Evidence(
        looked_at=labels.n,
        p_value=min(1.0, looks * float(auroc_tail(auroc, labels.n_cases, labels.n_others, FAIR_AUROC))),
        effect=auroc,
        minimum=SAME_AUROC,
        smallest=auroc_smallest(labels.n_cases, labels.n_others, FAIR_AUROC, part / looks),
        what="highest AUROC, either way",
    )


def _names_outcomes(task: Task, kinds: Collection[str]) -> bool:
    return task.outcome_in_history == "forbid" and bool(task.outcome_concept_sets)


CHECKS = (
    LeakCheck(
        "no_outcome_named_in_history",
        ("L08",),
        "blocks",
        "No code that is shown is named as the outcome's history, sequela, complication or follow-up.",
        "It reads English names; a history in other words, or a monitoring drug, passes.",
        outcome_named_afterwards,
        applies=_names_outcomes,
        otherwise="an earlier outcome is allowed, or the outcome is no concept",
    ),
    LeakCheck(
        "no_code_gives_the_outcome_away",
        ("L09",),
        "signed_off_or_blocks",
        "No code, or concept above one, shown within 7 days, 30 days or at all, is had by cases alone.",
        "Proxies spread over many codes that no concept stands above.",
        code_gives_away,
    ),
    LeakCheck(
        "no_feature_is_the_outcome",
        ("L35",),
        "blocks",
        "No column of a count view alone tells cases from non-cases.",
        "What only texts or sequences show.",
        feature_is_outcome,
        applies=lambda task, kinds: "counts" in kinds,
        otherwise="no arm reads counts",
    ),
    LeakCheck(
        "no_score_is_the_outcome",
        ("L35",),
        "signed_off_or_blocks",
        "No arm's score of tuning and held-out examples is as good as their label.",
        "A score that shares less with the label.",
        score_is_outcome,
        stage="scores",
    ),
)
