"""When a clinician could have known an event: DEFINITIONS section 7."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from definitions.day import Day, after

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """How the available date follows from the event, and days on top."""

    name: str
    lag_days: int


class Rules:
    """The rows of `availability.csv`; a row of the type outranks the row of the table."""

    def __init__(self, rows: Iterable[Row]):
        self._rules = {
            (row["source_table"], int(row["type_concept_id"]) if row["type_concept_id"] else None): Rule(
                row["rule"], int(row["lag_days"])
            )
            for row in rows
        }

    def of(self, table: str, type_concept_id: int | None) -> Rule:
        """Return the rule of a table's row."""
        return self._rules.get((table, type_concept_id)) or self._rules[table, None]


class Hospital:
    """Ends of inpatient and emergency visits by person and visit key, to say when their records are known."""

    def __init__(self, visits: Iterable[Row], inpatient_or_emergency: frozenset[int]):
        self._keys: set[tuple[int, int]] = set()
        self._hospital: set[tuple[int, int]] = set()
        self._ends: dict[tuple[int, int], Day] = {}
        for visit in visits:
            key = (visit["person_id"], visit["visit_occurrence_id"])
            self._keys.add(key)
            if visit["visit_concept_id"] in inpatient_or_emergency:
                self._hospital.add(key)
                start, end = visit["visit_start_date"], visit["visit_end_date"]
                if end is not None:
                    end = end if start is None else max(start, end)
                    self._ends[key] = max(end, self._ends.get(key, end))

    def known(self, person_id: int, visit_id: int | None, day: Day) -> tuple[Day, str]:
        """Return when what happened on `day` in a visit was known, and which case of the rule that was."""
        if visit_id is None:
            return day, "no_visit"
        key = (person_id, visit_id)
        end = self._ends.get(key)
        if end is not None:
            return (end, "visit_end") if end >= day else (day, "visit_ended_before")
        if key in self._hospital:
            return day, "open_visit"
        return (day, "other_visit") if key in self._keys else (day, "dangling_visit")


def available(rule: Rule, row: Row, day: Day, hospital: Hospital) -> tuple[Day, str]:
    """Return the available date of a row that happened on `day`, and which case of the rule that was."""
    if rule.name == "visit_end":
        known, case = hospital.known(row["person_id"], row.get("visit_occurrence_id"), day)
        return after(known, rule.lag_days), case
    if rule.name == "result_date":
        result = row.get("measurement_datetime")
        if result is None:
            return after(day, rule.lag_days), "no_result_date"
        return max(day, result.date()), "result_date"
    return after(day, rule.lag_days), "own_date"
