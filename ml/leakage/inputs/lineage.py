"""Time and legitimacy of inputs: each event that an example is shown, against the published record itself."""

import csv
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from ml.leakage.inputs.truncation import look_at_the_past
from ml.leakage.record.calendar import full_years
from ml.leakage.record.known import make_known_table
from ml.leakage.rows import Finding, LeakCheck, in_words
from ml.leakage.shown import Shown

RAW_TABLES = ("visit_occurrence", "condition_occurrence", "drug_exposure", "procedure_occurrence",
              "measurement", "observation")  # fmt: skip
# Death is a raw table as well, and no input: nobody is predicted after it.

OF_CUT = """
from event
inner join example on event.example_id = example.example_id
left join known on event.event_id = known.event_id and example.person_id = known.person_id
"""


def _dated(shown: Shown) -> Finding:
    """Own dates, as published and as counted back from the index; an event nobody published is found too."""
    make_known_table(shown)
    looked_at, found = shown.row(
        "select count(*), count(*) filter (where not coalesce(known.event_date"
        " < example.index_date::date + $days, false) or event.days_before < 1 - $days"
        " or event.days_before is distinct from"
        f" date_diff('day', known.event_date, example.index_date::date)) {OF_CUT}",
        days=int(shown.includes_index_day),
    )
    return Finding(looked_at, found)


def _billed(shown: Shown) -> Finding:
    make_known_table(shown)
    looked_at, billed, found = shown.row(
        "select count(*), count(*) filter (where known.is_of_a_stay), count(*) filter (where"
        f" known.known_date >= example.index_date::date + $days) {OF_CUT}",
        days=int(shown.includes_index_day),
    )
    return Finding(looked_at, found, f"{in_words(billed)} of them final only when a stay ends.")


def _visits(shown: Shown) -> Finding:
    """A visit's start is known without its end, length or disposition."""
    looked_at, visits, found = shown.row(
        "select count(*), count(*) filter (where domain in ('Visit', 'Visit end')), count(*) filter (where"
        " domain = 'Visit' and (value_as_number is not null or value_as_concept_id is not null)) from event"
    )
    return Finding(looked_at, found, f"{in_words(visits)} of them starts or ends of visits.")


def _raw(shown: Shown) -> Finding:
    make_known_table(shown)
    looked_at, found = shown.row(
        "select count(*), count(*) filter (where not coalesce(known.source_table in"
        f" (select unnest($tables::varchar[])), false)) {OF_CUT}",
        tables=list(RAW_TABLES),
    )
    return Finding(looked_at, found)


def _all_that_was_known(shown: Shown) -> Finding:
    """The cut against the snapshot, both ways: nothing more, nothing less, nothing else."""
    looked_at, found = shown.row(
        """
        with
        expected as (
            select example.example_id, clinical_event.*,
                date_diff('day', clinical_event.event_date, example.index_date::date) as days_before
            from example
            inner join clinical_event
                on example.person_id = clinical_event.person_id
                and clinical_event.available_date < example.index_date::date + $days
        )
        select count(*), count(*) filter (
            where expected.event_id is null
            or event.event_id is null
            or event.domain is distinct from expected.domain
            or event.days_before is distinct from expected.days_before
            or event.event_no is distinct from expected.event_no
            or event.concept_id is distinct from
                coalesce(nullif(expected.concept_id, 0), expected.source_concept_id, 0)
            or event.value_as_number is distinct from expected.value_as_number
            or event.value_as_concept_id is distinct from expected.value_as_concept_id
        )
        from expected
        full join event
            on expected.example_id = event.example_id and expected.event_id = event.event_id
        """,
        days=int(shown.includes_index_day),
    )
    return Finding(looked_at, found)


def _person_facts(shown: Shown) -> Finding:
    """Age in full years on the index day, and sex: all that is shown of a person beside events."""
    age = full_years("person.birth_date::date", "example.index_date::date")
    looked_at, found = shown.row(
        f"""
        select count(*), count(*) filter (
            where person.person_id is null
            or example.age is distinct from {age}
            or example.sex is distinct from
                case when person.gender_concept_id <> 0 then lower(concept.concept_name) end
        )
        from example
        left join person on example.person_id = person.person_id
        left join concept on person.gender_concept_id = concept.concept_id
        """
    )
    return Finding(looked_at, found)


def _outcome_concepts(shown: Shown) -> Finding:
    """The outcome's concept sets resolved again: included ids and what stands below them, less excluded."""
    sets = sorted(set(shown.task.outcome_concept_sets))
    below = _below(shown, [int(row["concept_id"]) for name in sets for row in _set_rows(shown, name)])
    looked_at = found = 0
    for name in sets:
        included: set[int] = set()
        excluded: set[int] = set()
        for row in _set_rows(shown, name):
            concept = int(row["concept_id"])
            members = {concept} | (below[concept] if row["include_descendants"] == "true" else set())
            (excluded if row["is_excluded"] == "true" else included).update(members)
        stored = {
            concept
            for (concept,) in shown.connection.execute(
                "select concept_id from concept_set_member where concept_set = ?", [name]
            ).fetchall()
        }
        looked_at += len((included - excluded) | stored)
        found += len((included - excluded) ^ stored)
    return Finding(looked_at, found, f"{len(sets)} concept sets.")


