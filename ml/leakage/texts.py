"""Texts and records must not stand on both sides of the split, nor say the outcome (L22, L23, L34)."""

import re
from collections.abc import Collection

import numpy as np
import pandas as pd

from ml.inputs.plain import plain
from ml.leakage.alarms import JUDGED, Evidence, finding, judged, level
from ml.leakage.near_duplicates import near_duplicates
from ml.leakage.presence import Labels
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown, ShownView
from ml.leakage.tails import auroc_smallest, auroc_tail
from ml.task_definition import Task

# A record that is long enough to be one human's: fewer events, or all of one day, two people can share.
FEWEST_EVENTS, FEWEST_DAYS = 8, 3
# Days count from the first event, so that a copy with other dates is found as well.
SAME_RECORDS = f"""
with
person_split as (
    select
        person_id,
        min(split) as split
    from example
    group by person_id
),
dated as (
    select
        clinical_event.person_id,
        clinical_event.domain,
        coalesce(nullif(clinical_event.concept_id, 0), clinical_event.source_concept_id, 0) as concept_id,
        clinical_event.event_date
        - min(clinical_event.event_date) over (partition by clinical_event.person_id) as day
    from clinical_event
    where clinical_event.person_id in (select person_id from person_split)
),
record as (
    select
        person_id,
        sha256(string_agg(day || ' ' || domain || ' ' || concept_id, ',' order by day, domain, concept_id))
            as sha256
    from dated
    group by person_id
    having count(*) >= {FEWEST_EVENTS} and count(distinct day) >= {FEWEST_DAYS}
),
twice as (
    select record.sha256
    from record
    inner join person_split on record.person_id = person_split.person_id
    group by record.sha256
    having count(distinct person_split.split) > 1
)
select
    (select count(*) from person_split),
    count(*) filter (where sha256 in (select sha256 from twice))
from record
"""
SAME_SHOWN = f"""
with
record as (
    select
        example.example_id,
        example.person_id,
        example.split,
        sha256(string_agg(
            event.days_before || ' ' || event.domain || ' ' || event.concept_id,
            ',' order by event.days_before, event.domain, event.concept_id
        )) as sha256
    from example
    inner join event on example.example_id = event.example_id
    group by example.example_id, example.person_id, example.split
    having count(*) >= {FEWEST_EVENTS} and count(distinct event.days_before) >= {FEWEST_DAYS}
),
twice as (
    select sha256
    from record
    group by sha256
    having count(distinct split) > 1 and count(distinct person_id) > 1
)
select
    (select count(*) from example),
    count(*) filter (where sha256 in (select sha256 from twice))
from record
"""

SHORTEST_TEXT = 12  # words below the first line
MOST_TEXTS, SAMPLED_TEXTS = 50_000, 10_000
EXACT_SHARE, NEAR_SHARE, NEAR_JACCARD = 0.005, 0.01, 0.85
# Age and sex stand on the first line, or before the first full stop.
BODY = r"regexp_replace(text, '^([^\n]*\n|[^\n.]*\. )', '')"

# Fields of a form that hold the answer; "INR target = 2.5" is none.
ANSWER = (
    r"(?i)\b(outcome|label|target|y_?true|ground truth|answer)\s*[:=]\s*"
    r"(yes|no|true|false|positive|negative|case|control|[01])\b($|[^.\d])"
)

WORD_AUROC, WORD_ALLOWED = 0.9, 0.75
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


def same_human(shown: Shown) -> list[Finding]:
    """Count whole records, and records as shown, that stand in two splits under different persons."""
    found = []
    for words, query in (("Whole records", SAME_RECORDS), ("Records as shown", SAME_SHOWN)):
        looked_at, twice = map(int, shown.row(query))
        found.append(Finding(looked_at, twice, note=f"{words}: {twice} in two splits." if twice else ""))
    return found


def texts_twice(shown: Shown) -> list[Finding]:
    """Count texts of one split that stand, word for word or nearly, in another."""
    return [_texts_twice(shown, view) for view in shown.of_kind("text")]


def _texts_twice(shown: Shown, view: ShownView) -> Finding:
    table = shown.frame(
        f"select stored.example_id, example.person_id, example.split, {BODY} as body"
        f" from {view.table('text')} as stored"
        " inner join example on stored.example_id = example.example_id order by stored.example_id"
    )
    words = table["body"].str.split()
    long = words.map(len) >= SHORTEST_TEXT
    n_texts = len(table)
    table, words = table[long].reset_index(drop=True), words[long].reset_index(drop=True)
    if table.empty:
        return Finding(
            n_texts, 0, cannot_see=f"No text has {SHORTEST_TEXT} words: none can be told from another."
        )
    split = pd.factorize(table["split"], sort=True)[0]
    exact = int(table.groupby("body")["split"].transform("nunique").gt(1).sum())
    asked = None
    if len(table) > MOST_TEXTS:  # the limit is a share, so that a sample says it: each compared with all
        asked = np.random.default_rng(shown.seed).permutation(len(table))[:SAMPLED_TEXTS]
    found = near_duplicates(words.tolist(), split, NEAR_JACCARD, asked)
    near = round(float(found.mean()) * len(table))
    too_many = [n for n, share in ((exact, EXACT_SHARE), (near, NEAR_SHARE)) if n > share * len(table)]
    note = (
        f"{exact / len(table):.2%} of {len(table)} long texts stand in another split,"
        f" {near / len(table):.2%} nearly; allowed {EXACT_SHARE:.1%} and {NEAR_SHARE:.1%}."
    )
    return Finding(n_texts, max(too_many, default=0), note=note)


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
        note = f"{fields} texts with a field of the answer, {named} with the name of an outcome."
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


def word_gives_away(shown: Shown) -> list[Finding]:
    """Look at each word, and each pair of neighbours, whether having it orders cases and non-cases."""
    alarm = "no_word_gives_the_outcome_away"
    labels, views = Labels.of(judged(shown)["y_true"]), shown.of_kind("text")
    found = []
    for view in views:
        word = shown.frame(WORDS.format(text=view.table("text")))
        if word.empty or not labels.n_cases or not labels.n_others:
            found.append(Finding(0, 0))
            continue
        cases = word["n_cases"].to_numpy() / labels.n_cases
        others = (word["n_present"] - word["n_cases"]).to_numpy() / labels.n_others
        best = float(np.abs(cases - others).max()) / 2 + 0.5
        looks = 2 * len(word)
        chance = float(auroc_tail(best, labels.n_cases, labels.n_others, WORD_ALLOWED))
        part = level(alarm, shown.n_tasks) / len(views) / looks
        evidence = Evidence(
            looked_at=labels.n,
            p_value=min(1.0, looks * chance),
            effect=best,
            minimum=WORD_AUROC,
            smallest=auroc_smallest(labels.n_cases, labels.n_others, WORD_ALLOWED, part),
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
        "one_human_is_one_person",
        ("L22",),
        "blocks",
        "No record of 8 events or more on 3 days or more, dates aside, stands in two splits.",
        "Two ids of one human whose records differ by an event.",
        same_human,
    ),
    LeakCheck(
        "texts_stand_in_one_split",
        ("L23",),
        "blocks",
        "At most 0.5% of texts stand word for word in another split, at most 1% with a Jaccard index of word"
        " triples of 0.85 or more; age and sex aside.",
        "Texts that say the same in other words.",
        texts_twice,
        applies=_has_texts,
        otherwise="no arm reads texts",
    ),
    LeakCheck(
        "no_text_names_the_outcome",
        ("L34",),
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
        word_gives_away,
        applies=_has_texts,
        otherwise="no arm reads texts",
    ),
)
