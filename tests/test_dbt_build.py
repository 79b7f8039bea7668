"""The whole dbt build on a hand-made world: cohorts, labels, ids and what they may not depend on."""

import random
from datetime import date
from pathlib import Path

import duckdb
import pytest
from dbt_world import NO_TESTS, STORIES, Built, Rows, build, dbt, land_rows, world

pytestmark = [pytest.mark.slow, pytest.mark.platform, pytest.mark.xdist_group("dbt")]

EVENT = (
    "select person_id, event_no, event_id, concept_id, domain, event_date, available_date, source_table"
    " from clinical_event order by person_id, event_no"
)
TABLES = (
    "cohort",
    "label",
    "attrition",
    "split",
    "example_input",
    "quality_count",
    "snapshot_profile",
    "concept_set_member",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    return build(folder, land_rows(world(), folder / "landing"))


def _rebuilt(folder: Path, rows: Rows, threads: int = 1, **study: object) -> Built:
    return build(folder, land_rows(rows, folder / "landing"), *NO_TESTS, threads=threads, **study)


def test_every_story_ends_as_worked_out_by_hand(built: Built) -> None:
    found = built.rows(
        "select person_id, cohort.index_date, y_true, reason from cohort"
        " left join label using (task, example_id, person_id) where task = 'dhf_1y'"
    )
    rows = {row[0]: row[1:] for row in found}
    assert len(found) == len(rows) == 10
    for person_id, (index, y_true, reason) in STORIES.items():
        expected = None if index is None else (date.fromisoformat(index), y_true, reason)
        assert rows.get(person_id) == expected, person_id


def test_attrition_counts_each_step_and_reconciles_to_the_labels(built: Built) -> None:
    rows = built.rows("select entries, persons, cases from attrition where task = 'dhf_1y' order by step")
    # entry, observed, a year before, adult, alive, no heart failure, closed, known later (two), labelled
    assert [row[0] for row in rows] == [14, 13, 12, 11, 11, 10, 10, 10, 9, 8]
    assert [row[1] for row in rows] == [row[0] for row in rows]
    assert [row[2] for row in rows] == [2] * 10
    labelled = "select count(y_true), count(y_true), sum(y_true) from label where task = 'dhf_1y'"
    assert rows[-1] == built.rows(labelled)[0]


def test_quirks_of_the_source_are_counted(built: Built) -> None:
    found = {
        (name, table): (looked_at, n)
        for name, table, looked_at, n in built.rows(
            "select name, source_table, looked_at, found from quality_count where task = ''"
        )
    }
    assert found["person_is_known", "observation_period"] == (15, 1)
    assert found["person_is_known", "condition_occurrence"] == (36, 1)
    assert found["periods_do_not_overlap", "observation_period"] == (14, 1)
    assert found["person_dies_once", "death"] == (1, 1)
    assert found["person_is_observed", "observation_period"] == (14, 1)
    assert found["past_stay_has_an_end", "visit_occurrence"] == (2, 0)  # the open visit is no stay
    assert found["row_is_in_an_observation_period", "condition_occurrence"] == (35, 3)
    # persons 1 to 8 and 10 to 14 less those who are not in the cohort: ten persons, one with two periods
    cohort = dict(
        built.rows(
            "select name, looked_at from quality_count where task = 'dhf_1y' and source_table <> 'death'"
        )
    )
    assert (cohort["person_is_observed"], cohort["periods_do_not_overlap"]) == (10, 11)


def test_several_deaths_are_the_earliest_and_an_open_visit_has_no_end_event(built: Built) -> None:
    assert built.rows("select event_date from clinical_event where domain = 'Death'") == [(date(2015, 6, 1),)]
    visits = built.rows(
        "select domain, count(*) from clinical_event where domain like 'Visit%' group by 1 order by 1"
    )
    assert visits == [("Visit", 3), ("Visit end", 2)]


def test_input_is_what_was_known_before_the_index_day(built: Built) -> None:
    rows = built.rows(
        "select person_id, n_events from example_input where task = 'dhf_1y' and person_id in (1, 10, 12)"
    )
    # 1: a visit and the same diagnosis twice; 10: a diagnosis and the start of a stay; 12: likewise
    assert dict(rows) == {1: 3, 10: 2, 12: 2}


def test_another_persons_rows_change_nothing_of_a_persons(built: Built, tmp_path: Path) -> None:
    kept = set(random.Random(1).sample(sorted(STORIES), 7)) | {1}
    rows = {
        table: [row for row in table_rows if row.get("person_id", 1) in kept]
        for table, table_rows in world().items()
    }
    other = _rebuilt(tmp_path, rows)
    listed = ", ".join(map(str, sorted(kept)))
    for table in ("clinical_event", "cohort", "label", "split", "example_input"):
        query = f"select * from {table} where person_id in ({listed}) order by all"
        assert other.rows(query) == built.rows(query)
        assert other.rows(query)


def test_a_duplicate_row_is_one_more_event_and_changes_no_label(built: Built, tmp_path: Path) -> None:
    rows = world()
    rows["condition_occurrence"] += rows["condition_occurrence"]
    other = _rebuilt(tmp_path, rows)
    for table in ("cohort", "label", "attrition", "split"):
        assert other.rows(f"select * from {table} order by all") == built.rows(
            f"select * from {table} order by all"
        )
    before = {row[0] for row in built.rows("select event_id from clinical_event")}
    after = [row[0] for row in other.rows("select event_id from clinical_event")]
    assert before < set(after)
    assert len(after) == len(set(after))


def test_row_order_primary_keys_and_threads_change_nothing(built: Built, tmp_path: Path) -> None:
    keys = {"condition_occurrence_id", "visit_occurrence_id", "observation_period_id"}
    rows = {
        table: [
            {key: value * 1000 + 7 if key in keys and value else value for key, value in row.items()}
            for row in reversed(table_rows)
        ]
        for table, table_rows in world().items()
    }
    other = _rebuilt(tmp_path, rows, threads=2)
    for query in (EVENT, *(f"select * from {table} order by all" for table in TABLES)):
        assert other.rows(query) == built.rows(query)


def test_salt_moves_the_split_and_coding_lag_leaves_as_an_attrition_line(
    built: Built, tmp_path: Path
) -> None:
    other = _rebuilt(tmp_path, world(), split_salt="another", data_end="2016-03-10", coding_lag_days=1)
    assert other.rows("select * from split order by 1") != built.rows("select * from split order by 1")
    persons = "select person_id from cohort where task = 'dhf_1y' order by 1"
    # day 365 of 10 March 2015 is 9 March 2016, the last day that counts; person 10 has a later index
    assert set(built.rows(persons)) - set(other.rows(persons)) == {(10,)}
    lines = [row[0] for row in other.rows("select description from attrition where task = 'dhf_1y'")]
    assert any("1 days of coding lag" in line for line in lines)


def test_cohort_rows_are_the_same_when_the_future_is_cut_off(built: Built) -> None:
    """METHODS 5: what was known by the end of the index day gives the cohort row back."""
    columns = (
        "task, example_id, person_id, index_date, entry_event_id, observation_period_start_date, age,"
        " sex_concept_id"
    )
    prospective = "task in (select task from tasks where design = 'prospective')"
    examples = built.rows(f"select {columns} from cohort where {prospective} order by all")
    assert len({example[0] for example in examples}) >= 3
    assert len(examples) >= 20
    models = _models_from_events(built)
    for person_id, index in sorted({(example[2], example[3]) for example in examples}):
        with duckdb.connect() as connection:
            _copy_as_known(connection, built, person_id=person_id, index=index)
            for name, sql, kind in models:
                connection.execute(f"create {kind} {name} as {sql}")
            again = connection.execute(
                f"select {columns} from cohort"
                f" where {prospective} and person_id = $1 and index_date = $2 order by all",
                [person_id, index],
            ).fetchall()
        assert again == [example for example in examples if example[2:4] == (person_id, index)]


def _models_from_events(built: Built) -> list[tuple[str, str, str]]:
    """Return name, SQL and kind of every model between clinical_event and cohort, in the order of a build."""
    compiled = {file.stem: file for file in built.compiled.rglob("models/*/*.sql")}
    views = {row[0] for row in built.rows("select view_name from duckdb_views() where not internal")}
    stays, events = ("death", "stay_part", "stay"), ("matched_event", "criterion_event", "criterion_day")
    labels = ("candidate", "entry_outcome", "entry_label")
    names = (*stays, *events, "index_day", "entry", *labels, "entry_step", "example", "cohort")
    return [
        (name, compiled[name].read_text(encoding="utf-8"), "view" if name in views else "table")
        for name in names
    ]


def _copy_as_known(
    connection: duckdb.DuckDBPyConnection, built: Built, *, person_id: int, index: date
) -> None:
    """Copy what comes before the cohorts as it was known of a person by the end of a day."""
    connection.execute(f"attach '{built.database}' as whole (read_only)")
    connection.execute("attach ':memory:' as small; create schema if not exists small.main")
    given = ("person", "clinical_event", "observed_period", "study_period", "concept_set_member", "tasks")
    given += ("criteria", "task_rule", "criterion", "cohort_step", "stg_omop__visit_occurrence")
    for name in given:
        connection.execute(f"create table small.main.{name} as from whole.main.{name}")
    connection.execute("use small.main")
    connection.execute(
        "delete from clinical_event where person_id <> $1 or available_date > $2",
        [person_id, index],
    )
    visits = "stg_omop__visit_occurrence"
    connection.execute(f"delete from {visits} where visit_start_date > $1", [index])
    connection.execute(f"update {visits} set visit_end_date = null where visit_end_date > $1", [index])
    connection.execute(
        "update observed_period set observation_period_end_date = least(observation_period_end_date, $1)",
        [index],
    )


def test_a_build_without_a_landing_or_with_a_wrong_data_end_stops_and_says_why(tmp_path: Path) -> None:
    done = dbt(tmp_path, "build")
    assert done.returncode != 0
    assert "Missing var `landing`" in done.stdout
    done = dbt(tmp_path, "parse", "--vars", "{landing: nowhere, data_end: later}")
    assert done.returncode != 0
    assert "Wrong value 'later' for var `data_end`" in done.stdout
