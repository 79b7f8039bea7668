"""Splits and independence: nobody on both sides, and every artefact of one snapshot."""

from ml.artefact import read_json
from ml.inputs.examples import DRAW_FILE
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown

# Whole persons in the order of a hash until the limit: who comes before it and is not there was picked out.
LEFT_OUT = """
with
person_size as (
    select
        person_id,
        count(*) as n_examples,
        sha256($seed || '/' || person_id) as place
    from cohort_of_all
    where task = $task
    group by person_id
),
counted as (
    select
        person_id,
        sum(n_examples) over (order by place, person_id) as n_so_far
    from person_size
)
select count(*)
from cohort_of_all
inner join counted on cohort_of_all.person_id = counted.person_id
where
    cohort_of_all.task = $task
    and ($max_examples is null or counted.n_so_far <= $max_examples)
    and not exists (select 1 from example where example.example_id = cohort_of_all.example_id)
"""


def _own_split(shown: Shown) -> Finding:
    looked_at, found = shown.row(
        "select count(*), count(*) filter (where split.split is null"
        " or example.split is distinct from split.split"
        " or example.person_id is distinct from cohort.person_id"
        " or example.index_date::date is distinct from cohort.index_date"
        " or example.y_true is distinct from label.y_true) from example"
        " left join split on example.person_id = split.person_id"
        " left join cohort on example.example_id = cohort.example_id"
        " left join label on example.example_id = label.example_id"
    )
    return Finding(looked_at, found + _moved(shown) + _left_out(shown))


def _left_out(shown: Shown) -> int:
    """Count examples of the published cohort that the recorded draw has and the cut has not."""
    draw = read_json(shown.examples / DRAW_FILE)
    (left_out,) = shown.row(
        LEFT_OUT, task=shown.task.task, seed=str(draw["seed"]), max_examples=draw["max_examples"]
    )
    return left_out


def _moved(shown: Shown) -> int:
    """Count examples of persons whom the snapshot before had in another split: the judged are learnt from."""
    if shown.earlier is None:
        return 0
    (moved,) = shown.row(
        "select count(*) from example inner join read_parquet($earlier) as earlier"
        " on example.person_id = earlier.person_id where example.split is distinct from earlier.split",
        earlier=str(shown.earlier / "split.parquet"),
    )
    return moved


def _scored(shown: Shown) -> list[Finding]:
    """Each arm's rows against the cut: these examples, persons, splits and labels, once a run.

    A run of a few examples scores those of train that it drew.
    """
    findings = []
    for arm in shown.arms:
        looked_at, found = shown.row(
            f"select count(*), count(*) filter (where example.example_id is null"
            " or scored.person_id is distinct from example.person_id"
            " or scored.split is distinct from example.split"
            f" or scored.y_true is distinct from example.y_true) from {shown.scores(arm)} as scored"
            " left join example on scored.example_id = example.example_id"
        )
        missing, twice = shown.row(
            "with run as (select distinct seed, k, draw from scores_of_arm),"
            " expected as (select run.*, example.example_id from run cross join example"
            " where example.y_true is not null and (run.k is null or example.split <> 'train'))"
            " select (select count(*) from expected left join scores_of_arm"
            " on expected.example_id = scores_of_arm.example_id and expected.seed = scores_of_arm.seed"
            " and expected.k is not distinct from scores_of_arm.k"
            " and expected.draw is not distinct from scores_of_arm.draw"
            " where scores_of_arm.example_id is null),"
            " (select count(*) - count(distinct (example_id, seed, k, draw)) from scores_of_arm)".replace(
                "scores_of_arm", shown.scores(arm)
            )
        )
        findings.append(Finding(looked_at, found + missing + twice, arm=arm))
    return findings


CHECKS = (
    LeakCheck(
        "examples_are_as_published",
        ("L13", "L14", "L17", "L21", "L24", "L38", "L39"),
        "blocks",
        "Each example has the person, index, label and split that this snapshot gives it, and no other split"
        " than the snapshot before gave its person; and the cut has every example of the published cohort,"
        " labelled or not, but for whole persons whom the recorded draw by a hash left out.",
        "A split that was wrong from the first snapshot on; a limit or a seed of the draw chosen by looking"
        " at what they leave.",
        _own_split,
    ),
    LeakCheck(
        "scores_are_of_these_examples",
        ("L21", "L28", "L39"),
        "blocks",
        "Each arm scored every labelled example of this snapshot once a run, none other, under its own"
        " person, split and label; of train, in a run of a few examples, those drawn.",
        "Scores that were exchanged among examples.",
        _scored,
        stage="scores",
    ),
)
