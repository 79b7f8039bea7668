"""The oracle on timelines worked out by hand: each line of the definitions with the label beside it.

Days count from the index, 10 March 2015. Expected: (index, label or reason) of every example.
"""

from typing import Any

import pytest

from definitions.catalogue import Defined, criterion, define
from definitions.timeline import Entry, death, disease, event, examples, period, result, sign, value, visit
from definitions.vocabulary import CHARTED, EMERGENCY, FAMILIES, OTHER_UNIT, OUTPATIENT, UNIT

DISEASE = criterion("outcome", "Condition", "t_disease")
SIGN = criterion("entry", "Condition", "t_sign")


def task(*rows: dict[str, Any], outcome: dict[str, Any] = DISEASE, **fields: Any) -> Defined:
    """Return a task from a sign to the disease on days 1 to 5, unless told otherwise."""
    return define("timeline", SIGN, outcome, *rows, **{"anchor": "event", "tar_end_days": 5, **fields})


def stay_task(
    anchor: str, *rows: dict[str, Any], outcome: dict[str, Any] = DISEASE, **fields: Any
) -> Defined:
    """Return a task at the start or the end of a stay on the ward."""
    given = {"entry_limit": "all", "tar_end_days": 5, "index_day_input": "include", **fields}
    return define("timeline", criterion("entry", "Stay", "t_ward"), outcome, *rows, anchor=anchor, **given)


def count_of(role: str, concept_set: str, start: int | None, end: int | None, **more: Any) -> dict[str, Any]:
    domain = FAMILIES[concept_set][1]
    return criterion(role, domain, concept_set, window_start_days=start, window_end_days=end, **more)


IN_STAY: dict[str, Any] = {"tar_end": "visit_end", "tar_end_days": None}
REPRODUCTION: dict[str, Any] = {"design": "reproduction"}
MOVED: dict[str, Any] = {**REPRODUCTION, "index_rule": "outcome_or_last_visit", "index_gap_days": 2}
TWO_DAYS = count_of("confirm", "t_disease", 0, 3, min_count=2)
NONE_BEFORE = count_of("confirm", "t_comorbidity", -3, -1, min_count=0, max_count=0)
DEATH = criterion("outcome", "Death")
LAB_HIGH = criterion(
    "outcome", "Measurement", "t_lab", value_operator=">", value_threshold=5.5, unit_concept_id=UNIT
)
LONG = criterion("outcome", "Stay", "t_ward", min_length_days=3)
AGAIN = criterion("outcome", "Stay", "t_ward")
NOT_TRANSFERRED = criterion(
    "forbid", "Visit end", "t_ward", window_start_days=0, window_end_days=0, value_concept_set="t_discharge"
)
TRANSFER = FAMILIES["t_discharge"][0]

