"""From a block's records to the tables of OMOP CDM 5.4, as Arrow."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ml.cdm import cdm_tables
from ml.simulator.care import COURSE_DAYS, SUPPLY_DAYS
from ml.simulator.concepts import ancestors, codes, concepts
from ml.simulator.enrolment import LAST_DAY
from ml.simulator.notes import Notes
from ml.simulator.processes import CONDITIONS, DRUGS, INDEX
from ml.simulator.records import TRANSFERRED, Coded, Records
from ml.simulator.world import Block

BILLED, RECORDED, NOTE_CLASS, ENCODING, ENGLISH = (2_000_000_000 + k for k in (10, 11, 12, 13, 14))
MALE, FEMALE, NO_RACE, NOT_HISPANIC = 8507, 8532, 0, 38003564
_TYPES = {
    "BIGINT": pa.int64(),
    "VARCHAR": pa.string(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "DOUBLE": pa.float64(),
}
UNITS = {
    "hba1c": (8554, "%"),
    "creatinine": (8840, "mg/dL"),
    "systolic": (8876, "mm[Hg]"),
    "bmi": (9531, "kg/m2"),
    "hemoglobin": (8713, "g/dL"),
    "glucose": (8840, "mg/dL"),
    "ldl": (8840, "mg/dL"),
    "heart_rate": (8541, "/min"),
    "potassium": (8753, "mmol/L"),
    "nt_pro_bnp": (8845, "pg/mL"),
}
_ACUTE_DAYS = 14
_COURSES = ("ibuprofen", "naproxen", "diclofenac", "celecoxib", "prednisone", "acetaminophen")


def schema(table: str) -> pa.Schema:
    """Return the Arrow schema of a CDM table."""
    return pa.schema([(column.name, _TYPES[column.type]) for column in cdm_tables()[table]])


def arrow(table: str, columns: dict[str, object], rows: int) -> pa.Table:
    """Return a CDM table of `rows` rows; columns not given are null, one value stands for all rows."""
    unknown = set(columns) - set(schema(table).names)
    assert not unknown, f"{table} has no column {sorted(unknown)}"
    arrays = []
    for name, kind in zip(schema(table).names, schema(table).types, strict=True):
        given = columns.get(name)
        if given is None:
            arrays.append(pa.nulls(rows, kind))
        elif isinstance(given, np.ndarray):
            if kind == pa.date32():
                given = given.astype(np.int32)
            missing = np.isnan(given) if given.dtype.kind == "f" else None
            arrays.append(pa.array(given, type=kind, mask=missing))
        elif isinstance(given, list | pa.Array):
            arrays.append(given if isinstance(given, pa.Array) else pa.array(given, type=kind))
        else:
            arrays.append(pa.repeat(pa.scalar(given, type=kind), rows))
    return pa.Table.from_arrays(arrays, schema=schema(table))


@dataclass
class Numbers:
    """How many persons and rows earlier blocks have written; row ids go on from there."""

    persons: int = 0
    rows: dict[str, int] = field(default_factory=dict)

    def take(self, table: str, size: int) -> np.ndarray:
        """Return the next `size` ids of a table, int64, from 1."""
        begun = self.rows.get(table, 0)
        self.rows[table] = begun + size
        return np.arange(begun + 1, begun + size + 1, dtype=np.int64)


def block_tables(block: Block, coded: Coded, notes: Notes, numbers: Numbers) -> dict[str, pa.Table]:
    """Return the clinical tables of a block; `numbers` moves on."""
    n = len(block.persons.start)
    person = np.arange(numbers.persons + 1, numbers.persons + n + 1, dtype=np.int64)
    numbers.persons += n
    last = block.persons.start + block.last_day
    visit = numbers.take("visit_occurrence", len(coded.visits.row))
    return {
        "person": _person(block, person),
        "observation_period": _observation_period(block, person, last, numbers),
        "visit_occurrence": _visit(coded, person, visit),
        "condition_occurrence": _condition(coded, person, last, visit, numbers),
        "drug_exposure": _drug(coded, person, visit, numbers),
        "procedure_occurrence": _procedure(coded, person, visit, numbers),
        "measurement": _measurement(coded, person, visit, numbers),
        "observation": _observation(coded, person, visit, numbers),
        "death": _death(block, person, last),
        "note": _note(notes, person, visit, numbers),
    }


def _person(block: Block, person: np.ndarray) -> pa.Table:
    born = block.persons.birth.astype("datetime64[D]")
    month = born.astype("datetime64[M]")
    columns = {
        "person_id": person,
        "gender_concept_id": np.where(block.persons.female > 0, FEMALE, MALE),
        "year_of_birth": born.astype("datetime64[Y]").astype(np.int64) + 1970,
        "month_of_birth": month.astype(np.int64) % 12 + 1,
        "day_of_birth": (born - month).astype(np.int64) + 1,
        "race_concept_id": NO_RACE,
        "ethnicity_concept_id": NOT_HISPANIC,
    }
    return arrow("person", columns, len(person))


def _observation_period(block: Block, person: np.ndarray, last: np.ndarray, numbers: Numbers) -> pa.Table:
    columns = {
        "observation_period_id": numbers.take("observation_period", len(person)),
        "person_id": person,
        "observation_period_start_date": block.persons.start,
        "observation_period_end_date": last,
        "period_type_concept_id": RECORDED,
    }
    return arrow("observation_period", columns, len(person))


def _visit(coded: Coded, person: np.ndarray, visit: np.ndarray) -> pa.Table:
    visits = coded.visits
    columns = {
        "visit_occurrence_id": visit,
        "person_id": person[visits.row],
        "visit_concept_id": visits.concept,
        "visit_start_date": visits.start,
        "visit_end_date": visits.end,
        "visit_type_concept_id": RECORDED,
        "discharged_to_concept_id": pa.array(visits.transferred * TRANSFERRED, mask=~visits.transferred),
    }
    return arrow("visit_occurrence", columns, len(visit))


def _common(
    table: str, records: Records, person: np.ndarray, visit: np.ndarray, numbers: Numbers
) -> dict[str, object]:
    place = np.where(records.visit >= 0, visit[records.visit] if len(visit) else 0, 0)
    return {
        f"{table}_id": numbers.take(table, len(records.row)),
        "person_id": person[records.row],
        "visit_occurrence_id": pa.array(place, type=pa.int64(), mask=records.visit < 0),
    }


def _condition(
    coded: Coded, person: np.ndarray, last: np.ndarray, visit: np.ndarray, numbers: Numbers
) -> pa.Table:
    records = coded.tables["condition_occurrence"]
    acute = np.array([process.again for process in CONDITIONS], dtype=bool)
    numbered = (records.process >= 0) & (records.process < len(CONDITIONS))
    ends = np.where(numbered, acute[np.minimum(records.process, len(acute) - 1)], False)
    ends |= np.isin(records.process, [INDEX["admission"], INDEX["second_stay"]])
    end = np.minimum(records.day + _ACUTE_DAYS, last[records.row]).astype(np.int32)
    columns = _common("condition_occurrence", records, person, visit, numbers) | {
        "condition_concept_id": records.concept,
        "condition_start_date": records.day,
        "condition_end_date": pa.array(end, type=pa.int32(), mask=~ends).cast(pa.date32()),
        "condition_type_concept_id": BILLED,
    }
    return arrow("condition_occurrence", columns, len(records.row))


def _drug(coded: Coded, person: np.ndarray, visit: np.ndarray, numbers: Numbers) -> pa.Table:
    records = coded.tables["drug_exposure"]
    supply = np.full(len(DRUGS), SUPPLY_DAYS)
    for name in _COURSES:
        supply[INDEX[name] - INDEX[DRUGS[0].name]] = COURSE_DAYS
    # The supply as handed out: not cut at the end of observation, which nobody knew when it was written down.
    days = supply[records.process - INDEX[DRUGS[0].name]]
    columns = _common("drug_exposure", records, person, visit, numbers) | {
        "drug_concept_id": records.concept,
        "drug_exposure_start_date": records.day,
        "drug_exposure_end_date": records.day + days - 1,
        "drug_type_concept_id": RECORDED,
        "days_supply": days,
    }
    return arrow("drug_exposure", columns, len(records.row))


def _procedure(coded: Coded, person: np.ndarray, visit: np.ndarray, numbers: Numbers) -> pa.Table:
    records = coded.tables["procedure_occurrence"]
    columns = _common("procedure_occurrence", records, person, visit, numbers) | {
        "procedure_concept_id": records.concept,
        "procedure_date": records.day,
        "procedure_type_concept_id": BILLED,
    }
    return arrow("procedure_occurrence", columns, len(records.row))


def _measurement(coded: Coded, person: np.ndarray, visit: np.ndarray, numbers: Numbers) -> pa.Table:
    records = coded.tables["measurement"]
    known = sorted((int(codes(name).concept_ids[0]), *unit) for name, unit in UNITS.items())
    at = np.searchsorted(np.array([concept for concept, _, _ in known]), records.concept)
    unit = np.array([unit for _, unit, _ in known])[at]
    symbol = pa.DictionaryArray.from_arrays(
        pa.array(at, pa.int32()), pa.array([text for _, _, text in known])
    )
    columns = _common("measurement", records, person, visit, numbers) | {
        "measurement_concept_id": records.concept,
        "measurement_date": records.day,
        "measurement_type_concept_id": RECORDED,
        "value_as_number": records.value,
        "unit_concept_id": unit,
        "unit_source_value": symbol.cast(pa.string()),
    }
    return arrow("measurement", columns, len(records.row))


def _observation(coded: Coded, person: np.ndarray, visit: np.ndarray, numbers: Numbers) -> pa.Table:
    records = coded.tables["observation"]
    columns = _common("observation", records, person, visit, numbers) | {
        "observation_concept_id": records.concept,
        "observation_date": records.day,
        "observation_type_concept_id": RECORDED,
    }
    return arrow("observation", columns, len(records.row))


def _death(block: Block, person: np.ndarray, last: np.ndarray) -> pa.Table:
    columns = {
        "person_id": person[block.died],
        "death_date": last[block.died],
        "death_type_concept_id": RECORDED,
    }
    return arrow("death", columns, int(block.died.sum()))


def _note(notes: Notes, person: np.ndarray, visit: np.ndarray, numbers: Numbers) -> pa.Table:
    columns = {
        "note_id": numbers.take("note", len(notes.row)),
        "person_id": person[notes.row],
        "note_date": notes.day,
        "note_type_concept_id": RECORDED,
        "note_class_concept_id": NOTE_CLASS,
        "note_title": notes.title,
        "note_text": notes.text,
        "encoding_concept_id": ENCODING,
        "language_concept_id": ENGLISH,
        "visit_occurrence_id": visit[notes.visit],
    }
    return arrow("note", columns, len(notes.row))


def vocabulary_tables() -> dict[str, pa.Table]:
    """Return the vocabulary and the description of the source: the same for every world."""
    rows = concepts()
    start, end = np.datetime64("1970-01-01").astype(np.int32), np.datetime64("2099-12-31").astype(np.int32)
    concept = {
        name: pa.array([getattr(row, name) or None for row in rows])
        for name in (
            "concept_name",
            "domain_id",
            "vocabulary_id",
            "concept_class_id",
            "standard_concept",
            "concept_code",
        )
    } | {
        "concept_id": np.array([row.concept_id for row in rows]),
        "valid_start_date": np.full(len(rows), start),
        "valid_end_date": np.full(len(rows), end),
    }
    links = np.array(ancestors(), dtype=np.int64)
    names = schema("concept_ancestor").names
    vocabularies = sorted({row.vocabulary_id for row in rows})
    source = {
        "cdm_source_name": ["Simulated world of Second Opinion"],
        "cdm_source_abbreviation": ["simulated"],
        "cdm_holder": ["Second Opinion"],
        "source_description": [
            "Simulated persons. Disease rates are raised on purpose; no real person is in it."
        ],
        "source_release_date": np.array([LAST_DAY.astype(np.int32)]),
        "cdm_release_date": np.array([LAST_DAY.astype(np.int32)]),
        "cdm_version": ["5.4"],
        "vocabulary_version": ["simulated"],
    }
    return {
        "concept": arrow("concept", concept, len(rows)),
        "concept_ancestor": arrow(
            "concept_ancestor", {name: links[:, column] for column, name in enumerate(names)}, len(links)
        ),
        "concept_relationship": arrow("concept_relationship", {}, 0),
        "vocabulary": arrow(
            "vocabulary",
            {"vocabulary_id": vocabularies, "vocabulary_name": vocabularies, "vocabulary_concept_id": 0},
            len(vocabularies),
        ),
        "cdm_source": arrow("cdm_source", source, 1),
    }
