"""A cut by hand: what the firebreak would write of a few events, for the tests of the input views."""

from pathlib import Path

import duckdb

EVENT = {
    "example_id": "varchar",
    "event_no": "bigint",
    "event_id": "bigint",
    "concept_id": "bigint",
    "concept_name": "varchar",
    "domain": "varchar",
    "days_before": "integer",
    "visit_no": "integer",
    "value_as_number": "double",
    "unit_name": "varchar",
    "value_as_concept_id": "bigint",
    "value_name": "varchar",
}
EXAMPLE = {
    "example_id": "varchar",
    "person_id": "bigint",
    "index_date": "timestamp",
    "split": "varchar",
    "y_true": "integer",
    "age": "integer",
    "sex": "varchar",
    "n_events": "integer",
}


def write_cut(
    folder: Path,
    events: list[tuple],
    people: list[tuple] = (("e1", 63, "female"),),
    *,
    results: dict[int, tuple[int, str]] | None = None,
    splits: dict[str, str] | None = None,
    ancestors: list[tuple[int, int]] = (),
) -> Path:
    """Events as (example, no, concept, name, domain, days, value, unit, visit); `results` by event number."""
    rows = []
    for example, no, concept, name, domain, days, value, unit, visit in sorted(events, key=lambda e: e[:2]):
        result = (results or {}).get(no, (None, None))
        rows.append((example, no, no * 11, concept, name, domain, days, visit, value, unit, *result))
    n = {example: sum(event[0] == example for event in events) for example, _, _ in people}
    persons = [
        (example, number, "2015-01-01", (splits or {}).get(example, "train"), 0, age, sex, n[example])
        for number, (example, age, sex) in enumerate(people)
    ]
    pairs = {"concept_id": "bigint", "ancestor_concept_id": "bigint"}
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        for table, columns, values in (
            ("event", EVENT, rows),
            ("example", EXAMPLE, persons),
            ("ancestor", pairs, list(ancestors)),
        ):
            connection.execute(f"create table {table} ({', '.join(f'{n} {k}' for n, k in columns.items())})")
            if values:
                marks = ", ".join("?" * len(columns))
                connection.executemany(f"insert into {table} values ({marks})", values)
            path = str(folder / f"{table}.parquet").replace("'", "''")
            connection.execute(f"copy {table} to '{path}' (format parquet)")
    return folder
