"""Landing: any OMOP source as one Parquet file a table, lower-case names, the CDM's own types."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from ml.artefact import sha256_file, sha256_json, whole_folder
from ml.cdm import EVENT_TABLES, REQUIRED_TABLES, Column, cdm_tables
from ml.in_memory import in_memory
from ml.strict import InputError

SUFFIXES = {".parquet", ".csv", ".tsv", ".txt"}
DATABASE_SUFFIXES = {".duckdb", ".db"}
# From here on a number of that type no longer tells neighbouring ids apart.
FIRST_INEXACT = {"DOUBLE": 2**53, "FLOAT": 2**24}


@dataclass(frozen=True)
class Found:
    """One table of the source: how to read it in SQL, and its columns as they stand there."""

    table: str
    relation: str
    columns: dict[str, str]  # given name -> type


@dataclass
class Landed:
    """What landing did: rows by table, tables absent or unknown, warnings in words."""

    rows: dict[str, int] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def source_files(source: Path) -> list[Path]:
    """Return the files that make up a source, in order of name.

    Raises:
        InputError: there is nothing at that path, or nothing that is read.
    """
    if source.is_file() and source.suffix.lower() in DATABASE_SUFFIXES:
        return [source]
    if source.is_dir():
        files = [file for file in sorted(source.iterdir()) if file.suffix.lower() in SUFFIXES]
        named = [file for file in files if file.is_file() and file.stem.lower() in cdm_tables()]
        if not named:
            raise _nothing_recognised(source)
        return named
    raise InputError(
        f"No OMOP source at `{source.name}`: a directory of Parquet or CSV files or a DuckDB file is needed"
        "\n\nhint: set SECOND_OPINION_SOURCE to its path"
    )


def source_fingerprint(source: Path) -> str:
    """Hash names, sizes and times of a source: cheap, for the sensor; contents are hashed on landing."""
    facts = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in source_files(source)]
    return sha256_json(facts)


def content_key(source: Path) -> str:
    """Hash the names, in any letter case, and the bytes of a source's files."""
    return sha256_json(sorted((file.name.lower(), sha256_file(file)) for file in source_files(source)))


def land(source: Path, target: Path) -> Landed:
    """Write every CDM table of `source` to `<target>/<table>.parquet`, whole or not at all.

    Optional tables that are absent land as empty ones; columns that are absent land as nulls.

    Raises:
        InputError: all faults of the source in one message: missing required tables and columns,
            values that are not of the CDM's type, headers that do not fit; counts only, no values.
    """
    with in_memory(target.parent) as connection:
        found = _find_tables(connection, source)
        faults = [*_contract_faults(found), *_unread(source)]
        if faults:
            raise _refused(source, faults)
        for name, table in found.items():
            faults.extend(_value_faults(connection, table, cdm_tables()[name]))
        if faults:
            raise _refused(source, faults)
        landed = Landed(absent=sorted(set(cdm_tables()) - set(found)), unknown=_unknown(source))
        with whole_folder(target) as folder:
            for name, columns in cdm_tables().items():
                select = _select(found[name], columns) if name in found else _empty(columns)
                path = folder / f"{name}.parquet"
                connection.execute(f"copy ({select}) to '{_quoted(path)}' (format parquet)")
                counted = connection.execute(f"select count(*) from '{_quoted(path)}'").fetchall()
                landed.rows[name] = counted[0][0]
    return landed


def _find_tables(connection: duckdb.DuckDBPyConnection, source: Path) -> dict[str, Found]:
    files = source_files(source)
    if files == [source]:
        tables = list(_database_tables(connection, source))
    else:
        tables = [_file_table(connection, file) for file in files]
    found: dict[str, Found] = {}
    for table in tables:
        if table.table in found:
            raise InputError(f"Table `{table.table}` stands twice in the source, in two spellings or formats")
        found[table.table] = table
    if not found:
        raise _nothing_recognised(source)
    return found


