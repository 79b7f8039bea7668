"""Small worlds whose dates lie at the edges of every window of a template's tasks; a world is one seed."""

import random
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

from definitions import vocabulary as concepts
from definitions.availability import Rules
from definitions.catalogue import Row
from definitions.chart import Chart, World
from definitions.concept_set import resolve
from definitions.day import Day, after
from definitions.person import tell
from definitions.record import EVENT_TABLES
from definitions.task import Task, read_task
from definitions.templates import Template

# Worlds stack without touching when their first person ids are at least this far apart.
STRIDE = 32
PERSONS = (6, 18)
KEYS_A_PERSON = 1000
PERSON_TABLES = (
    "person",
    "observation_period",
    "visit_occurrence",
    *(table for table, *_ in EVENT_TABLES),
    "death",
)


def vocabulary(template: Template) -> dict[str, list[Row]]:
    """Return `concept` and `concept_ancestor`, the same for all worlds of a template."""
    return concepts.tables(template.concept_sets)


def draw(template: Template, seed: int, first_person_id: int) -> dict[str, list[Row]]:
    """Return the raw rows of one world: every table but the vocabulary.

    Of five worlds one has negative ids and one has ids beyond 2**53; `first_person_id` is 1 or more, and
    first ids at least `STRIDE` apart keep worlds disjoint.
    """
    rng = random.Random(seed)
    facts = _facts(_Held(template))
    persons = [_identifier(first_person_id + n, seed) for n in range(STRIDE)]
    keys = count(_identifier(first_person_id, seed) * KEYS_A_PERSON)
    world = World(
        rng, facts.rules, facts.sets, facts.strangers, keys, persons, {table: [] for table in PERSON_TABLES}
    )
    for person_id in persons[: rng.randint(*PERSONS)]:
        tell(Chart(world, person_id), rng.choice(facts.tasks), facts.last_closed)
    _nobody(world, facts.tasks)
    for rows in world.tables.values():
        rng.shuffle(rows)
    return world.tables


def stack(worlds: list[dict[str, list[Row]]], vocabulary: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Return many worlds as one source."""
    tables = {table: [row for world in worlds for row in world[table]] for table in PERSON_TABLES}
    return {**tables, **vocabulary}


def _identifier(number: int, seed: int) -> int:
    if seed % 5 == 3:
        return -number - 1
    return 2**53 + number if seed % 5 == 4 else number


def _nobody(world: World, tasks: list[Task]) -> None:
    """Write a period and events of somebody the source does not know."""
    stranger = Chart(world, world.persons[-1])
    task = world.rng.choice(tasks)
    day = after(world.tables["observation_period"][0]["observation_period_start_date"], 40)
    world.write(
        "observation_period",
        observation_period_id=next(world.keys),
        person_id=stranger.person_id,
        observation_period_start_date=after(day, -400),
        observation_period_end_date=after(day, 400),
        period_type_concept_id=32817,
    )
    for row in task.rows("entry") or task.rows("outcome"):
        stranger.match(row, day)


class _Held:
    """Hands an unhashable template to a cache keyed by its name."""

    def __init__(self, template: Template):
        self.template = template

    def __hash__(self) -> int:
        return id(self.template)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and other.template is self.template


@dataclass(frozen=True)
class _Facts:
    """What every world of a template needs; `strangers` are concepts near a set that are not in it."""

    tasks: list[Task]
    sets: dict[str, frozenset[int]]
    strangers: dict[str, list[int]]
    rules: Rules
    last_closed: Day | None


@lru_cache(maxsize=32)
def _facts(held: _Held) -> _Facts:
    template = held.template
    known = vocabulary(template)
    sets = resolve(template.concept_sets, known["concept"], known["concept_ancestor"])
    end = template.vars["data_end"]
    lag = int(template.vars["coding_lag_days"])
    return _Facts(
        tasks=[read_task(row, template.criteria) for row in template.tasks],
        sets=sets,
        strangers={name: _strangers(name, members, template, known) for name, members in sets.items()},
        rules=Rules(template.availability),
        last_closed=None if end == "none" else after(Day.fromisoformat(end), -lag),
    )


def _strangers(
    name: str, members: frozenset[int], template: Template, known: dict[str, list[Row]]
) -> list[int]:
    """Return relatives of a set that are not in it, and 0; without relatives, any others."""
    named = {int(row["concept_id"]) for row in template.concept_sets if row["concept_set"] == name}
    children = {
        row["descendant_concept_id"]
        for row in known["concept_ancestor"]
        if row["ancestor_concept_id"] in named
    }
    others = (named | children) - members or {row["concept_id"] for row in known["concept"][:5]} - members
    return sorted(others | {0})
