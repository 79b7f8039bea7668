"""The catalogue of leaks: what holds each, or why nothing does; rows of `catalogue.csv`."""

import csv
from dataclasses import dataclass
from pathlib import Path

PATH = Path(__file__).with_name("catalogue.csv")


@dataclass(frozen=True)
class Leak:
    """One kind of leak.

    Attributes:
        id: L01 to L39.
        mechanism: how it comes about.
        held_by: names of checks.
        how: what a failure of each does (`blocks`, `signed_off_or_blocks`, `warns`); of a leak without
            a check one word, `impossible` or `outside`.
        why: what stands beside the checks, or why there is none.
    """

    id: str
    mechanism: str
    held_by: tuple[str, ...]
    how: tuple[str, ...]
    why: str


def read_catalogue() -> tuple[Leak, ...]:
    """Return the catalogue in order of id."""
    with PATH.open(newline="", encoding="utf-8") as file:
        return tuple(
            Leak(
                row["id"],
                row["mechanism"],
                tuple(row["held_by"].split(";")) if row["held_by"] else (),
                tuple(row["how"].split(";")),
                row["why"],
            )
            for row in csv.DictReader(file)
        )


def signable_checks() -> tuple[str, ...]:
    """Return the checks that a study may sign off, by name."""
    named = {
        check
        for leak in read_catalogue()
        for check, how in zip(leak.held_by, leak.how, strict=False)
        if how == "signed_off_or_blocks"
    }
    return tuple(sorted(named))
