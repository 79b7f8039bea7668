"""Alarms: checks that judge a statistic, and how often all of them together may be wrong in a run.

A family of alarms shares one rate of false alarms: those that only warn 1 in 100 runs, those that can
block 1 in 100,000. Each alarm of a run, on each task, gets an equal part (Bonferroni), and an alarm that
looks at many things divides its part among them. It fires when chance is excluded at its part *and* the
effect is as large as the alarm says it must be: at a million examples a trifle is no leak.

Inference is by person: one labelled example each, drawn by a hash that no order of ids shares. Labels of
held-out are not read (METHODS 19): train and tuning say enough about how the data were made. Those of scores
do: what is wrong with a score shows where it is judged, and by then the reading has been logged.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.leakage.rows import Finding
from ml.leakage.shown import Shown

# Once in so many runs may any alarm of the family fire where nothing is wrong.
FAMILY_RATE = {"blocks": 1e-5, "warns": 1e-2}
# Every alarm by its family; the parts follow from how many there are.
FAMILIES: dict[str, tuple[str, ...]] = {
    "blocks": (
        "no_code_gives_the_outcome_away",
        "no_feature_is_the_outcome",
        "no_score_is_the_outcome",
        "the_index_visit_does_not_tell_cases",
        "cases_and_non_cases_are_indexed_alike",
        "order_says_nothing_of_the_outcome",
        "no_word_gives_the_outcome_away",
        "texts_stand_in_one_split",
        "nothing_is_learned_from_random_labels",
        "records_go_on_to_the_end_of_the_data",
    ),
    "warns": (
        "the_days_of_orders_say_little",
        "shortcuts_explain_little",
        "prevalence_holds_to_the_last_index_days",
        "the_calendar_says_little",
        "units_do_not_tell_cases",
        "sites_do_not_tell_cases",
        "what_is_not_told_of_a_person_says_little",
        "cases_and_others_are_recorded_alike",
        "cutting_does_not_tell_cases",
        "few_codes_tell_cases",
        "new_codes_come_to_all_alike",
        "cases_are_not_busier_just_before",
        "no_code_knows_what_follows",
        "few_features_tell_cases",
        "few_values_tell_cases",
        "few_scores_are_nearly_the_outcome",
        "scores_are_no_better_on_held_out",
        "few_words_tell_cases",
        "being_seen_says_little",
        "little_is_learned_from_random_labels",
        "who_is_lost_is_like_the_others",
        "deaths_are_as_many_as_must_be",
        "outcomes_come_as_often_to_the_end",
        "few_records_are_missing_at_the_end",
        "deaths_come_as_often_to_the_end",
        "periods_end_with_the_records",
        "persons_leave_and_die_in_the_early_years_too",
        "who_dies_is_seen_until_then",
        "who_is_seen_at_the_end_is_coded",
    ),
}


def judged_of(*splits: str) -> str:
    """Return the CTE `judged`: labelled examples of these splits, one a person.

    The smallest example_id of a person would not do: who has more examples has a smaller one.
    """
    return f"""
judged as (
    select
        example_id,
        person_id,
        index_date::date as index_date,
        split,
        y_true
    from example
    where y_true is not null and split in ({", ".join(f"'{split}'" for split in splits)})
    qualify row_number() over (
        partition by person_id order by sha256('one a person/' || example_id), example_id
    ) = 1
)
"""


JUDGED = judged_of("train", "tuning")


@dataclass(frozen=True)
class Evidence:
    """What an alarm saw in one place.

    Attributes:
        looked_at: independent examples.
        p_value: bound on the chance of what was seen where nothing is wrong, of all looks here together.
        effect: in the units of `minimum`.
        minimum: effect below which nothing is said, however sure.
        smallest: effect that chance would have been excluded for.
        what: the statistic in words.
        unseen: what could not be seen, where `smallest` does not say it.
    """

    looked_at: int
    p_value: float
    effect: float
    minimum: float
    smallest: float
    what: str
    unseen: str = ""

    @property
    def limits(self) -> str:
        """What could not be seen, in words."""
        if self.unseen:
            return self.unseen
        needed = max(self.minimum, self.smallest)
        size = f"nothing below {needed:.3g}" if math.isfinite(needed) else "nothing of any size"
        return f"{self.what}: {size} at so many examples."


def level(alarm: str, n_tasks: int) -> float:
    """Return the part of its family's rate that an alarm has on one task.

    >>> level("the_calendar_says_little", n_tasks=2)
    0.0008333333333333334
    """
    (family,) = (family for family, names in FAMILIES.items() if alarm in names)
    return FAMILY_RATE[family] / (n_tasks * len(FAMILIES[family]))


def finding(alarm: str, shown: Shown, evidence: Evidence, *, looks: int = 1, arm: str = "") -> Finding:
    """Judge what an alarm saw in one of its `looks`."""
    part = level(alarm, shown.n_tasks) / looks
    return Finding(
        looked_at=evidence.looked_at,
        found=int(evidence.p_value <= part and evidence.effect >= evidence.minimum),
        note=f"{evidence.what}: {evidence.effect:.3g} (chance at most {evidence.p_value:.1g}).",
        cannot_see=evidence.limits,
        arm=arm,
    )


def best_look(p_values: npt.ArrayLike, effects: npt.ArrayLike, minimum: float) -> int:
    """Return which look stands for all: of those with so large an effect the surest, or else the largest.

    The surest of all may be a trifle that many examples show, behind which a leak that few show would hide.

    Args:
        p_values: (L,).
        effects: (L,) 1 at most.
        minimum: effect below which nothing is said.
    """
    effect = np.asarray(effects, dtype=np.float64)
    # What is short of the minimum comes behind every chance, the largest first.
    return int(np.argmin(np.where(effect >= minimum, p_values, 2.0 - effect)))


def judged(shown: Shown) -> pd.DataFrame:
    """Return the judged examples in order of example_id: one labelled example a person, train and tuning."""
    return shown.frame(f"with {JUDGED} select * from judged order by example_id")


def strongest(alarm: str, shown: Shown, seen: Sequence[Evidence], *, looks: int = 1) -> Finding:
    """Judge several pieces of evidence as looks of one alarm; report what fires, or else the strongest.

    Of looks with one minimum, the one that could see least says what could not be seen.

    Args:
        looks: how often the alarm looks in all, at so many pieces each.
    """
    if not seen:
        return Finding(0, 0)
    findings = [finding(alarm, shown, evidence, looks=looks * len(seen)) for evidence in seen]
    best = min(range(len(seen)), key=lambda n: seen[n].p_value)
    blindest = {one.minimum: one for one in sorted(seen, key=lambda one: one.smallest)}
    return Finding(
        looked_at=min(one.looked_at for one in findings),
        found=int(any(one.found for one in findings)),
        note=" ".join(one.note for one in findings if one.found) or findings[best].note,
        cannot_see=" ".join(one.limits for one in blindest.values()),
    )
