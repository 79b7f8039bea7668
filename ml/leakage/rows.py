"""A leakage check, what it finds, and the row that the check table gets: counts and words, no patient."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ml.leakage.shown import Shown
from ml.task_definition import Task

How = Literal["blocks", "signed_off_or_blocks", "warns"]
Stage = Literal["inputs", "scores"]
BROKEN = " The design of this task breaks it: it is listed and does not block."


@dataclass(frozen=True)
class Finding:
    """What a check found in one place.

    Attributes:
        looked_at: rows; 0 is no pass.
        found: violations; of an alarm 1 if it fired, else 0.
        note: the statistic, the view or the split in words; never an id, a date or a text.
        cannot_see: what could not be seen this time, as the smallest effect at this number of rows.
        arm: whose scores were looked at, where that is one arm's.
    """

    looked_at: int
    found: int
    note: str = ""
    cannot_see: str = ""
    arm: str = ""


@dataclass(frozen=True)
class LeakRow:
    """One row of the check table, with what the check said beside its counts."""

    name: str
    task: str
    looked_at: int
    found: int
    limit: float
    severity: Literal["block", "warn", "signed_off"]
    cannot_see: str
    note: str = ""
    arms: tuple[str, ...] = ()  # those whose scores the check found wrong

    def as_row(self) -> dict[str, Any]:
        """Return the row as plain values."""
        return asdict(self) | {"arms": list(self.arms)}


@dataclass(frozen=True)
class LeakCheck:
    """One check: a claim as its name, and what looks whether it holds.

    Attributes:
        leaks: ids of the catalogue that it holds.
        how: what a failure does; `signed_off_or_blocks` blocks unless the study signs it off with a reason.
        description: what holds when it passes.
        cannot_see: which leaks of its kind pass it.
        look: looks at a task; of several findings each must have looked at something.
        stage: `inputs` before anything learns, `scores` when the arms have scored.
        applies: whether a task with these kinds of views (text, sequence, counts) has what it looks at.
        otherwise: why not, in words.
    """

    name: str
    leaks: tuple[str, ...]
    how: How
    description: str
    cannot_see: str
    look: Callable[[Shown], Finding | Sequence[Finding]]
    stage: Stage = "inputs"
    applies: Callable[[Task, Collection[str]], bool] = lambda task, kinds: True
    otherwise: str = ""

    def run(self, shown: Shown) -> LeakRow:
        """Look at one task and sum up; a design that breaks the check by name only has it listed."""
        found = self.look(shown)
        findings = [found] if isinstance(found, Finding) else list(found)
        blocks = self.how != "warns" and self.name not in shown.task.broken_checks
        looked_at = [finding.looked_at for finding in findings]
        return LeakRow(
            name=self.name,
            task=shown.task.task,
            looked_at=sum(looked_at) if all(looked_at) else 0,
            found=sum(finding.found for finding in findings),
            limit=0,
            severity="block" if blocks else "warn",
            cannot_see=_joined([self.cannot_see, *(finding.cannot_see for finding in findings)]),
            note=_joined([finding.note for finding in findings]),
            arms=tuple(dict.fromkeys(finding.arm for finding in findings if finding.found and finding.arm)),
        )


def in_words(n: int) -> str:
    """Say a count of events in words that a small cell cannot be read from.

    >>> in_words(0), in_words(7), in_words(1234)
    ('none', 'fewer than 20', '1,234')
    """
    return ("none" if not n else "fewer than 20") if n < 20 else f"{n:,}"


def _joined(words: Sequence[str]) -> str:
    return " ".join(dict.fromkeys(one for one in words if one))