# story: task, rows beside the default period, expected
TIMELINES: dict[str, tuple[Defined, list[Entry], list[tuple[int, int | str]]]] = {
    # section 5: the time-at-risk, both ends included
    "first day at risk": (task(), [sign(), disease(1)], [(0, 1)]),
    "last day at risk": (task(), [sign(), disease(5)], [(0, 1)]),
    "a day too late": (task(), [sign(), disease(6)], [(0, 0)]),
    "between index and time-at-risk": (
        task(tar_start_days=3), [sign(), disease(2)], [(0, "outcome_before_time_at_risk")],
    ),
    "the gap does not matter with allow": (
        task(tar_start_days=3, outcome_in_history="allow"), [sign(), disease(2)], [(0, 0)],
    ),
    # section 3: entries
    "the index is when the sign was known": (
        task(), [visit(7, -2, 0), sign(-1, visit=7), disease(5)], [(0, 1)],
    ),
    "a charted sign is known at once": (
        task(), [visit(7, -2, 0), sign(-1, visit=7, kind=CHARTED), disease(5)], [(-1, 0)],
    ),
    "first ever does not look further": (task(age_min=65), [sign(-365), sign(0), disease(1)], []),
    "first qualifying does": (
        task(age_min=64, entry_limit="first_qualifying"), [sign(-365), sign(0), disease(1)], [(0, 1)],
    ),
    "all indexes, one a day": (
        task(entry_limit="all"), [sign(0), sign(0), sign(2), disease(6)], [(0, 0), (2, 1)],
    ),
    "a descendant counts": (task(), [sign(concept=FAMILIES["t_sign"][0] + 2)], [(0, 0)]),
    "an invalid descendant does not": (task(), [sign(concept=FAMILIES["t_sign"][0] + 3)], []),
    "what an excluded concept brings does not": (task(), [sign(concept=FAMILIES["t_sign"][0] + 5)], []),
    "the id itself counts when retired": (task(), [sign(concept=FAMILIES["t_sign"][0] + 9)], [(0, 0)]),
    # section 3: steps
    "observed long enough": (task(prior_observation_days=1000), [sign()], [(0, 0)]),
    "a day short": (task(prior_observation_days=1001), [sign()], []),
    "outcome on the index day is history": (task(), [sign(), disease(0)], []),
    "outcome before the washout": (task(washout_days=5), [sign(), disease(-6), disease(1)], [(0, 1)]),
    "outcome on its first day": (task(washout_days=5), [sign(), disease(-5), disease(1)], []),
    "day zero at risk is no history": (
        task(tar_start_days=0, **REPRODUCTION), [sign(), disease(0)], [(0, 1)],
    ),
    "the day before still is": (task(tar_start_days=0, **REPRODUCTION), [sign(), disease(-1)], []),
    "dead by the index": (task(), [sign(), death(0)], []),
    # section 5: reasons
    "history known only later": (
        task(), [visit(7, -3, 2), sign(), disease(-1, visit=7)], [(0, "outcome_before_index_known_later")],
    ),
    "history out of the washout known later": (
        task(washout_days=0), [visit(7, -3, 2), sign(), disease(-1, visit=7)], [(0, 0)],
    ),
    "death first is 0": (task(), [sign(), death(2)], [(0, 0)]),
    "death first is null where declared": (
        task(death_policy="null_label"), [sign(), death(5)], [(0, "died_before_outcome")],
    ),
    "death after the time-at-risk is not": (task(death_policy="null_label"), [sign(), death(6)], [(0, 0)]),
    "outcome on the day of death": (task(), [sign(), death(2), disease(2)], [(0, 1)]),
    "outcome after death": (task(), [sign(), death(2), disease(3)], [(0, 0)]),
    "the earliest death counts": (task(), [sign(), death(9), death(2), disease(3)], [(0, 0)]),
    # section 4: counts, windows, values, visits
    "two rows of a day are one": (
        task(count_of("require", "t_drug", -5, -1, min_count=2)),
        [sign(), event("t_drug", -5), event("t_drug", -5)], [],
    ),
    "two days at the window's ends": (
        task(count_of("require", "t_drug", -5, -1, min_count=2)),
        [sign(), event("t_drug", -5), event("t_drug", -1)], [(0, 0)],
    ),
    "beside the window": (
        task(count_of("require", "t_drug", -5, -1, min_count=1)),
        [sign(), event("t_drug", -6), event("t_drug", 0)], [],
    ),
    "exactly one, not two": (
        task(count_of("require", "t_drug", None, None, min_count=1, max_count=1)),
        [sign(), event("t_drug", -9), event("t_drug", 0)], [],
    ),
    "required but known later": (
        task(count_of("require", "t_comorbidity", None, None, min_count=1)),
        [visit(7, -3, 1), sign(), event("t_comorbidity", -3, visit=7)], [],
    ),
    "a window ahead also reads what is known later": (
        task(count_of("require", "t_comorbidity", -5, 2, min_count=1), **REPRODUCTION),
        [visit(7, -3, 1), sign(), event("t_comorbidity", -3, visit=7)], [(0, 0)],
    ),
    "forbidden on the index day": (
        task(count_of("forbid", "t_drug", -5, 0)), [sign(), event("t_drug", 0)], [],
    ),
    "one of two alternatives": (
        task(count_of("require", "t_drug", None, None, min_count=1, any_of=1),
             count_of("require", "t_procedure", None, None, min_count=1, any_of=1)),
        [sign(), event("t_procedure", -1)], [(0, 0)],
    ),
    "in the visit of the sign": (
        task(count_of("require", "t_drug", None, None, min_count=1, same_visit_as=1)),
        [visit(7, -2, 0, OUTPATIENT), sign(visit=7), event("t_drug", -2, visit=7)], [(0, 0)],
    ),
    "in another visit": (
        task(count_of("require", "t_drug", None, None, min_count=1, same_visit_as=1)),
        [visit(7, -2, 0, OUTPATIENT), sign(visit=7), event("t_drug", -2)], [],
    ),
    "in the visit of a sign that is known later": (
        task(count_of("require", "t_drug", None, None, min_count=1, same_visit_as=1)),
        [visit(7, -2, 3), sign(), sign(-1, visit=7), event("t_drug", -2, visit=7)], [],
    ),
    # section 5: confirmation
    "confirmed on the last day of its window": (
        task(TWO_DAYS, unconfirmed_policy="negative"), [sign(), disease(5), disease(8)], [(0, 1)],
    ),
    "confirmed too late": (
        task(TWO_DAYS, unconfirmed_policy="negative"), [sign(), disease(5), disease(9)], [(0, 0)],
    ),
    "the second candidate is confirmed": (
        task(TWO_DAYS), [sign(), disease(1), disease(5), disease(6)], [(0, 1)],
    ),
    "unconfirmed is null where declared": (
        task(TWO_DAYS, unconfirmed_policy="null_label", **REPRODUCTION), [sign(), disease(5)],
        [(0, "outcome_unconfirmed")],
    ),
    "confirmation fails by too many": (
        task(NONE_BEFORE, unconfirmed_policy="null_label", **REPRODUCTION),
        [sign(), disease(4), event("t_comorbidity", 1)], [(0, "outcome_unconfirmed")],
    ),
    "too many, but before the window": (
        task(NONE_BEFORE, unconfirmed_policy="null_label", **REPRODUCTION),
        [sign(), disease(4), event("t_comorbidity", 0)], [(0, 1)],
    ),
    # stays
    "discharge": (stay_task("visit_end"), [visit(1, -3, 0), disease(1)], [(0, 1)]),
    "moved to the ward next door": (
        stay_task("visit_end"), [visit(1, -3, 0), visit(2, 1, 4)], [(0, "stay_continues"), (4, 0)],
    ),
    "an overlapping visit goes on": (stay_task("visit_end"), [visit(1, -3, 0), visit(2, 0, 2)], [(2, 0)]),
    "an open visit has no discharge after it": (
        stay_task("visit_end"), [visit(1, -3, 0), visit(2, -9, None)], [],
    ),
    "an end before its start counts as the start": (stay_task("visit_end"), [visit(1, 0, -4)], [(0, 0)]),
    "visits of a gap of one day are one stay": (
        stay_task("visit_start", **IN_STAY), [visit(1, 0, 2), visit(2, 3, 6), disease(6)], [(0, 1)],
    ),
    "of two days are two": (
        stay_task("visit_start", **IN_STAY, outcome_in_history="allow"),
        [visit(1, 0, 2), visit(2, 4, 6), disease(6)], [(0, 0), (4, 1)],
    ),
    "the end of an open stay is unknown": (
        stay_task("visit_start", **IN_STAY), [visit(1, 0, None), disease(2)], [(0, "visit_end_unknown")],
    ),
    "an emergency visit is no ward stay": (stay_task("visit_start"), [visit(1, 0, 2, EMERGENCY)], []),
    # kinds of outcome
    "readmitted": (
        stay_task("visit_end", outcome=AGAIN, outcome_in_history="allow"),
        [visit(1, -3, 0), visit(2, 5, 20)], [(0, 1), (20, 0)],
    ),
    "transferred": (
        stay_task("visit_end", NOT_TRANSFERRED, outcome=AGAIN, outcome_in_history="allow"),
        [visit(1, -3, 0, to=TRANSFER), visit(2, 5, 20)], [(20, 0)],
    ),
    "long enough": (
        stay_task("visit_start", outcome=LONG, outcome_in_history="allow", **IN_STAY),
        [visit(1, 0, 3)], [(0, 1)],
    ),
    "a day too short": (
        stay_task("visit_start", outcome=LONG, outcome_in_history="allow", **IN_STAY),
        [visit(1, 0, 2)], [(0, 0)],
    ),
    "died during the stay": (
        stay_task("visit_start", outcome=DEATH, **IN_STAY), [visit(1, 0, 4), death(4)], [(0, 1)],
    ),
    "died after it": (
        stay_task("visit_start", outcome=DEATH, **IN_STAY), [visit(1, 0, 4), death(5)], [(0, 0)],
    ),
    "a value above": (
        stay_task("visit_start", outcome=LAB_HIGH), [visit(1, 0, 4), value("t_lab", 1, 5.6, UNIT)], [(0, 1)],
    ),
    "exactly at the threshold": (
        stay_task("visit_start", outcome=LAB_HIGH), [visit(1, 0, 4), value("t_lab", 1, 5.5, UNIT)], [(0, 0)],
    ),
    "in another unit is not measured": (
        stay_task("visit_start", outcome=LAB_HIGH), [visit(1, 0, 4), value("t_lab", 1, 9.9, OTHER_UNIT)],
        [(0, "unmeasured")],
    ),
    "without a number neither": (
        stay_task("visit_start", outcome=LAB_HIGH), [visit(1, 0, 4), value("t_lab", 1, float("nan"), UNIT)],
        [(0, "unmeasured")],
    ),
    "unmeasured as 0": (
        stay_task("visit_start", outcome=LAB_HIGH, unmeasured_policy="negative"), [visit(1, 0, 4)], [(0, 0)],
    ),
    # section 6: the moved index
    "a case's index moves before the outcome": (
        task(**MOVED), [sign(), disease(4)], [(2, 1)],
    ),
    "the others' to before their last visit": (
        task(**MOVED), [sign(), visit(1, 30, 31, OUTPATIENT), visit(2, 40, None, 0)], [(38, 0)],
    ),
    "without a later visit it is the anchor's": (task(**MOVED), [sign(), visit(1, -1, 9)], [(-2, 0)]),
}  # fmt: skip


