"""Texts must not say the outcome (L34)."""

import functools
import re
from collections.abc import Collection

import numpy as np

from ml.inputs.plain import plain
from ml.leakage.rows import Finding, LeakCheck, in_words
from ml.leakage.shown import Shown
from ml.leakage.signals.presence import Labels
from ml.leakage.statistics.alarms import JUDGED, Evidence, finding, judged, level
from ml.leakage.statistics.differences import difference_smallest, difference_tail
from ml.task_definition import Task

# Fields of a form that hold the answer; "INR target = 2.5" is none.
ANSWER = (
    r"(?i)\b(outcome|label|target|y_?true|ground truth|answer)\s*[:=]\s*"
    r"(yes|no|true|false|positive|negative|case|control|[01])\b($|[^.\d])"
)

# AUROC of a word that the alarm fires from; AUROC that is fair.
WORD_BLOCKS, WORD_WARNS = (0.9, 0.75), (0.7, 0.6)
WORDS = f"""
with
{JUDGED},
word_list as (
    select
        judged.example_id,
        judged.y_true,
        regexp_extract_all(lower(stored.text), '[a-z0-9_]+') as word
    from judged
    inner join {{text}} as stored on judged.example_id = stored.example_id
),
said as (
    select
        example_id,
        y_true,
        unnest(word) as word
    from word_list
    union
    select
        example_id,
        y_true,
        unnest(list_transform(
            list_zip(word[:-2], word[2:]),
            lambda pair: struct_extract(pair, 1) || ' ' || struct_extract(pair, 2)
        )) as word
    from word_list
)
select
    count(*) as n_present,
    sum(y_true) as n_cases
from said
group by word
order by word
"""


def label_in_text(shown: Shown) -> list[Finding]:
    """Look in each text for a field that holds the answer, and for the name of an outcome."""
    names = _outcome_names(shown)
    found = []
    for view in shown.of_kind("text"):
        looked_at, fields, named = shown.row(
            "select count(*), count(*) filter (where regexp_matches(text, $answer)),"
            f" count(*) filter (where regexp_matches(text, $names)) from {view.table('text')}",
            answer=ANSWER,
            names=names,
        )
        note = (
            f"Texts with a field of the answer: {in_words(fields)}; with the name of an outcome:"
            f" {in_words(named)}."
        )
        found.append(Finding(looked_at, max(fields, named), note=note if fields or named else ""))
    return found


def _outcome_names(shown: Shown) -> str:
    """Return a pattern of the outcomes' names as whole items; none where they may stand."""
    if not _names_outcomes(shown.task):
        return r"[^\s\S]"
    names = shown.frame(
        "select distinct concept.concept_name as name from outcome"
        " inner join concept on outcome.concept_id = concept.concept_id"
        " where outcome.operator is null and outcome.value_set is null and concept.concept_name is not null"
        " order by name"
    )["name"]
    items = sorted({re.escape(plain(name)) for name in names if plain(name)})
    if not items:
        return r"[^\s\S]"
    return r"(?i)(^|\n- |; |: |\. )(" + "|".join(items) + r")( ended)?($|\n|;| =| \[|\.)"


def word_gives_away(shown: Shown, *, alarm: str, limits: tuple[float, float]) -> list[Finding]:
    """Look at each word, and each pair of neighbours, whether having it orders cases and non-cases.

    Args:
        limits: AUROC that the alarm fires from; AUROC that is fair.
    """
    labels, views = Labels.of(judged(shown)["y_true"]), shown.of_kind("text")
    fires, fair = (2 * limit - 1 for limit in limits)  # differences of shares
    found = []
    for view in views:
        word = shown.frame(WORDS.format(text=view.table("text")))
        if word.empty or not labels.n_cases or not labels.n_others:
            found.append(Finding(0, 0))
            continue
        present, cases = (word[name].to_numpy(dtype=np.int64) for name in ("n_present", "n_cases"))
        others = present - cases
        difference = np.abs(cases / labels.n_cases - others / labels.n_others)
        best = int(np.argmax(difference))
        of_others = (int(others[best]), labels.n_others)
        looks = max(1, int((labels.furthest(present) >= fires).sum()))
        chance = difference_tail((int(cases[best]), labels.n_cases), of_others, fair)
        part = level(alarm, shown.n_tasks) / len(views) / looks
        evidence = Evidence(
            looked_at=labels.n,
            p_value=min(1.0, looks * chance),
            effect=0.5 + float(difference[best]) / 2,
            minimum=limits[0],
            smallest=0.5 + difference_smallest(labels.n_cases, (0, labels.n_others), fair, part) / 2,
            what=f"highest AUROC of having a word or pair of words, of {len(word)}",
        )
        found.append(finding(alarm, shown, evidence, looks=len(views)))
    return found


def _names_outcomes(task: Task) -> bool:
    return task.outcome_in_history == "forbid" and task.washout_days is None


def _has_texts(task: Task, kinds: Collection[str]) -> bool:
    return "text" in kinds


CHECKS = (
    LeakCheck(
        "no_text_names_the_outcome",
        ("L07", "L34"),
        "blocks",
        "No text has a field that holds the answer, nor an outcome's name as an item.",
        "The outcome in other words, or inside a longer name.",
        label_in_text,
        applies=_has_texts,
        otherwise="no arm reads texts",
    ),
    LeakCheck(
        "no_word_gives_the_outcome_away",
        ("L34",),
        "blocks",
        "No word, and no pair of words, is had by cases and not by others.",
        "Three words or more that only together say it.",
        functools.partial(word_gives_away, alarm="no_word_gives_the_outcome_away", limits=WORD_BLOCKS),
        applies=_has_texts,
        otherwise="no arm reads texts",
    ),
    LeakCheck(
        "few_words_tell_cases",
        ("L34",),
        "warns",
        "The same, judged at the rate of alarms that warn: no word is had much more often by cases.",
        "Three words or more that only together say it.",
        functools.partial(word_gives_away, alarm="few_words_tell_cases", limits=WORD_WARNS),
        applies=_has_texts,
        otherwise="no arm reads texts",
    ),
)
