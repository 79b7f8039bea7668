"""Labels, follow-up, the right edge and readings: found again rule by rule, and each fault by its check."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from dbt_world import PROJECT
from scipy import stats

from leakage.followed_site import (
    ENTRY,
    OF_EVENT,
    OF_STAY,
    OF_VALUE,
    OUTCOME,
    VALUE,
    Person,
    day,
    write,
)  # fmt: skip
from leakage.small_site import edit
from ml.leakage.cohort import cohort, labels
from ml.leakage.fits import readings
from ml.leakage.follow_up import deaths, followup, right_edge
from ml.leakage.record.calendar import NO_END
from ml.leakage.rows import LeakRow
from ml.leakage.shown import open_shown
from ml.leakage.statistics.rates import few_tail, ratio_tail
from ml.task_definition import Task

CHECKS = {
    check.name: check for module in (labels, cohort, followup, deaths, right_edge, readings)
    for check in module.CHECKS
}  # fmt: skip
LABEL, REASON = "label_is_found_in_the_record", "missing_label_is_missing_in_the_record"
FOLLOWED = "follow_up_is_found_in_the_record"
ALARMS = (
    "who_is_lost_is_like_the_others",
    "deaths_are_as_many_as_must_be",
    "outcomes_come_as_often_to_the_end",
    "records_go_on_to_the_end_of_the_data",
    "few_records_are_missing_at_the_end",
    "deaths_come_as_often_to_the_end",
)
ENTERED = (0, "Condition", ENTRY, None, 0)
LAST = 1300  # the last day of the data, of persons drawn at random


def look(root: Path, *names: str, task: Task = OF_EVENT) -> list[LeakRow]:
    with open_shown(root, task, seeds=PROJECT / "seeds", n_tasks=2) as shown:
        return [CHECKS[name].run(shown) for name in names]


def found(root: Path, *names: str, task: Task = OF_EVENT) -> list[int]:
    return [row.found for row in look(root, *names, task=task)]


def outcome(day: int, later: int = 0) -> tuple:
    return (ENTERED, (day, "Condition", OUTCOME, None, later))


def value(day: int, number: float) -> tuple:
    return (ENTERED, (day, "Measurement", VALUE, number, 0))


# Every rule of a label, by METHODS 7 and 8, with the label it asks for.
RULES: dict[str, tuple[Task, Person]] = {
    "nothing happened": (OF_EVENT, Person(0)),
    "on the first day at risk": (OF_EVENT, Person(1, None, 1, outcome(1))),
    "on the last day at risk": (OF_EVENT, Person(1, None, 365, outcome(365))),
    "a day too late": (OF_EVENT, Person(0, None, None, outcome(366))),
    "dated before, known after": (
        OF_EVENT, Person(None, "outcome_before_index_known_later", None, outcome(-3, 9)),
    ),
    "lost": (OF_EVENT, Person(None, "lost_to_follow_up", ends=364)),
    "lost after the outcome": (OF_EVENT, Person(1, None, 90, outcome(90), ends=200)),
    "lost before the outcome": (OF_EVENT, Person(None, "lost_to_follow_up", None, outcome(90), ends=80)),
    "died": (OF_EVENT, Person(None, "died_before_outcome", dies=100, ends=100)),
    "died on the day of the outcome": (OF_EVENT, Person(1, None, 100, outcome(100), dies=100, ends=100)),
    "outcome after death": (OF_EVENT, Person(None, "died_before_outcome", None, outcome(120), dies=100)),
    "dead and not yet known": (
        OF_EVENT, Person(None, "death_before_index_known_later", dies=0, dies_known=20),
    ),
    "died where that is no outcome": (
        replace(OF_EVENT, death_policy="negative"), Person(0, dies=100, ends=100),
    ),
    "between the index and the time at risk": (
        replace(OF_EVENT, tar_start_days=31), Person(None, "outcome_before_time_at_risk", None, outcome(20)),
    ),
    "a week in hospital": (OF_STAY, Person(1, None, 7, stays=((0, 7),))),
    "six days in hospital": (OF_STAY, Person(0, stays=((0, 6),))),
    "moved within the hospital": (OF_STAY, Person(1, None, 7, stays=((0, 5), (6, 9)))),
    "came back after a day": (OF_STAY, Person(0, stays=((0, 5), (7, 16)))),
    "still there": (OF_STAY, Person(None, "visit_end_unknown", stays=((0, None),))),
    "died in hospital": (OF_STAY, Person(0, stays=((0, 4),), dies=4, ends=4)),
    "low": (OF_VALUE, Person(1, None, 30, value(30, 10.9))),
    "not low": (OF_VALUE, Person(0, None, None, value(30, 11.0))),
    "not measured": (OF_VALUE, Person(None, "unmeasured")),
}  # fmt: skip


@pytest.mark.parametrize(
    "task", {id(task): task for task, _ in RULES.values()}.values(), ids=lambda task: task.death_policy
)
def test_labels_are_found_by_their_rules_and_no_others_are(tmp_path, task):
    own = [one for of, one in RULES.values() if of == task]
    plain = Person(0, stays=((0, 6),)) if task is OF_STAY else Person(0, None, None, value(9, 12.0))
    root = write(tmp_path, task, [*own, plain])
    rows = look(root, LABEL, REASON, FOLLOWED, task=task)
    assert [(row.looked_at, row.found) for row in rows] == [(len(own) + 1, 0)] * 3
    path = root / "published" / "label.parquet"
    right = pd.read_parquet(path, dtype_backend="pyarrow")
    turn, unlabelled = right.index < len(own), right["y_true"].isna()
    becomes_case = turn & (right["y_true"].fillna(1) == 0)
    turned = right.assign(
        y_true=right["y_true"].mask(turn, becomes_case.astype("int64[pyarrow]")),
        reason=right["reason"].mask(turn),
        outcome_date=right["outcome_date"].mask(becomes_case, right["tar_start_date"]),
    )
    turned.to_parquet(path, index=False)
    assert found(root, LABEL, REASON, task=task) == [len(own), unlabelled.sum()]
    lost = "lost_to_follow_up"
    dropped = right.assign(y_true=right["y_true"].mask(turn), reason=right["reason"].mask(turn, lost))
    dropped.to_parquet(path, index=False)
    assert found(root, REASON, task=task) == [sum(one.reason != lost for one in own)]


def test_persons_whose_visits_share_an_id_are_left_out_and_said(tmp_path):
    one, other = Person(0, stays=((0, 4), (20, 24))), Person(0, stays=((0, 4),))
    root = write(tmp_path, OF_STAY, [one, other])
    edit(root / "published" / "clinical_event.parquet", lambda table: table.assign(visit_occurrence_id=0))
    (row,) = look(root, LABEL, task=OF_STAY)
    assert (row.looked_at, row.found) == (1, 0)
    assert "Examples of persons whose visits share an id: fewer than 20" in row.cannot_see


def test_a_cohort_of_admissions_is_found_and_who_was_left_out_is_missed(tmp_path):
    name = "cohort_is_found_in_the_record"
    moved = Person(0, stays=((0, 2), (3, 5)))  # one stay
    root = write(tmp_path, OF_STAY, [Person(0, stays=((0, 6),)), moved, Person(0, stays=((0, 1),), dies=1)])
    (row,) = look(root, name, task=OF_STAY)
    assert (row.looked_at, row.found) == (3, 0)
    edit(root / "published" / "cohort.parquet", lambda table: table.iloc[:2])
    assert found(root, name, task=OF_STAY) == [1]
    again = write(tmp_path / "again", OF_STAY, [Person(0, stays=((0, 6), (30, 35)))])
    assert found(again, name, task=OF_STAY) == [1]


def test_a_follow_up_that_is_painted_over_is_found(tmp_path):
    one = Person(None, "lost_to_follow_up", None, (ENTERED,), ends=200)
    root = write(tmp_path, OF_EVENT, [one, Person(0)])
    edit(root / "published" / "label.parquet", lambda table: table.assign(follow_up_end_date=day(900)))
    assert found(root, FOLLOWED) == [1]


def persons(seed: int, *, sick_are_lost: bool = False, recorded_to: int = LAST) -> list[Person]:
    """Persons of 65 and older, seen about every six weeks until they are lost, die or the data end.

    One in ten is lost in a year, one in ten a year has the outcome, one in twelve dies.
    """
    rng = np.random.default_rng(seed)
    made = []
    for n in range(700):
        sick, index = n % 2 == 0, int(rng.integers(0, 900))
        lost = rng.random() < (0.1 if not sick_are_lost else 0.45 if sick else 0.02)
        ends = int(rng.integers(index + 5, index + 300)) if lost else LAST
        dies = int(rng.exponential(365 * 12)) + index
        died = dies if dies <= ends else None
        happens = int(rng.exponential(365 * 10)) + index
        visits = np.cumsum(rng.exponential(45, 50)) + index - 400
        codes = rng.integers(100, 130 if sick else 105, len(visits))
        seen = visits <= min(ends, dies, recorded_to)
        events = [(int(at), "Condition", int(code), None, 0)
                  for at, code in zip(visits[seen], codes[seen], strict=True)]  # fmt: skip
        events += (
            [(happens, "Condition", OUTCOME, None, 0)] if happens <= min(ends, dies, recorded_to) else []
        )
        born = index - int(rng.integers(65, 85)) * 365
        made.append(
            Person(events=tuple(events), dies=died, starts=index - 400, ends=ends, index=index, born=born)
        )
    return made


def not_yet_coded(made: list[Person]) -> list[Person]:
    """Nine in ten outcomes of the last year are missing."""
    rng = np.random.default_rng(5)
    return [
        replace(one, events=tuple(
            event for event in one.events
            if event[2] != OUTCOME or event[0] <= LAST - 365 or rng.random() < 0.1
        ))
        for one in made
    ]  # fmt: skip


def without_deaths(made: list[Person]) -> list[Person]:
    """Who died goes on as observed."""
    return [one if one.dies is None else replace(one, dies=None, ends=LAST) for one in made]


def deaths_not_yet_known(made: list[Person]) -> list[Person]:
    """Of the deaths of the last year none is known."""
    return [replace(one, dies=None, ends=LAST) if (one.dies or 0) > LAST - 365 else one for one in made]


def raised(root: Path, made: list[Person]) -> set[str]:
    rows = look(write(root, OF_EVENT, made, data_end=LAST), *ALARMS)
    assert all(row.looked_at > 0 for row in rows)
    assert not any(word in row.note + row.cannot_see for row in rows for word in ("2015", "2016", "00000"))
    return {row.name for row in rows if row.found}


def test_a_fair_site_raises_no_alarm(tmp_path):
    assert raised(tmp_path, persons(1)) == set()


def test_the_sick_who_are_lost_are_told(tmp_path):
    assert raised(tmp_path, persons(2, sick_are_lost=True)) == {"who_is_lost_is_like_the_others"}


def test_outcomes_that_are_not_coded_yet_are_told(tmp_path):
    assert raised(tmp_path, not_yet_coded(persons(3))) == {"outcomes_come_as_often_to_the_end"}


def test_periods_that_go_on_without_records_block(tmp_path):
    found = raised(tmp_path, persons(4, recorded_to=LAST - 200))
    assert {"records_go_on_to_the_end_of_the_data", "few_records_are_missing_at_the_end"} <= found
    assert CHECKS["records_go_on_to_the_end_of_the_data"].how == "blocks"


def test_deaths_that_a_source_does_not_know_are_told(tmp_path):
    assert raised(tmp_path, without_deaths(persons(5))) == {"deaths_are_as_many_as_must_be"}


def test_deaths_of_the_last_year_that_are_not_known_yet_are_told(tmp_path):
    assert raised(tmp_path, deaths_not_yet_known(persons(6))) == {"deaths_come_as_often_to_the_end"}


def test_dates_without_an_end_of_the_data_are_not_judged(tmp_path):
    root = write(tmp_path, OF_EVENT, persons(4, recorded_to=LAST - 200)[:100])
    edit(root / "published" / "study_period.parquet", lambda table: table.assign(last_tar_end_date=None))
    rows = look(root, *(name for name in ALARMS if "end" in name))
    assert [row.found for row in rows] == [0] * 4
    assert all(row.looked_at > 0 and NO_END in row.cannot_see for row in rows)


def logged(**cells: str) -> dict[str, str]:
    row = {"at": "now", "run_id": "run", "study_sha256": "study", "snapshot": "one", "code": "code"}
    return {**row, "task": OF_EVENT.task, "arm": "a", **cells}


@pytest.mark.parametrize(
    ("rows", "looked_at", "found"),
    [
        ([], 0, 0),
        ([logged(), logged(arm="b"), logged(run_id="again"), logged(arm="own_date_sensitivity")], 3, 0),
        ([logged(), logged(snapshot="refreshed")], 2, 0),
        ([logged(), logged(task="other", code="new")], 1, 0),
        ([logged(), logged(code="new"), logged(code="newer"), logged(arm="b")], 4, 2),
        ([logged(), logged(study_sha256="edited")], 2, 1),
    ],
    ids=["none", "one run, again", "after a refresh", "of another task", "other code", "an edited protocol"],
)
def test_readings_of_the_same_labels_beyond_the_first_are_told(tmp_path, rows, looked_at, found):
    root = write(tmp_path, OF_EVENT, [Person(0, None, None, (ENTERED,))])
    (before,) = look(root, "held_out_is_read_once")
    assert (before.looked_at, before.found, before.severity) == (0, 0, "warn")
    (root / "held_out_log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (row,) = look(root, "held_out_is_read_once")
    assert (row.looked_at, row.found) == (looked_at, found)


@pytest.mark.parametrize("expected", [0.5, 4.0, 60.0])
def test_the_bound_of_few_events_is_never_below_the_poisson_tail(expected):
    for n in range(int(expected) + 3):
        assert few_tail(n, expected) >= min(1, stats.poisson.cdf(n, expected)) * (1 - 1e-9)
    assert few_tail(0, expected) == pytest.approx(np.exp(-expected))


def test_the_bound_of_a_ratio_of_shares_holds_its_level():
    rng = np.random.default_rng(6)
    draws = zip(rng.binomial(60, 0.3, 400), rng.binomial(80, 0.6, 400), strict=True)
    bounds = np.array([ratio_tail((int(low), 60), (int(high), 80), 0.5) for low, high in draws])
    assert np.mean(bounds <= 0.05) <= 0.05
    assert ratio_tail((5, 60), (48, 80), 0.5) < 0.01 < ratio_tail((15, 60), (48, 80), 0.5)
    assert ratio_tail((0, 0), (48, 80), 0.5) == 1.0
