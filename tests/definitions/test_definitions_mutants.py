"""Mutants of the SQL: the systematic ones are made, a sample is killed, and what is argued is still there."""

import random

import pytest

from definitions.compiled import study_project
from definitions.equivalent import argued, read_arguments
from definitions.mutants import mutants_of
from definitions.proving import judged, mutant_record, mutants_for
from definitions.templates import TEMPLATES

pytestmark = pytest.mark.xdist_group("definitions")

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
        "and_or", "between", "bound", "branch", "branch_order", "clause", "column", "day", "default", "distinct",
        "extreme", "filter", "half_between", "join", "member", "negation", "number", "order", "partition",
        "sign", "where",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_template_has_its_mutants(name: str) -> None:
    assert len(mutants_for(TEMPLATES[name])) >= 24


@pytest.mark.parametrize("name", ["event_concept", "visit_end_visit"])
def test_a_sample_of_mutants_is_killed_or_argued(name: str) -> None:
    mutants = random.Random(0).sample(mutants_for(TEMPLATES[name]), SAMPLE)
    record = mutant_record(name, judged(name, 60, mutants))
    assert record["killed"] >= SAMPLE / 2
    assert not record["survived"]


def test_every_argument_is_of_a_mutant_that_exists() -> None:
    project = study_project("2019-06-30", 0)
    made = [m for model in project.models.values() for m in mutants_of(model.name, model.sql)]
    for argument in read_arguments():
        names = argument.templates.split() or ["any"]
        assert set(names) <= {"any", *TEMPLATES}
        assert any(argued([argument], mutant, names[0]) for mutant in made), argument
