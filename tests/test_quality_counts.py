"""Every quirk of real exports, planted on either side of its boundary, is counted by its own check."""

import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt_world import FAILURE, NO_TESTS, Built, build, land_rows, observed, person, visit, world

pytestmark = [pytest.mark.slow, pytest.mark.platform, pytest.mark.xdist_group("dbt")]

NEGATIVE = -9_007_199_254_740_993  # beyond what a double tells apart
POTASSIUM, MILLIMOLES, GRAMS = 3023103, 8753, 8713
PROSTATE, FEMALE = 196734, 8532
VISIT_OF_201, OPEN_OLD, OPEN_NEW = 501, 502, 503

Row = dict[str, Any]


def condition(number: int, person_id: int | None, day: str | None, **more: Any) -> Row:
    row = {
        "condition_occurrence_id": number,
        "person_id": person_id,
        "condition_concept_id": FAILURE,
        "condition_start_date": day,
        "condition_type_concept_id": 32020,
        "condition_source_concept_id": 0,
    }
    return {**row, **more}


def value(number: int, number_value: float, unit: int | None) -> Row:
    return {
        "measurement_id": number,
        "person_id": 201,
        "measurement_concept_id": POTASSIUM,
        "measurement_date": "2015-01-01",
        "measurement_type_concept_id": 32020,
        "measurement_source_concept_id": 0,
        "value_as_number": number_value,
        "unit_concept_id": unit,
    }


def quirky_world() -> dict[str, list[Row]]:
    """The world of the builds with every quirk in it: persons 201 to 206, and one whose id is negative."""
    rows = world()
    rows["person"] += [person(n) for n in (201, 202, NEGATIVE)]
    rows["person"] += [person(203, 2099), person(204, 1900), person(205, sex=FEMALE), person(206, sex=0)]
    rows["person"][-4] |= {"month_of_birth": 1, "day_of_birth": 1}
    rows["observation_period"] += [observed(n) for n in (201, 202, 203, 204, 205, 206)]
    rows["observation_period"] += [
        observed(NEGATIVE) | {"observation_period_id": -1},
        observed(206, "2019-01-01", "2018-01-01") | {"observation_period_id": -2},
    ]
    rows["visit_occurrence"] += [
        visit(VISIT_OF_201, 201, 9202, "2015-02-10", "2015-02-12"),
        visit(OPEN_OLD, 201, 9201, "2019-12-31", None),  # 366 days before the data end
        visit(OPEN_NEW, 201, 9201, "2020-01-01", None),  # 365
        visit(504, 201, 9202, "2016-02-02", "2016-02-01"),
        visit(505, 201, 9202, "2016-02-10", "2016-02-11"),  # one night; that of 201 is of two
    ]
    rows["condition_occurrence"] += [
        condition(601, 201, "2015-02-12", visit_occurrence_id=VISIT_OF_201),
        condition(602, 201, "2015-02-13", visit_occurrence_id=VISIT_OF_201),  # a day after it
        condition(603, 201, "2015-02-19", visit_occurrence_id=VISIT_OF_201),  # a week after it
        condition(604, 201, "2015-02-20", visit_occurrence_id=VISIT_OF_201),
        condition(605, 201, "2015-02-11", visit_occurrence_id=999),  # no such visit
        condition(606, 202, "2015-02-11", visit_occurrence_id=VISIT_OF_201),  # another person's
        condition(607, 201, "2015-03-01"),
        condition(607, 201, "2015-03-01"),  # the same row again
        condition(608, 201, "2015-03-01"),
        condition(608, 202, "2015-03-02"),  # the same key, other content
        condition(609, 201, "2015-04-01", condition_concept_id=0, condition_source_concept_id=4321),
        condition(610, 201, "2015-04-02", condition_concept_id=0),
        condition(611, 201, None),
        condition(612, 201, "2015-04-03", condition_concept_id=None),
        condition(613, None, "2015-04-03"),
        condition(614, 201, "2015-04-04", condition_type_concept_id=0),
        condition(615, 201, "2015-04-05", condition_concept_id=71),  # of another domain
        condition(616, 201, "2015-04-06", condition_concept_id=72),  # not standard any more
        condition(617, 201, "2015-04-07", condition_end_date="2015-04-06"),
        condition(618, 201, "2015-04-07", condition_end_date="2015-04-07"),
        condition(619, 202, "2017-06-01"),  # the day of the death
        condition(620, 202, "2017-06-02"),
        condition(621, 202, "2017-07-31"),  # sixty days after it
        condition(622, 202, "2017-08-01"),
        condition(623, 204, "1900-05-16"),  # thirty days before birth on 1900-06-15
        condition(624, 204, "1900-05-15"),
        condition(625, 204, "1899-12-31"),
        condition(626, NEGATIVE, "2015-05-05"),
        condition(627, 201, "2020-12-31"),
        condition(628, 201, "2021-01-01"),  # the data ended the day before
        condition(629, 201, "2150-01-01"),
        condition(630, 201, "2015-05-06", condition_concept_id=PROSTATE),
        condition(631, 205, "2015-05-06", condition_concept_id=PROSTATE),
        condition(632, 206, "2015-05-06", condition_concept_id=PROSTATE),  # of unknown sex
        condition(633, 1, "2015-04-01", visit_occurrence_id=999),  # one of the cohort of dhf_1y
    ]
    rows["measurement"] = [
        value(701, 4.2, MILLIMOLES),
        value(702, 1, MILLIMOLES),
        value(703, 0.9, MILLIMOLES),
        value(704, 4.2, GRAMS),
        value(705, 4.2, None),
    ]
    rows["death"] += [
        {"person_id": 202, "death_date": "2017-06-01"},
        {"person_id": 203, "death_date": "2150-02-02"},
    ]
    concept = rows["concept"][0]
    rows["concept"] += [
        {**concept, "concept_id": 71, "domain_id": "Procedure"},
        {**concept, "concept_id": 72, "standard_concept": None, "invalid_reason": "U"},
        {**concept, "concept_id": PROSTATE},
        {**concept, "concept_id": POTASSIUM, "domain_id": "Measurement"},
    ]
    return rows


