"""The oracle on single facts worked out by hand: periods, ages, deaths, data end, attrition, inputs."""

import pytest

from definitions.catalogue import criterion, define
from definitions.templates import DEFAULT
from definitions.test_oracle_timelines import DEATH, DISEASE, task
from definitions.timeline import DAY_0, Entry, death, disease, event, examples, period, result, sign, visit
from definitions.vocabulary import CHARTED, CLAIM, OUTPATIENT


def test_of_several_periods_the_first_to_start_and_then_the_last_to_end_counts() -> None:
    found = result(task(), period(-5, 100), period(-9, 3), period(-9, 4), sign())
    assert examples(found) == [(0, "lost_to_follow_up")]
    assert (found.cohort[0].observation_period_end_date - DAY_0).days == 4


@pytest.mark.parametrize(
    ("born", "age_min", "age_max", "enters"),
    [
        ((1950, 3, 10), 65, None, True),  # the birthday
        ((1950, 3, 11), 65, None, False),  # the day before
        ((1949, 3, 11), None, 65, True),
        ((1949, 3, 10), None, 65, False),
        ((1950, None, None), 65, None, True),  # counted as 1 January
        ((None, None, None), 1, None, False),
    ],
)
def test_age_is_in_completed_years_and_an_unknown_one_passes_no_limit(
    born: tuple[int | None, ...], age_min: int | None, age_max: int | None, enters: bool
) -> None:
    found = result(task(age_min=age_min, age_max=age_max), period(), sign(), born=born)
    assert bool(found.cohort) == enters


def test_an_unknown_sex_passes_no_limit() -> None:
    assert not result(task(sex_concept_id=8507), period(), sign(), sex=0).cohort
    assert result(task(sex_concept_id=8507), period(), sign(), sex=8507).cohort


@pytest.mark.parametrize(("age", "month_and_day"), [(64, (2, 29)), (63, (3, 1)), (65, (3, 1))])
def test_who_is_born_on_29_february_is_a_year_older_on_1_march_of_other_years(
    age: int, month_and_day: tuple[int, int]
) -> None:
    landmark = define("timeline", DEATH, anchor="landmark", landmark_age=age, tar_end_days=5)
    found = result(landmark, period(-3000, 3000), born=(1952, 2, 29)).cohort[0]
    assert (found.index_date.month, found.index_date.day) == month_and_day
    assert found.age == age


def test_a_death_known_later_makes_the_label_null() -> None:
    late = [{"source_table": "death", "type_concept_id": None, "rule": "own_date", "lag_days": 3}]
    rules = [row for row in DEFAULT if row["source_table"] != "death"] + late
    assert examples(result(task(), period(), sign(), death(-2), availability=rules)) == [
        (0, "death_before_index_known_later")
    ]
    assert examples(result(task(), period(), sign(), death(-3), availability=rules)) == []


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([death(-2, CHARTED), death(-2, CLAIM)], "death_before_index_known_later"),  # the smaller type, late
        ([death(-2, None), death(-2, CHARTED)], None),  # a type comes before none
        (
            [death(-2, CLAIM), death(-1, CHARTED)],
            "death_before_index_known_later",
        ),  # the other row is no event
    ],
)
def test_of_several_deaths_the_earliest_of_the_smallest_type_counts(
    rows: list[Entry], found: str | None
) -> None:
    lags = {None: 5, CLAIM: 5, CHARTED: 0}
    late = [
        {"source_table": "death", "type_concept_id": kind, "rule": "own_date", "lag_days": lag}
        for kind, lag in lags.items()
    ]
    rules = [row for row in DEFAULT if row["source_table"] != "death"] + late
    labels = examples(result(task(), period(), sign(), *rows, availability=rules))
    assert labels == ([] if found is None else [(0, found)])


def test_a_death_is_an_input_once_it_is_known() -> None:
    moved = task(design="reproduction", index_rule="outcome_or_last_visit", index_gap_days=0)
    rows = [sign(), visit(1, 9, 9, OUTPATIENT)]
    without, with_death = (
        result(moved, period(), *rows, *more).inputs[0].n_events for more in ([], [death(8)])
    )
    assert with_death == without + 1


@pytest.mark.parametrize(
    ("data_end", "lag", "enters"),
    [("2015-03-15", 0, True), ("2015-03-14", 0, False), ("2015-03-15", 1, False)],
)
def test_the_window_has_to_close_before_the_data_end(data_end: str, lag: int, enters: bool) -> None:
    found = result(task(), period(), sign(), disease(1), data_end=data_end, lag=lag)
    assert bool(found.cohort) == enters
    assert [row.step for row in found.attrition if row.entries == 0][:1] == ([] if enters else ["closed"])


def test_a_stay_that_was_long_enough_is_known_the_day_after_its_end() -> None:
    required = criterion("require", "Stay", "t_ward", min_count=1, min_length_days=3)
    found = [
        examples(result(task(required), period(), visit(1, start, end), sign()))
        for start, end in ((-9, -1), (-9, 0), (-3, -1), (-4, -1))
    ]
    assert found == [[(0, 0)], [], [], [(0, 0)]]


def test_an_entry_in_a_visit_is_known_when_both_events_are() -> None:
    entry = criterion("entry", "Drug", "t_drug", same_visit_as=3)
    partner = criterion("forbid", "Condition", "t_sign", window_start_days=99, window_end_days=99)
    defined = define(
        "timeline", entry, DISEASE, partner, anchor="event", tar_end_days=5, design="reproduction"
    )
    rows = [visit(7, -3, 2), event("t_drug", -3, visit=7), event("t_sign", -3, visit=7), disease(4)]
    assert examples(result(defined, period(), *rows)) == [(2, 1)]


def test_attrition_counts_entries_persons_and_cases_down_to_the_labels() -> None:
    defined = task(entry_limit="all", prior_observation_days=10, age_min=65, washout_days=0)
    found = result(defined, period(start=-15), sign(-8), sign(-1), sign(0), disease(0), sign(2), disease(5),
                   born=(1950, 3, 10))  # fmt: skip
    assert [(row.step, row.entries, row.cases) for row in found.attrition] == [
        ("entry", 4, 3),
        ("observed", 4, 3),
        ("prior_observation", 3, 3),
        ("age", 2, 2),
        ("alive", 2, 2),
        ("prior_outcome", 1, 1),
        ("death_before_index_known_later", 1, 1),
        ("outcome_before_index_known_later", 1, 1),
        ("lost_to_follow_up", 1, 1),
    ]


def test_inputs_are_what_was_known_before_the_index_day_or_by_its_end() -> None:
    rows = [visit(7, -4, 0), event("t_drug", -4), event("t_comorbidity", -3, visit=7), sign(), disease(3)]
    before, by_end = (
        result(task(index_day_input=which), period(), *rows).inputs[0].n_events
        for which in ("exclude", "include")
    )
    assert (before, by_end) == (2, 5)  # drug and admission; also discharge, comorbidity and sign
