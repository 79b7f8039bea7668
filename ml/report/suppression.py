"""Small-cell suppression: no count of 1 to 10 shown, none derivable (CMS rule, reliability notes 4.3)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

SMALLEST_SHOWN = 11


class SuppressionError(ValueError):
    """A small count stays derivable although everything that may be hidden is hidden."""


@dataclass(frozen=True)
class Count:
    """One count of a system.

    Attributes:
        value: the true count, 0 or more.
        is_published: False: never printed, but derivable from others (a difference, the non-cases).
        cost: what hiding it costs the reader; cheaper ones go first.
        twin: a count that is hidden whenever this one is, for example persons beside entries.
    """

    value: int
    is_published: bool = True
    cost: float = 1.0
    twin: str | None = None

    @property
    def is_small(self) -> bool:
        """Whether it must never be shown or derived."""
        return 0 < self.value < SMALLEST_SHOWN


# total, parts: the total equals the sum of the parts.
Sum = tuple[str, tuple[str, ...]]


def suppress_counts(counts: Mapping[str, Count], sums: Sequence[Sum]) -> frozenset[str]:
    """Name the published counts to hide.

    Small counts go first (primary). Then, for every small count, published or not, others go until a reader
    who knows all shown counts, all sums and that counts are not negative has at least 11 candidates for it.
    Last, what turns out to be hidden in vain is shown again.

    Args:
        counts: name -> count.
        sums: the relations a reader can use; they must hold.

    Raises:
        ValueError: a sum does not hold or names an unknown count.
        SuppressionError: nothing more can be hidden and a small count is still derivable.
    """
    _check_sums(counts, sums)
    hidden = {name for name, count in counts.items() if not count.is_published}
    _hide(hidden, counts, {name for name, count in counts.items() if count.is_small})
    # Hiding one more count only widens the others' intervals, so each small count is settled once.
    small = [name for name, count in counts.items() if count.is_small]
    for name in small:
        while _candidates(name, counts, sums, hidden) < SMALLEST_SHOWN:
            _hide(hidden, counts, {_cheapest_beside(name, counts, sums, hidden)})
    _show_again(hidden, counts, sums, small)
    return frozenset(name for name in hidden if counts[name].is_published)


def feasible_interval(
    name: str, counts: Mapping[str, Count], sums: Sequence[Sum], hidden: frozenset[str] | set[str]
) -> tuple[float, float]:
    """Lowest and highest value of a hidden count that agree with what is shown; may be infinite."""
    unknown = [key for key in counts if key in hidden or not counts[key].is_published]
    column = {key: position for position, key in enumerate(unknown)}
    rows: list[np.ndarray] = []
    right: list[float] = []
    for total, parts in sums:
        row, constant = np.zeros(len(unknown)), 0.0
        for key, sign in [(total, 1.0), *((part, -1.0) for part in parts)]:
            if key in column:
                row[column[key]] += sign
            else:
                constant -= sign * counts[key].value
        if row.any():
            rows.append(row)
            right.append(constant)
    if not any(row[column[name]] for row in rows):
        return 0.0, math.inf
    bounds: list[float] = []
    for sign in (1.0, -1.0):
        objective = np.zeros(len(unknown))
        objective[column[name]] = sign
        found = linprog(
            objective, A_eq=np.array(rows), b_eq=np.array(right), bounds=(0, None), method="highs"
        )
        # Status 3 is unbounded; the true counts are a solution, so nothing else than 0 and 3 can come.
        if found.status not in (0, 3):
            raise SuppressionError(f"linear programme ended with status {found.status}: {found.message}")
        bounds.append(math.inf if found.status == 3 else sign * found.fun)
    return max(0.0, bounds[0]), bounds[1]


def _check_sums(counts: Mapping[str, Count], sums: Sequence[Sum]) -> None:
    for total, parts in sums:
        missing = [key for key in (total, *parts) if key not in counts]
        if missing:
            raise ValueError(f"a sum names unknown counts {missing}")
        if counts[total].value != sum(counts[part].value for part in parts):
            raise ValueError(f"`{total}` is not the sum of {list(parts)}")


def _candidates(name: str, counts: Mapping[str, Count], sums: Sequence[Sum], hidden: set[str]) -> float:
    low, high = feasible_interval(name, counts, sums, hidden)
    return math.inf if math.isinf(high) else math.floor(high + 1e-6) - math.ceil(low - 1e-6) + 1


def _hide(hidden: set[str], counts: Mapping[str, Count], names: set[str]) -> None:
    hidden |= names
    hidden |= {twin for name in names if (twin := counts[name].twin) is not None}


def _show_again(
    hidden: set[str], counts: Mapping[str, Count], sums: Sequence[Sum], small: Sequence[str]
) -> None:
    """Show what was hidden in vain: each small count still has enough candidates without it."""
    spare = {name for name in hidden if counts[name].is_published and not counts[name].is_small}
    for name in sorted(spare, key=lambda name: (-counts[name].cost, -counts[name].value, name)):
        together = {name, counts[name].twin} | {one for one in counts if counts[one].twin == name}
        if name not in hidden or any(one is not None and counts[one].is_small for one in together):
            continue
        fewer = hidden - together
        if all(_candidates(one, counts, sums, fewer) >= SMALLEST_SHOWN for one in small):
            hidden.intersection_update(fewer)


def _cheapest_beside(name: str, counts: Mapping[str, Count], sums: Sequence[Sum], hidden: set[str]) -> str:
    """The cheapest, then smallest, shown count in a sum with `name`, or with what is hidden beside it."""
    reached = {name}
    while True:
        touched = {key for total, parts in sums if reached & {total, *parts} for key in (total, *parts)}
        shown = [key for key in touched if key not in hidden]
        if shown:
            return min(shown, key=lambda key: (counts[key].cost, counts[key].value, key))
        if touched <= reached:
            raise SuppressionError("a small count is still derivable with everything around it hidden")
        reached |= touched
