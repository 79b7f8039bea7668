"""What of a task's counts, metrics, checks and curves may leave: the suppression rule, table by table."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from ml.cdm import EVENT_TABLES
from ml.evaluation.curves import CURVE_COLUMNS, ranking_coordinates
from ml.report.facts import ReportFacts, TaskFacts
from ml.report.flow_counts import (
    COST_COHORT,
    COST_SCORED,
    COST_SPLIT,
    add_cohort,
    add_flow,
    add_label_counts,
    add_pair,
    add_rest,
)
from ml.report.suppression import SMALLEST_SHOWN, Count, Sum, suppress_counts

# Cases for this many steps of a ROC or precision-recall curve: with fewer it says nothing of its shape.
FEWEST_STEPS = 5
# These count arms, dbt tests, concept sets, concept ids and columns, never rows or persons.
NOT_OF_PATIENTS = frozenset(
    {
        "nothing_refused",
        "not_refused",
        "dbt_tests_pass",
        "concept_sets_of_the_catalogue_are_known",
        "concept_sets_are_known",
        "descendants_of_concepts_are_known",
        "outcome_concepts_can_be_recomputed",
        "outcome_is_recorded (concept)",
        "outcome_is_recorded_by_several_concepts (concept)",
        "vocabulary_says_its_version (vocabulary)",
        "views_are_fitted_on_train",
        "no_column_of_the_future",
    }
)
# Checks of a task that look at events of its inputs or at its splits, never at its examples.
NOT_OF_EXAMPLES = frozenset(
    {
        "no_input_after_the_index",
        "no_input_of_another_person",
        "no_outcome_in_the_input",
        "no_input_dated_after_the_index",
        "no_input_final_after_the_index",
        "no_visit_shows_its_end",
        "no_outcome_named_in_history",
        "inputs_come_from_raw_records",
        "splits_have_enough_cases",
    }
)


def hidden_counts(task: TaskFacts | None, metrics: pd.DataFrame) -> frozenset[str]:
    """Names of the counts of one task that must not be shown.

    Names: `entries:i`, `persons:i`, `cases:i` (attrition step i, from 0), `null:reason`, `n:split`,
    `cases:split`, `examples` (drawn for the study), `n:split:subgroup`, `cases:split:subgroup`, and
    `quantity:y_true` of the label counts.

    Args:
        task: its flow; None where only metrics are known.
        metrics: the task's rows of the metrics table.
    """
    counts: dict[str, Count] = {}
    sums: list[Sum] = []
    if task is not None:
        add_flow(task, counts, sums)
    sizes = {(split, "all"): size for split, size in _split_sizes(task).items()}
    sizes |= scored_sizes(metrics)
    for (split, subgroup), (n, n_cases) in sizes.items():
        key = split if subgroup == "all" else f"{split}:{subgroup}"
        scored = subgroup == "all" and split != "train"
        add_pair(counts, sums, f"n:{key}", f"cases:{key}", n, n_cases, COST_SCORED if scored else COST_SPLIT)
    _add_subgroup_sums(counts, sums, sizes)
    if task is not None:
        add_cohort(task, counts, sums)
        add_label_counts(task, counts, sums)
    return suppress_counts(counts, sums)


def hidden_availability(facts: ReportFacts) -> frozenset[str]:
    """Names of the counts of the availability table that must not be shown: `events:i`, `later:i`.

    The events of all rules are the events of the source, which the page prints. The starts of a table less
    its ends are what is still open.

    Raises:
        ValueError: a table has more ends than starts.
    """
    counts: dict[str, Count] = {}
    sums: list[Sum] = []
    for i, row in enumerate(facts.availability):
        counts[f"events:{i}"] = Count(row.n_events)
        counts[f"later:{i}"] = Count(row.n_later)
        counts[f"at-once:{i}"] = Count(row.n_events - row.n_later, is_published=False)
        sums.append((f"events:{i}", (f"later:{i}", f"at-once:{i}")))
    if sum(row.n_events for row in facts.availability) == facts.n_events:
        counts["all"] = Count(facts.n_events, cost=COST_COHORT)
        sums.append(("all", tuple(f"events:{i}" for i in range(len(facts.availability)))))
    _add_open(facts, counts, sums)
    return suppress_counts(counts, sums)


def scored_sizes(metrics: pd.DataFrame) -> dict[tuple[str, str], tuple[int, int]]:
    """(split, subgroup) -> examples and cases, from the rows of arms with all labels."""
    rows = cast(Any, metrics)
    rows = rows[rows["k"].isna()].drop_duplicates(["split", "subgroup"])
    named = zip(rows["split"], rows["subgroup"], rows["n"], rows["n_cases"], strict=True)
    return {(split, group): (int(n), int(cases)) for split, group, n, cases in named}


def suppress_metrics(metrics: pd.DataFrame, hidden: Mapping[str, frozenset[str]]) -> pd.DataFrame:
    """The metrics table without the hidden counts; a prevalence goes with either of its two counts.

    Few-shot rows on tuning count the k cases of the draw, which the study states: left alone.
    """
    shown = cast(Any, metrics.copy())
    for position, row in enumerate(shown.to_dict("records")):
        if not pd.isna(row["k"]) and row["split"] == "tuning":
            continue
        key = row["split"] if row["subgroup"] == "all" else f"{row['split']}:{row['subgroup']}"
        gone = hidden.get(row["task"], frozenset())
        for column, name in (("n", f"n:{key}"), ("n_cases", f"cases:{key}")):
            if name in gone:
                shown.iloc[position, shown.columns.get_loc(column)] = pd.NA
        if row["metric"] == "prevalence" and {f"n:{key}", f"cases:{key}"} & gone:
            for column in ("value", "ci_low", "ci_high"):
                shown.iloc[position, shown.columns.get_loc(column)] = np.nan
    return shown


def suppress_checks(
    checks: pd.DataFrame,
    hidden: Mapping[str, frozenset[str]],
    alarms: Collection[str] = (),
    judged: Mapping[str, int | None] | None = None,
) -> pd.DataFrame:
    """The check table without counts of 1 to 10, nor with a `found` that leaves 1 to 10 of `looked_at`.

    Where a task hides any count, `looked_at` and `found` of its checks of examples or persons go too, for
    they repeat or split the counts of its flow; a `found` of 0 and one in units of a metric stay, and so do
    counts of rows of event tables. Counts are whole numbers. Checks of `NOT_OF_PATIENTS`, and rows whose
    optional column `unit` names something else than patients' data (arms, columns, files, ...), are left
    alone.

    What an alarm found is whether it fired, which the outcome says too. It looks at one labelled example a
    person of train and tuning: shown where that is all of them, a sum of two counts that are shown.

    Args:
        checks: of all tasks.
        hidden: task -> names of its counts that must not be shown.
        alarms: names of checks whose `found` is no count.
        judged: task -> labelled examples of train and tuning, None where one of the two is hidden.
    """
    harmless = {"arms", "columns", "files", "models", "tasks", "tables"}
    shown = cast(Any, checks.copy())
    looked, found = shown["looked_at"].astype("float64"), shown["found"].astype("float64")
    whole = found.eq(found.round())
    small = looked.between(1, SMALLEST_SHOWN - 1)
    rest = (looked - found).between(1, SMALLEST_SHOWN - 1) & (found > 0)
    small_found = whole & (found.between(1, SMALLEST_SHOWN - 1) | rest)
    betrays = shown["task"].isin([task for task, names in hidden.items() if names])
    betrays &= ~shown["name"].isin(NOT_OF_EXAMPLES) & ~_is_of_rows(shown["name"])
    of_patients = ~shown["name"].isin(NOT_OF_PATIENTS)
    if "unit" in shown.columns:
        of_patients &= ~shown["unit"].isin(harmless)
    is_alarm = shown["name"].isin(list(alarms))
    of_split = shown["task"].map(dict(judged or {})).astype("float64")
    betrays_size = betrays & ~(is_alarm & looked.eq(of_split))
    gone = (small | betrays_size) & of_patients
    gone_found = (small_found | (betrays & whole & found.ne(0))) & of_patients & ~is_alarm
    return shown.assign(looked_at=looked.mask(gone), found=found.mask(gone_found))


def _is_of_rows(names: pd.Series) -> pd.Series:
    """Whether a check of data quality counts the rows of an event table, of which a person has any number."""
    words = names.astype(str)  # of no row they have no type
    of_table = words.str.extract(r" \((\w+)\)$", expand=False).isin(EVENT_TABLES)
    return of_table & ~words.str.startswith("person_has_a_row")


def suppress_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Curves whose steps and bins hold 0 or at least 11 cases, 0 or at least 11 non-cases, and 11 examples.

    Neighbours are merged until they do. A curve with fewer than 11 cases or non-cases is left out, a ROC or
    precision-recall curve with fewer than 55: it would be too coarse to show a shape.
    """
    if curves.empty:
        return curves
    rows: list[dict[str, Any]] = []
    for (task, arm, curve), part in cast(Any, curves).groupby(["task", "arm", "curve"], sort=False):
        steps = part[part["n"] > 0]
        groups = merge_steps(list(steps["n"]), list(steps["n_cases"]))
        fewest = min(steps["n_cases"].sum(), (steps["n"] - steps["n_cases"]).sum())
        if not groups or (not curve.startswith("calibration") and fewest < FEWEST_STEPS * SMALLEST_SHOWN):
            continue
        n = np.array([steps["n"].iloc[first:last].sum() for first, last in groups])
        n_cases = np.array([steps["n_cases"].iloc[first:last].sum() for first, last in groups])
        if curve.startswith("calibration"):
            x = [np.average(steps["x"].iloc[a:b], weights=steps["n"].iloc[a:b]) for a, b in groups]
            y = n_cases / n
        else:
            n, n_cases = np.append(0, n), np.append(0, n_cases)
            rate, sensitivity, precision = ranking_coordinates(n, n_cases)
            x, y = (rate, sensitivity) if curve == "roc" else (sensitivity, precision)
        fixed = {"task": task, "arm": arm, "curve": curve}
        rows += [
            fixed | {"x": float(x[i]), "y": float(y[i]), "n": int(n[i]), "n_cases": int(n_cases[i])}
            for i in range(len(n))
        ]
    return pd.DataFrame(rows, columns=pd.Index(CURVE_COLUMNS))


