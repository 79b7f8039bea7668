"""Writes the raw OMOP rows of one person, with what makes them known early or late."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from itertools import count
from math import nan
from typing import Any

from definitions.availability import Rules
from definitions.day import Day, after
from definitions.record import EVENT_TABLES
from definitions.task import Criterion
from definitions.vocabulary import CHARTED, CLAIM, EMERGENCY, INPATIENT, OTHER_UNIT, OUTPATIENT, UNIT

Row = dict[str, Any]
TABLES = {domain: (table, concept, day, kind) for table, domain, concept, day, kind in EVENT_TABLES}
KINDS = (CHARTED, CLAIM, 32020, 0)
HOSPITAL = (INPATIENT, EMERGENCY, 262)
OTHER_VALUE_UNITS = (None, 0, UNIT, OTHER_UNIT)


@dataclass
class World:
    """The rows drawn so far, running keys, and what a draw has to know of the template."""

    rng: random.Random
    rules: Rules
    sets: Mapping[str, frozenset[int]]
    strangers: Mapping[str, Sequence[int]]  # concepts near a set that are not in it
    keys: count
    persons: list[int]
    tables: dict[str, list[Row]] = field(default_factory=dict)

    def write(self, table: str, **row: Any) -> Row:
        """Add a row to a table."""
        self.tables[table].append(row)
        return row

    def foreign_visit(self, person_id: int) -> int | None:
        """Return the key of a visit of somebody else."""
        others = [
            v["visit_occurrence_id"] for v in self.tables["visit_occurrence"] if v["person_id"] != person_id
        ]
        return self.rng.choice(others) if others else None


@dataclass
class Chart:
    """The record of one person while it is written."""

    world: World
    person_id: int
    visits: list[Row] = field(default_factory=list)
    # visit keys of the rows written for a criterion, by its order
    shared_visits: dict[int, list[int]] = field(default_factory=dict)

    @property
    def rng(self) -> random.Random:
        """Return the world's source of chance."""
        return self.world.rng

    def chance(self, probability: float) -> bool:
        """Return True as often as asked."""
        return self.rng.random() < probability

    def visit(
        self, concept: int, start: Day | None, end: Day | None, discharged_to: int | None = None
    ) -> int:
        """Write a visit and return its key."""
        key = next(self.world.keys)
        row = self.world.write(
            "visit_occurrence",
            visit_occurrence_id=key,
            person_id=self.person_id,
            visit_concept_id=concept,
            visit_start_date=start,
            visit_end_date=end,
            visit_type_concept_id=self.rng.choice(KINDS),
            discharged_to_concept_id=discharged_to,
        )
        self.visits.append(row)
        return key

    def event(
        self,
        domain: str,
        concept: int,
        day: Day | None,
        *,
        kind: int | None = None,
        visit: int | None = None,
        result: Day | None = None,
        **values: Any,
    ) -> Row:
        """Write a row of an event table."""
        table, concept_column, day_column, kind_column = TABLES[domain]
        row: Row = {
            f"{table}_id": next(self.world.keys),
            "person_id": self.person_id,
            concept_column: concept,
            day_column: day,
            f"{kind_column}_concept_id": self.rng.choice(KINDS) if kind is None else kind,
            "visit_occurrence_id": visit,
        }
        if domain in ("Measurement", "Observation"):
            row |= {"value_as_number": None, "value_as_concept_id": None, "unit_concept_id": None, **values}
        if domain == "Measurement":
            row["measurement_datetime"] = result and datetime.combine(
                result, time(self.rng.randrange(24), 30)
            )
        return self.world.write(table, **row)

    def known_on(self, domain: str, concept: int, known: Day, **values: Any) -> Row:
        """Write an event that is available on a day, dated then or before."""
        kind = self.rng.choice(KINDS)
        rule = self.world.rules.of(TABLES[domain][0], kind)
        day = after(known, -rule.lag_days)
        if rule.name == "result_date" and self.chance(0.6):
            back = self.rng.choice((0, 0, 1, 3))
            day, result = self.rng.choice(((after(known, -back), known), (known, after(known, -back))))
            return self.event(
                domain, concept, day, kind=kind, result=result, visit=self.loose_visit(day), **values
            )
        if rule.name == "visit_end" and self.chance(0.6):
            start = after(day, -self.rng.choice((0, 1, 4)))
            visit = self.visit(self.rng.choice(HOSPITAL), start, day)
            inside = after(start, self.rng.randint(-1, (day - start).days))
            return self.event(domain, concept, inside, kind=kind, visit=visit, **values)
        visit = self.loose_visit(day) if rule.name == "visit_end" else self.some_visit(day)
        return self.event(domain, concept, day, kind=kind, visit=visit, **values)

    def known_by(self, domain: str, concept: int, day: Day, by: Day | None, **values: Any) -> Row:
        """Write an event of a day, in any visit; with `by`, in none and early enough to be known by then."""
        kind = self.rng.choice(KINDS)
        rule = self.world.rules.of(TABLES[domain][0], kind)
        if by is not None:
            day = min(day, after(by, -rule.lag_days))
            return self.event(domain, concept, day, kind=kind, visit=self.loose_visit(day), **values)
        result = None
        if domain == "Measurement" and self.chance(0.5):
            result = after(day, self.rng.choice((-1, 0, 0, 1, 2)))
        return self.event(
            domain, concept, day, kind=kind, visit=self.some_visit(day), result=result, **values
        )

    def loose_visit(self, day: Day) -> int | None:
        """Return a visit that holds nothing back: none, an open, unknown or outpatient one, another's."""
        choice = self.rng.random()
        if choice < 0.7:
            return None
        if choice < 0.8:
            return next(self.world.keys)
        if choice < 0.85:
            return self.world.foreign_visit(self.person_id)
        if choice < 0.9:
            return self.visit(262, after(day, -1), None)
        return self.visit(OUTPATIENT, day, after(day, self.rng.choice((0, 0, 2))))

    def some_visit(self, day: Day) -> int | None:
        """Return any visit: often one the person has already, sometimes a new one around the day."""
        choice = self.rng.random()
        if choice < 0.45:
            return self.loose_visit(day)
        if self.visits and choice < 0.75:
            return self.rng.choice(self.visits)["visit_occurrence_id"]
        end = after(day, self.rng.choice((-1, 0, 1, 1, 2, 6)))
        concept = self.rng.choice(HOSPITAL)
        key = self.visit(concept, after(day, -self.rng.choice((0, 1, 3))), end)
        if self.chance(0.25):
            self.repeat_visit(self.rng.choice((None, after(end, 1), after(end, -1), after(end, 4))))
        return key

    def repeat_visit(self, end: Day | None) -> None:
        """Write the key of the last visit once more with another end, rarely of another kind."""
        repeated = {**self.visits[-1], "visit_end_date": end}
        if self.chance(0.15):
            repeated["visit_concept_id"] = self.rng.choice((*HOSPITAL, OUTPATIENT))
        self.visits.append(self.world.write("visit_occurrence", **repeated))

    def death(self, day: Day | None) -> None:
        """Write a death."""
        self.world.write(
            "death",
            person_id=self.person_id,
            death_date=day,
            death_type_concept_id=self.rng.choice((*KINDS, None)),
        )

    def match(
        self,
        row: Criterion,
        day: Day,
        *,
        by: Day | None = None,
        known: Day | None = None,
        visit: int | None = None,
        miss: bool = False,
        fault: str | None = None,
    ) -> None:
        """Write what matches a criterion on a day (or is `known` then), or what just misses it by a fault."""
        if row.domain == "Death":
            self.death(day)
        elif row.domain in ("Stay", "Visit", "Visit end"):
            self._visit_match(row, day, miss)
        else:
            concept, values = self._concept_and_values(row, miss, fault)
            if visit is not None:
                written = self.event(row.domain, concept, day, visit=visit, **values)
            elif known is not None:
                written = self.known_on(row.domain, concept, known, **values)
            else:
                written = self.known_by(row.domain, concept, day, by, **values)
            if written["visit_occurrence_id"] is not None:
                self.shared_visits.setdefault(row.order, []).append(written["visit_occurrence_id"])

    def _visit_match(self, row: Criterion, day: Day, miss: bool) -> None:
        length = self.rng.choice((0, 0, 1, 2, 3, 7))
        concept = self.concept(row.concept_set, miss and self.chance(0.5))
        discharged_to = None
        start, end = day, after(day, length)
        if row.domain == "Visit end":
            start, end = after(day, -length), day
            discharged_to = self.concept(row.value_concept_set, miss) if row.value_concept_set else None
        elif row.min_length_days is not None:
            start = after(day, -row.min_length_days)
            end = after(day, self.rng.choice((-1, -1, -2) if miss else (0, 0, 1, 5)))
        if row.domain != "Visit end" and self.chance(0.08):
            end = self.rng.choice((None, after(start, -2)))
        key = self.visit(concept, start, end, discharged_to)
        self.shared_visits.setdefault(row.order, []).append(key)

    def concept(self, concept_set: str | None, stranger: bool = False) -> int:
        """Return a member of a set, or a concept near it."""
        name = concept_set or ""
        if stranger:
            return self.rng.choice(self.world.strangers[name])
        return self.rng.choice(sorted(self.world.sets[name]))

    def _concept_and_values(
        self, row: Criterion, miss: bool, fault: str | None
    ) -> tuple[int, dict[str, Any]]:
        if not miss or (row.value_operator is None and row.value_concept_set is None):
            fault = "concept" if miss else None
        elif fault is None:
            fault = self.rng.choice(("concept", "value", "unit", "null", "answer"))
        values: dict[str, Any] = {}
        if row.value_operator is not None and row.value_threshold is not None:
            up = 1 if ">" in row.value_operator else -1
            beyond = (0.0, 0.5, 3.0) if "=" in row.value_operator else (0.5, 0.5, 3.0)
            short = (-0.5, -1.0) if "=" in row.value_operator else (0.0, -0.5)
            step = self.rng.choice(short if fault == "value" else beyond)
            values["value_as_number"] = (
                self.rng.choice((None, nan)) if fault == "null" else row.value_threshold + up * step
            )
            values["unit_concept_id"] = row.unit_concept_id
            if fault == "unit":
                others = [unit for unit in OTHER_VALUE_UNITS if unit != row.unit_concept_id]
                values["unit_concept_id"] = self.rng.choice(others)
        if row.value_concept_set is not None:
            wrong = fault == "answer" or (miss and row.value_operator is None and fault != "concept")
            answer = self.concept(row.value_concept_set, stranger=wrong and self.chance(0.7))
            values["value_as_concept_id"] = (
                None if wrong and answer in self.world.sets[row.value_concept_set] else answer
            )
        return self.concept(row.concept_set, fault == "concept"), values
