"""Landing: every OMOP source becomes the same tables, exactly, or is refused whole with all its faults."""

import csv
import os
import shutil
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest
from landing_source import (
    SECRET_ID,
    TABLES,
    described,
    landed_rows,
    sql_values,
    tables,
    write_parquet,
)

from ml.artefact import manifest
from ml.strict import InputError
from orchestration.landing import content_key, land, source_fingerprint

CDM = Path(__file__).resolve().parent.parent / "ml" / "cdm.csv"
LANDED = (
    "person",
    "observation_period",
    "visit_occurrence",
    "condition_occurrence",
    "drug_exposure",
    "procedure_occurrence",
    "measurement",
    "observation",
    "death",
    "note",
    "concept",
    "concept_ancestor",
    "concept_relationship",
    "vocabulary",
    "cdm_source",
)


def specified() -> dict[str, list[tuple[str, str]]]:
    """Columns and types by table, read from the list itself."""
    found: dict[str, list[tuple[str, str]]] = {}
    with CDM.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["table"], []).append((row["column"], row["type"]))
    return found


def test_the_list_of_tables_is_the_one_that_the_design_names():
    assert set(specified()) == set(LANDED)


@pytest.mark.parametrize(("source", "persons"), [("gibleed", 2694), ("synthea27nj", 28)])
def test_a_real_export_lands_with_all_its_rows_and_exact_ids(shared_data, tmp_path, source, persons):
    given, target = shared_data / source, tmp_path / "landed"
    landed = land(given, target)
    assert landed.rows["person"] == persons
    assert sorted(path.stem for path in target.iterdir()) == sorted(LANDED)
    with duckdb.connect() as connection:
        for table in LANDED:
            assert described(target, table) == specified()[table]
            path = given / f"{table}.parquet"
            n = connection.execute("select count(*) from read_parquet(?)", [str(path)]).fetchall()[0][0]
            assert landed.rows[table] == n
            assert landed_rows(target, table, "count(*)") == [(n,)]
            present = dict(described(given, table))
            ids = [c for c, t in specified()[table] if t == "BIGINT" and c in present]
            one = ", ".join(f"sum(hash('{c}' || cast({c} as bigint)::varchar))" for c in ids)
            if n and ids:
                assert landed_rows(target, table, one) == landed_rows(given, table, one)
    tables_there = {path.name for path in given.glob("*.parquet")}
    assert tables_there - {f"{table}.parquet" for table in LANDED} <= set(landed.unknown)


def test_signed_64_bit_ids_beyond_2_to_the_53_are_kept(tmp_path):
    ids = [-9223372036854775808, 9223372036854775807, -9007199254740993, 9007199254740993]
    many = {column: [values[0]] * 4 for column, values in TABLES["person"].items()}
    source = write_parquet(tmp_path / "s", tables(person={**many, "person_id": ids}), person_id="bigint")
    land(source, tmp_path / "t")
    assert [row[0] for row in landed_rows(tmp_path / "t", "person", "person_id")] == ids


@pytest.mark.parametrize(("kind", "id_"), [("double", 2**53 - 1), ("decimal(20, 1)", 2**60 + 1)])
def test_whole_ids_that_come_as_numbers_with_a_point_are_exact(tmp_path, kind, id_):
    source = tables(
        person={"person_id": [1, 2]},
        observation_period={"person_id": [1, 2]},
        condition_occurrence={"person_id": [1, id_, -id_]},
    )
    write_parquet(tmp_path / "s", source, person_id=kind)
    land(tmp_path / "s", tmp_path / "t")
    found = landed_rows(tmp_path / "t", "condition_occurrence", "person_id")
    assert found == [(1,), (id_,), (-id_,)]


def test_upper_case_tables_and_columns_are_read(tmp_path):
    upper = {
        name.upper(): {column.upper(): values for column, values in rows.items()}
        for name, rows in TABLES.items()
    }
    write_parquet(tmp_path / "s", upper)
    write_parquet(tmp_path / "lower", TABLES)
    land(tmp_path / "s", tmp_path / "t")
    land(tmp_path / "lower", tmp_path / "u")
    assert manifest(tmp_path / "t") == manifest(tmp_path / "u")


def test_dates_and_datetimes_take_the_types_of_the_cdm(tmp_path):
    source = tables(
        condition_occurrence={
            "condition_start_datetime": ["2012-05-06", "2013-05-06", None],
            "condition_end_datetime": ["2012-05-06 07:08:09", None, "2014-05-06 00:00:00"],
            "condition_end_date": [None, None, None],
        }
    )
    types = {"condition_start_datetime": "date", "condition_end_date": "boolean"}
    write_parquet(tmp_path / "s", source, **types)
    land(tmp_path / "s", tmp_path / "t")
    columns = ("condition_start_datetime", "condition_end_datetime", "condition_end_date")
    assert landed_rows(tmp_path / "t", "condition_occurrence", *columns) == [
        (datetime(2012, 5, 6), datetime(2012, 5, 6, 7, 8, 9), None),  # noqa: DTZ001
        (datetime(2013, 5, 6), None, None),  # noqa: DTZ001
        (None, datetime(2014, 5, 6), None),  # noqa: DTZ001
    ]


def test_dates_written_as_whole_numbers_are_read_or_named(tmp_path):
    dates = {"valid_start_date": [19700101, 19700101], "valid_end_date": [20991231, 20991231]}
    write_parquet(tmp_path / "s", tables(concept=dates), valid_start_date="integer", valid_end_date="integer")
    try:
        land(tmp_path / "s", tmp_path / "t")
    except InputError as refused:
        assert "2 values of `concept.valid_start_date` are not DATE" in str(refused)
        assert "2 values of `concept.valid_end_date` are not DATE" in str(refused)
    else:
        assert landed_rows(tmp_path / "t", "concept", "valid_start_date")[0] == (date(1970, 1, 1),)


