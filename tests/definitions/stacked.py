"""Worlds of one template stacked in one database, and what the SQL makes of them beside the oracle.

The worlds have disjoint person ids, so the compiled SQL runs once for all of them; the oracle works each out
on its own. Persons and periods, labels, input counts are compared world by world, attrition as a sum.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from definitions import oracle, world
from definitions.compiled import Database, Project, study_project
from definitions.mixed import EVERY_KIND, roughened, without_concept_rows
from definitions.templates import Template

COHORT = """
select person_id, index_date, observation_period_start_date, observation_period_end_date, age, sex_concept_id
from cohort where task = ?
"""
LABEL = """
select person_id, index_date, y_true, reason, outcome_date, follow_up_end_date from label where task = ?
"""
INPUT = """
select
    cohort.person_id,
    cohort.index_date,
    example_input.first_event_no,
    example_input.last_event_no,
    example_input.n_events
from example_input inner join cohort using (task, example_id)
where example_input.task = ?
"""
ATTRITION = "select step, entries, persons, cases from attrition where task = ? order by step"

RULES = """
select source_table, replace(applied_rule, 'own_date_', ''), n_events
from availability_count
where source_table not in ('visit_occurrence', 'death')
"""

Table = dict[str, list[dict[str, Any]]]


@dataclass
class Tally:
    """What was compared: worlds, persons, examples, positives, and null labels by reason."""

    seeds: set[int] = field(default_factory=set)
    persons: int = 0
    examples: int = 0
    positives: int = 0
    negatives: int = 0
    nulls: Counter[str] = field(default_factory=Counter)

    def record(self) -> dict[str, Any]:
        """Return the figures for a JSON file."""
        return {
            "worlds": len(self.seeds),
            "persons": self.persons,
            "examples": self.examples,
            "positives": self.positives,
            "negatives": self.negatives,
            "nulls_by_reason": dict(sorted(self.nulls.items())),
        }


@dataclass(frozen=True)
class Difference:
    """A row that only one of the two has; `seed` is the world's, None for the sums of attrition."""

    template: str
    task: str
    seed: int | None
    part: str
    only_sql: tuple[Any, ...]
    only_oracle: tuple[Any, ...]


@dataclass(frozen=True)
class Stack:
    """Worlds of a template, one a seed, in one set of tables."""

    template: Template
    seeds: tuple[int, ...]

    @cached_property
    def worlds(self) -> list[tuple[int, Table]]:
        """The worlds by seed, with disjoint ids."""
        if self.template.name != EVERY_KIND:
            places = enumerate(self.seeds)
            return [(s, world.draw(self.template, s, 1 + world.STRIDE * place)) for place, s in places]
        drawn = replace(self.template, vars={**self.template.vars, "data_end": "none"})
        return [
            (seed, roughened(world.draw(drawn, seed, 1 + world.STRIDE * place), seed))
            for place, seed in enumerate(self.seeds)
        ]

    @cached_property
    def vocabulary(self) -> Table:
        """Concepts and ancestors, the same for all worlds."""
        rows = world.vocabulary(self.template)
        return without_concept_rows(rows) if self.template.name == EVERY_KIND else rows

    @cached_property
    def tables(self) -> Table:
        """All worlds in one set of tables, with the template's vocabulary."""
        return world.stack([tables for _, tables in self.worlds], self.vocabulary)

    @cached_property
    def _study(self) -> Template:
        return replace(self.template, vars={**self.template.vars, "data_end": self._data_end()})

    @cached_property
    def expected(self) -> list[dict[str, oracle.Result]]:
        """What the oracle makes of each world, by task."""
        return [oracle.compute_all({**self.vocabulary, **tables}, self._study) for _, tables in self.worlds]

    @cached_property
    def rules(self) -> Counter[tuple[str, str]]:
        """How many events the oracle dated by which case of the availability rules, by source table."""
        counts: Counter[tuple[str, str]] = Counter()
        for _, tables in self.worlds:
            counts.update(oracle.read_source({**self.vocabulary, **tables}, self._study).availability)
        return counts

    def _data_end(self) -> str:
        """Return the data end of the study; the worlds of a stack share one, also where it is `auto`."""
        given = str(self.template.vars["data_end"])
        if given != "auto":
            return given
        known = {row["person_id"] for row in self.tables["person"]}
        periods = [row for row in self.tables["observation_period"] if row["person_id"] in known]
        spans = [(r["observation_period_start_date"], r["observation_period_end_date"]) for r in periods]
        return max(end for start, end in spans if start <= end).isoformat()

    def seed_of(self) -> dict[int, int]:
        """Return the world's seed by person id."""
        return {
            row["person_id"]: seed for seed, tables in self.worlds for rows in tables.values() for row in rows
        }

    def database(self, *, threads: int = 1) -> Database:
        """Return a database with the worlds landed and every model run."""
        return built(self.template, self.tables, threads=threads)


