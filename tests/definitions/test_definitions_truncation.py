"""Truncation invariance on a sample of tasks and sources; and that a look ahead would be seen."""

from pathlib import Path

import pytest

from definitions.compiled import Database, compile_project
from definitions.proving import simulated_source, truncation

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("definitions")]

SAMPLE = ("paca_1y", "hyperkalaemia")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated_source(tmp_path_factory.mktemp("simulated"), persons=150)


def test_no_example_of_the_simulator_depends_on_what_comes_later(simulated: Path) -> None:
    found = truncation(simulated, passes=1, tasks=SAMPLE)
    assert all(compared["compared"] > 10 for compared in found.values()), found
    assert all(compared["shown"] > 10 for compared in found.values()), found
    assert sum(compared["left_out"] for compared in found.values()) > 10


@pytest.mark.parametrize(("source", "task"), [("gibleed", "gi_bleed_1y"), ("synthea27nj", "readmission_30d")])
def test_no_example_of_a_shared_source_does(shared_data: Path, source: str, task: str) -> None:
    assert truncation(shared_data / source, passes=1, tasks=[task])[task]["compared"] > 0


@pytest.mark.parametrize(
    ("model", "known", "ahead"),
    [
        # whoever dies later is left out; inputs of the index day are shown
        ("entry_step", "death_available_date <= entry_label.index_date", "death_available_date is not null"),
        ("example_input", "when 'include' then 1 else 0 end", "when 'include' then 1 else 1 end"),
    ],
)
def test_a_look_ahead_is_seen(
    simulated: Path, monkeypatch: pytest.MonkeyPatch, model: str, known: str, ahead: str
) -> None:
    sql = compile_project().models[model].sql
    assert sql.count(known) == 1
    planted, run = {model: sql.replace(known, ahead)}, Database.run
    monkeypatch.setattr(Database, "run", lambda database, names=None: run(database, names, planted))
    with pytest.raises(AssertionError, match=r"differences=[1-9]"):
        truncation(simulated, passes=1, tasks=["mortality_1y"])
