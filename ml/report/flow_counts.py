"""The counts of one task's flow, and the sums between them that a reader knows."""

from collections.abc import Sequence

from ml.report.facts import TaskFacts
from ml.report.suppression import SMALLEST_SHOWN, Count, Sum

# What hiding costs a reader: steps inside the flow little, the held-out size most.
COST_STEP, COST_SPLIT, COST_COHORT, COST_SCORED = 1.0, 2.0, 3.0, 5.0

# Label counts that the page prints in the flow, or among the reasons of null labels.
SHOWN_ELSEWHERE = frozenset({"examples", "lost_to_follow_up"})


def add_pair(
    counts: dict[str, Count], sums: list[Sum], total: str, cases: str, n: int, n_cases: int, cost: float
) -> None:
    """Add a total, its cases, and the non-cases that follow from them."""
    counts[total] = Count(n, cost=cost)
    counts[cases] = Count(n_cases, cost=cost)
    counts[f"non-{total}"] = Count(n - n_cases, is_published=False)
    sums.append((total, (cases, f"non-{total}")))


def add_rest(counts: dict[str, Count], sums: list[Sum], total: str, parts: Sequence[str], rest: str) -> None:
    """Add what of a total is in none of its parts: never printed, but derivable.

    Raises:
        ValueError: the parts exceed the total.
    """
    left = counts[total].value - sum(counts[part].value for part in parts)
    if left < 0:
        raise ValueError(f"`{total}` is less than the sum of {list(parts)}, which are parts of it")
    counts[rest] = Count(left, is_published=False)
    sums.append((total, (*parts, rest)))


def add_flow(task: TaskFacts, counts: dict[str, Count], sums: list[Sum]) -> None:
    """Add the attrition and the null labels: every column of a step is the next one plus what left.

    Raises:
        ValueError: a column grows, or the null labels of a reason have no step or are not what left at it.
    """
    last = len(task.attrition) - 1
    for i, step in enumerate(task.attrition):
        cost = COST_COHORT if i in (0, last) else COST_STEP
        add_pair(counts, sums, f"entries:{i}", f"cases:{i}", step.entries, step.cases, cost)
        # Persons and entries are often the same number: one would give the other away.
        counts[f"entries:{i}"] = Count(step.entries, cost=cost, twin=f"persons:{i}")
        counts[f"persons:{i}"] = Count(step.persons, cost=cost, twin=f"entries:{i}")
        for column in ("entries", "persons", "cases", "non-entries") if i else ():
            left = counts[f"{column}:{i - 1}"].value - counts[f"{column}:{i}"].value
            if left < 0:
                raise ValueError(
                    f"attrition of `{task.name}`: `{column}` grows at step {i}, it may only fall"
                )
            counts[f"left-{column}:{i}"] = Count(left, is_published=False)
            sums.append((f"{column}:{i - 1}", (f"{column}:{i}", f"left-{column}:{i}")))
    _add_spans(task, counts, sums)
    _add_nulls(task, counts, sums)


def add_cohort(task: TaskFacts, counts: dict[str, Count], sums: list[Sum]) -> None:
    """Add how the labelled cohort, which is the last line of the flow, falls into the splits.

    Of examples drawn for the study, the splits are a part of it; the examples have null labels besides.

    Raises:
        ValueError: the splits exceed the cohort, or more is drawn than there is.
    """
    splits = [one.split for one in task.splits]
    if task.n_examples is not None:
        counts["examples"] = Count(task.n_examples, cost=COST_COHORT)
        add_rest(counts, sums, "examples", [f"n:{split}" for split in splits], "drawn-nulls")
        add_rest(counts, sums, "nulls", ["drawn-nulls"], "left-nulls")
    if not task.attrition or not splits:
        return
    last = len(task.attrition) - 1
    for whole, part in (("entries", "n"), ("cases", "cases"), ("non-entries", "non-n")):
        parts = [f"{part}:{split}" for split in splits]
        if task.n_examples is None:
            sums.append((f"{whole}:{last}", tuple(parts)))
        else:
            add_rest(counts, sums, f"{whole}:{last}", parts, f"undrawn-{whole}")
    if task.n_examples is not None:
        with_nulls = counts[f"entries:{last}"].value + counts["nulls"].value
        counts["cohort"] = Count(with_nulls, is_published=False)
        sums.append(("cohort", (f"entries:{last}", "nulls")))
        add_rest(counts, sums, "cohort", ["examples"], "undrawn")


def add_label_counts(task: TaskFacts, counts: dict[str, Count], sums: list[Sum]) -> None:
    """Add part of a class and the rest of it: cases and non-cases of the last line, and the null labels.

    Raises:
        ValueError: a part exceeds its class.
    """
    last = len(task.attrition) - 1
    totals = {1: f"cases:{last}", 0: f"non-entries:{last}", None: "nulls"}
    for row in task.label_counts:
        if row.quantity in SHOWN_ELSEWHERE:
            continue
        name = label_count_name(row.quantity, row.y_true)
        counts[name] = Count(row.n)
        if totals[row.y_true] in counts:
            add_rest(counts, sums, totals[row.y_true], [name], f"rest-{name}")


def label_count_name(quantity: str, y_true: int | None) -> str:
    """Name a count of the label table.

    >>> label_count_name("deaths_in_time_at_risk", None)
    'deaths_in_time_at_risk:null'
    """
    return f"{quantity}:{'null' if y_true is None else y_true}"


def _add_spans(task: TaskFacts, counts: dict[str, Count], sums: list[Sum]) -> None:
    """What left over several steps, where that is few: hidden steps between must not give it away."""
    steps = range(len(task.attrition))
    for column in ("entries", "persons", "cases", "non-entries"):
        for first in steps:
            for last in steps[first + 2 :]:
                left = counts[f"{column}:{first}"].value - counts[f"{column}:{last}"].value
                if 0 < left < SMALLEST_SHOWN:
                    name = f"left-{column}:{first}-{last}"
                    counts[name] = Count(left, is_published=False)
                    sums.append((f"{column}:{first}", (f"{column}:{last}", name)))


def _add_nulls(task: TaskFacts, counts: dict[str, Count], sums: list[Sum]) -> None:
    """The null labels of a reason are what left the flow at its step."""
    for reason, n in task.null_labels.items():
        counts[f"null:{reason}"] = Count(n)
    names = tuple(f"null:{reason}" for reason in task.null_labels)
    counts["nulls"] = Count(sum(task.null_labels.values()), is_published=False)
    sums.append(("nulls", names))
    # The label steps are last: of two steps with one description, the later is the reason's.
    steps = {step.reason: i for i, step in enumerate(task.attrition) if i and step.reason}
    unknown = sorted(set(task.null_labels) - set(steps)) if task.attrition else []
    if unknown:
        raise ValueError(f"attrition of `{task.name}` has no step for the null labels {unknown}")
    for reason, i in steps.items():
        # A reason that the page does not list has no example: a reader knows the 0.
        parts = (f"null:{reason}",) if reason in task.null_labels else ()
        sums.append((f"left-entries:{i}", parts))
