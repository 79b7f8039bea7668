"""Mutants that no world can kill, each with the reason; read from `equivalent_mutants.csv`."""

import csv
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("equivalent_mutants.csv")


@dataclass(frozen=True)
class Argument:
    """Why a mutant changes no result, whatever the rows; all fields but the last are its name."""

    model: str
    cte: str
    operator: str
    before: str
    after: str
    number: str
    argument: str

    @property
    def name(self) -> tuple[str, str, str, str, str, int]:
        """The name of the mutant it is about."""
        return self.model, self.cte, self.operator, self.before, self.after, int(self.number)


def read_arguments() -> dict[tuple[str, str, str, str, str, int], Argument]:
    """Return the arguments by the name of the mutant."""
    with FILE.open(encoding="utf-8", newline="") as file:
        arguments = [Argument(**row) for row in csv.DictReader(file, strict=True)]
    return {argument.name: argument for argument in arguments}
