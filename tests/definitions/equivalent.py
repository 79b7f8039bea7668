"""Mutants that no world can kill, each with the reason; read from `equivalent_mutants.csv`."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from definitions.mutants import Mutant

FILE = Path(__file__).with_name("equivalent_mutants.csv")


@dataclass(frozen=True)
class Argument:
    """Why mutants of one place change no result; empty fields match all, `templates` empty means every one."""

    model: str
    cte: str
    operator: str
    before: str
    after: str
    templates: str
    argument: str

    def covers(self, mutant: Mutant, template: str) -> bool:
        """Whether the mutant is of this place; `before` and `after` are fragments of the mutated SQL."""
        return (
            self.model == mutant.model
            and self.cte in ("*", mutant.cte)
            and self.operator in ("", mutant.operator)
            and self.before in mutant.before
            and self.after in mutant.after
            and (not self.templates or template in self.templates.split())
        )


def read_arguments() -> tuple[Argument, ...]:
    """Return the arguments in the order of the file."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return tuple(Argument(**row) for row in csv.DictReader(file, strict=True))


def argued(arguments: Sequence[Argument], mutant: Mutant, template: str) -> Argument | None:
    """Return the argument that covers a mutant of a template, if there is one."""
    return next((argument for argument in arguments if argument.covers(mutant, template)), None)