# Found among all rows; what a check found in the world without quirks stands first in a sum.
FOUND = {
    ("required_values_are_there", "condition_occurrence"): 3,
    ("person_is_known", "condition_occurrence"): 1 + 1,
    ("person_is_known", "observation_period"): 1,
    ("key_is_not_repeated_with_other_content", "condition_occurrence"): 2,
    ("key_is_not_repeated_with_other_content", "observation_period"): 1,
    ("row_is_not_repeated_whole", "condition_occurrence"): 2,
    ("visit_is_known", "condition_occurrence"): 3,
    ("concept_is_known", "condition_occurrence"): 16,
    ("concept_is_known", "visit_occurrence"): 3 + 5,
    ("concept_fits_its_table", "condition_occurrence"): 1,
    ("concept_is_standard", "condition_occurrence"): 1,
    ("concept_is_mapped", "condition_occurrence"): 2,
    ("concepts_are_mostly_mapped", "condition_occurrence"): 2,
    ("unmapped_row_lacks_a_source_concept", "condition_occurrence"): 1,
    ("type_is_recorded", "condition_occurrence"): 1,
    ("sex_is_recorded", "person"): 1,
    ("past_stay_has_an_end", "visit_occurrence"): 1,
    ("visit_over_nights_is_a_stay", "visit_occurrence"): 1,
    ("person_is_observed", "observation_period"): 1,
    ("period_starts_before_it_ends", "observation_period"): 1,
    ("periods_do_not_overlap", "observation_period"): 1,
    ("birth_date_is_plausible", "person"): 1,
    ("date_is_possible", "condition_occurrence"): 2,
    ("date_is_possible", "death"): 1,
    ("row_is_not_before_birth", "condition_occurrence"): 2,
    ("row_is_not_long_after_death", "condition_occurrence"): 1,
    ("person_has_no_row_after_death", "death"): 1,
    ("few_persons_have_rows_after_death", "death"): 1,
    ("person_dies_once", "death"): 1,
    ("end_is_not_before_start", "visit_occurrence"): 1,
    ("end_is_not_before_start", "condition_occurrence"): 1,
    ("row_is_in_an_observation_period", "condition_occurrence"): 3 + 5,
    ("row_is_in_an_observation_period", "death"): 1,
    ("row_is_not_after_the_data_end", "condition_occurrence"): 2,
    ("row_is_not_after_the_data_end", "death"): 1,
    ("row_is_within_a_week_of_its_visit", "condition_occurrence"): 1,
    ("row_is_within_its_visit", "condition_occurrence"): 3,
    ("unit_is_plausible", "measurement"): 2,
    ("value_is_plausible", "measurement"): 1,
    ("sex_fits_the_concept", "condition_occurrence"): 1,
    ("vocabulary_says_its_version", "vocabulary"): 1,
}
NOT_JUDGED = {("type_is_recorded", "death")}


