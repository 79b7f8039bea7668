"""The page that quotes the record of the mutation suite; a test holds it equal to the record."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from benchmarks.proof_page import table

Row = tuple[Any, ...]


def page(record: Mapping[str, Any]) -> str:
    """Return `ml/leakage/PROOF.md` for the record in `benchmarks/results/leakage.json`."""
    total = record["total"]
    changed = " with changes that were not committed" if record["changed_since_commit"] else ""
    return "\n".join(
        [
            "# What the mutation suite of the leakage checks found",
            "",
            "Written by `make proof-leakage` from `benchmarks/results/leakage.json`; a test holds the two",
            "equal. Plants are in `tests/leakage/plants/`, written by someone who had not read the checks.",
            "",
            f"Commit `{record['commit'][:12]}`{changed}, {record['seconds'] // 60 + 1} minutes of all",
            f"processes together; {', '.join(f'{name} {n}' for name, n in record['versions'].items())}.",
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
            *table(
                ("plantings", "of which"),
                [
                    (total["planted"], "all that were planted"),
                    (total["caught"], "caught by a check that is named"),
                    (total["caught_and_blocked"], "of these blocked, the others warned of"),
                    (total["caught_by_another_only"], "caught by another check or guard only"),
                    (total["not_caught"], "not caught"),
                    (total["no_check_is_named"], "of a leak that no check is named for"),
                    (total["errors"], "that ended with an error, not counted above"),
                ],
            ),
            "",
            *_by_leak(record["plants"]),
            "",
            "### Not caught by a check that is named",
            "",
            "Rows that show it: a count that only the fault raises (`tests/leakage/evidence.toml`), without",
            "and with the plant; *code only* where no stored row shows it (`tests/leakage/evidence.py`).",
            "",
            *_missed(record["plants"]),
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
            *_clean(record),
            "",
        ]
    )


def _size(record: Mapping[str, Any]) -> list[str]:
    asked, run = record["asked"], record["run"]
    seeds = ", ".join(map(str, run["seeds"]))
    words = [f"Run: {run['plants']} plants on seeds {seeds or 'none'}, {run['worlds']} clean worlds."]
    full = {"plantings": 3 * run["plants"], "worlds": 100}
    if any(run[key] < max(asked[key], full[key]) for key in full):
        words.append("This is less than the full size, which is three seeds a plant and 100 clean worlds.")
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
        rows.setdefault(plant["leak"], Counter())[one.get("verdict", "error")] += 1
    kinds = ("caught", "by_another", "not_caught", "error")
    header = ("leak", "planted", "caught", "by another only", "not caught", "error")
    return table(
        header, [(leak, n.total(), *(n[kind] for kind in kinds)) for leak, n in sorted(rows.items())]
    )


def _missed(plants: Mapping[str, Any]) -> list[str]:
    rows = [
        (f"`{name}`", seed, plant["mechanism"].rstrip("."), _rows_that_show(one), _seen(plant, one))
        for name, plant, seed, one in _plantings(plants)
        if one.get("verdict") != "caught"
    ]
    return (
        table(("plant", "seed", "what is wrong", "rows that show it", "seen by"), rows) if rows else ["None."]
    )


def _rows_that_show(one: Mapping[str, Any]) -> str:
    if "error" in one:
        return ""
    counts = one["rows_that_show_it"]
    return "code only" if counts is None else f"{counts[0]:,} to {counts[1]:,}"


def _seen(plant: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    if "error" in one:
        return f"{one['error']['kind']} in {one['error']['places'][-1]}"
    others = [f"`{name}` ({does}s)" for name, does in one["by_others"].items()]
    others += [f"the guard `{guard}`" for guard in one["guards"]]
    words = ", ".join(others) or "nothing"
    return words if plant["named"] else f"{words}; no check is named: {plant['why_none_is_named']}"


def _only_warned(plants: Mapping[str, Any]) -> list[str]:
    warned: dict[tuple[str, str, int], list[str]] = {}
    for name, _, seed, one in _plantings(plants):
        if one.get("verdict") == "caught" and not one["blocks"]:
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


def _clean(record: Mapping[str, Any]) -> list[str]:
    worlds, total = record["worlds"], record["total"]
    if not worlds:
        return ["None was run."]
    seeds = sorted(map(int, worlds))
    given = "0 to " + str(seeds[-1]) if seeds == list(range(len(seeds))) else ", ".join(map(str, seeds))
    hundred = 100 / max(1, total["worlds"])
    return [
        f"Seeds {given}, none replaced, of 1,500, 3,000 and 6,000 persons by turns, four tasks each, every",
        f"check, labels dealt at random too: {total['checks_run']:,} verdicts. {total['not_made']} worlds",
        "could not be made or looked at.",
        f"{total['tasks_wanting_cases']} of {total['tasks']} tasks lack cases in a split: the platform stops",
        "them before it looks for leaks. The checks looked there all the same, counted apart.",
        "",
        *table(
            ("clean worlds", "blocks", "warnings"),
            [
                ("tasks that would run", total["false_blocks"], total["false_warnings"]),
                (
                    "worlds with one",
                    total["worlds_with_a_false_block"],
                    total["worlds_with_a_false_warning"],
                ),
                (
                    "tasks that lack cases",
                    total["false_blocks_where_cases_are_wanting"],
                    total["false_warnings_where_cases_are_wanting"],
                ),
            ],
        ),
        "",
        f"Per 100 worlds: {hundred * total['false_blocks']:.1f} blocks and"
        f" {hundred * total['false_warnings']:.1f} warnings.",
        "",
        *_which(worlds),
        "",
        *_sizes(worlds),
    ]


def _which(worlds: Mapping[str, Any]) -> list[str]:
    rows: Counter[Row] = Counter()
    for world in worlds.values():
        for task, alarms in world.get("tasks", {}).items():
            place = "lacks cases" if alarms["wanting"] else "would run"
            for kind, words in (
                ("blocks", "blocks"),
                ("warns", "warns"),
                ("looked_at_nothing", "looks at none"),
            ):
                rows.update((f"`{name}`", words, task, place) for name in alarms[kind])
    header = ("check", "what it does", "task", "the task", "worlds")
    return (
        table(header, [(*row, n) for row, n in sorted(rows.items())]) if rows else ["No check says anything."]
    )


def _sizes(worlds: Mapping[str, Any]) -> list[str]:
    rows = []
    for persons in sorted({world["persons"] for world in worlds.values()}):
        own = [world for world in worlds.values() if world["persons"] == persons]
        tasks = [
            alarms for world in own for name, alarms in world.get("tasks", {}).items() if name != "snapshot"
        ]
        lacking = sum(bool(alarms["wanting"]) for alarms in tasks)
        seconds = round(sum(world["seconds"] for world in own) / len(own))
        errors = sum("error" in world for world in own)
        rows.append((persons, len(own), errors, len(tasks), lacking, seconds))
    return table(("persons", "worlds", "not made", "tasks", "of these lack cases", "seconds a world"), rows)
