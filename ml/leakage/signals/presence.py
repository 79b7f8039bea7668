"""Codes that cases have and others have not, or the other way round (L04, L08, L09, L10)."""

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.statistics.alarms import JUDGED, Evidence, judged, level, strongest
from ml.leakage.statistics.differences import difference_smallest, difference_tail, looks_that_count
from ml.leakage.statistics.tails import share_tail

# What may be had: a code, a concept above one, and a code with its result as a concept.
SHOWN_CODE = """
shown_code as (
    select
        event.example_id,
        event.concept_id::hugeint as code,
        event.days_before
    from event
    union all
    select
        event.example_id,
        ancestor.ancestor_concept_id::hugeint as code,
        event.days_before
    from event
    inner join ancestor on event.concept_id = ancestor.concept_id
    union all
    select
        example_id,
        hash(concept_id, value_as_concept_id)::hugeint + (1::hugeint << 64) as code,
        days_before
    from event
    where value_as_concept_id is not null
)
"""
# Who has a code within so many days: legitimate history thins out a proxy of last week.
WINDOWS_DAYS = (7, 30, 36_525)
PRESENCE = f"""
with
{JUDGED},
{SHOWN_CODE},
presence as (
    select
        shown_code.code,
        time_window.days,
        shown_code.example_id
    from shown_code
    inner join unnest($windows) as time_window(days) on shown_code.days_before <= time_window.days
    group by all
),
had as (
    select
        count(*) as n_present,
        sum(judged.y_true)::bigint as n_cases,
        bit_xor(hash(presence.example_id)) as examples
    from presence
    inner join judged on presence.example_id = judged.example_id
    group by presence.code, presence.days
)
-- what the same examples have is one look: a code and the one above it, seven days and thirty
select distinct
    n_present,
    n_cases,
    examples
from had
order by n_cases / n_present, n_present, examples
"""
# Of those with a fair code at most so many are cases: ten times the odds of all, and never more than 0.8.
HIGHEST_SHARE, ODDS_FACTOR = 0.8, 10
# Cases have a fair code at most so much more often than others; each alarm says nothing of less than its own.
DIFFERENCE_ALLOWED, DIFFERENCE_BLOCKS, DIFFERENCE_WARNS = 0.2, 0.5, 0.4


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

    def furthest(self, present: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return how far the shares of cases and others could lie apart, of what so many have."""
        cases, others = np.minimum(present, self.n_cases), np.minimum(present, self.n_others)
        in_cases = cases / self.n_cases - (present - cases) / self.n_others
        in_others = others / self.n_others - (present - others) / self.n_cases
        return np.maximum(in_cases, in_others)


def codes_tell(shown: Shown, *, alarm: str, difference: float) -> Finding:
    """Look at each code, each concept above one and each result, whether whoever has it is a case."""
    labels = Labels.of(judged(shown)["y_true"])
    code = shown.frame(PRESENCE, windows=list(WINDOWS_DAYS))
    if not labels.n_cases or not labels.n_others or code.empty:
        return Finding(0, 0)
    present, cases = (code[name].to_numpy(dtype=np.int64) for name in ("n_present", "n_cases"))
    part = level(alarm, shown.n_tasks) / 2
    words = f"{len(present)} codes and windows"
    return strongest(
        alarm,
        shown,
        [_pure(labels, present, cases, part), apart(labels, present, cases, part, difference, words)],
    )


def _pure(labels: Labels, present: npt.NDArray, cases: npt.NDArray, part: float) -> Evidence:
    """The share of cases among those who have a code."""
    odds = ODDS_FACTOR * labels.n_cases / labels.n_others
    limit = min(HIGHEST_SHARE, odds / (1 + odds))
    p_values = share_tail(cases, present, limit)
    best = int(np.argmin(p_values))
    looks = looks_that_count(limit**present, part)
    fewest = int(np.ceil(np.log(part / looks) / np.log(limit)))
    return Evidence(
        looked_at=labels.n,
        p_value=min(1.0, float(p_values[best]) * looks),
        effect=float(cases[best] / present[best]),
        minimum=limit,
        smallest=limit,
        what=f"highest share of cases among those with a code, of {len(present)} codes and windows",
        unseen=f"A code of fewer than {fewest} examples, or with {limit:.2g} or less cases among them.",
    )


def apart(
    labels: Labels, present: npt.NDArray, cases: npt.NDArray, part: float, minimum: float, words: str
) -> Evidence:
    """Judge how much more often cases have a thing than others, or the other way round.

    Args:
        present: judged examples that have each thing, (N,).
        cases: cases among them, (N,).
        part: level of this look.
        minimum: difference of shares below which nothing is said; what cannot reach it is no look.
        words: what was looked at.
    """
    others = present - cases
    difference = np.abs(cases / labels.n_cases - others / labels.n_others)
    best = int(np.argmax(difference))
    of_others = (int(others[best]), labels.n_others)
    looks = max(1, int((labels.furthest(present) >= minimum).sum()))
    p_value = difference_tail((int(cases[best]), labels.n_cases), of_others, DIFFERENCE_ALLOWED)
    return Evidence(
        looked_at=labels.n,
        p_value=min(1.0, looks * p_value),
        effect=float(difference[best]),
        minimum=minimum,
        smallest=difference_smallest(labels.n_cases, (0, labels.n_others), DIFFERENCE_ALLOWED, part / looks),
        what=f"largest difference of the shares with a code, of {words}",
    )


CHECKS = (
    LeakCheck(
        "no_code_gives_the_outcome_away",
        ("L09",),
        "signed_off_or_blocks",
        "No code, concept above one or result, of the last 7 or 30 days or at all, is had by cases alone.",
        "Proxies spread over many codes that no concept stands above.",
        functools.partial(codes_tell, alarm="no_code_gives_the_outcome_away", difference=DIFFERENCE_BLOCKS),
    ),
    LeakCheck(
        "few_codes_tell_cases",
        ("L04", "L09", "L10"),
        "warns",
        "The same, judged at the rate of alarms that warn: no code is had much more often by cases.",
        "Proxies spread over many codes that no concept stands above.",
        functools.partial(codes_tell, alarm="few_codes_tell_cases", difference=DIFFERENCE_WARNS),
    ),
)