@pytest.fixture(scope="module")
def quirky(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("quirky")
    landing = land_rows(quirky_world(), folder / "landing")
    return build(folder, landing, *NO_TESTS, "--select", "+quality_count", "+snapshot_profile")


def test_each_quirk_is_found_by_its_check_and_by_no_other(quirky: Built) -> None:
    rows = quirky.rows(
        "select name, source_table, found from quality_count"
        " where task = '' and found > 0 and name <> 'person_has_a_row'"
    )
    found = {(name, table): n for name, table, n in rows}
    assert {key: n for key, n in found.items() if key not in NOT_JUDGED} == FOUND


def test_a_cohort_counts_the_rows_of_its_persons_only(quirky: Built) -> None:
    rows = quirky.rows(
        "select task, looked_at, found from quality_count where name = 'visit_is_known'"
        " and source_table = 'condition_occurrence' and task in ('', 'dhf_1y')"
    )
    counts = {task: (looked_at, found) for task, looked_at, found in rows}
    # two of stays, six of the quirks, and the one of person 1
    assert counts == {"": (9, 3), "dhf_1y": (3, 1)}


def test_what_prediction_needs_is_counted_for_each_task(quirky: Built) -> None:
    rows = quirky.rows(
        "select task, name, looked_at, found from quality_count where source_table in ('example', 'concept')"
    )
    found = {(task, name): (looked_at, n) for task, name, looked_at, n in rows}
    # eight of the stories are labelled; persons 2 and 3 are cases, and person 1 by a quirk
    assert found["dhf_1y", "enough_examples_are_labelled"] == (100, 92)
    assert found["dhf_1y", "cases_are_no_rarity"] == (8, 5)
    assert found["dhf_1y", "cases_are_no_majority"] == (8, 3)
    # of three concepts that are heart failure one is recorded
    assert found["dhf_1y", "outcome_is_recorded"] == (1, 0)
    assert found["dhf_1y", "outcome_is_recorded_by_several_concepts"] == (1, 1)
    assert found["paca_1y", "outcome_is_recorded"] == (1, 1)
    assert found["paca_1y", "outcome_is_recorded_by_several_concepts"] == (0, 0)
    assert found["mortality_1y", "outcome_is_recorded"] == (0, 0)  # a death has no concepts
    assert found["gi_bleed_1y", "enough_examples_are_labelled"] == (0, 0)  # refused for having none at all


SAID = [
    ([("None", "v5.0"), ("SNOMED", "2018")], ["other"], "v5.0"),
    ([("None", None), ("SNOMED", "2018")], ["of the source"], "of the source"),
    ([("SNOMED", "2018")], [None], None),
    ([], [], None),
]


@pytest.mark.parametrize(("vocabularies", "sources", "version"), SAID)
def test_the_version_of_the_vocabulary_is_the_one_of_all_or_the_one_of_the_source(
    quirky: Built, tmp_path: Path, vocabularies: list[Any], sources: list[Any], version: str | None
) -> None:
    (file,) = quirky.compiled.rglob("vocabulary_version.sql")
    with duckdb.connect(str(shutil.copy(quirky.database, tmp_path / "small.duckdb"))) as connection:
        for table, names in (
            ("vocabulary", "vocabulary_id, vocabulary_version"),
            ("cdm_source", "vocabulary_version"),
        ):
            columns = ", ".join(f"cast(null as varchar) as {name}" for name in names.split(", "))
            connection.execute(f"drop view landing.{table}")
            connection.execute(f"create table landing.{table} as select {columns} limit 0")
        for row in vocabularies:
            connection.execute("insert into landing.vocabulary values (?, ?)", row)
        for one in sources:
            connection.execute("insert into landing.cdm_source values (?)", [one])
        assert connection.execute(file.read_text(encoding="utf-8")).fetchall() == [("", version)]


def test_rows_of_nobody_and_without_a_date_leave_and_all_of_a_repeated_key_stay(quirky: Built) -> None:
    events = quirky.rows(
        "select person_id, count(*) from clinical_event where source_table = 'condition_occurrence'"
        " and person_id in (201, 202, 88) group by person_id order by person_id"
    )
    assert events == [(201, 20), (202, 6)]


def test_a_negative_id_beyond_doubles_stays_exact(quirky: Built) -> None:
    assert quirky.rows(f"select count(*) from clinical_event where person_id = {NEGATIVE}") == [(1,)]
    assert quirky.rows(f"select count(*) from split where person_id = {NEGATIVE}") == [(1,)]


def test_an_empty_table_has_no_counts_that_could_pass(quirky: Built) -> None:
    tables = {row[0] for row in quirky.rows("select distinct source_table from quality_count")}
    assert not {"drug_exposure", "procedure_occurrence", "observation"} & tables


def test_dates_shifted_for_each_person_are_not_held_to_a_calendar(quirky: Built, tmp_path: Path) -> None:
    shifted = Built(Path(shutil.copy(quirky.database, tmp_path / "small.duckdb")), quirky.compiled)
    with duckdb.connect(str(shifted.database)) as connection:
        connection.execute("update study_period set data_end = null")
        models = ("row_quality", "person_quality", "row_quality_sum", "person_quality_sum", "quality_count")
        for model in models:
            (file,) = quirky.compiled.rglob(f"{model}.sql")
            connection.execute(f"create or replace table {model} as {file.read_text(encoding='utf-8')}")
    calendar = ("date_is_possible", "birth_date_is_plausible")
    calendar += ("row_is_not_after_the_data_end", "past_stay_has_an_end")
    counts = f"select sum(looked_at), sum(found) from quality_count where task = '' and name in {calendar}"
    assert quirky.rows(counts) > [(100, 6)]
    assert shifted.rows(counts) == [(0, 0)]
    others = f"select * from quality_count where name not in {calendar} order by all"
    assert shifted.rows(others) == quirky.rows(others)
