"""Restarting: the state replayed from the log is the forward run's, and can be read off the source alone."""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from ml.simulator import world
from ml.simulator.concepts import codes
from ml.simulator.processes import CONDITIONS, DRUGS, FIRST_LAB, INDEX, LABORATORY, STEP_DAYS
from ml.simulator.restart import read_switches, restart
from ml.simulator.source import EVENTS_FILE, PERSONS_FILE, WORLD_FILE, write_source
from ml.simulator.state import NEVER, State
from ml.simulator.step import Step, draw
from ml.simulator.switches import Switches

PERSONS, STEP = 400, 30


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, State]:
    """Return a world's folder, and the forward run's state at the start of step 30."""
    folder = tmp_path_factory.mktemp("restart")
    kept: list[State] = []

    def spying(state: State, *arguments: object, **options: object) -> Step:
        if state.now[0] == STEP * STEP_DAYS:
            kept.append(state.copy())
        return draw(state, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "draw", spying)
        patch.setattr(world, "_CROWDED", 1e-9)
        write_source(folder / "cdm", folder / "world", persons=PERSONS, seed=8)
    assert len(kept) == 1
    return folder, kept[0]


@pytest.fixture(scope="module")
def people(written: tuple[Path, State]) -> dict[str, np.ndarray]:
    """Return the persons who are still observed, outside a stay, on the first day of step 30."""
    folder, _ = written
    table = pq.read_table(folder / "world" / PERSONS_FILE)
    events = pq.read_table(folder / "world" / EVENTS_FILE).to_pandas()
    staying = events[(events["process"] == INDEX["stay"]) & (events["day"] == STEP * STEP_DAYS)]
    columns = {name: table[name].to_numpy() for name in table.column_names}
    kept = (columns["last_day"] > STEP * STEP_DAYS) & ~np.isin(columns["person_id"], staying["person_id"])
    assert kept.sum() > 250
    return {name: values[kept] for name, values in columns.items()}


def test_the_replayed_state_is_that_of_the_forward_run(
    written: tuple[Path, State], people: dict[str, np.ndarray]
) -> None:
    folder, forward = written
    found = restart(folder / "world", people["person_id"], people["start"] + STEP * STEP_DAYS)
    mine = forward.take(people["person_id"] - 1)
    for name, value in vars(mine).items():
        assert np.array_equal(getattr(found.state, name), value, equal_nan=value.dtype.kind == "f"), name
    assert (found.known_to == 0).all()
    assert not found.ended.any()


def test_restarting_twice_the_same_person_gives_both(
    written: tuple[Path, State], people: dict[str, np.ndarray]
) -> None:
    folder, _ = written
    person, start = people["person_id"][:2], people["start"][:2]
    found = restart(folder / "world", np.repeat(person, 2), np.repeat(start, 2) + np.array([0, 900, 900, 0]))
    alone = restart(folder / "world", person[:1], start[:1] + 900)
    assert found.state.now.tolist() == [0, 900, 900, 0]
    for name, value in vars(alone.state).items():
        assert np.array_equal(getattr(found.state, name)[..., 1:2], value, equal_nan=value.dtype.kind == "f")


def test_the_state_can_be_read_off_the_source_alone(
    written: tuple[Path, State], people: dict[str, np.ndarray]
) -> None:
    folder, _ = written
    state = restart(folder / "world", people["person_id"], people["start"] + STEP * STEP_DAYS).state
    con = duckdb.connect(config={"threads": 1})
    places = {
        "condition": ("condition_occurrence", "condition_start_date"),
        "drug": ("drug_exposure", "drug_exposure_start_date"),
        "measurement": ("measurement", "measurement_date"),
    }
    looked_at = 0
    for process in (*CONDITIONS, *DRUGS, *LABORATORY):
        table, day = places[process.kind]
        path = folder / "cdm" / f"{table}.parquet"
        concept = f"{process.kind}_concept_id"
        coded = [codes(name).concept_ids for name in (process.name, process.later) if name]
        value = "arg_max(value_as_number, day)" if process.kind == "measurement" else "0"
        extra = ""
        if process.kind == "measurement":
            # Values taken in a stay are charted, and no hazard reads them.
            extra = f"""and value_as_number is not null and not exists (
                from '{folder / "cdm" / "visit_occurrence.parquet"}' v
                where v.person_id = e.person_id and visit_concept_id in (9201, 262)
                and {day} between visit_start_date and visit_end_date)"""
        frame = con.execute(
            f"""with e as (select *, date_diff('day', observation_period_start_date, {day}) as day
                from '{path}' as e
                join '{folder / "cdm" / "observation_period.parquet"}' using (person_id)
                where {concept} in (select unnest($codes)) {extra})
            select person_id, min(day) as first, max(day) as last, {value} as value
            from e where day < $limit group by 1""",
            {"codes": np.concatenate(coded).tolist(), "limit": STEP * STEP_DAYS},
        ).df()
        frame = frame.set_index("person_id").reindex(people["person_id"])
        number = INDEX[process.name]
        first = frame["first"].fillna(NEVER).to_numpy(int)
        assert (state.first[number] == first).all(), process.name
        if not process.repeats:
            assert (state.last[number] == frame["last"].fillna(NEVER).to_numpy(int)).all(), process.name
        if process.kind == "measurement":
            values = frame["value"].to_numpy(float)
            assert np.allclose(state.value[number - FIRST_LAB], values, atol=1e-4, equal_nan=True)
        looked_at += int((first > NEVER).sum())
    assert looked_at > 2000


def test_a_day_outside_the_period_or_inside_a_stay_is_refused(written: tuple[Path, State]) -> None:
    folder, _ = written
    table = pq.read_table(folder / "world" / PERSONS_FILE).to_pandas().set_index("person_id")
    person = table.index[:1].to_numpy()
    with pytest.raises(ValueError, match="1 of 1 index days lie outside"):
        restart(folder / "world", person, table["start"].to_numpy()[:1] - 1)
    with pytest.raises(ValueError, match="1 of 1 index days lie outside"):
        restart(
            folder / "world", person, table["start"].to_numpy()[:1] + table["last_day"].to_numpy()[:1] + 1
        )
    with pytest.raises(ValueError, match="1 of 1 persons are not in this world"):
        restart(folder / "world", np.array([PERSONS + 1]), np.array([17_000]))
    events = pq.read_table(folder / "world" / EVENTS_FILE).to_pandas()
    stay = events[(events["process"] == INDEX["stay"]) & (events["value"] > 0)].iloc[0]
    person_id = int(stay["person_id"])
    day = np.array([table["start"][person_id] + int(stay["day"])])
    with pytest.raises(ValueError, match="1 of 1 index days lie inside a stay"):
        restart(folder / "world", np.array([person_id]), day)
    ended = restart(folder / "world", np.array([person_id]), day + int(stay["value"]))
    assert (ended.known.process == INDEX["stay"]).sum() == 1


def test_a_world_of_another_version_is_refused(written: tuple[Path, State], tmp_path: Path) -> None:
    folder, _ = written
    assert read_switches(folder / "world") == Switches()
    text = (folder / "world" / WORLD_FILE).read_text(encoding="utf-8")
    (tmp_path / WORLD_FILE).write_text(text.replace('"version": ', '"version": 9'), encoding="utf-8")
    with pytest.raises(ValueError, match="simulate the source again"):
        read_switches(tmp_path)