@pytest.mark.parametrize("story", TIMELINES)
def test_a_timeline_has_the_label_worked_out_by_hand(story: str) -> None:
    defined, entries, expected = TIMELINES[story]
    assert examples(result(defined, period(), *entries)) == expected


# story: task, period, rows, expected
FOLLOW_UPS: dict[str, tuple[Defined, Entry, list[Entry], list[tuple[int, int | str]]]] = {
    "observed to the last day": (task(), period(end=5), [sign()], [(0, 0)]),
    "lost a day before": (task(), period(end=4), [sign()], [(0, "lost_to_follow_up")]),
    "a case before the loss stays a case": (task(), period(end=4), [sign(), disease(4)], [(0, 1)]),
    "a case after the loss is none": (
        task(), period(end=3), [sign(), disease(4)], [(0, "lost_to_follow_up")],
    ),
    "unless cases are kept": (
        task(follow_up_policy="keep_cases"), period(end=3), [sign(), disease(4)], [(0, 1)],
    ),
    "the others stay lost": (
        task(follow_up_policy="keep_cases"), period(end=3), [sign()], [(0, "lost_to_follow_up")],
    ),
    "negative asks for no follow-up": (
        task(follow_up_policy="negative", **REPRODUCTION), period(end=3), [sign()], [(0, 0)],
    ),
    "who died in the period is not lost": (task(), period(end=3), [sign(), death(3)], [(0, 0)]),
    "who died after it is": (task(), period(end=3), [sign(), death(4)], [(0, "lost_to_follow_up")]),
    "a death after the period is no outcome": (
        task(outcome=DEATH), period(end=3), [sign(), death(4)], [(0, "lost_to_follow_up")],
    ),
    "the confirmation window is follow-up too": (
        task(TWO_DAYS), period(end=7), [sign()], [(0, "lost_to_follow_up")],
    ),
    "and for a case whose confirmation is open": (
        task(TWO_DAYS), period(end=7), [sign(), disease(5)], [(0, "lost_to_follow_up")],
    ),
    "a confirmation after the loss is none": (
        task(TWO_DAYS), period(end=7), [sign(), disease(5), disease(8)], [(0, "lost_to_follow_up")],
    ),
    "death closes the confirmation window": (
        task(TWO_DAYS, unconfirmed_policy="null_label", **REPRODUCTION), period(end=7),
        [sign(), disease(5), death(6)], [(0, "outcome_unconfirmed")],
    ),
    "not in a period": (task(), period(start=1), [sign()], []),
    "the period's first day": (task(), period(start=0), [sign()], [(0, 0)]),
    "measured after the loss": (
        stay_task("visit_start", outcome=LAB_HIGH, follow_up_policy="keep_cases"), period(end=1000),
        [visit(1, 0, 4), value("t_lab", 3, 5.0, UNIT), death(2)], [(0, "unmeasured")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("story", FOLLOW_UPS)
def test_follow_up_decides_as_worked_out_by_hand(story: str) -> None:
    defined, observed, entries, expected = FOLLOW_UPS[story]
    assert examples(result(defined, observed, *entries)) == expected
