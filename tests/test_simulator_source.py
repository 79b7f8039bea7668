"""The written source: bytes, blocks, periods, deaths, stays, columns, concepts, notes."""

import hashlib
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from ml.cdm import cdm_tables
from ml.simulator.concepts import FIRST_LOCAL_ID, ancestors, concepts
from ml.simulator.source import EVENTS_FILE, PERSONS_FILE, write_source
from ml.simulator.tables import schema

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
PERSONS = 600
DATED = {
    "visit_occurrence": "visit_start_date",
    "condition_occurrence": "condition_start_date",
    "drug_exposure": "drug_exposure_start_date",
    "procedure_occurrence": "procedure_date",
    "measurement": "measurement_date",
    "observation": "observation_date",
    "note": "note_date",
}


def write(folder: Path, *, persons: int = PERSONS, seed: int = 3, block_persons: int = 300) -> Path:
    write_source(folder / "cdm", folder / "world", persons=persons, seed=seed, block_persons=block_persons)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("simulated"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the first block of `folder`, written alone."""
    return write(tmp_path_factory.mktemp("alone"), persons=300)


@pytest.fixture(scope="module")
def con(folder: Path) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(config={"threads": 1})
    for path in (folder / "cdm").glob("*.parquet"):
        con.execute(f"create view {path.stem} as from read_parquet('{path}')")
    return con


def count(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    rows = con.execute(sql).fetchall()
    return int(rows[0][0])


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(alone: Path, tmp_path: Path) -> None:
    mine = digests(alone)
    assert mine == digests(write(tmp_path / "again", persons=300))
    other = digests(write(tmp_path / "other", persons=300, seed=4))
    changed = {name for name in mine if mine[name] != other[name]}
    clinical = {f"cdm/{table}.parquet" for table in (*DATED, "person", "observation_period", "death")}
    assert changed == clinical | {f"world/{name}" for name in ("world.json", PERSONS_FILE, EVENTS_FILE)}


def test_a_block_does_not_depend_on_the_other_blocks(folder: Path, alone: Path) -> None:
    for table in (*DATED, "person", "observation_period", "death"):
        whole = pq.read_table(folder / "cdm" / f"{table}.parquet")
        part = pq.read_table(alone / "cdm" / f"{table}.parquet")
        assert part.num_rows > 0
        assert whole.slice(0, part.num_rows).equals(part), table
        assert whole["person_id"].to_numpy()[part.num_rows :].min() > 300, table


def test_tables_have_the_columns_and_types_of_the_model(folder: Path) -> None:
    written = {path.stem for path in (folder / "cdm").glob("*.parquet")}
    assert written == set(cdm_tables())
    for table, columns in cdm_tables().items():
        found = pq.read_table(folder / "cdm" / f"{table}.parquet")
        assert found.schema.equals(schema(table)), table
        for column in columns:
            if column.required:
                assert found[column.name].null_count == 0, (table, column.name)


def test_row_ids_are_unique(con: duckdb.DuckDBPyConnection) -> None:
    for table in ("person", "observation_period", *DATED):
        rows = count(con, f"select count(*) from {table}")
        assert count(con, f"select count(distinct {table}_id) from {table}") == rows > 0


def test_nothing_is_recorded_outside_the_observation_period_or_after_death(
    con: duckdb.DuckDBPyConnection,
) -> None:
    for table, day in DATED.items():
        outside = f"""select count(*) from {table} join observation_period p using (person_id)
            left join death using (person_id)
            where {day} < p.observation_period_start_date or {day} > p.observation_period_end_date
            or {day} > death_date"""
        assert count(con, outside) == 0, table
    wrong = """select count(*) from death join observation_period using (person_id)
        where death_date <> observation_period_end_date"""
    assert count(con, wrong) == 0
    assert count(con, "select count(*) from death") > 30


def test_one_period_a_person_and_nobody_is_a_child(con: duckdb.DuckDBPyConnection) -> None:
    assert count(con, "select count(*) from observation_period") == PERSONS
    young = """select count(*) from person join observation_period using (person_id)
        where observation_period_start_date < make_date(year_of_birth + 18, month_of_birth, 1)"""
    assert count(con, young) == 0


def test_stays_end_within_the_period_and_do_not_overlap(con: duckdb.DuckDBPyConnection) -> None:
    long = """select count(*) from visit_occurrence
        where visit_concept_id = 9201 and visit_end_date > visit_start_date"""
    assert count(con, long) > 100
    wrong = """select count(*) from visit_occurrence join observation_period using (person_id)
        where visit_end_date < visit_start_date or visit_end_date > observation_period_end_date"""
    assert count(con, wrong) == 0
    overlap = """select count(*) from visit_occurrence a join visit_occurrence b using (person_id)
        where a.visit_concept_id in (9201, 262) and a.visit_occurrence_id <> b.visit_occurrence_id
        and b.visit_start_date between a.visit_start_date and a.visit_end_date and {}"""
    assert count(con, overlap.format("true")) > 0
    # A visit to the emergency room on the day of the admission, and nothing else.
    before = (
        "b.visit_concept_id = 9203 and b.visit_end_date = a.visit_start_date and a.visit_concept_id = 9201"
    )
    assert count(con, overlap.format(f"not ({before})")) == 0


def test_linked_records_lie_within_their_visit_of_the_same_person(con: duckdb.DuckDBPyConnection) -> None:
    for table, day in DATED.items():
        if table != "visit_occurrence":
            wrong = f"""select count(*) from {table} e join visit_occurrence v using (visit_occurrence_id)
                where {day} < v.visit_start_date or {day} > v.visit_end_date or e.person_id <> v.person_id"""
            assert count(con, wrong) == 0, table
            linked = f"select count(*) from {table} join visit_occurrence using (visit_occurrence_id)"
            assert count(con, linked) > 0, table
    unlinked = "select count(*) from condition_occurrence where visit_occurrence_id is null"
    assert count(con, unlinked) == 0


def test_no_drug_is_recorded_inside_a_stay_before_its_end(con: duckdb.DuckDBPyConnection) -> None:
    inside = """select count(*) from drug_exposure d join visit_occurrence v using (person_id)
        where v.visit_concept_id = 9201
        and drug_exposure_start_date >= v.visit_start_date and drug_exposure_start_date < v.visit_end_date"""
    assert count(con, inside) == 0


def test_every_concept_that_is_used_has_a_row_of_its_domain(con: duckdb.DuckDBPyConnection) -> None:
    domains = {
        "condition_occurrence.condition_concept_id": "Condition",
        "drug_exposure.drug_concept_id": "Drug",
        "procedure_occurrence.procedure_concept_id": "Procedure",
        "measurement.measurement_concept_id": "Measurement",
        "observation.observation_concept_id": "Observation",
        "measurement.unit_concept_id": "Unit",
        "visit_occurrence.visit_concept_id": "Visit",
        "person.gender_concept_id": "Gender",
        "condition_occurrence.condition_type_concept_id": "Type Concept",
        "measurement.measurement_type_concept_id": "Type Concept",
        "note.note_type_concept_id": "Type Concept",
    }
    for column, domain in domains.items():
        table, name = column.split(".")
        wrong = f"""select count(*) from {table} e left join concept c on c.concept_id = e.{name}
            where c.domain_id is distinct from '{domain}'"""
        assert count(con, wrong) == 0, column


def test_concepts_have_the_names_and_domains_of_sources_that_others_wrote() -> None:
    if not SHARED.is_dir():
        pytest.skip("../shared/data is absent: nothing to compare concepts with")
    theirs: dict[int, set[tuple[str, str, str]]] = {}
    for path in sorted(SHARED.glob("*/concept.parquet")):
        columns = ["concept_id", "concept_name", "domain_id", "concept_code"]
        for row in pq.read_table(path, columns=columns).to_pylist():
            named = (row["concept_name"], row["domain_id"], row["concept_code"])
            theirs.setdefault(int(row["concept_id"]), set()).add(named)
    shared = [concept for concept in concepts() if concept.concept_id in theirs]
    assert len(shared) > 100
    for concept in shared:
        named = (concept.concept_name, concept.domain_id, concept.concept_code)
        assert named in theirs[concept.concept_id], concept.concept_id
    # Named in the notes on OMOP and on models, absent from both sources.
    elsewhere = {201820, 319835, 46271022, 4180793, 199754, 316866, 312327, 314666}
    # Numbers from the same notes, which say what they are and not what they are called.
    elsewhere |= {262, 201254, 195771, 4058243, 443732, 376065, 4129886, 21600744}
    local = {concept.concept_id for concept in concepts() if concept.concept_id >= FIRST_LOCAL_ID}
    assert {concept.concept_id for concept in concepts()} == {
        c.concept_id for c in shared
    } | elsewhere | local
    assert all(c.vocabulary_id == "Simulated" for c in concepts() if c.concept_id in local)


def test_every_concept_is_its_own_ancestor_and_cancers_are_cancers() -> None:
    links = {(above, below): levels for above, below, *levels in ancestors()}
    assert all(links[concept.concept_id, concept.concept_id] == [0, 0] for concept in concepts())
    assert links[2000000005, 4180793] == [2, 2]
    assert links[316139, 4229440] == [2, 2]
    assert links[4329847, 312327] == links[4329847, 314666] == [1, 1]
    assert (312327, 314666) not in links
    assert (4180793, 2000000005) not in links


def test_some_values_are_missing_and_no_value_is_outlandish(con: duckdb.DuckDBPyConnection) -> None:
    missing = count(con, "select count(*) from measurement where value_as_number is null")
    rows = count(con, "select count(*) from measurement")
    assert 0 < missing < 0.02 * rows
    # A natriuretic peptide has no upper end worth the name.
    beyond = """select count(*) from measurement
        where value_as_number <= 0 or value_as_number > 400 and measurement_concept_id <> 3029187"""
    assert count(con, beyond) == 0


def test_a_note_names_only_diagnoses_recorded_at_its_visit(con: duckdb.DuckDBPyConnection) -> None:
    said = con.execute("select visit_occurrence_id, note_text from note").fetchall()
    named = con.execute(
        """select visit_occurrence_id, list(distinct concept_name) from condition_occurrence
        join concept on concept_id = condition_concept_id group by 1"""
    ).fetchall()
    recorded = {visit: set(names) for visit, names in named}
    with_diagnoses = 0
    for visit, text in said:
        if "Diagnoses: " in text:
            names = text.split("Diagnoses: ")[1].split(". Measured")[0].rstrip(".").split("; ")
            assert set(names) == {name.rstrip(".") for name in recorded[visit]}
            with_diagnoses += 1
        else:
            assert visit not in recorded
    assert with_diagnoses > 100


def test_rare_codes_are_rare_and_share_an_ancestor_that_names_them(con: duckdb.DuckDBPyConnection) -> None:
    per_code = con.execute(
        """select ancestor_concept_id, descendant_concept_id, count(distinct person_id) from concept_ancestor
        left join condition_occurrence on condition_concept_id = descendant_concept_id
        where ancestor_concept_id between 2000000021 and 2000000025
        and descendant_concept_id <> ancestor_concept_id group by all"""
    ).fetchall()
    for group in range(2000000021, 2000000026):
        persons = [found for above, _, found in per_code if above == group]
        assert len(persons) >= 100
        assert max(persons) >= 4
        assert sum(found <= 1 for found in persons) >= 30


def test_fewer_than_one_person_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Cannot simulate 0 persons"):
        write_source(tmp_path / "cdm", tmp_path / "world", persons=0, seed=1)