def project_of(template: Template) -> Project:
    """Return the project compiled for a template's vars."""
    return study_project(str(template.vars["data_end"]), int(template.vars["coding_lag_days"]))


def seeds_of(template: Template) -> dict[str, Sequence[Mapping[str, Any]]]:
    """Return a template's rows by seed table."""
    return {
        "tasks": template.tasks,
        "criteria": template.criteria,
        "concept_sets": template.concept_sets,
        "availability": template.availability,
    }


def built(template: Template, tables: Table, *, threads: int = 1) -> Database:
    """Return a database with `tables` landed, the template's seeds, and every model run."""
    database = Database(project_of(template), threads=threads)
    database.land(tables)
    database.seed(seeds_of(template))
    database.run()
    return database


def differences(stack: Stack, database: Database) -> list[Difference]:
    """Return every row that only the SQL or only the oracle has, smallest seed first."""
    found: list[Difference] = []
    seed_of = stack.seed_of()
    for task in (row["task"] for row in stack.template.tasks):
        results = [expected[task] for expected in stack.expected]
        for part, query, rows in (
            ("cohort", COHORT, [_fields(r, 6) for result in results for r in result.cohort]),
            ("label", LABEL, [_fields(r, 6) for result in results for r in result.labels]),
            ("input", INPUT, [_numbered(r) for result in results for r in result.inputs]),
        ):
            made = database.rows(query, [task])
            for seed, sql, ours in _only_one(made, rows, seed_of):
                found.append(Difference(stack.template.name, task, seed, part, sql, ours))
        made = [row[1:] for row in database.rows(ATTRITION, [task])]
        ours = summed_attrition(results)
        if made != ours:
            found.append(Difference(stack.template.name, task, None, "attrition", tuple(made), tuple(ours)))
    made, ours = sorted(database.rows(RULES)), availability_counts(stack)
    if made != ours:
        found.append(Difference(stack.template.name, "", None, "availability", tuple(made), tuple(ours)))
    return sorted(found, key=lambda d: (d.seed is None, d.seed))


def availability_counts(stack: Stack) -> list[tuple[str, str, int]]:
    """Return source table, case of the rule, events; to the SQL a visit that ended before is an end too."""
    counts: Counter[tuple[str, str]] = Counter()
    for (table, case), events in stack.rules.items():
        counts[table, case.replace("visit_ended_before", "visit_end")] += events
    return sorted((table, case, events) for (table, case), events in counts.items())


def _fields(row: Any, count: int) -> tuple[Any, ...]:
    return tuple(list(vars(row).values())[:count])


def _numbered(row: oracle.InputRow) -> tuple[Any, ...]:
    """Return an input as a run of events: a person's are numbered from 1 as they became known."""
    first, last = (1, row.n_events) if row.n_events else (None, None)
    return row.person_id, row.index_date, first, last, row.n_events


def _only_one(
    made: Iterable[tuple[Any, ...]], expected: Iterable[tuple[Any, ...]], seed_of: Mapping[int, int]
) -> Iterator[tuple[int, tuple[Any, ...], tuple[Any, ...]]]:
    """Yield by seed the rows that only one side has; repeated rows count."""
    sql, ours = Counter(made), Counter(expected)
    by_seed: dict[int, tuple[list[Any], list[Any]]] = {}
    for side, rows in enumerate((sql - ours, ours - sql)):
        for row in rows:
            by_seed.setdefault(seed_of[row[0]], ([], []))[side].append(row)
    for seed, (only_sql, only_oracle) in sorted(by_seed.items()):
        yield seed, tuple(sorted(only_sql, key=str)), tuple(sorted(only_oracle, key=str))


def summed_attrition(results: Sequence[oracle.Result]) -> list[tuple[int, int, int]]:
    """Return entries, persons and cases by step, summed over worlds."""
    counts = [[(row.entries, row.persons, row.cases) for row in result.attrition] for result in results]
    return [tuple(map(sum, zip(*step, strict=True))) for step in zip(*counts, strict=True)]


def add(tally: Tally, stack: Stack) -> None:
    """Count the worlds of a stack, from the oracle's side."""
    for (seed, tables), expected in zip(stack.worlds, stack.expected, strict=True):
        if seed in tally.seeds:
            continue
        tally.seeds.add(seed)
        tally.persons += len(tables["person"])
        for result in expected.values():
            tally.examples += len(result.labels)
            tally.positives += sum(row.y_true == 1 for row in result.labels)
            tally.negatives += sum(row.y_true == 0 for row in result.labels)
            tally.nulls.update(row.reason for row in result.labels if row.reason)
