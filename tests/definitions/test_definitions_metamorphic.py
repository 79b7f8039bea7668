"""Changes of a source that must change nothing, on a sample; and that a fault would be seen."""

import pytest

from definitions.compiled import Database
from definitions.mutants import Mutant, mutants_of
from definitions.poisoned import poisoned_on_the_day
from definitions.proving import metamorphic
from definitions.stacked import Stack, project_of
from definitions.templates import TEMPLATES

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("definitions")]


def test_nothing_changes_what_must_not() -> None:
    record = metamorphic("landmark_death", worlds=10, tasks=("mortality_1y", "ld_composite"))
    assert len(record["relations_held"]) == 6
    assert record["examples"] > 50
    assert record["examples_with_absurd_events_after"] > 20


def test_an_input_of_the_index_day_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Stack(TEMPLATES["landmark_death"], tuple(range(2)))
    sql = project_of(stack.template).models["example_input"].sql
    mutant = _including(mutants_of("example_input", sql))
    run = Database.run
    monkeypatch.setattr(
        Database,
        "run",
        lambda database, names=None, replaced=None: run(database, names, {mutant.model: mutant.sql}),
    )
    with stack.database() as before:
        found = poisoned_on_the_day(stack, before, ("ld_composite",))
    assert any(poisoned.differences for poisoned in found.values())


def _including(mutants: list[Mutant]) -> Mutant:
    return next(
        mutant for mutant in mutants if mutant.operator == "bound" and "available_date" in mutant.before
    )
