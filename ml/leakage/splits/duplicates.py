"""Records and texts must not stand on both sides of the split (L22, L23)."""

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from ml.leakage.rows import Finding, LeakCheck, in_words
from ml.leakage.shown import Shown, ShownView
from ml.leakage.splits.near_duplicates import near_duplicates
from ml.leakage.statistics.alarms import Evidence, finding, level
from ml.leakage.statistics.tails import share_tail
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


def same_human(shown: Shown) -> list[Finding]:
    """Count whole records, and records as shown, that stand in two splits under different persons."""
    found = []
    for words, query in (("Whole records", SAME_RECORDS), ("Records as shown", SAME_SHOWN)):
        looked_at, twice = map(int, shown.row(query))
        found.append(
            Finding(looked_at, twice, note=f"{words} in two splits: {in_words(twice)}." if twice else "")
        )
    return found


@dataclass(frozen=True)
class Twice:
    """Texts of different persons that are equal or nearly so.

    Attributes:
        n_texts: that were looked at.
        exact: share of texts that stand word for word in another split.
        near: share of those that stand there at least nearly.
        groups: groups of persons whose texts are alike, none in two.
        crossing: groups of which a pair drawn at random stands in two splits.
        expected: share of pairs of persons that are in two splits.
    """

    n_texts: int
    exact: float
    near: float
    groups: int
    crossing: int
    expected: float


def texts_across(shown: Shown) -> list[Finding]:
    """Judge whether texts that are alike stand in two splits more often than persons split by a hash do."""
    alarm = "texts_stand_in_one_split"
    views = shown.of_kind("text")
    part = level(alarm, shown.n_tasks) / len(views)
    found = []
    for view in views:
        twice = _texts_twice(shown, view)
        fewest = math.ceil(math.log(part) / math.log(twice.expected)) if 0 < twice.expected < 1 else math.inf
        evidence = Evidence(
            looked_at=twice.n_texts,
            p_value=float(share_tail(twice.crossing, twice.groups, twice.expected)) if twice.groups else 1.0,
            effect=twice.near,
            minimum=EXACT_SHARE,
            smallest=EXACT_SHARE,
            what=f"share of texts in another split, {twice.crossing} of {twice.groups} groups across",
            unseen=f"Fewer than {fewest} copies, or copies that fall in splits as people do.",
        )
        found.append(finding(alarm, shown, evidence, looks=len(views)))
    return found


def texts_twice(shown: Shown) -> list[Finding]:
    """Count texts that stand, word for word or nearly, in another split, whatever the reason."""
    found = []
    for view in shown.of_kind("text"):
        twice = _texts_twice(shown, view)
        shares = ((twice.exact, EXACT_SHARE), (twice.near, NEAR_SHARE))
        too_many = [round(share * twice.n_texts) for share, allowed in shares if share > allowed]
        note = (
            f"{twice.exact:.2%} of texts stand in another split, {twice.near:.2%} nearly;"
            f" allowed {EXACT_SHARE:.1%} and {NEAR_SHARE:.1%}."
        )
        found.append(Finding(twice.n_texts, max(too_many, default=0), note=note))
    return found


def _texts_twice(shown: Shown, view: ShownView) -> Twice:
    table = shown.frame(
        f"select stored.example_id, example.person_id, example.split, {BODY} as body"
        f" from {view.table('text')} as stored"
        " inner join example on stored.example_id = example.example_id"
        " order by sha256('twice/' || stored.example_id), stored.example_id"
    )
    n_texts, shares = len(table), table["split"].value_counts(normalize=True)
    expected = float(1 - (shares**2).sum())
    words = table["body"].str.split()
    long = words.map(len) >= SHORTEST_TEXT
    if not long.any():
        return Twice(n_texts, 0.0, 0.0, 0, 0, expected)
    table, words = table[long].reset_index(drop=True), words[long].reset_index(drop=True)
    body = pd.factorize(table["body"])[0]
    first = np.unique(body, return_index=True)[1]  # of each distinct text one, in the order of a hash
    asked = None
    if len(first) > MOST_TEXTS:  # the limits are shares, so that a sample says them: each compared with all
        asked = np.random.default_rng(shown.seed).permutation(len(first))[:SAMPLED_TEXTS]
    near = near_duplicates(words[first].tolist(), NEAR_JACCARD, asked)
    split = pd.factorize(table["split"], sort=True)[0]
    own = 1 << split
    here = np.zeros(len(first), dtype=np.int64)
    np.bitwise_or.at(here, body, own)
    around = here.copy()
    for one, other in ((0, 1), (1, 0)):
        np.bitwise_or.at(around, near[:, one], here[near[:, other]])
    known = np.isin(body, np.arange(len(first)) if asked is None else asked)
    order = np.argsort(body, kind="stable")
    same = np.column_stack([order[:-1], order[1:]])[np.diff(body[order]) == 0]
    crossing = _crossings(np.concatenate([first[near], same]), pd.factorize(table["person_id"])[0], split)
    return Twice(
        n_texts=n_texts,
        exact=float(((here[body] & ~own) != 0).sum()) / n_texts,
        near=float(((around[body] & ~own) != 0)[known].mean()) * len(table) / n_texts,
        groups=len(crossing),
        crossing=int(crossing.sum()),
        expected=expected,
    )


def _crossings(pairs: npt.NDArray, person: npt.NDArray, split: npt.NDArray) -> npt.NDArray[np.bool_]:
    """Return for each group of persons with texts alike whether one pair of it, the first, is in two splits.

    Persons alike with one another are one group; pairs of texts (M, 2) are in an order that no split knows.
    """
    pairs = np.sort(pairs[person[pairs[:, 0]] != person[pairs[:, 1]]], axis=1)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    n = int(person.max()) + 1
    edges = sparse.coo_matrix((np.ones(len(pairs)), (person[pairs[:, 0]], person[pairs[:, 1]])), (n, n))
    group = connected_components(edges, directed=False)[1][person[pairs[:, 0]]]
    chosen = pairs[np.unique(group, return_index=True)[1]]
    return split[chosen[:, 0]] != split[chosen[:, 1]]


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
        "Texts that are alike (Jaccard index of word triples 0.85 or more, age and sex aside) stand in two"
        " splits no more often than persons split by a hash do.",
        "Texts that say the same in other words.",
        texts_across,
        applies=_has_texts,
        otherwise="no arm reads texts",
    ),
    LeakCheck(
        "few_texts_stand_in_two_splits",
        ("L23",),
        "warns",
        "At most 0.5% of texts stand word for word in another split, at most 1% nearly.",
        "Texts that say the same in other words.",
        texts_twice,
        applies=_has_texts,
        otherwise="no arm reads texts",
    ),
)
