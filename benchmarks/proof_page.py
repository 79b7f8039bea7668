"""The page that quotes the record of the proof; a test holds it equal to the record."""

from collections.abc import Mapping
from typing import Any


def page(record: Mapping[str, Any]) -> str:
    """Return `dbt_project/PROOF.md` for the record in `benchmarks/results/proof.json`."""
    total, worlds = record["total"], record["worlds"]
    return "\n".join(
        [
            "# What the proof of the definitions found",
            "",
            "Written by `make proof` from `benchmarks/results/proof.json`; a test holds the two equal.",
            "The parts are described in `tests/definitions/`.",
            "",
            f"Commit `{record['commit'][:12]}`{_changed(record)},",
            f"{record['cpu_seconds'] // 60 + 1} minutes of CPU in two processes;",
            f"{', '.join(f'{name} {n}' for name, n in record['versions'].items())}.",
            f"**{'Everything holds.' if record['holds'] else 'It does not hold.'}**",
            "",
            "## The SQL equals an oracle in plain Python",
            "",
            f"{total['worlds']:,} worlds drawn at the edges of every window, {total['persons']:,} persons,",
            f"{total['examples']:,} examples, {total['positives']:,} positives: no difference in cohort,",
            "label, attrition, input counts and availability counts. One world a template also went through",
            "`dbt build`. A template is one combination of anchor, outcome kind and index rule that the",
            "catalogue uses; `every_kind` holds all their tasks at once, on rougher worlds.",
            "",
            *table(
                ("template", "worlds", "persons", "examples", "positives", "negatives", "null"),
                [(name, *(found[key] for key in COUNTS), _nulls(found)) for name, found in worlds.items()],
            ),
            "",
            "Null labels by reason, over all templates:",
            "",
            *table(("reason", "examples"), sorted(_reasons(worlds).items())),
            "",
            "## Mutants of the SQL",
            "",
            "Every place of the compiled models where an operator applies is made wrong once. A template",
            "is asked about the mutants of clauses whose fields its tasks fill in. Equivalent ones are",
            "argued one by one in `tests/definitions/equivalent_mutants.csv`; *elsewhere* are those that",
            "this template's worlds cannot tell, and the worlds of another template, or of `every_kind`, do.",
            f"Open, killed nowhere and without an argument: {len(record['mutants_open'])}; argued and killed",
            f"all the same: {len(record['mutants_argued_and_killed'])}.",
            "",
            *table(
                ("template", "made", "killed", "equivalent", "elsewhere"),
                [
                    (name, m["made"], m["killed"], m["equivalent"], m["killed_elsewhere"])
                    for name, m in record["mutants"].items()
                ],
            ),
            "",
            "## Truncation invariance",
            "",
            "Examples (and indexes that are none, after the plus) rebuilt from what was available at the",
            "index: cohort rows, input events, texts, counts and sequences are the same in every one.",
            "0 + 0: the source has no index of the task.",
            "",
            *_truncation(record["truncation"]),
            "",
            "## Metamorphic relations",
            "",
            *table(
                ("template", "worlds", "examples", "absurd events after", "absurd events on the day"),
                [
                    (name, m["worlds"], m["examples"], m[ABSURD_AFTER], m[ABSURD_ON_THE_DAY])
                    for name, m in record["metamorphic"].items()
                ],
            ),
            "",
            f"Held by all: {', '.join(_relations(record))}.",
            "The last two columns count examples whose inputs stayed as they were.",
            "",
        ]
    )


COUNTS = ("worlds", "persons", "examples", "positives", "negatives")
ABSURD_AFTER = "examples_with_absurd_events_after"
ABSURD_ON_THE_DAY = "examples_with_absurd_events_on_the_day"


def _changed(record: Mapping[str, Any]) -> str:
    return " with changes that were not committed" if record["changed_since_commit"] else ""


def _nulls(found: Mapping[str, Any]) -> int:
    return sum(found["nulls_by_reason"].values())


def _reasons(worlds: Mapping[str, Any]) -> dict[str, int]:
    reasons: dict[str, int] = {}
    for found in worlds.values():
        for reason, examples in found["nulls_by_reason"].items():
            reasons[reason] = reasons.get(reason, 0) + examples
    return reasons


def _relations(record: Mapping[str, Any]) -> list[str]:
    held = [set(found["relations_held"]) for found in record["metamorphic"].values()]
    return [name.replace("_", " ") for name in sorted(set.intersection(*held))]


def _truncation(sources: Mapping[str, Any]) -> list[str]:
    tasks = list(next(found["tasks"] for found in sources.values() if "tasks" in found))
    rows = []
    for task in tasks:
        cells = [found["tasks"][task] if "tasks" in found else None for found in sources.values()]
        rows.append((task, *(f"{c['compared']:,} + {c['left_out']:,}" if c else "skipped" for c in cells)))
    return table(("task", *sources), rows)


def table(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[str]:
    """Return a Markdown table; numbers to the right with thousands marked."""
    numbers = [all(isinstance(row[place], int) for row in rows) for place in range(len(header))]
    return [
        f"| {' | '.join(header)} |",
        f"|{'|'.join('---:' if number else '---' for number in numbers)}|",
        *(f"| {' | '.join(f'{c:,}' if isinstance(c, int) else str(c) for c in row)} |" for row in rows),
    ]
