"""A source that breaks the contract is refused whole, with all its faults and no value of a person."""

import duckdb
import pytest
from landing_source import SECRET, TABLES, refusal, sql_values, tables, without, write_csv, write_parquet

from ml.artefact import manifest
from ml.strict import InputError
from orchestration.landing import land, source_files


@pytest.mark.parametrize("kind", ["double", "float", "decimal(20, 3)", "varchar"])
def test_ids_that_are_not_whole_are_counted_as_faults(tmp_path, kind):
    source = tables(
        person={"person_id": [1, 2]},
        observation_period={"person_id": [1, 2]},
        condition_occurrence={"person_id": [1.5, 2.25, 3]},
    )
    write_parquet(tmp_path / "s", source, person_id=kind)
    said = refusal(tmp_path / "s", tmp_path / "t")
    assert "2 values of `condition_occurrence.person_id` are not BIGINT" in said
    assert "in 1 places" in said


@pytest.mark.parametrize(("kind", "id_"), [("double", 2**53), ("float", 2**24)])
def test_ids_that_a_float_cannot_tell_apart_are_faults(tmp_path, kind, id_):
    source = tables(
        person={"person_id": [1, 2]},
        observation_period={"person_id": [1, 2]},
        condition_occurrence={"person_id": [1, 2, id_]},
    )
    write_parquet(tmp_path / "s", source, person_id=kind)
    said = refusal(tmp_path / "s", tmp_path / "t")
    assert "1 values of `condition_occurrence.person_id` are not BIGINT" in said


def test_true_and_false_are_no_ids(tmp_path):
    source = tables(condition_occurrence={"visit_occurrence_id": [True, False, None]})
    write_parquet(tmp_path / "s", source)
    assert "2 values of `condition_occurrence.visit_occurrence_id` are not BIGINT" in refusal(
        tmp_path / "s", tmp_path / "t"
    )


def test_all_faults_stand_in_one_message_without_a_value(tmp_path):
    source = without("observation_period", "period_type_concept_id", "observation_period_end_date")
    del source["concept"]
    write_parquet(tmp_path / "s", source)
    said = refusal(tmp_path / "s", tmp_path / "t")
    assert "required table `concept` is missing" in said
    assert "required column `observation_period.period_type_concept_id` is missing" in said
    assert "required column `observation_period.observation_period_end_date` is missing" in said
    assert "in 3 places" in said


def test_wrong_values_of_several_tables_stand_in_one_message(tmp_path):
    source = tables(
        person={"year_of_birth": [SECRET, "1961"]},
        condition_occurrence={"condition_start_date": [SECRET, "2012-13-45", "2012-05-06"]},
    )
    write_parquet(tmp_path / "s", source, year_of_birth="varchar")
    said = refusal(tmp_path / "s", tmp_path / "t")
    assert "1 values of `person.year_of_birth` are not BIGINT" in said
    assert "2 values of `condition_occurrence.condition_start_date` are not DATE" in said


def test_a_source_without_any_event_table_is_refused(tmp_path):
    write_parquet(tmp_path / "s", tables(condition_occurrence=None))
    assert "no event table" in refusal(tmp_path / "s", tmp_path / "t")


def test_a_source_with_nothing_to_recognise_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    write_parquet(tmp_path / "other", {"patients": TABLES["person"]})
    for name in ("empty", "other"):
        assert f"Nothing recognised in `{name}`" in refusal(tmp_path / name, tmp_path / "t")
        with pytest.raises(InputError):
            source_files(tmp_path / name)
    with pytest.raises(InputError, match="No OMOP source at `none`"):
        land(tmp_path / "none", tmp_path / "t")


def test_a_table_that_stands_twice_is_refused(tmp_path):
    source = write_parquet(tmp_path / "s", TABLES)
    write_csv(source, {"Person": TABLES["person"]})
    assert "`person` stands twice" in refusal(source, tmp_path / "t")


def test_a_duckdb_file_with_a_table_in_two_schemas_is_refused(tmp_path):
    with duckdb.connect(str(tmp_path / "source.duckdb")) as connection:
        connection.execute("create schema old")
        for schema in ("main", "old"):
            connection.execute(f"create table {schema}.person as {sql_values(TABLES['person'], {})}")
    assert "`person` stands twice" in refusal(tmp_path / "source.duckdb", tmp_path / "t")


def test_a_file_that_is_no_database_and_no_parquet_is_refused(tmp_path):
    (tmp_path / "source.duckdb").write_text(SECRET * 1000, encoding="utf-8")
    assert "`source.duckdb`" in refusal(tmp_path / "source.duckdb", tmp_path / "t")
    source = write_parquet(tmp_path / "s", TABLES)
    (source / "person.parquet").write_text(SECRET * 1000, encoding="utf-8")
    assert "`person.parquet`" in refusal(source, tmp_path / "t")


def test_a_failed_landing_leaves_what_stood_there(tmp_path):
    target = tmp_path / "landings" / "t"
    land(write_parquet(tmp_path / "good", TABLES), target)
    before = manifest(target)
    write_parquet(tmp_path / "bad", tables(person={"year_of_birth": ["no", "number"]}))
    with pytest.raises(InputError):
        land(tmp_path / "bad", target)
    assert manifest(target) == before
    assert [path.name for path in target.parent.iterdir()] == ["t"]
