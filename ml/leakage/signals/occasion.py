"""What is recorded just before somebody's index and never else: made for the cohort (L09, L10, L33, L35).

A result, an order or a drug of ordinary care is recorded on days that know nothing of an index. One that
nearly everybody who has it has only in the weeks before their own index was made for a cohort, afterwards, or
loaded for it: the source as it will be used has none. It warns: a work-up that leads to an entry is one too.
In the simulator and in GiBleed no code of 20 persons is of those weeks alone for more than 2% of them.
Diagnoses are left out: those of the stay that ends with the index are dated before it.
"""

from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown
from ml.task_definition import Task

ORDERED = ("Measurement", "Observation", "Procedure", "Drug")
WEEKS_DAYS = 30
# Of a code that so many persons have, so many of them have it in those days alone.
FEWEST_PERSONS, NEARLY_ALL = 20, 0.8
# Where so many of all persons and codes are seen in those days alone, the record is of those days.
USUAL_MOST = 0.3
ONLY_THEN = """
with
asked_concept as (
    select concept_id
    from concept_set_member
    where concept_set in (select unnest($asked::varchar[]))
),
index_day as (
    select distinct
        person_id,
        index_date
    from cohort_of_all
    where task = $task
),
day_had as (
    select distinct
        person_id,
        concept_id,
        event_date
    from clinical_event
    where
        domain in (select unnest($domains::varchar[]))
        and concept_id <> 0
        and concept_id not in (select concept_id from asked_concept)
),
near_day as (
    select
        day_had.person_id,
        day_had.concept_id,
        coalesce(bool_or(
            date_diff('day', day_had.event_date, index_day.index_date) between 1 and $days
        ), false) as is_near
    from day_had
    left join index_day on day_had.person_id = index_day.person_id
    group by day_had.person_id, day_had.concept_id, day_had.event_date
),
of_person as (
    select
        person_id,
        concept_id,
        bool_and(is_near) as is_only_near
    from near_day
    group by person_id, concept_id
),
of_code as (
    select
        concept_id,
        count(*) as n_persons,
        count(*) filter (where is_only_near) as n_only_near
    from of_person
    group by concept_id
)
select
    coalesce(sum(n_persons), 0)::bigint as n_pairs,
    coalesce(sum(n_only_near) filter (where n_only_near < $share * n_persons), 0)::bigint as n_usual_near,
    coalesce(sum(n_persons) filter (where n_only_near < $share * n_persons), 0)::bigint as n_usual,
    count(*) filter (where n_persons >= $fewest) as n_codes,
    count(*) filter (where n_persons >= $fewest and n_only_near >= $share * n_persons) as n_found
from of_code
"""


def only_before_the_index(shown: Shown) -> Finding:
    """Count codes that nearly all who have them have in the last weeks before their index alone."""
    task = shown.task
    n_pairs, n_usual_near, n_usual, n_codes, n_found = shown.row(
        ONLY_THEN,
        task=task.task,
        asked=[row.concept_set for row in (*task.rows("entry"), *task.rows("require")) if row.concept_set],
        domains=list(ORDERED),
        days=WEEKS_DAYS,
        share=NEARLY_ALL,
        fewest=FEWEST_PERSONS,
    )
    is_usual = n_usual_near > USUAL_MOST * n_usual
    return Finding(
        n_pairs,
        0 if is_usual else n_found,
        f"{n_found} of {n_codes} codes that {FEWEST_PERSONS} persons or more have.",
        "Nothing: the record is of those days." if is_usual else "",
    )


def _indexes_once(task: Task) -> bool:
    return task.entry_limit != "all" and task.index_rule == "anchor"


CHECKS = (
    LeakCheck(
        "codes_are_not_tied_to_the_index",
        ("L09", "L10", "L33", "L35"),
        "warns",
        f"Of {FEWEST_PERSONS} or more who have a result, procedure or drug under {NEARLY_ALL:.0%} have it"
        f" in the {WEEKS_DAYS} days before their index alone.",
        "What is recorded after the index, or long before it, as well; diagnoses.",
        only_before_the_index,
        applies=lambda task, kinds: _indexes_once(task),
        otherwise="a person is indexed again and again, or the design moves the index",
    ),
)
