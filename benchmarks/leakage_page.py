"""The page that quotes the record of the mutation suite; a test holds it equal to the record."""

import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.leakage_record import SEEDS, WORLDS, verdict
from benchmarks.leakage_worlds_page import clean_worlds
from benchmarks.proof_page import table

Row = tuple[Any, ...]
WHEN_NEW = Path(__file__).with_name("results") / "leakage_when_new.csv"
VERDICTS = ("caught", "argued", "missed", "no_check_is_named", "error")


def page(record: Mapping[str, Any]) -> str:
    """Return `ml/leakage/PROOF.md` for the record in `benchmarks/results/leakage.json`."""
    changed = " with changes that were not committed" if record["changed_since_commit"] else ""
    return "\n".join(
        [
            "# What the mutation suite of the leakage checks found",
            "",
            "Written by `make proof-leakage` from `benchmarks/results/leakage.json`; a test holds the two",
            "equal. Each set of plants (`tests/leakage/sets.py`) is by somebody else who had read no check.",
            "Each but the first was added when the checks were done; then they were improved on it.",
            "",
            f"Commit `{record['commit'][:12]}`{changed}, {_minutes(record['wall_seconds'])} minutes",
            f"({_minutes(record['cpu_seconds'])} of one core);",
            f"{', '.join(f'{name} {n}' for name, n in record['versions'].items())}.",
            *_size(record),
            *record["remarks"],
            f"**{'Everything holds.' if record['holds'] else 'It does not hold.'}**",
            "",
            "## Planted leaks",
            "",
            f"Each plant goes into a copy of a simulated site of {record['persons']:,} persons; every check",
            "of the snapshot, the cut, the inputs and the scores looks at the site and at its clean",
            "original. A plant is caught when a check that `catalogue.csv` names for its leak finds",
            "something in the planted site and nothing in the clean one. Labels are dealt at random for L38",
            "alone. What the named checks that missed a plant say of it stands in the record.",
            "",
            *_sums(record),
            "",
            *_by_leak(record["plants"]),
            "",
            *_kinds(record),
            "",
            *_unseen(record),
            "### Argued",
            "",
            "No check honestly sees these plants on every seed, each for the reason that",
            "`benchmarks/leakage_argued.csv` gives; none is of the set that measures. An argument is wrong",
            "where its plant is caught on every seed all the same.",
            "",
            *_argued(record),
            "",
            "### Missed by every check that is named",
            "",
            "Rows that show it: a count that only the fault raises (`tests/leakage/evidence.toml`), without",
            "and with the plant; *code only* where no stored row shows it (`tests/leakage/evidence.py`).",
            "",
            *_uncaught(record["plants"], "missed", "error"),
            "",
            "### Of a leak that no check is named for",
            "",
            *_uncaught(record["plants"], "no_check_is_named"),
            "",
            "### Caught, and only warned of",
            "",
            *_only_warned(record["plants"]),
            "",
            "### Checks that raised",
            "",
            "An error in place of a verdict; the other checks looked all the same.",
            "",
            *_raised(record),
            "",
            "## Clean worlds",
            "",
            *clean_worlds(record),
            "",
            "## Labels dealt at random to heads on frozen vectors",
            "",
            *_frozen(record),
            "",
        ]
    )


def _minutes(seconds: float) -> int:
    return round(seconds / 60 + 0.5)


def _sums(record: Mapping[str, Any]) -> list[str]:
    sums = {**{f"{name} set": one for name, one in record["sets"].items()}, "all": record["total"]}
    rows = [
        ("plants", "plants"),
        ("plants caught on every seed", "plants_caught_on_every_seed"),
        ("plantings", "planted"),
        ("caught by a check that is named", "caught"),
        ("of these blocked, the others warned of", "caught_and_blocked"),
        ("argued: no check can see it", "argued"),
        ("missed", "missed"),
        ("of these seen by another check or guard", "missed_and_seen_by_another"),
        ("of a leak that no check is named for", "no_check_is_named"),
        ("that ended with an error, not counted above", "errors"),
    ]
    return table(("", *sums), [(words, *(one[key] for one in sums.values())) for words, key in rows])


def _size(record: Mapping[str, Any]) -> list[str]:
    asked, run = record["asked"], record["run"]
    seeds = ", ".join(map(str, run["seeds"]))
    words = [f"Run: {run['plants']} plants on seeds {seeds or 'none'}, {run['worlds']} clean worlds."]
    full = {"plantings": SEEDS * run["plants"], "worlds": WORLDS}
    if any(run[key] < max(asked[key], full[key]) for key in full):
        words.append(
            f"This is less than the full size, which is {SEEDS} seeds a plant and {WORLDS} clean worlds."
        )
    return words


def _plantings(plants: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], str, Mapping[str, Any]]]:
    return [
        (name, plant, seed, one)
        for name, plant in sorted(plants.items())
        for seed, one in sorted(plant["seeds"].items(), key=lambda item: int(item[0]))
    ]


def _by_leak(plants: Mapping[str, Any]) -> list[str]:
    rows: dict[str, Counter[str]] = {}
    for _, plant, _, one in _plantings(plants):
        rows.setdefault(plant["leak"], Counter())[verdict(plant, one)] += 1
    header = ("leak", "planted", "caught", "argued", "missed", "no check is named", "error")
    return table(
        header, [(leak, n.total(), *(n[kind] for kind in VERDICTS)) for leak, n in sorted(rows.items())]
    )


def _kinds(record: Mapping[str, Any]) -> list[str]:
    uncaught = record["kinds_without_a_plant_caught_on_every_seed"]
    if not uncaught:
        return ["Each kind of leak that names checks has a plant that is caught on every seed."]
    return [f"No plant of these kinds is caught on every seed: {', '.join(uncaught)}."]


