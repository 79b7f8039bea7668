"""Cases and non-cases must be indexed and recorded alike (L15, L16, L19, L20)."""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from ml.leakage.outcomes import IS_OUTCOME
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.leakage.statistics.alarms import JUDGED, Evidence, finding, judged, level, strongest
from ml.leakage.statistics.tails import (
    distributions_smallest,
    distributions_tail,
    shares_smallest,
    shares_tail,
    table_tail,
)
from ml.task_definition import Task

# The visit of the index: what shares a visit with an event of the index day, and that day itself. Where the
# task asks at a visit what will come, the rest of that visit is what it asks for.
INDEX_VISIT = f"""
with
{JUDGED},
index_visit as (
    select distinct
        judged.example_id,
        clinical_event.visit_occurrence_id
    from judged
    inner join clinical_event
        on judged.person_id = clinical_event.person_id
        and judged.index_date = clinical_event.event_date
    where clinical_event.visit_occurrence_id is not null
),
marked as (
    select distinct judged.example_id
    from judged
    inner join clinical_event on judged.person_id = clinical_event.person_id
    left join index_visit
        on judged.example_id = index_visit.example_id
        and clinical_event.visit_occurrence_id = index_visit.visit_occurrence_id
    where
        (clinical_event.event_date = judged.index_date or index_visit.example_id is not null)
        and (not $is_of_a_visit or clinical_event.event_date <= judged.index_date)
        and {IS_OUTCOME}
)
select
    judged.y_true,
    count(*) as n,
    count(marked.example_id) as n_marked
from judged
left join marked on judged.example_id = marked.example_id
group by judged.y_true
order by judged.y_true
"""
MARKED_ALLOWED = 0.02

# The last visit: nobody is seen after the index day, the visit of the outcome itself not counted.
RECENCY = f"""
with
{JUDGED},
later as (
    select distinct judged.example_id
    from judged
    inner join label on judged.example_id = label.example_id
    inner join clinical_event
        on judged.person_id = clinical_event.person_id
        and judged.index_date < clinical_event.event_date
    where
        clinical_event.domain = 'Visit'
        and clinical_event.event_date is distinct from label.outcome_date
),
gap as (
    select
        example_id,
        min(days_before) as days
    from event
    group by example_id
)
select
    judged.y_true,
    later.example_id is null as is_last,
    judged.index_date - cohort.observation_period_start_date::date as record_days,
    coalesce(gap.days, 100000) as gap_days
from judged
inner join cohort on judged.example_id = cohort.example_id
left join later on judged.example_id = later.example_id
left join gap on judged.example_id = gap.example_id
order by judged.example_id
"""
LAST_ALLOWED, DISTANCE_ALLOWED = 0.15, 0.25

# The last days of the index dates against the year before them.
LAST_DAYS, YEAR_DAYS = (30, 90, 180), 365
PREVALENCE_DROP = 0.25

# Wrong merges of records: one visit of two persons; a record that goes on after death.
DAYS_AFTER_DEATH = 60
MERGED = f"""
with
shared_visit as (
    select visit_occurrence_id
    from clinical_event
    where visit_occurrence_id is not null
    group by visit_occurrence_id
    having count(distinct person_id) > 1
),
merged as (
    select clinical_event.person_id
    from clinical_event
    inner join shared_visit on clinical_event.visit_occurrence_id = shared_visit.visit_occurrence_id
    union
    select clinical_event.person_id
    from clinical_event
    inner join death on clinical_event.person_id = death.person_id
    where clinical_event.event_date::date > death.death_date + {DAYS_AFTER_DEATH}
),
person_shown as (select distinct person_id from example)
select
    count(*),
    count(merged.person_id)
from person_shown
left join merged on person_shown.person_id = merged.person_id
"""
MERGED_WARNS, MERGED_BLOCKS = 0.001, 0.01


def index_visit_tells(shown: Shown) -> Finding:
    """Compare the share of cases and of non-cases whose index visit carries an outcome code."""
    alarm = "the_index_visit_does_not_tell_cases"
    table = shown.frame(INDEX_VISIT, is_of_a_visit=shown.task.anchor in ("visit_start", "visit_end"))
    counts = {y: (int(marked), int(n)) for y, n, marked in table.itertuples(index=False)}
    if len(counts) < 2:
        return Finding(0, 0)
    what = "difference of the shares whose index visit carries an outcome code"
    return finding(
        alarm,
        shown,
        _shares(counts[1], counts[0], MARKED_ALLOWED, level(alarm, shown.n_tasks), what),
    )


def indexed_differently(shown: Shown) -> Finding:
    """Compare cases and non-cases: index at the last visit, length of record, gap before the index.

    Where death is the outcome, cases have no later visit, however they were indexed.
    """
    alarm = "cases_and_non_cases_are_indexed_alike"
    table = shown.frame(RECENCY)
    cases, others = (table[table["y_true"] == y] for y in (1, 0))
    if cases.empty or others.empty:
        return Finding(0, 0)
    part = level(alarm, shown.n_tasks) / 3
    seen = []
    if not shown.task.death_is_outcome:
        first, second = ((int(side["is_last"].sum()), len(side)) for side in (cases, others))
        seen.append(
            _shares(first, second, LAST_ALLOWED, part, "difference of the shares at their last visit")
        )
    for column, words in (("record_days", "length of record"), ("gap_days", "gap before the index")):
        distance, p_value = distributions_tail(cases[column], others[column], DISTANCE_ALLOWED)
        seen.append(
            Evidence(
                looked_at=len(table),
                p_value=p_value,
                effect=distance,
                minimum=DISTANCE_ALLOWED,
                smallest=distributions_smallest(len(cases), len(others), DISTANCE_ALLOWED, part),
                what=f"largest distance of the distributions of the {words}",
            )
        )
    return strongest(alarm, shown, seen)


