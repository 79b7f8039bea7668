"""Mutants run on stacked worlds: which of them give another cohort, label, attrition or input.

The unchanged SQL equals the oracle on the stack (asserted first), so a mutant is killed where its output
differs from the unchanged one in a column that the oracle states. Only models below the mutant run again, and
only as long as what they read has changed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from definitions.compiled import Database
from definitions.mutants import Mutant, normalised
from definitions.stacked import Stack, differences

# What the oracle states; ids of events and words of the attrition are not among it.
COMPARED = {
    "cohort": "task, person_id, index_date, observation_period_start_date, observation_period_end_date, age,"
    " sex_concept_id",
    "label": "task, person_id, index_date, y_true, reason, outcome_date, follow_up_end_date",
    "attrition": "task, step, entries, persons, cases",
    "example_input": "task, example_id, person_id, first_event_no, last_event_no, n_events",
    "availability_count": "source_table, kind, applied_rule, n_events",
}


@dataclass
class Verdicts:
    """What became of the mutants; those that DuckDB refuses to bind are no mutants."""

    killed: list[Mutant] = field(default_factory=list)
    survived: list[Mutant] = field(default_factory=list)
    refused: list[Mutant] = field(default_factory=list)


def judge(mutants: Iterable[Mutant], stacks: Sequence[Stack]) -> Verdicts:
    """Run mutants on the stacks, each on the next one only if it survived the one before."""
    verdicts, waiting = Verdicts(), list(mutants)
    for stack in stacks:
        with stack.database() as database:
            assert not differences(stack, database), "the unchanged SQL differs from the oracle"
            arena = Arena(database)
            left = []
            for mutant in waiting:
                try:
                    (verdicts.killed if arena.kills(mutant) else left).append(mutant)
                except (duckdb.BinderException, duckdb.ParserException):
                    verdicts.refused.append(mutant)
            waiting = left
    verdicts.survived = waiting
    return verdicts


class Arena:
    """A built database on which one mutant after the other runs and is undone."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.run(replaced={m.name: normalised(m.sql) for m in database.project.models.values()})
        self.digests = {name: self._digest(name) for name in database.project.models}

    def kills(self, mutant: Mutant) -> bool:
        """Whether the mutant's outputs differ; raises what DuckDB says to SQL that it cannot bind."""
        connection = self.database.connection
        connection.execute("begin")
        try:
            return self._outputs_change(mutant)
        except (duckdb.BinderException, duckdb.ParserException):
            raise
        except duckdb.Error:  # a cast or a key that fails on data: the build would stop
            return True
        finally:
            connection.execute("rollback")

    def _outputs_change(self, mutant: Mutant) -> bool:
        changed = {mutant.model}
        for name in (mutant.model, *self.database.project.below(mutant.model)):
            model = self.database.project.models[name]
            if name != mutant.model and not changed & set(model.parents):
                continue
            self.database.run([name], {mutant.model: mutant.sql})
            if model.is_view or self._digest(name) != self.digests[name]:
                if name in COMPARED:
                    return True
                changed.add(name)
            else:
                changed.discard(name)
        return False

    def _digest(self, name: str) -> tuple[Any, ...]:
        if name in COMPARED:
            return self.database.digest(f"(select {COMPARED[name]} from {name})")
        return self.database.digest(name)