def merge_steps(n: Sequence[int], n_cases: Sequence[int]) -> list[tuple[int, int]]:
    """Ranges [first, last) of neighbouring steps that together are large enough; empty where none can be."""
    groups: list[tuple[int, int]] = []
    first = 0
    for last in range(1, len(n) + 1):
        if _is_large(sum(n[first:last]), sum(n_cases[first:last])):
            groups.append((first, last))
            first = last
    while groups and first < len(n):
        first = groups.pop()[0]
        if _is_large(sum(n[first:]), sum(n_cases[first:])):
            groups.append((first, len(n)))
            first = len(n)
    return groups


def _is_large(n: int, n_cases: int) -> bool:
    both = all(count == 0 or count >= SMALLEST_SHOWN for count in (n_cases, n - n_cases))
    return n >= SMALLEST_SHOWN and both


def _split_sizes(task: TaskFacts | None) -> dict[str, tuple[int, int]]:
    return {} if task is None else {one.split: (one.n, one.n_cases) for one in task.splits}


def _add_subgroup_sums(
    counts: dict[str, Count], sums: list[Sum], sizes: Mapping[tuple[str, str], tuple[int, int]]
) -> None:
    """Subgroups and the whole; whoever is in none of them is one more count a reader can derive."""
    for split in {split for split, group in sizes if group != "all"}:
        groups = [group for one, group in sizes if one == split and group != "all"]
        for kind, at in (("n", 0), ("cases", 1)):
            rest = sizes[split, "all"][at] - sum(sizes[split, group][at] for group in groups)
            if rest < 0:
                raise ValueError(f"subgroups of {split} overlap: their {kind} exceed the whole by {-rest}")
            counts[f"rest-{kind}:{split}"] = Count(rest, is_published=False)
            parts = (*(f"{kind}:{split}:{group}" for group in groups), f"rest-{kind}:{split}")
            sums.append((f"{kind}:{split}", parts))


def _add_open(facts: ReportFacts, counts: dict[str, Count], sums: list[Sum]) -> None:
    """Starts of a table, over all rules, less its ends: visits without an end."""
    rows = list(enumerate(facts.availability))
    for table in sorted({row.source_table for _, row in rows}):
        of_kind: dict[str, tuple[str, ...]] = {}
        for kind in ("start", "end"):
            of_kind[kind] = tuple(
                f"events:{i}" for i, row in rows if (row.source_table, row.kind) == (table, kind)
            )
        if not of_kind["start"] or not of_kind["end"]:
            continue
        n_starts = sum(counts[name].value for name in of_kind["start"])
        counts[f"starts:{table}"] = Count(n_starts, is_published=False)
        sums.append((f"starts:{table}", of_kind["start"]))
        add_rest(counts, sums, f"starts:{table}", of_kind["end"], f"open:{table}")
