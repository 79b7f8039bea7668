"""Seeds in a folder that a test may spoil: rows as text, changed cell by cell."""

import csv
from pathlib import Path

SEEDS = Path(__file__).resolve().parent.parent / "dbt_project" / "seeds"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, table: list[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)


def matches(row: dict[str, str], where: dict[str, str]) -> bool:
    return all(row[key] == value for key, value in where.items())


def spoil(seeds: Path, file: str, where: dict[str, str], cells: dict[str, str]) -> None:
    """Change cells of the one row that `where` names."""
    table = rows(seeds / file)
    chosen = [row for row in table if matches(row, where)]
    assert len(chosen) == 1, f"{len(chosen)} rows of {file} match {where}"
    assert set(cells) <= set(chosen[0])
    chosen[0].update(cells)
    write(seeds / file, table)


def drop(seeds: Path, file: str, where: dict[str, str]) -> None:
    """Take out the rows that `where` names."""
    table = rows(seeds / file)
    kept = [row for row in table if not matches(row, where)]
    assert len(kept) < len(table)
    write(seeds / file, kept)


def add(seeds: Path, file: str, cells: dict[str, str]) -> None:
    """Add one row, empty but for `cells`."""
    table = rows(seeds / file)
    assert set(cells) <= set(table[0])
    write(seeds / file, [*table, {**dict.fromkeys(table[0], ""), **cells}])
