"""The parts of the proof, at any size: `make test` runs samples of them, `make proof` the full figures.

Each part returns figures for `benchmarks/results/proof.json` and raises AssertionError where the proof fails.
"""

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dbt_world import land_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from definitions.compiled import Database, catalogue, compile_project
from definitions.concerns import concerns
from definitions.end_to_end import dbt_built
from definitions.killing import Verdicts, judge
from definitions.metamorphic import RELATIONS, permuted, violations
from definitions.mixed import EVERY_KIND, STUDIES
from definitions.mutants import Mutant, mutants_of
from definitions.poisoned import poisoned_after, poisoned_on_the_day
from definitions.stacked import Stack, Tally, add, differences, project_of
from definitions.templates import TEMPLATES, Template
from definitions.truncation import invariance, keep_whole
from ml.simulator.source import write_source

STACKED = 25  # worlds in one database
# Copies of what was landed, ids, counts for the report: no definition decides anything there.
NOT_MUTATED = {"availability_count", "clinical_event", "concept", "concept_ancestor", "event_record"}


def equal_on_worlds(name: str, worlds: int) -> Tally:
    """Compare SQL and oracle on at least so many worlds; Hypothesis draws their seeds and shrinks them."""
    tally, failed, size = Tally(), False, min(worlds, STACKED)

    @settings(
        max_examples=10 * worlds,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(first=st.integers(0, 2**20))
    def equal(first: int) -> None:
        nonlocal failed
        if failed or len(tally.seeds) < worlds:
            stack = Stack(STUDIES[name], tuple(range(first, first + size)))
            with stack.database() as database:
                found = differences(stack, database)
            failed = failed or bool(found)
            assert not found, f"{len(found)} differences, the first: {found[0]}"
            add(tally, stack)

    equal()
    return tally


def equal_after_dbt_build(name: str) -> dict[str, int]:
    """Take the first world with an example through `dbt build` and compare; return its examples."""
    for seed in range(100):
        stack = Stack(STUDIES[name], (seed,))
        examples = sum(len(result.labels) for result in stack.expected[0].values())
        if examples:
            with (
                tempfile.TemporaryDirectory(prefix="dbt-build-") as folder,
                dbt_built(stack, Path(folder)) as database,
            ):
                found = differences(stack, database)
            assert not found, f"{len(found)} differences after dbt build, the first: {found[0]}"
            return {"worlds": 1, "examples": examples}
    raise AssertionError(f"no world of `{name}` has an example")


def mutants_for(template: Template) -> list[Mutant]:
    """Return the mutants of the compiled models that concern a template, in order."""
    return [
        mutant
        for model in project_of(template).models.values()
        if model.name not in NOT_MUTATED
        for mutant in mutants_of(model.name, model.sql)
        if concerns(mutant, template)
    ]


def judged(name: str, worlds: int, mutants: Sequence[Mutant] | None = None) -> Verdicts:
    """Run the mutants of a template on a stack of so many worlds."""
    template = STUDIES[name]
    stack = Stack(template, tuple(range(worlds)))
    return judge(mutants_for(template) if mutants is None else mutants, [stack])


def judged_where_kinds_meet(names: Collection[tuple[Any, ...]], worlds: int) -> Verdicts:
    """Run mutants named, and those of no template, on all kinds of tasks at once and on single worlds."""
    template = STUDIES[EVERY_KIND]
    elsewhere = {mutant.name for other in TEMPLATES.values() for mutant in mutants_for(other)}
    mutants = [m for m in mutants_for(template) if m.name in names or m.name not in elsewhere]
    seeds = (range(worlds), (0,), (1,), (2,))
    return judge(mutants, [Stack(template, tuple(drawn)) for drawn in seeds])


def mutant_record(verdicts: Verdicts) -> dict[str, Any]:
    """Return the names of a template's mutants by what became of them."""
    return {
        "killed_names": [list(mutant.name) for mutant in verdicts.killed],
        "survived_names": [list(mutant.name) for mutant in verdicts.survived],
    }


def metamorphic(name: str, worlds: int, tasks: Collection[str] | None = None) -> dict[str, Any]:
    """Return the relations that held, and the examples of `tasks` behind which absurd events were added."""
    stack = Stack(STUDIES[name], tuple(range(worlds)))
    with stack.database() as before:
        examples = before.rows("select count(*) from label")[0][0]
        found = {r.name: violations(stack, before, r) for r in (permuted(stack), *RELATIONS)}
        after = poisoned_after(stack, before, tasks)
        on_the_day = poisoned_on_the_day(stack, before, tasks)
    assert not any(found.values()), found
    assert not any(p.differences for p in (*after.values(), *on_the_day.values())), (after, on_the_day)
    return {
        "worlds": worlds,
        "examples": examples,
        "relations_held": sorted(found),
        "examples_with_absurd_events_after": sum(p.examples for p in after.values()),
        "examples_with_absurd_events_on_the_day": sum(p.examples for p in on_the_day.values()),
    }


def truncation(source: Path, passes: int, tasks: Sequence[str] | None = None) -> dict[str, Any]:
    """Return what was compared by prospective task of the catalogue on a source of OMOP Parquet files."""
    seeds = catalogue()
    prospective = [row["task"] for row in seeds["tasks"] if row["design"] == "prospective"]
    with Database(compile_project()) as database:
        with tempfile.TemporaryDirectory(prefix="landing-") as folder:
            database.land_folder(land_folder(source, Path(folder) / "landing"))
        database.seed(seeds)
        database.run()
        keep_whole(database)
        found = {}
        for task in prospective if tasks is None else tasks:
            compared = invariance(database, seeds, task, passes=passes)
            wrong = (compared.cohort_differences, compared.input_differences, compared.shown_differences)
            assert wrong == (0, 0, 0), f"{task}: {compared}"
            assert compared.examples == 0 or compared.compared > 0, f"{task}: nothing was compared"
            found[task] = asdict(compared)
    return found


def simulated_source(folder: Path, persons: int) -> Path:
    """Write a simulated source below `folder` and return where."""
    write_source(folder / "cdm", folder / "world", persons=persons, seed=11)
    return folder / "cdm"