def prevalence_drops(shown: Shown) -> Finding:
    """Compare the share of cases in the last 30, 90 and 180 days of index dates with the year before."""
    alarm = "prevalence_holds_to_the_last_index_days"
    known = judged(shown)
    if known.empty:
        return Finding(0, 0)
    y_true = known["y_true"].to_numpy(dtype=np.int64)
    age = (known["index_date"].max() - known["index_date"]).dt.days.to_numpy()
    part = level(alarm, shown.n_tasks) / len(LAST_DAYS)
    seen = [_drop(y_true, age, days, part) for days in LAST_DAYS]
    if not any(seen):
        return Finding(
            len(known), 0, cannot_see="No case is indexed in the year before the last index dates."
        )
    # Labels say which windows can be judged: each is paid for, and one that cannot says nothing.
    nothing = Evidence(len(known), 1.0, 0.0, PREVALENCE_DROP, 0.0, "")
    return strongest(alarm, shown, [one or nothing for one in seen])


def _drop(
    y_true: npt.NDArray[np.int64], age: npt.NDArray[np.int64], days: int, part: float
) -> Evidence | None:
    """Compare the share of cases in the last days with the year before; None: there is nothing to compare."""
    late, before = age < days, (age >= days) & (age < days + YEAR_DAYS)
    n, n_before, cases = int(late.sum()), int(before.sum()), int(y_true[late].sum())
    if not n or not y_true[before].sum():
        return None
    of_both = cases + int(y_true[before].sum())
    usual = y_true[before].mean()
    possible = np.arange(0, min(n, of_both) + 1)
    excluded = np.flatnonzero(
        (table_tail(possible, n, of_both, n + n_before) <= part) & (possible / n < usual)
    )
    if not excluded.size and days != LAST_DAYS[-1]:
        return None  # so few cases in both that no drop could be seen: the counts of both are given
    return Evidence(
        looked_at=n + n_before,
        p_value=float(table_tail(cases, n, of_both, n + n_before)),
        effect=float(1 - cases / n / usual),
        minimum=PREVALENCE_DROP,
        smallest=float(1 - excluded.max() / n / usual) if excluded.size else float("inf"),
        what=f"drop of the share of cases in the last {days} days of index dates",
    )


def merged_records(shown: Shown, allowed: float) -> Finding:
    """Count persons whose record holds another's visit, or goes on after death; found where too many."""
    n_persons, n_merged = map(int, shown.row(MERGED))
    is_too_many = n_merged > allowed * n_persons
    note = f"{n_merged / max(n_persons, 1):.2%} of persons; allowed {allowed:.1%}."
    return Finding(n_persons, n_merged if is_too_many else 0, note=note)


def _shares(
    first: tuple[int, int], second: tuple[int, int], allowed: float, part: float, what: str
) -> Evidence:
    return Evidence(
        looked_at=first[1] + second[1],
        p_value=shares_tail(first, second, allowed),
        effect=abs(first[0] / first[1] - second[0] / second[1]),
        minimum=allowed,
        smallest=shares_smallest(first[1], second, allowed, part),
        what=what,
    )


def _forbids_outcomes(task: Task, kinds: Collection[str]) -> bool:
    return task.outcome_in_history == "forbid" and bool(task.outcome_concept_sets)


CHECKS = (
    LeakCheck(
        "the_index_visit_does_not_tell_cases",
        ("L15",),
        "blocks",
        "The visit of the index carries an outcome code as rarely for cases as for non-cases.",
        "Cases indexed shortly before their diagnosis, in another visit.",
        index_visit_tells,
        applies=_forbids_outcomes,
        otherwise="an earlier outcome is allowed, or the outcome is no concept",
    ),
    LeakCheck(
        "cases_and_non_cases_are_indexed_alike",
        ("L16",),
        "signed_off_or_blocks",
        "Index at the last visit, length of record and gap before the index are alike in cases and others.",
        "Sampling that differs by what is recorded, not by when.",
        indexed_differently,
    ),
    LeakCheck(
        "prevalence_holds_to_the_last_index_days",
        ("L19",),
        "warns",
        "The share of cases does not drop in the last days of index dates: outcomes were coded in time.",
        "A delay of coding that is the same in all years, or longer than the time-at-risk.",
        prevalence_drops,
    ),
    LeakCheck(
        "records_are_of_one_human",
        ("L20",),
        "blocks",
        f"At most {MERGED_BLOCKS:.0%} of persons hold another's visit or a record after death.",
        "Wrong merges that contradict neither a visit nor a death.",
        lambda shown: merged_records(shown, MERGED_BLOCKS),
    ),
    LeakCheck(
        "few_records_are_merged",
        ("L20",),
        "warns",
        f"At most {MERGED_WARNS:.1%} of persons hold another's visit or a record after death.",
        "Wrong merges that contradict neither a visit nor a death.",
        lambda shown: merged_records(shown, MERGED_WARNS),
    ),
)
