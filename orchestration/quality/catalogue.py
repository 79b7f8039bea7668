"""The catalogue of the checks of data quality: the rows of `quality_checks.csv`, read strictly."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ml.strict import InputError, read_fields

SUITES = ("conformance", "completeness", "plausibility")

# Drift that blocks; the statistics of `drift.py` and `snapshots.py` have these names.
DRIFT_CHECKS = (
    "persons_hardly_change",
    "persons_of_a_split_hardly_change",
    "persons_keep_their_split",
    "rows_hardly_change",
    "as_many_persons_have_a_row",
    "no_more_rows_are_unmapped",
    "sex_hardly_changes",
    "birth_decade_hardly_changes",
    "observed_years_hardly_changes",
    "concepts_hardly_change",
    "prevalence_hardly_changes",
    "events_go_on_to_the_data_end",
    "known_events_stay",
)


@dataclass(frozen=True)
class QualityCheck:
    """One check over several tables.

    Attributes:
        name: what must hold, as an identifier.
        suite: where it is shown.
        tables: the CDM tables that it reads, blanks between them.
        title: what must hold, in words.
        severity: of a failure among the rows of a task's cohort; among all rows it only warns.
        all_percent: of the rows it looked at, how many may be otherwise; None: all rows are not judged.
        cohort_percent: the same of the rows of a cohort's persons, never more; None: they are not judged.
        dqd: the check of OHDSI DataQualityDashboard that it follows, or "beyond DQD".
    """

    name: str
    suite: Literal["conformance", "completeness", "plausibility"]
    tables: str
    title: str
    severity: Literal["block", "warn"]
    all_percent: float | None
    cohort_percent: float | None
    dqd: str


def read_catalogue(seeds: Path) -> tuple[QualityCheck, ...]:
    """Read `quality_checks.csv`.

    Raises:
        InputError: a wrong column or value, a check twice, or a cohort that is held to less than all rows.
    """
    with (seeds / "quality_checks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    catalogue = tuple(
        read_fields(QualityCheck, {**row, **_percentages(row)}, where=f"quality_checks.csv, `{row['name']}`")
        for row in rows
    )
    if len({check.name for check in catalogue}) < len(catalogue):
        raise InputError("A check stands twice in quality_checks.csv")
    for check in catalogue:
        allowed, of_cohort = check.all_percent, check.cohort_percent
        if allowed is not None and of_cohort is not None and of_cohort > allowed:
            raise InputError(
                f"Check `{check.name}` of quality_checks.csv allows a cohort {of_cohort} percent and all rows"
                f" {allowed}\n\nhint: a cohort is held to no less than all rows are"
            )
    return catalogue


def signable_quality(seeds: Path) -> frozenset[str]:
    """Return the checks of data quality that a study may sign off for a task: those that block."""
    blocking = (check.name for check in read_catalogue(seeds) if check.severity == "block")
    return frozenset(blocking) | frozenset(DRIFT_CHECKS)


def name_of(row_name: str) -> str:
    """Return the check of a row, whose name goes on with the table in brackets."""
    return row_name.partition(" (")[0]


def _percentages(row: dict[str, str]) -> dict[str, float | None]:
    names = ("all_percent", "cohort_percent")
    return {name: float(row[name]) if row[name] else None for name in names}
