"""Periods that outlast the records, extracts of those still there, late deaths, clinics without codes."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from dbt_world import PROJECT

from leakage.followed_site import OF_EVENT, Person, write
from leakage.small_site import edit
from ml.leakage.follow_up import deaths, periods, uncoded
from ml.leakage.record.calendar import NO_END
from ml.leakage.rows import LeakRow
from ml.leakage.shown import open_shown

CHECKS = {check.name: check for module in (periods, deaths, uncoded) for check in module.CHECKS}
SILENT, EARLY = "periods_end_with_the_records", "persons_leave_and_die_in_the_early_years_too"
AFTER, UNSEEN = "deaths_fall_into_observation", "who_dies_is_seen_until_then"
UNCODED = "who_is_seen_at_the_end_is_coded"
NAMES = (SILENT, EARLY, AFTER, UNSEEN, UNCODED)
LAST = 4000  # the last day of the data
Persons = list[Person]


def look(root: Path) -> list[LeakRow]:
    with open_shown(root, OF_EVENT, seeds=PROJECT / "seeds", n_tasks=4) as shown:
        return [CHECKS[name].run(shown) for name in NAMES]


def raised(root: Path, made: Persons) -> set[str]:
    rows = look(write(root, OF_EVENT, made, data_end=LAST))
    assert all(row.looked_at > 0 and row.limit == 0 and row.severity == "warn" for row in rows)
    words = [word for row in rows for word in (row.note + row.cannot_see).split()]
    assert not any(word.startswith(("201", "202", "00000")) for word in words)
    return {row.name for row in rows if row.found}


@cache
def persons() -> tuple[Person, ...]:
    """Persons who come over six years, are seen every eleven weeks, and leave (8% a year) or die (6%)."""
    rng = np.random.default_rng(7)
    made = []
    for _ in range(800):
        starts = int(rng.integers(0, 2200))
        leaves, dies = (starts + int(rng.exponential(365 * years)) for years in (12, 16))
        ends = min(leaves, dies, LAST)
        days = starts + np.cumsum(np.append(0, rng.exponential(80, 90)))
        days = np.unique(days[days <= ends].astype(int)).tolist()
        coded, treated = rng.random(len(days)) < 0.6, rng.random(len(days)) < 0.5
        events = [(day, "Visit", 9, None, 0) for day in days]
        events += [(day, "Condition", 10, None, 0) for day, one in zip(days, coded, strict=True) if one]
        events += [(day, "Drug", 11, None, 0) for day, one in zip(days, treated, strict=True) if one]
        died = dies if dies == ends else None
        made.append(Person(events=tuple(events), starts=starts, ends=ends, dies=died, index=starts))
    return tuple(made)


def last_record(one: Person) -> int:
    return max(event[0] for event in one.events)


def kept(one: Person, keep: Callable[[tuple], bool]) -> Person:
    return replace(one, events=tuple(event for event in one.events if keep(event)))


def of_records() -> Persons:
    """Periods end with the last record, or with death."""
    return [replace(one, ends=one.dies or last_record(one)) for one in persons()]


def some_do_not_ask_for_care() -> Persons:
    """One in ten has nothing but the first year, and is known to be there."""
    return [
        kept(one, lambda event, day=one.starts: event[0] < day + 365)
        if n % 10 == 0 and one.dies is None
        else one
        for n, one in enumerate(persons())
    ]


def left_long_before_they_died() -> Persons:
    """A register knows of the later deaths of all who left."""
    return [
        replace(one, dies=one.ends + 300 + 5 * n)
        if one.dies is None and one.ends + 300 + 5 * n < LAST
        else one
        for n, one in enumerate(persons())
    ]


def nobody_is_coded_more_seldom_than_before() -> Persons:
    """Diagnoses of a third of the persons never came."""
    return [kept(one, lambda event: event[1] != "Condition") if n % 3 == 0 else one
            for n, one in enumerate(persons())]  # fmt: skip


def of_records_of_the_dead_too() -> Persons:
    return [replace(one, ends=last_record(one)) for one in persons()]


def those_who_leave_stay_on() -> Persons:
    return [one if one.dies is not None else replace(one, ends=LAST) for one in persons()]


def those_who_leave_stay_four_years() -> Persons:
    """Periods are closed four years after the last record, or with the data."""
    return [one if one.dies is not None else replace(one, ends=min(LAST, last_record(one) + 1461))
            for one in persons()]  # fmt: skip


def still_there_in_the_last_years() -> Persons:
    return [one for one in persons() if one.ends >= LAST - 1000]


def deaths_known_of_the_last_years() -> Persons:
    """Earlier deaths are no deaths: those persons left."""
    return [replace(one, dies=None) if (one.dies or LAST) < LAST - 1000 else one for one in persons()]


def registered_late() -> Persons:
    return [one if one.dies is None else replace(one, dies=one.dies + 20 + n % 60)
            for n, one in enumerate(persons())]  # fmt: skip


def observed_to_their_registration() -> Persons:
    return [one if one.dies is None else replace(one, ends=one.dies) for one in registered_late()]


def a_third_uncoded(days: int) -> Callable[[], Persons]:
    return lambda: [
        kept(one, lambda event: event[1] != "Condition" or event[0] <= LAST - days) if n % 3 == 0 else one
        for n, one in enumerate(persons())
    ]


@pytest.mark.parametrize(
    "make",
    [
        lambda: list(persons()),
        of_records,
        some_do_not_ask_for_care,
        left_long_before_they_died,
        nobody_is_coded_more_seldom_than_before,
    ],
)
def test_what_is_fair_raises_no_alarm(tmp_path, make):
    assert raised(tmp_path, make()) == set()


@pytest.mark.parametrize(
    ("make", "by"),
    [
        (those_who_leave_stay_on, {SILENT}),
        (those_who_leave_stay_four_years, {SILENT}),
        (still_there_in_the_last_years, {EARLY}),
        (deaths_known_of_the_last_years, {EARLY}),
        (of_records_of_the_dead_too, {AFTER}),
        (registered_late, {AFTER, UNSEEN}),
        (observed_to_their_registration, {UNSEEN}),
        (a_third_uncoded(400), {UNCODED}),
        (a_third_uncoded(900), {UNCODED}),
    ],
)
def test_each_fault_is_told_by_its_check(tmp_path, make, by):
    assert raised(tmp_path, make()) == by


def test_few_deaths_are_not_judged_by_their_days(tmp_path):
    late = [one for one in registered_late() if one.dies is not None][:12]
    alive = [one for one in persons() if one.dies is None][:50]
    assert raised(tmp_path, [*late, *alive]) == set()


def test_without_an_end_of_the_data_only_the_calendar_is_not_judged(tmp_path):
    root = write(tmp_path, OF_EVENT, those_who_leave_stay_four_years(), data_end=LAST)
    nothing = dict.fromkeys(("data_end", "last_tar_end_date"))
    edit(root / "published" / "study_period.parquet", lambda table: table.assign(**nothing))
    rows = {row.name: row for row in look(root)}
    assert {name for name, row in rows.items() if row.found} == {SILENT}
    assert all(row.looked_at > 0 for row in rows.values())
    assert all(NO_END in rows[name].cannot_see for name in (EARLY, UNCODED))
