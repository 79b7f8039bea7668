"""The part of the page on clean worlds: which checks block or warn where no leak was planted."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from benchmarks.proof_page import table


def clean_worlds(record: Mapping[str, Any]) -> list[str]:
    """Return the lines that say what the checks raise where nothing was planted."""
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
    rows: Counter[tuple[Any, ...]] = Counter()
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