def _database_tables(connection: duckdb.DuckDBPyConnection, source: Path) -> Iterator[Found]:
    try:
        connection.execute(f"attach '{_quoted(source)}' as given (read_only)")
    except duckdb.Error as error:
        raise InputError(f"`{source.name}` cannot be opened as a DuckDB file: {error}") from error
    listed = connection.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = 'given'"
        " union all select schema_name, view_name from duckdb_views()"
        " where database_name = 'given' and not internal order by all"
    ).fetchall()
    for schema, name in listed:
        if name.lower() in cdm_tables():
            relation = f'given."{schema}"."{name}"'
            yield Found(name.lower(), relation, _columns(connection, relation))


def _file_table(connection: duckdb.DuckDBPyConnection, file: Path) -> Found:
    if file.suffix.lower() == ".parquet":
        relation = f"read_parquet('{_quoted(file)}')"
    else:
        relation = _csv_relation(connection, file)
    try:
        return Found(file.stem.lower(), relation, _columns(connection, relation))
    except duckdb.Error as error:
        raise InputError(f"`{file.name}` cannot be read as {file.suffix.lower()[1:]}") from error


def _csv_relation(connection: duckdb.DuckDBPyConnection, file: Path) -> str:
    """Return how to read a CSV with the names of its own header, all columns as text, nothing skipped.

    DuckDB's sniffer may take the first data row for a header; so the header is read raw and compared.
    """
    with file.open("rb") as opened:
        line = opened.readline()
    try:
        first = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"The first line of `{file.name}` is not UTF-8") from None
    delimiter = max(",\t|;", key=first.count)
    names = [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter), [])]
    known = {column.name for column in cdm_tables()[file.stem.lower()]}
    if not known & set(names):
        raise InputError(
            f"The first line of `{file.name}` is not a header: it names no column of table"
            f" `{file.stem.lower()}`\n\nhint: write the column names of the CDM as its first line"
        )
    listed = ", ".join(f"'{name.replace(chr(39), chr(39) * 2)}': 'VARCHAR'" for name in names)
    quoted, unquoted = (
        f"read_csv('{_quoted(file)}', delim = '{delimiter}', quote = '{quote}', escape = '{quote}',"
        f" header = false, skip = 1, columns = {{{listed}}}, nullstr = '', auto_detect = false,"
        " strict_mode = true, max_line_size = 100000000)"
        for quote in ('"', "")
    )
    # Athena splits by tabs and never quotes: there a quote is a character of a name.
    return unquoted if delimiter == "\t" and not _is_readable(connection, quoted) else quoted


def _is_readable(connection: duckdb.DuckDBPyConnection, relation: str) -> bool:
    try:
        connection.execute(f"select count(columns(*)) from {relation}").fetchall()
    except duckdb.Error:
        return False
    return True


