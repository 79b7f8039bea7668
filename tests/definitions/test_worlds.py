"""The templates hold the whole catalogue, and their worlds reach every label."""

import csv
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from definitions import oracle, world
from definitions.attrition import reasons
from definitions.catalogue import Row, read_seed
from definitions.task import read_task
from definitions.templates import TEMPLATES, Template, kind_of
from ml.tasks import read_tasks

WORLDS = 50


@pytest.fixture(scope="module", params=TEMPLATES)
def template(request: pytest.FixtureRequest) -> Template:
    return TEMPLATES[request.param]


def stacked(template: Template, seeds: range) -> dict[str, list[Row]]:
    worlds = [world.draw(template, seed, 1 + seed * world.STRIDE) for seed in seeds]
    return world.stack(worlds, world.vocabulary(template))


@pytest.fixture(scope="module")
def results(template: Template) -> dict[str, oracle.Result]:
    return oracle.compute_all(stacked(template, range(WORLDS)), template)


def test_every_combination_of_the_shipped_catalogue_is_a_template() -> None:
    criteria = read_seed("criteria")
    kinds = {kind_of(task, criteria) for task in read_seed("tasks")}
    assert kinds <= {template.kind for template in TEMPLATES.values()}


def test_every_shipped_task_stands_in_one_template() -> None:
    held = Counter(task["task"] for template in TEMPLATES.values() for task in template.tasks)
    assert {held[task["task"]] for task in read_seed("tasks")} == {1}
    assert max(held.values()) == 1


def test_each_template_holds_tasks_of_its_kind_alone(template: Template) -> None:
    assert {kind_of(task, template.criteria) for task in template.tasks} == {template.kind}


def test_the_strict_reader_accepts_the_tests_tasks(template: Template, tmp_path: Path) -> None:
    seeds = {"tasks": template.tasks, "criteria": template.criteria, "concept_sets": template.concept_sets}
    for name, rows in seeds.items():
        with (tmp_path / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows({key: _cell(cell) for key, cell in row.items()} for row in rows)
    (tmp_path / "left_out.csv").write_text("task,source_row,reason\n", encoding="utf-8")
    assert set(read_tasks(tmp_path)) == {task["task"] for task in template.tasks}


def _cell(cell: object) -> object:
    return str(cell).lower() if isinstance(cell, bool) else cell


def test_a_world_is_a_function_of_its_seed(template: Template) -> None:
    first, again, other = (world.draw(template, seed, 33) for seed in (11, 11, 12))
    assert repr(first) == repr(again) != repr(other)  # by text: a NaN is not equal to itself


def test_a_world_alone_gives_what_it_gives_among_others(
    template: Template, results: dict[str, oracle.Result]
) -> None:
    alone = oracle.compute_all(stacked(template, range(3, 4)), template)
    persons = {row.person_id for result in alone.values() for row in result.cohort}
    for task, result in alone.items():
        assert result.labels == [row for row in results[task].labels if row.person_id in persons]


def test_every_task_reaches_both_labels(results: dict[str, oracle.Result]) -> None:
    for task, result in results.items():
        found = {row.y_true for row in result.labels}
        assert {0, 1} <= found, task


def test_every_reason_that_can_occur_in_a_template_does(
    template: Template, results: dict[str, oracle.Result]
) -> None:
    tasks = [read_task(row, template.criteria) for row in template.tasks]
    can = {reason for task in tasks for reason in reasons(task)}
    found = {row.reason for result in results.values() for row in result.labels} - {None}
    assert found <= can
    lagged = any(row["source_table"] == "death" and row["lag_days"] for row in template.availability)
    never = set() if lagged else {"death_before_index_known_later"}
    # What decides a visit's own outcome is known on the day itself or when the stay is over.
    if template.kind[1] in ("visit", "visit_length"):
        never.add("outcome_before_index_known_later")
    assert can - found <= never


def test_attrition_goes_down_to_the_labels(results: dict[str, oracle.Result]) -> None:
    for result in results.values():
        lines = result.attrition
        labelled = [row for row in result.labels if row.y_true is not None]
        cases = sum(row.y_true == 1 for row in labelled)
        persons = len({row.person_id for row in labelled})
        assert (lines[-1].entries, lines[-1].persons, lines[-1].cases) == (len(labelled), persons, cases)
        for above, below in pairwise(lines):
            assert above.entries >= below.entries
            assert above.persons >= below.persons
            assert above.cases >= below.cases
