"""Stays: what the written tables say of lengths, ends, second stays and daily values; restarts after them."""

import csv
from pathlib import Path

import duckdb
import numpy as np
import pytest

from ml.simulator import stays
from ml.simulator.concepts import concepts
from ml.simulator.enrolment import draw_persons, enrol
from ml.simulator.processes import ENDS, INDEX
from ml.simulator.source import write_source
from ml.simulator.state import Events, State, advance
from ml.simulator.step import draw
from ml.simulator.switches import Switches
from ml.simulator.view import View

SEEDS = Path(__file__).resolve().parents[1] / "dbt_project" / "seeds"
TRANSFERRED = 2_000_000_901
HEART_FAILURE = "(316139, 4229440)"
EVERYTHING = Switches()


@pytest.fixture(scope="module")
def con(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """Return a world of 3,000 persons, with its inpatient visits as `stay`."""
    folder = tmp_path_factory.mktemp("stays")
    write_source(folder / "cdm", folder / "world", persons=3000, seed=17)
    con = duckdb.connect(config={"threads": 1})
    for path in (folder / "cdm").glob("*.parquet"):
        con.execute(f"create view {path.stem} as from read_parquet('{path}')")
    con.execute(
        """create table stay as
        select visit_occurrence_id, person_id, visit_start_date as begun, visit_end_date as over,
            visit_end_date - visit_start_date as nights, discharged_to_concept_id as sent_to,
            death_date is not null as died,
            lead(visit_start_date) over (partition by person_id order by visit_start_date) as next_begun
        from visit_occurrence
        left join (select person_id, death_date, death_date as visit_end_date from death)
            using (person_id, visit_end_date)
        where visit_concept_id in (9201, 262)"""
    )
    con.execute(
        f"""create table failing as
        select person_id, min(condition_start_date) as since from condition_occurrence
        where condition_concept_id in {HEART_FAILURE} group by 1"""
    )
    return con


def number(con: duckdb.DuckDBPyConnection, sql: str) -> float:
    rows = con.execute(sql).fetchall()
    return float(rows[0][0])


def some_states(n: int, steps: int) -> State:
    """Return states of N persons after some steps, all kept in observation."""
    rng = np.random.default_rng(6)
    state = draw_persons(n, rng).state()
    advance(state, enrol(state, rng))
    ends = frozenset(process.name for process in ENDS)
    for _ in range(steps):
        drawn = draw(state, EVERYTHING, rng, left=np.full(n, 10_000), leave_out=ends)
        advance(state, drawn.events)
    return state


def test_every_concept_that_a_task_includes_is_in_the_vocabulary() -> None:
    with (SEEDS / "concept_sets.csv").open(encoding="utf-8", newline="") as file:
        included = {int(row["concept_id"]) for row in csv.DictReader(file) if row["is_excluded"] == "false"}
    assert len(included) > 30
    assert not included - {concept.concept_id for concept in concepts()}


def test_stays_of_a_person_are_apart_and_some_touch(con: duckdb.DuckDBPyConnection) -> None:
    assert number(con, "select count(*) from stay") > 3000
    assert number(con, "select count(*) from stay where next_begun <= over") == 0
    assert number(con, "select count(*) from stay where next_begun = over + 1") > 50
    assert number(con, "select count(*) from stay where nights >= 7") > 500


def test_transfers_end_stays_of_the_living_and_half_go_on_the_next_day(
    con: duckdb.DuckDBPyConnection,
) -> None:
    elsewhere = f"select count(*) from visit_occurrence where discharged_to_concept_id <> {TRANSFERRED}"
    assert number(con, elsewhere) == 0
    wrong = "visit_concept_id not in (9201, 262) or visit_end_date in (from (select death_date from death d"
    outside = f"""select count(*) from visit_occurrence v where discharged_to_concept_id is not null
        and ({wrong} where d.person_id = v.person_id)))"""
    assert number(con, outside) == 0
    sent = number(con, "select count(*) from stay where sent_to is not null")
    assert 0.03 < sent / number(con, "select count(*) from stay") < 0.06
    onward = number(con, "select count(*) from stay where sent_to is not null and next_begun = over + 1")
    assert abs(onward / sent - 0.5) < 4 * np.sqrt(0.25 / sent)


def test_deaths_in_stays_close_them_and_come_more_often_with_heart_failure(
    con: duckdb.DuckDBPyConnection,
) -> None:
    late = """select count(*) from stay join death using (person_id)
        where begun > death_date or over > death_date"""
    assert number(con, late) == 0
    dying = """select avg(died::int) from stay left join failing using (person_id)
        where nights >= 1 and coalesce(since < begun, false) = {}"""
    with_it, without = (number(con, dying.format(known)) for known in ("true", "false"))
    assert 0.03 < without < 0.15
    assert with_it > 1.5 * without


def test_heart_failure_on_record_means_longer_stays_and_more_of_them_within_a_month(
    con: duckdb.DuckDBPyConnection,
) -> None:
    again = """select avg(nights) as nights,
            avg(coalesce(next_begun between over + 2 and over + 30, false)::int) as readmitted
        from stay left join failing using (person_id) join observation_period using (person_id)
        where not died and observation_period_end_date >= over + 30
        and coalesce(since < begun, false) = {}"""
    found = [con.execute(again.format(known)).fetchall()[0] for known in ("true", "false")]
    assert found[0][0] > 1.1 * found[1][0]
    assert found[0][1] > 1.5 * found[1][1]
    assert 0.05 < found[1][1] < 0.2


def test_values_are_charted_on_most_days_of_a_stay_and_lie_inside_it(con: duckdb.DuckDBPyConnection) -> None:
    for concept, unit in ((3000963, 8713), (3023103, 8753)):
        days = number(con, "select sum(nights + 1) from stay")
        charted = number(
            con,
            f"""select count(distinct (person_id, measurement_date)) from measurement
            join stay using (visit_occurrence_id, person_id)
            where measurement_concept_id = {concept} and value_as_number is not null
            and unit_concept_id = {unit} and measurement_date between begun and over""",
        )
        assert abs(charted / days - 0.85) < 0.01
        unlinked = f"""select count(*) from measurement m join stay s using (person_id)
            where measurement_concept_id = {concept} and measurement_date between begun and over
            and m.visit_occurrence_id is distinct from s.visit_occurrence_id"""
        assert number(con, unlinked) == 0


def test_potassium_in_stays_is_higher_with_kidney_disease_and_haemoglobin_falls(
    con: duckdb.DuckDBPyConnection,
) -> None:
    high = """select avg((value_as_number > 5.5)::int) from measurement
        join stay using (visit_occurrence_id, person_id)
        left join (select person_id, min(condition_start_date) as since from condition_occurrence
            where condition_concept_id in (443597, 443601, 443612) group by 1) using (person_id)
        where measurement_concept_id = 3023103 and coalesce(since < begun, false) = {}"""
    assert number(con, high.format("true")) > 3 * number(con, high.format("false")) > 0
    fall = """select avg(value_as_number) from measurement join stay using (visit_occurrence_id, person_id)
        where measurement_concept_id = 3000963 and nights >= 7 and measurement_date - begun = {}"""
    assert number(con, fall.format(0)) - number(con, fall.format(6)) > 0.4


def test_a_second_stay_after_a_known_one_has_the_conditional_distribution() -> None:
    few = some_states(600, 40)
    n, known_to = 600, 12
    rng = np.random.default_rng(3)
    chance = stays.return_a_day(View(few, EVERYTHING))
    day, length = np.full(n, 4, dtype=np.int16), np.full(n, 5, dtype=np.float32)
    stay = Events(np.arange(n), np.full(n, INDEX["stay"], dtype=np.int16), day, length)
    late = early = 0
    rounds = 150
    for _ in range(rounds):
        rest = draw(
            few,
            EVERYTHING,
            rng,
            left=np.full(n, 10_000),
            known_to=np.full(n, known_to),
            known=stay,
            leave_out=frozenset(("death", "loss")),
        ).events
        assert not (rest.process == INDEX["stay"]).any()
        again = rest.only(rest.process == INDEX["second_stay"])
        early += int((again.day <= known_to).sum())
        late += len(again.row)
    expected = 1 - (1 - chance) ** (29 - known_to)
    assert early == 0
    spread = np.sqrt(rounds * (expected * (1 - expected)).sum())
    assert abs(late - rounds * expected.sum()) < 4 * spread


def test_a_known_transfer_goes_on_tomorrow_or_not_at_all() -> None:
    few = some_states(400, 3)
    n = 400
    rng = np.random.default_rng(4)
    rows, day = np.arange(n), np.full(n, 4, dtype=np.int16)
    stay = Events(rows, np.full(n, INDEX["stay"], dtype=np.int16), day, np.full(n, 5, dtype=np.float32))
    sent = Events(
        rows, np.full(n, INDEX["transfer"], dtype=np.int16), day + np.int16(5), np.zeros(n, np.float32)
    )
    options = {"left": np.full(n, 10_000), "known": stay.plus(sent)}
    share = []
    for known_to in (9, 10):
        drawn = draw(few, EVERYTHING, rng, known_to=np.full(n, known_to), **options).events
        share.append(float((drawn.day[drawn.process == INDEX["second_stay"]] == known_to + 1).sum()) / n)
    assert abs(share[0] - 0.5) < 0.1
    assert share[1] < 0.05