def _columns(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    return {row[0]: row[1] for row in connection.execute(f"describe select * from {relation}").fetchall()}


def _contract_faults(found: dict[str, Found]) -> list[str]:
    faults = [f"required table `{name}` is missing" for name in REQUIRED_TABLES if name not in found]
    if not set(EVENT_TABLES) & set(found):
        faults.append(f"no event table; at least one of {', '.join(EVENT_TABLES)} is needed")
    for name, table in found.items():
        for column in cdm_tables()[name]:
            if column.required and _given_name(table, column) is None:
                faults.append(f"required column `{name}.{column.name}` is missing")
    return faults


def _value_faults(
    connection: duckdb.DuckDBPyConnection, table: Found, columns: tuple[Column, ...]
) -> list[str]:
    """Count, in one pass over a table, the values that are not of the CDM's type."""
    present = [(column, given) for column in columns if (given := _given_name(table, column)) is not None]
    counts = ", ".join(
        f"count(*) filter (where {_text(table, given)} is not null and {_cast(table, given, column)} is null)"
        for column, given in present
    )
    try:
        bad = connection.execute(f"select {counts} from {table.relation}").fetchall()[0]
    except duckdb.Error:
        raise InputError(
            f"Table `{table.table}` cannot be read whole: rows and header do not fit, or it is not UTF-8"
            "\n\nhint: count the columns of the header and of the rows; quote texts that hold the delimiter"
        ) from None  # DuckDB's own words show the row, and so a person
    return [
        f"{n} values of `{table.table}.{column.name}` are not {column.type}"
        for (column, _), n in zip(present, bad, strict=True)
        if n
    ]


def _given_name(table: Found, column: Column) -> str | None:
    by_lower_case = {name.lower(): name for name in table.columns}
    return by_lower_case.get(column.name) or by_lower_case.get(column.older_name or column.name)


def _text(table: Found, given: str) -> str:
    """Return the SQL of a value as it stands, empty text as null."""
    quoted = f'"{given}"'
    return f"nullif(trim({quoted}), '')" if table.columns[given] == "VARCHAR" else quoted


def _cast(table: Found, given: str, column: Column) -> str:
    """Return the SQL that turns a given value into the CDM's type, or null where it is not one."""
    value, type_given = _text(table, given), table.columns[given]
    if column.type == "VARCHAR":
        return f"cast({value} as varchar)"
    if column.type == "BIGINT" and (type_given in ("DOUBLE", "FLOAT") or type_given.startswith("DECIMAL")):
        limit = f" and abs({value}) < {FIRST_INEXACT[type_given]}" if type_given in FIRST_INEXACT else ""
        return f"case when {value} = floor({value}){limit} then try_cast({value} as bigint) end"
    if column.type == "BIGINT" and type_given == "VARCHAR":
        # '1.0' is how a spreadsheet writes a whole number; DuckDB would round '1.5' to 2.
        whole = f"regexp_extract({value}, '^([+-]?[0-9]+)([.]0+)?$', 1)"
        return f"try_cast({whole} as bigint)"
    if column.type == "DATE" and type_given == "VARCHAR":
        dashed = f"regexp_replace({value}, '^([0-9]{{4}})([0-9]{{2}})([0-9]{{2}})$', '\\1-\\2-\\3')"
        return f"cast(try_cast({dashed} as timestamp) as date)"
    if type_given == "BOOLEAN":  # how an all-null column comes; a real boolean is counted as a fault
        return f"try_cast(cast({value} as varchar) as {column.type.lower()})"
    return f"try_cast({value} as {column.type.lower()})"


def _select(table: Found, columns: tuple[Column, ...]) -> str:
    values = (
        (f"null::{column.type.lower()}" if given is None else _cast(table, given, column), column.name)
        for column in columns
        for given in [_given_name(table, column)]
    )
    return f"select {', '.join(f'{value} as {name}' for value, name in values)} from {table.relation}"


def _empty(columns: tuple[Column, ...]) -> str:
    nulls = ", ".join(f"null::{column.type.lower()} as {column.name}" for column in columns)
    return f"select {nulls} limit 0"


def _unknown(source: Path) -> list[str]:
    """Return the names of files that look like tables but are none that is read."""
    if not source.is_dir():
        return []
    files = (file for file in sorted(source.iterdir()) if file.suffix.lower() in SUFFIXES)
    return [file.name for file in files if file.stem.lower() not in cdm_tables()]


def _nothing_recognised(source: Path) -> InputError:
    return InputError(
        f"Nothing recognised in `{source.name}`: no file or table has the name of a CDM table"
        f". Allowed: {', '.join(cdm_tables())}"
    )


def _unread(source: Path) -> list[str]:
    """Return as faults what has the name of a CDM table and a form that is not read: never land it empty."""
    if not source.is_dir():
        return []
    read = set(source_files(source))
    entries = (entry for entry in sorted(source.iterdir()) if entry not in read)
    names = [entry.name for entry in entries if entry.name.split(".")[0].lower() in cdm_tables()]
    return [f"`{name}` is named like a CDM table but is no plain Parquet or CSV file" for name in names]


def _refused(source: Path, faults: list[str]) -> InputError:
    listed = "\n".join(f"  - {fault}" for fault in faults)
    return InputError(
        f"The OMOP source `{source.name}` breaks the contract in {len(faults)} places:\n{listed}"
        "\n\nhint: the columns that are read stand in ml/cdm.csv (CDM 5.4; 5.3 names are accepted)"
    )


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
