"""What es-aces needs of the inputs: a MEDS file with every event, and the predicates of dhf_1y.

MEDS gives an event one time. An event has two days here, when it happened and when it was known, so that
the events that dhf_1y reads by the second day are written twice. Observation periods, the 18th birthday and
the end of the data are events too, since es-aces knows neither periods nor calendar ages nor calendar dates.
What ends with a day ends in its last second.

    python -m benchmarks.labels.meds INPUTS FOLDER
"""

import json
import sys
from pathlib import Path

import duckdb

SETS = {"diabetes": "type_2_diabetes", "heart_failure": "heart_failure"}
CODES = {
    "death": "MEDS_DEATH",
    "death_known": "KNOWN//MEDS_DEATH",
    "adult": "BIRTHDAY//18",
    "period_start": "OBSERVATION_PERIOD_START",
    "period_end": "OBSERVATION_PERIOD_END",
    "data_end": "DATA_END",
}
ROWS = """
with condition as (
    select person_id, concept_id, available_date
    from clinical_event
    where domain = 'Condition' and concept_id in (from members)
), death as (
    select
        person_id,
        arg_min(event_date, (event_date, available_date)) as death,
        arg_min(available_date, (event_date, available_date)) as death_known
    from clinical_event
    where domain = 'Death'
    group by person_id
), birthday as (
    select
        person_id,
        case
            when strftime(birth_date, '%m%d') = '0229' then make_date(year(birth_date) + 18, 3, 1)
            else make_date(year(birth_date) + 18, month(birth_date), day(birth_date))
        end as day
    from person
    where birth_date is not null
), dated as (
    select person_id, event_date::timestamp as time, domain || '//' || concept_id as code, value_as_number
    from clinical_event
    where domain <> 'Death'
    union all
    select person_id, available_date::timestamp, 'KNOWN//Condition//' || concept_id, null from condition
    union all
    select person_id, death::timestamp, $death, null from death
    union all
    select person_id, death_known::timestamp, $death_known, null from death
    union all
    select person_id, birth_date::timestamp, 'MEDS_BIRTH', null from person where birth_date is not null
    union all
    select person_id, day::timestamp, $adult, null from birthday
    union all
    select person_id, observation_period_start_date::timestamp, $period_start, null from observed_period
    union all
    select person_id, observation_period_end_date + time '23:59:59', $period_end, null from observed_period
    union all
    select person_id, max(data_end) + time '23:59:59', $data_end, null
    from person, (select max(observation_period_end_date) as data_end from observed_period)
    group by person_id
)
select person_id as subject_id, time, code, value_as_number::float as numeric_value
from dated
{where}
order by subject_id, time, code
"""


def write_meds(inputs: Path, folder: Path) -> None:
    """Write `all.parquet`, `needed.parquet` (only rows that a predicate reads) and `predicates.yaml`."""
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config={"threads": 2, "memory_limit": "2GB"}) as connection:
        connection.execute(f"set temp_directory = '{folder}/tmp'")
        for table in ("clinical_event", "person", "observed_period", "concept_set_member"):
            connection.execute(f"create view {table} as from '{inputs / table}.parquet'")
        predicates = _predicates(connection)
        connection.execute(
            "create view members as select concept_id from concept_set_member"
            f" where concept_set in {tuple(SETS.values())}"
        )
        read = ", ".join(f"'{code}'" for predicate in predicates.values() for code in _codes(predicate))
        for name, where in (("all", ""), ("needed", f"where code in ({read})")):
            connection.execute(f"copy ({ROWS.format(where=where)}) to '{folder / name}.parquet'", CODES)
    # JSON is YAML
    (folder / "predicates.yaml").write_text(
        json.dumps({"predicates": predicates}, indent=1), encoding="utf-8"
    )


def _predicates(connection: duckdb.DuckDBPyConnection) -> dict[str, dict]:
    predicates: dict[str, dict] = {name: {"code": code} for name, code in CODES.items()}
    for name, concept_set in SETS.items():
        ids = connection.execute(
            "select concept_id from concept_set_member where concept_set = ? order by concept_id",
            [concept_set],
        ).fetchall()
        predicates[f"{name}_known"] = {"code": {"any": [f"KNOWN//Condition//{i}" for (i,) in ids]}}
        predicates[name] = {"code": {"any": [f"Condition//{i}" for (i,) in ids]}}
    del predicates["diabetes"]  # when it happened is not asked
    predicates["first_stop"] = {"expr": "or(heart_failure, death, period_end)"}
    return predicates


def _codes(predicate: dict) -> list[str]:
    code = predicate.get("code", [])
    return [code] if isinstance(code, str) else code["any"] if code else []


if __name__ == "__main__":
    write_meds(Path(sys.argv[1]), Path(sys.argv[2]))
