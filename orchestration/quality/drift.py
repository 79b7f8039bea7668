"""Drift: what a refresh changed since the landing before, in statistics of two profiles.

A row is never taken for a person: counts of rows get the variance of persons, since the rows of one come
together.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from orchestration.quality.statistic import WARN_RATE, Statistic

FREQUENT = 500  # concepts of a table that a profile names

Bins = Mapping[str, int]


@dataclass(frozen=True)
class Profile:
    """A snapshot in counts: (quantity, part) -> bin -> n."""

    bins: Mapping[tuple[str, str], Bins]

    def one(self, quantity: str, part: str) -> int:
        """Return the count of a quantity that has one bin."""
        return sum(self.bins.get((quantity, part), {}).values())

    def parts(self, quantity: str) -> list[str]:
        """Return the parts that a quantity has here."""
        return sorted(part for name, part in self.bins if name == quantity)


def profile_of(rows: Iterable[tuple[str, str, str, int]]) -> Profile:
    """Return the profile of rows (quantity, part, bin, n)."""
    bins: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for quantity, part, bin_, n in rows:
        bins[quantity, part][bin_] = n
    return Profile(dict(bins))


def compare(before: Profile, now: Profile, *, same_definitions: bool) -> list[Statistic]:
    """Return every test of two profiles; labels only where they were defined alike.

    Raises:
        ValueError: the earlier snapshot has no persons.
    """
    if not before.one("persons", "person"):
        raise ValueError("the earlier snapshot has no persons")
    tests = [*_sizes(before, now), *_mixes(before, now), *_concepts(before, now)]
    tests += [_concept_sets(before, now), _vocabulary(before, now)]
    return [*tests, *_prevalences(before, now)] if same_definitions else tests


def _sizes(before: Profile, now: Profile) -> list[Statistic]:
    n, m = before.one("persons", "person"), now.one("persons", "person")
    found = [_size("persons_hardly_change", n, m)]
    for split in before.parts("persons_of_split"):
        sizes = before.one("persons_of_split", split), now.one("persons_of_split", split)
        found.append(_size(f"persons_of_a_split_hardly_change ({split})", *sizes))
    for table in before.parts("rows"):
        found += _table(table, before, now, n, m)
    return found


def _table(table: str, before: Profile, now: Profile, n: int, m: int) -> list[Statistic]:
    rows = before.one("rows", table), now.one("rows", table)
    persons = before.one("persons_with_row", table), now.one("persons_with_row", table)
    unmapped = before.one("unmapped", table), now.one("unmapped", table)
    have = _share(persons[0], n), _share(persons[1], m)
    lack = _share(unmapped[0], rows[0]), _share(unmapped[1], rows[1])
    return [
        _size(f"rows_hardly_change ({table})", *rows, _design_effect(rows[0], persons[0])),
        Statistic(
            name=f"as_many_persons_have_a_row ({table})",
            task="",
            claim=f"As large a share of persons has a row, {table}",
            looked_at=n + m,
            found=max(have[0] - have[1], 0) / (have[0] or 1),
            spread=_two_shares(*have, n, m) / (have[0] or 1),
            warn=0.05,
            block=0.10,
        ),
        Statistic(
            name=f"no_more_rows_are_unmapped ({table})",
            task="",
            claim=f"No larger share of rows has concept 0, {table}",
            looked_at=sum(rows),
            found=max(lack[1] - lack[0], 0.0),
            spread=_two_shares(*lack, *persons),
            warn=0.02,
            block=0.05,
        ),
    ]


def _design_effect(rows: int, persons: int) -> float:
    """How much more the rows of persons vary than rows alone: as if a person's were geometric in number."""
    return 2 * rows / max(persons, 1)


def _size(name: str, n: int, m: int, design_effect: float = 1) -> Statistic:
    """A count may shrink by less than it may grow before it stops a run: 20% and 50%."""
    spread = float(np.sqrt(design_effect * (n + m))) / max(n, 1)
    what = name.partition("_hardly")[0].replace("_", " ").capitalize()
    part = name.partition(" (")[2].rstrip(")")
    claim = f"{what} are about as many as in the landing before{f', {part}' if part else ''}"
    return Statistic(name, "", claim, n + m, abs(m - n) / max(n, 1), spread, 0.10, 0.20 if m < n else 0.50)


def _mixes(before: Profile, now: Profile) -> list[Statistic]:
    persons = before.one("persons", "person"), now.one("persons", "person")
    found = [
        _mix(f"{quantity}_hardly_changes", quantity, "person", before, now, persons)
        for quantity in ("sex", "birth_decade", "observed_years")
    ]
    for table in before.parts("concept"):
        having = before.one("persons_with_row", table), now.one("persons_with_row", table)
        found.append(_mix(f"concepts_hardly_change ({table})", "concept", table, before, now, having))
    return found


def _mix(
    name: str, quantity: str, part: str, before: Profile, now: Profile, persons: tuple[int, int]
) -> Statistic:
    index, bins = stability_index(before.bins.get((quantity, part), {}), now.bins.get((quantity, part), {}))
    return Statistic(
        name=name,
        task="",
        claim=f"The population stability index of {quantity} is small, {part}",
        looked_at=sum(persons) if bins else 0,
        found=index,
        spread=sum(1 / max(one, 1) for one in persons),
        warn=0.10,
        block=0.25,
        bins=bins,
    )