def _below(shown: Shown, concepts: Sequence[int]) -> Mapping[int, set[int]]:
    """Return the valid concepts that the vocabulary places below each one, as landed where it was."""
    ancestor, concept = (
        shown.landed(table) if shown.landing else table for table in ("concept_ancestor", "concept")
    )
    below: dict[int, set[int]] = defaultdict(set)
    for above, one in shown.connection.execute(
        f"select ancestor_concept_id, descendant_concept_id from {ancestor} where ancestor_concept_id in"
        " (select unnest(?::bigint[])) and descendant_concept_id not in"
        f" (select concept_id from {concept} where invalid_reason <> '' and concept_id is not null)",
        [list(concepts)],
    ).fetchall():
        below[above].add(one)
    return below


def _set_rows(shown: Shown, name: str) -> list[dict[str, str]]:
    with (shown.seeds / "concept_sets.csv").open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["concept_set"] == name]


# Names of what is known only later, in columns of counts and in tokens of sequences.
FUTURE = re.compile(r"obs.*end|period_end|death|died|censor|follow.?up|outcome|label|y_true|target|discharge|"
                    r"length.?of.?stay|\blos\b|visit_end|tar_|last_", re.IGNORECASE)  # fmt: skip


def _columns(shown: Shown) -> list[Finding]:
    findings = []
    for kind, file, column in (("counts", "column", "feature"), ("sequence", "vocabulary", "token")):
        for view in shown.of_kind(kind):
            names = shown.frame(f"select {column} as name from {view.table(file)}")["name"]
            wrong = sum(FUTURE.search(name) is not None for name in names)
            findings.append(Finding(len(names), wrong, f"`{view.name}`: {len(names)} names."))
    return findings


CHECKS = (
    LeakCheck(
        "no_input_dated_after_the_index",
        ("L01", "L02", "L04"),
        "blocks",
        "Every event that an example is shown is published, happened before its index day, or by its end"
        " where the task includes that day, and is shown as so long ago.",
        "An event whose own date is wrong in the source.",
        _dated,
    ),
    LeakCheck(
        "no_input_final_after_the_index",
        ("L01", "L03"),
        "blocks",
        "No diagnosis or procedure of a stay that had not ended by the index is shown, unless its type is"
        " declared charted; availability is worked out anew from the ends of visits and the declared lags.",
        "Diagnoses of visits without an end or a visit id, and of types wrongly declared charted.",
        _billed,
    ),
    LeakCheck(
        "no_visit_shows_its_end",
        ("L04",),
        "blocks",
        "The start of a visit is shown without disposition or length; its end is an event of its own.",
        "Length or disposition written as an event of another kind before it was known.",
        _visits,
    ),
    LeakCheck(
        "inputs_come_from_raw_records",
        ("L06", "L11"),
        "blocks",
        "Every event that an example is shown comes from a raw table: no era, no derived element, no death.",
        "An era that a source wrote into a raw table.",
        _raw,
    ),
    LeakCheck(
        "input_is_all_that_was_known",
        ("L01", "L12", "L39"),
        "blocks",
        "What an example is shown is each event of its person that the snapshot says was known, as it is"
        " published: none added, none left out, none changed.",
        "A fault that is in the snapshot already.",
        _all_that_was_known,
    ),
    LeakCheck(
        "age_and_sex_are_those_of_the_index",
        ("L11", "L12"),
        "blocks",
        "The age that an example is shown with is in full years on its index day, from the date of birth; sex"
        " is the person's.",
        "A date of birth or a sex that was changed in the source later.",
        _person_facts,
    ),
    LeakCheck(
        "outcome_concepts_can_be_recomputed",
        ("L07", "L13"),
        "blocks",
        "The outcome's concept sets, resolved again from their rows and the ancestors of the landed"
        " vocabulary, are those that inputs and labels were made with.",
        "Concepts of the outcome that the vocabulary does not place below it.",
        _outcome_concepts,
        applies=lambda task, kinds: bool(task.outcome_concept_sets),
        otherwise="the outcome has no concept set",
    ),
    LeakCheck(
        "no_column_of_the_future",
        ("L04", "L11"),
        "blocks",
        "No column of counts and no token of sequences is named after what is known only later: end of"
        " observation, death, length of stay, discharge, outcome.",
        "A column of the future under a name of the past; the past alone gives another row then.",
        _columns,
        applies=lambda task, kinds: bool({"counts", "sequence"} & set(kinds)),
        otherwise="no arm reads counts or sequences",
    ),
    LeakCheck(
        "inputs_are_made_of_the_past_alone",
        ("L01", "L02", "L03", "L04", "L06", "L11", "L12", "L27", "L34", "L35", "L37", "L39"),
        "blocks",
        "A sample of persons whose record was cut to what was known at the index gives the same texts,"
        " sequences and counts, to the byte.",
        "A fault that is the same with and without the future, or in fewer persons than the sample finds.",
        look_at_the_past,
        applies=lambda task, kinds: bool(kinds),
        otherwise="no arm reads a record",
    ),
)
