"""Who was used to fit what: views fitted again on train alone, and the logs that arms left."""

from ml.inputs.recompute import differing_fits_of
from ml.leakage.rows import Finding, LeakCheck
from ml.leakage.shown import Shown

# What each purpose may read.
SPLITS = {"fit": "train", "select": "tuning", "recalibrate": "tuning"}


def _views(shown: Shown) -> list[Finding]:
    views = [*shown.of_kind("counts"), *shown.of_kind("sequence")]
    found = differing_fits_of(shown.published, shown.task.task, [(view.folder, view.view) for view in views])
    return [Finding(*of_view, f"`{view.name}`.") for view, of_view in zip(views, found, strict=True)]


# Persons with a label whom a run that read some of their split for a purpose did not read for it. A run of a
# few examples reads those that it drew; its name says how many.
UNREAD = """
with
read as (
    select
        run,
        purpose,
        person_id
    from {log}
),
allowed as (
    select
        unnest($purposes::varchar[]) as purpose,
        unnest($splits::varchar[]) as split
),
done as (
    select distinct
        run,
        purpose
    from read
    where not regexp_matches(run, '-k[0-9]+-draw[0-9]+$')
),
labelled as (
    select distinct
        person_id,
        split
    from example
    where y_true is not null
)
select count(*)
from done
inner join allowed on done.purpose = allowed.purpose
inner join labelled on allowed.split = labelled.split
left join read
    on done.run = read.run
    and done.purpose = read.purpose
    and labelled.person_id = read.person_id
where read.person_id is null
"""


def _arms(shown: Shown) -> list[Finding]:
    """Persons that each arm's log names, with the split that the snapshot gives them, and who is missing."""
    findings = []
    for arm in shown.arms:
        looked_at, found = shown.row(
            "with allowed as (select unnest($purposes::varchar[]) as purpose,"
            " unnest($splits::varchar[]) as split)"
            " select count(*), count(*) filter (where allowed.split is null or split.split is null"
            f" or split.split <> allowed.split) from {shown.fit_log(arm)} as read"
            " left join split on read.person_id = split.person_id"
            " left join allowed on read.purpose = allowed.purpose",
            purposes=list(SPLITS),
            splits=list(SPLITS.values()),
        )
        (unread,) = shown.row(
            UNREAD.format(log=shown.fit_log(arm)),
            purposes=list(SPLITS),
            splits=list(SPLITS.values()),
        )
        findings.append(Finding(looked_at, found + unread, arm=arm))
    return findings


CHECKS = (
    LeakCheck(
        "views_are_fitted_on_train",
        ("L27", "L39"),
        "blocks",
        "Columns, bins and vocabularies, fitted again on the train persons of the snapshot alone, are those"
        " that every example is shown with.",
        "A choice of options that somebody made after looking at held-out.",
        _views,
        applies=lambda task, kinds: bool({"counts", "sequence"} & set(kinds)),
        otherwise="no view is fitted",
    ),
    LeakCheck(
        "arms_are_fitted_on_train_and_chosen_on_tuning",
        ("L24", "L27", "L28"),
        "blocks",
        "Everyone whose label or row was read to fit is of train, and to choose or recalibrate of tuning; and"
        " nobody with a label there was passed over.",
        "What was read past the log; a choice that somebody made after looking at held-out.",
        _arms,
        stage="scores",
    ),
)
