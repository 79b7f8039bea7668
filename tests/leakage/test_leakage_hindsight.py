"""Codes that know what follows them, among persons made by hand: renamed visits, results and findings."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dbt_world import PROJECT

from leakage.followed_site import OF_EVENT, OUTCOME, STAY, Person, write
from leakage.small_site import edit
from ml.leakage.rows import LeakRow
from ml.leakage.shown import open_shown
from ml.leakage.signals import hindsight

(CHECK,) = hindsight.CHECKS
CODE, ROUTINE, ANSWER = 50, 60, 70
CODED_ON = -400  # the day of the code of every person
Draw = np.random.Generator


def look(
    root: Path, persons: list[Person], asked: Callable[[int], bool] | None = None, *, shown_to: float = 1.0
) -> LeakRow:
    """Write these persons and look.

    Args:
        asked: whose code is an answer to a question that all are asked.
        shown_to: the share of the examples that are shown the code.
    """
    write(root, OF_EVENT, persons)
    examples = [f"{number:016x}" for number in range(1, len(persons) + 1)]
    rows = [(one, "Condition", ROUTINE, None) for one in examples]
    for one in examples[: round(shown_to * len(examples))]:
        rows += [(one, domain, CODE, ANSWER) for domain in ("Condition", "Visit")]
    pd.DataFrame(rows, columns=["example_id", "domain", "concept_id", "value_as_concept_id"]).astype(
        {"value_as_concept_id": "Int64"}
    ).to_parquet(root / "tasks" / OF_EVENT.task / "examples" / "event.parquet", index=False)
    published = root / "published"

    def complete(table):
        own = (table["concept_id"] == CODE) & table["person_id"].map(asked or (lambda _: False))
        return table.assign(source_concept_id=0, value_as_concept_id=own.map({True: ANSWER}).astype("Int64"))

    edit(published / "clinical_event.parquet", complete)
    edit(
        published / "concept_set_member.parquet",
        lambda table: table.replace("inpatient", "inpatient_or_emergency_visit"),
    )
    with open_shown(root, OF_EVENT, seeds=PROJECT / "seeds", n_tasks=2) as shown:
        row = CHECK.run(shown)
        again = CHECK.run(shown)
    assert row == again  # nothing is left behind on the connection
    assert row.severity == "warn"
    assert row.looked_at > 0
    return row


def seen(day: int, concept: int = ROUTINE, later: int = 0) -> tuple:
    return (day, "Condition", concept, None, later)


def years(rng: Draw) -> tuple:
    """Eight years of routine, a code that says nothing of anything."""
    return tuple(seen(int(day)) for day in rng.choice(np.arange(-2000, 900), 30, replace=False))


def coded(n: int, follows: Callable[[Draw, int], dict], later: int = 0) -> list[Person]:
    """Persons with routine and the code; `follows` gives what else, by a person's number."""
    rng = np.random.default_rng(7)
    persons = []
    for number in range(n):
        own = follows(rng, number)
        more = own.pop("events", ())
        events = (*years(rng), seen(CODED_ON, CODE, later), *more)
        persons.append(Person(events=events, starts=-2000, **own))
    return persons


def stay_after(first: int, last: int, share: float = 1.0) -> Callable[[Draw, int], dict]:
    def follows(rng: Draw, number: int) -> dict:
        day = CODED_ON + int(rng.integers(first, last + 1))
        return {"stays": ((day, day + 3),) if rng.random() < share else ()}

    return follows


def dies_after(rng: Draw, number: int) -> dict:
    return {"dies": CODED_ON + int(rng.integers(1, 60)), "index": -900}


def outcome_after(rng: Draw, number: int) -> dict:
    return {"events": (seen(CODED_ON + int(rng.integers(1, 60)), OUTCOME),), "index": -900}


def outcome_again(rng: Draw, number: int) -> dict:
    """The outcome had been, and is written down again."""
    return {"events": (seen(CODED_ON - 5, OUTCOME), seen(CODED_ON + 20, OUTCOME))}


def stay_of_a_day(rng: Draw, number: int) -> dict:
    return {"stays": ((CODED_ON + 9, CODED_ON + 9),)}


def stays_all_the_time(rng: Draw, number: int) -> dict:
    return {"stays": tuple((day, day + 2) for day in range(-2000, 900, 30))}


@pytest.mark.parametrize(
    ("follows", "words"),
    [
        (stay_after(1, 60), "a stay over night"),
        (stay_after(85, 90), "a stay over night"),
        (stay_after(1, 60, 0.96), "a stay over night"),
        (dies_after, "death"),
        (outcome_after, "the first outcome"),
    ],
)
def test_a_code_that_nearly_always_goes_before_is_found(tmp_path, follows, words):
    row = look(tmp_path, coded(200, follows))
    assert row.found == 1
    assert words in row.note


@pytest.mark.parametrize(
    ("n", "follows", "later"),
    [
        (200, stay_after(1, 60, 0.7), 0),  # many referrals come to nothing
        (200, stay_after(0, 0), 0),  # it is of the day of the admission
        (200, stay_after(95, 200), 0),
        (200, stay_after(1, 60), 120),  # it was dated before the stay, and known after it
        (30, stay_after(1, 60), 0),  # so few may be so by chance
        (200, stay_of_a_day, 0),
        (200, stays_all_the_time, 0),  # whatever is recorded of them, a stay follows
        (200, outcome_again, 0),
    ],
)
def test_what_need_not_have_known_is_not_found(tmp_path, n, follows, later):
    assert look(tmp_path, coded(n, follows, later)).found == 0


@pytest.mark.parametrize(("shown_to", "found"), [(0.02, 1), (0.0, 0)])
def test_only_what_is_shown_is_looked_at(tmp_path, shown_to, found):
    assert look(tmp_path, coded(200, stay_after(1, 60)), shown_to=shown_to).found == found


def test_an_answer_that_nearly_always_goes_before_is_found(tmp_path):
    """All are asked, half are admitted, and these gave one answer; persons are numbered from 1."""
    admitted = stay_after(1, 60)
    persons = coded(300, lambda rng, number: admitted(rng, number) if number % 2 else {})
    assert look(tmp_path / "asked", persons).found == 0
    assert look(tmp_path / "answered", persons, lambda person: person % 2 == 0).found == 1


def test_a_kind_of_visit_is_a_code_as_well(tmp_path):
    """Clinic visits before an admission bear a name of their own; the others are plain ones."""
    rng = np.random.default_rng(5)
    persons = []
    for _ in range(200):
        stays = (int(rng.integers(-1500, -800)), int(rng.integers(-300, 600)))
        days = rng.choice(np.arange(-2000, 900), 40, replace=False)
        ahead = [any(0 < stay - day <= 60 for stay in stays) for day in days]
        events = tuple(
            (int(day), "Visit", CODE if knew else ROUTINE, None, 0)
            for day, knew in zip(days, ahead, strict=True)
        )
        persons.append(Person(events=events, stays=tuple((day, day + 4) for day in stays), starts=-2000))
    assert look(tmp_path, persons).found == 1
    assert STAY not in (CODE, ROUTINE)