def stability_index(before: Bins, now: Bins, top: int = 200) -> tuple[float, int]:
    """Return the population stability index and its number of bins: the most frequent, and the rest as one.

    Bins that expect fewer than five are part of the rest; half a count stands in for none.
    """
    totals = sum(before.values()), sum(now.values())
    if not totals[0] or not totals[1]:
        return 0.0, 0
    ordered = sorted(before, key=lambda bin_: (-before[bin_], bin_))
    kept = [bin_ for bin_ in ordered[:top] if before[bin_] * min(1.0, totals[1] / totals[0]) >= 5]
    pairs = [(before[bin_], now.get(bin_, 0)) for bin_ in kept]
    pairs.append((totals[0] - sum(a for a, _ in pairs), totals[1] - sum(b for _, b in pairs)))
    shares = np.array([pair for pair in pairs if any(pair)], dtype=float)
    shares = np.maximum(shares, 0.5) / totals
    p, q = shares.T
    return float(((p - q) * np.log(p / q)).sum()), len(shares)


def _concepts(before: Profile, now: Profile) -> list[Statistic]:
    """A frequent concept that is gone, or new, though enough persons for it were to be expected."""
    found: list[Statistic] = []
    tables = sorted({*before.parts("concept"), *now.parts("concept")})
    for table in tables:
        old, new = before.bins.get(("concept", table), {}), now.bins.get(("concept", table), {})
        ratio = (now.one("persons_with_row", table) or 1) / (before.one("persons_with_row", table) or 1)
        # so many expected, and none seen: as rare as the run's rate for all concepts together
        least = -np.log(WARN_RATE / (2 * FREQUENT * len(tables)))
        gone = sum(n * ratio >= least and one not in new for one, n in old.items() if one != "other")
        come = sum(n / ratio >= least and one not in old for one, n in new.items() if one != "other")
        claim = f"No frequent concept is gone or new, {table}"
        name = f"frequent_concepts_stay ({table})"
        found.append(Statistic(name, "", claim, len({*old, *new}), gone + come, 0, 0, None))
    return found


def _concept_sets(before: Profile, now: Profile) -> Statistic:
    shared = set(before.parts("concept_set")) & set(now.parts("concept_set"))
    sets = [(set(before.bins["concept_set", name]), set(now.bins["concept_set", name])) for name in shared]
    changed = sum(old != new for old, new in sets)
    claim = "The vocabulary resolves concept sets to the same ids"
    return Statistic("concept_sets_resolve_as_before", "", claim, len(sets), changed, 0, 0, None)


def _vocabulary(before: Profile, now: Profile) -> Statistic:
    """The version that the source says; where one of the two says none there is nothing to compare."""
    said = [set(profile.bins.get(("vocabulary", "vocabulary"), {})) for profile in (before, now)]
    claim = "The vocabulary is of the version of before"
    name = "vocabulary_keeps_its_version"
    return Statistic(
        name, "", claim, 2 if all(said) else 0, int(all(said) and said[0] != said[1]), 0, 0, None
    )


def _prevalences(before: Profile, now: Profile) -> list[Statistic]:
    found: list[Statistic] = []
    for task in sorted({*before.parts("labelled")} & {*now.parts("labelled")}):
        n, m = before.one("labelled", task), now.one("labelled", task)
        shares = (
            _share(before.bins["labelled", task].get("1", 0), n),
            _share(now.bins["labelled", task].get("1", 0), m),
        )
        spread = _two_shares(*shares, n, m) / (shares[0] or 1)
        found.append(
            Statistic(
                name="prevalence_hardly_changes",
                task=task,
                claim="The share of cases is as before",
                looked_at=n + m if n and m else 0,
                found=abs(shares[1] - shares[0]) / (shares[0] or 1) if n and m else 0.0,
                spread=spread,
                warn=max(0.10, 3 * spread),
                block=max(0.30, 6 * spread),
            )
        )
    return found


def months(now: Profile) -> list[Statistic]:
    """Return one statistic a table: the last three whole months against the median of the twelve before."""
    found: list[Statistic] = []
    seen = sorted({month for table in now.parts("month") for month in now.bins["month", table]})
    every = _months_before(seen[-1], 15) if seen else []
    for table in now.parts("month"):
        counts = np.array([now.bins["month", table].get(month, 0) for month in every], dtype=float)
        usual, last = float(np.median(counts[:12])), float(counts[12:].mean())
        effect = _design_effect(now.one("rows", table), now.one("persons_with_row", table))
        # of the mean of three months, and of the median of twelve
        variance = effect * usual * (1 / 3 + np.pi / 24)
        found.append(
            Statistic(
                name=f"events_go_on_to_the_data_end ({table})",
                task="",
                claim=f"The last months are as full as the year before them, {table}",
                looked_at=int(counts.sum()) if usual else 0,
                found=max(0.0, 1 - last / usual) if usual else 0.0,
                spread=float(np.sqrt(variance)) / (usual or 1),
                warn=0.30,
                block=0.60,
            )
        )
    return found


def _months_before(last: str, n: int) -> list[str]:
    number = int(last[:4]) * 12 + int(last[5:]) - 1
    return [f"{one // 12:04d}-{one % 12 + 1:02d}" for one in range(number - n + 1, number + 1)]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _two_shares(p: float, q: float, n: int, m: int) -> float:
    """Return the standard error of the difference of two shares that are the same."""
    if not n or not m:
        return 0.0
    pooled = (p * n + q * m) / (n + m)
    return float(np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m)))