def _unseen(record: Mapping[str, Any]) -> list[str]:
    """What the last set measures, with Wilson's interval over its plants, and what the sets before it did."""
    measured = record["measured"]
    if measured not in record["sets"]:
        return []
    from scipy import stats

    own = record["sets"][measured]
    caught, plants = own["plants_caught_on_every_seed"], own["plants"]
    interval = stats.binomtest(caught, plants).proportion_ci(method="wilson")
    return [
        f"The {measured} set measures what the checks see of leaks that they were not written for, so its",
        f"misses are neither mended before the record nor argued: of its plants {caught} of {plants} are",
        f"caught on every seed, {caught / plants:.0%} (95% interval {interval.low:.0%} to",
        f"{interval.high:.0%} if plants were a sample of leaks, which they are not).",
        "",
        "When they were new, of the sets before it were caught (`benchmarks/results/leakage_when_new.csv`):",
        "",
        *table(
            ("set", "commit", "plants", "caught on every seed planted"),
            [(row["set"], f"`{row['commit']}`", row["plants"], row["caught"]) for row in read_when_new()],
        ),
        "",
    ]


def read_when_new() -> list[dict[str, str]]:
    """Return what was caught of each set before the last when it was new: set, commit, plants, caught."""
    with WHEN_NEW.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def _argued(record: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            f"`{name}`",
            sum(verdict(plant, one) == "caught" for one in plant["seeds"].values()),
            len(plant["seeds"]),
            plant["mechanism"].rstrip("."),
            plant["argued"],
        )
        for name, plant in sorted(record["plants"].items())
        if plant["argued"]
    ]
    if not rows:
        return ["None."]
    wrong = record["argued_and_caught_on_every_seed"]
    words = [f"Wrong: {', '.join(f'`{name}`' for name in wrong)}.", ""] if wrong else []
    return [*words, *table(("plant", "seeds caught", "of", "what is wrong", "why it is not seen"), rows)]


def _uncaught(plants: Mapping[str, Any], *verdicts: str) -> list[str]:
    rows = [
        (f"`{name}`", seed, plant["mechanism"].rstrip("."), _rows_that_show(one), _seen(plant, one))
        for name, plant, seed, one in _plantings(plants)
        if verdict(plant, one) in verdicts
    ]
    return (
        table(("plant", "seed", "what is wrong", "rows that show it", "seen by"), rows) if rows else ["None."]
    )


def _frozen(record: Mapping[str, Any]) -> list[str]:
    if not record["frozen"]:
        return ["Not run."]
    words = [
        "Texts of a clean site, embedded by MiniLM as the platform does; labels are dealt within splits,",
        "and each head is fitted, chosen and guarded anew (`benchmarks/random_labels.py`, which does the",
        "same with networks that are trained). Chance: how often held-out has so high a mean AUROC where",
        "nothing is learned.",
        "",
    ]
    rows = [
        (
            one["task"],
            f"`{arm['arm']}`",
            arm["repetitions"],
            arm["held_out"],
            f"{arm['mean_auroc']:.3f}",
            f"{arm['chance_at_most']:.2g}",
            f"{arm['not_seen_below']:.3f}",
            "yes" if arm["learned"] else "no",
        )
        for one in record["frozen"]
        for arm in one.get("arms", ())
    ]
    header = ("task", "arm", "dealings", "held-out", "mean AUROC", "chance", "not seen below", "learned")
    errors = [f"{one['task']}: {one['error']['kind']}." for one in record["frozen"] if "error" in one]
    return [*words, *table(header, rows), *errors]


def _rows_that_show(one: Mapping[str, Any]) -> str:
    if "error" in one:
        return ""
    counts = one["rows_that_show_it"]
    if isinstance(counts, str):
        return counts
    return f"{counts[0]:,} to {counts[1]:,}"


def _seen(plant: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    if "error" in one:
        return f"{one['error']['kind']} in {one['error']['places'][-1]}"
    others = [f"`{name}` ({does}s)" for name, does in one["by_others"].items()]
    others += [f"the guard `{guard}`" for guard in one["guards"]]
    words = ", ".join(others) or "nothing"
    return words if plant["named"] else f"{words}; no check is named: {plant['why_none_is_named']}"


def _only_warned(plants: Mapping[str, Any]) -> list[str]:
    warned: dict[tuple[str, str, int], list[str]] = {}
    for name, plant, seed, one in _plantings(plants):
        if verdict(plant, one) == "caught" and not one["blocks"]:
            by = ", ".join(f"`{check}`" for check in one["by"])
            blocked = sum(does == "block" for does in one["by_others"].values())
            warned.setdefault((name, by, blocked), []).append(seed)
    rows = [(f"`{name}`", ", ".join(seeds), *by) for (name, *by), seeds in sorted(warned.items())]
    return table(("plant", "seeds", "by", "checks not named that block"), rows) if rows else ["None."]


def _raised(record: Mapping[str, Any]) -> list[str]:
    rows: list[Row] = [
        (f"`{check}`", f"`{name}`, seed {seed}", error["kind"], f"`{error['places'][-1]}`")
        for name, _, seed, one in _plantings(record["plants"])
        for check, error in one.get("raised", {}).items()
    ]
    rows += [
        (f"`{check}`", f"clean world {seed}, {task}", error["kind"], f"`{error['places'][-1]}`")
        for seed, world in record["worlds"].items()
        for task, alarms in world.get("tasks", {}).items()
        for check, error in alarms["raised"].items()
    ]
    return table(("check", "where", "error", "at"), rows) if rows else ["None."]