def test_names_of_cdm_5_3_become_those_of_5_4(tmp_path):
    visit = {
        "visit_occurrence_id": [1],
        "person_id": [SECRET_ID],
        "visit_concept_id": [9201],
        "visit_start_date": ["2012-05-06"],
        "visit_end_date": ["2012-05-09"],
        "visit_type_concept_id": [0],
    }
    older = {
        "admitting_source_concept_id": [11],
        "admitting_source_value": ["from"],
        "discharge_to_concept_id": [12],
        "discharge_to_source_value": ["to"],
    }
    newer = ("admitted_from_concept_id", "admitted_from_source_value")
    newer += ("discharged_to_concept_id", "discharged_to_source_value")
    write_parquet(tmp_path / "s", tables(visit_occurrence={**visit, **older}))
    land(tmp_path / "s", tmp_path / "t")
    assert landed_rows(tmp_path / "t", "visit_occurrence", *newer) == [(11, "from", 12, "to")]
    # MIMIC declares 5.3 and has 5.4's names: the newer one wins where both stand.
    both = {**visit, **older, "admitted_from_concept_id": [99]}
    write_parquet(tmp_path / "both", tables(visit_occurrence=both))
    land(tmp_path / "both", tmp_path / "u")
    assert landed_rows(tmp_path / "u", "visit_occurrence", "admitted_from_concept_id") == [(99,)]


def test_absent_optional_tables_land_empty_with_all_their_columns(tmp_path):
    landed = land(write_parquet(tmp_path / "s", TABLES), tmp_path / "t")
    assert landed.absent == sorted(set(LANDED) - set(TABLES))
    for table in landed.absent:
        assert described(tmp_path / "t", table) == specified()[table]
        assert (landed.rows[table], landed_rows(tmp_path / "t", table, "count(*)")) == (0, [(0,)])


def test_absent_optional_columns_land_as_nulls_of_their_type(tmp_path):
    land(write_parquet(tmp_path / "s", TABLES), tmp_path / "t")
    assert described(tmp_path / "t", "condition_occurrence") == specified()["condition_occurrence"]
    assert landed_rows(tmp_path / "t", "condition_occurrence", "count(visit_occurrence_id)") == [(0,)]


def test_columns_and_files_that_no_table_has_are_left_out_and_named(tmp_path):
    source = write_parquet(tmp_path / "s", tables(person={"shoe_size": [40, 41]}))
    (source / "readme.txt").write_text("hello", encoding="utf-8")
    (source / "__MACOSX").mkdir()
    landed = land(source, tmp_path / "t")
    assert described(tmp_path / "t", "person") == specified()["person"]
    assert landed.unknown == ["readme.txt"]


@pytest.mark.parametrize("schema", ["main", "Cdm"])
def test_a_duckdb_file_is_read_from_any_schema(tmp_path, schema):
    with duckdb.connect(str(tmp_path / "source.duckdb")) as connection:
        connection.execute(f'create schema if not exists "{schema}"')
        for name, rows in TABLES.items():
            connection.execute(f'create table "{schema}"."{name.upper()}" as {sql_values(rows, {})}')
        connection.execute("create table notebook as select 1 as x")
    land(tmp_path / "source.duckdb", tmp_path / "t")
    land(write_parquet(tmp_path / "s", TABLES), tmp_path / "u")
    assert manifest(tmp_path / "t") == manifest(tmp_path / "u")


@pytest.mark.parametrize("name", ["O'Brien", "a [1]", "a * b", "é"])
def test_a_folder_of_any_name_is_read_and_written(tmp_path, name):
    write_parquet(tmp_path / "s", TABLES)
    shutil.move(tmp_path / "s", tmp_path / name)
    landed = land(tmp_path / name, tmp_path / f"{name} landed")
    assert landed.rows["person"] == 2


def test_a_new_landing_replaces_the_old_one_whole(tmp_path):
    land(write_parquet(tmp_path / "first", TABLES), tmp_path / "t")
    land(write_parquet(tmp_path / "second", tables(death={"person_id": [1], "death_date": ["2019-01-01"]})),
         tmp_path / "t")  # fmt: skip
    assert landed_rows(tmp_path / "t", "death", "person_id") == [(1,)]


def test_the_same_source_lands_as_the_same_bytes(tmp_path):
    source = write_parquet(tmp_path / "s", TABLES)
    for target in ("t", "u"):
        land(source, tmp_path / target)
    assert manifest(tmp_path / "t") == manifest(tmp_path / "u")
    assert len(manifest(tmp_path / "t")) == len(LANDED)


def test_the_content_key_is_names_and_bytes_and_the_fingerprint_also_times(tmp_path):
    source = write_parquet(tmp_path / "s", TABLES)
    shutil.copytree(source, tmp_path / "copy")
    key, fingerprint = content_key(source), source_fingerprint(source)
    assert content_key(tmp_path / "copy") == key
    (source / "notes.txt").write_text("not read", encoding="utf-8")
    assert (content_key(source), source_fingerprint(source)) == (key, fingerprint)
    person = source / "person.parquet"
    os.utime(person, ns=(1, 1))
    assert content_key(source) == key
    assert source_fingerprint(source) != fingerprint
    damaged = bytearray(person.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    person.write_bytes(bytes(damaged))
    assert content_key(source) != key
    person.write_bytes((tmp_path / "copy" / "person.parquet").read_bytes())
    person.rename(source / "PERSON.parquet")
    assert content_key(source) == key
    (source / "PERSON.parquet").rename(source / "death.parquet")
    assert content_key(source) != key
