"""Mutants of the SQL: they are made, a sample is killed, and what is argued is of mutants that exist."""

import random

import pytest

from definitions.compiled import study_project
from definitions.equivalent import read_arguments
from definitions.mutants import mutants_of
from definitions.proving import judged, mutants_for
from definitions.templates import TEMPLATES

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("definitions")]

SAMPLE = 30


def test_every_operator_makes_its_mutants() -> None:
    sql = """
        with day as (
            select distinct a, min(b) as b, coalesce(bool_or(c), false) as c
            from t left join u on t.a = u.a
            where x between y and z and (n <= 2 or not m is null) and k in (1, 2)
            group by a
        ), numbered as (
            select a, case when b = 'x' then 1 when b = 'y' then 2 else 0 end as kind, event_date + 1 as d,
                row_number() over (partition by a, b order by event_date, c) as n,
                count(distinct b) filter (where c) as counted
            from day
        )
        select * from numbered order by a
    """
    made = {mutant.operator for mutant in mutants_of("model", sql)}
    assert made == {
        "and_or", "between", "bound", "branch", "branch_order", "clause", "column", "day", "default",
        "distinct", "extreme", "filter", "half_between", "join", "member", "negation", "number", "order",
        "partition",
        "sign", "where",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_template_has_its_mutants(name: str) -> None:
    assert len(mutants_for(TEMPLATES[name])) >= 24


def test_a_sample_of_mutants_dies_and_no_argued_one() -> None:
    mutants = random.Random(0).sample(mutants_for(TEMPLATES["event_concept"]), SAMPLE)
    verdicts = judged("event_concept", 60, mutants)
    assert len(verdicts.killed) >= 0.6 * SAMPLE
    assert not [mutant.name for mutant in verdicts.killed if mutant.name in read_arguments()]


def test_every_argument_is_of_a_mutant_that_exists() -> None:
    project = study_project("2019-06-30", 0)
    made = {mutant.name for model in project.models.values() for mutant in mutants_of(model.name, model.sql)}
    assert len(made) > 200
    arguments = read_arguments()
    assert arguments
    assert not [name for name in arguments if name not in made]
    assert all(len(argument.argument) > 20 for argument in arguments.values())
