"""Truncation invariance on a sample of tasks and sources; and that a look ahead would be seen."""

from pathlib import Path

import pytest

from definitions.compiled import Database, compile_project
from definitions.mutants import mutants_of
from definitions.proving import simulated_source, truncation

pytestmark = pytest.mark.xdist_group("definitions")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated_source(tmp_path_factory.mktemp("simulated"), persons=200)


def test_the_simulator_has_examples_of_every_prospective_task_and_none_sees_the_future(
    simulated: Path,
) -> None:
    found = truncation(simulated, passes=1)
    assert len(found) >= 13
    assert all(compared["compared"] > 0 for compared in found.values()), found
    assert all(compared["shown"] > 0 for compared in found.values()), found


def test_a_task_on_each_shared_source(shared_data: Path) -> None:
    for source, task in (("gibleed", "gi_bleed_1y"), ("synthea27nj", "readmission_30d")):
        found = truncation(shared_data / source, passes=1, tasks=[task])
        assert found[task]["compared"] > 0


@pytest.mark.parametrize(
    ("model", "before"),
    [
        ("entry_step", "criterion_day.first_available_date <= judged.index_date"),
        ("example_input", "chosen.cut_date > known_day.available_date"),
    ],
)
def test_a_look_ahead_is_seen(
    simulated: Path, monkeypatch: pytest.MonkeyPatch, model: str, before: str
) -> None:
    sql = compile_project().models[model].sql
    ahead = next(
        m for m in mutants_of(model, sql) if m.before.endswith(before) and m.operator in ("clause", "bound")
    )
    run = Database.run
    monkeypatch.setattr(
        Database, "run", lambda database, names=None, replaced=None: run(database, names, {model: ahead.sql})
    )
    with pytest.raises(AssertionError, match="Compared"):
        truncation(simulated, passes=1, tasks=["paca_1y"])
