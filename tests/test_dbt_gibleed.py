"""The dbt build on sources that nobody here wrote, against a second computation from the raw files."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from dbt_world import NO_TESTS, PROJECT, Built, build, land_folder

from ml.simulator.source import write_source

pytestmark = [pytest.mark.slow, pytest.mark.platform, pytest.mark.xdist_group("dbt")]

# What a task finds: entries, examples, those with a label, cases.
FOUND = """
select
    attrition.task,
    concat_ws(' / ', any_value(attrition.entries), count(label.task), count(label.y_true),
        count(*) filter (where label.y_true = 1))
from attrition
left join label on attrition.task = label.task
where attrition.step = 1
group by attrition.task
"""
DRUGS, BLEED, STAYS = {1118084, 1124300}, {192671}, {9201, 9203, 262}


@pytest.fixture(scope="module")
def gibleed(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("gibleed")
    return build(folder, land_folder(shared_data / "gibleed", folder / "landing"))


@dataclass(frozen=True)
class Raw:
    """The source as it stands: ids are doubles there."""

    folder: Path

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        """Return rows of the given columns, numbers as int, missing ones as None."""
        frame = pd.read_parquet(self.folder / f"{table}.parquet", columns=list(columns))
        return [
            tuple(None if pd.isna(v) else v if isinstance(v, date) else int(v) for v in row)
            for row in frame.itertuples(index=False)
        ]

    def count(self, table: str) -> int:
        """Return the number of rows of a table."""
        return len(self.rows(table, "person_id"))


@pytest.fixture(scope="module")
def raw(shared_data: Path) -> Raw:
    return Raw(shared_data / "gibleed")


def _with_descendants(raw: Raw, concepts: set[int]) -> set[int]:
    pairs = raw.rows("concept_ancestor", "ancestor_concept_id", "descendant_concept_id")
    return concepts | {below for above, below in pairs if above in concepts}


def _expected(raw: Raw) -> dict[int, tuple[date, int | None]]:
    """gi_bleed_1y from DEFINITIONS.md in plain Python: person to (index date, y_true)."""
    drugs, bleed = _with_descendants(raw, DRUGS), _with_descendants(raw, BLEED)
    persons = {row[0] for row in raw.rows("person", "person_id")}
    stay_end = {
        (visit, person): end
        for visit, person, concept, end in raw.rows(
            "visit_occurrence", "visit_occurrence_id", "person_id", "visit_concept_id", "visit_end_date"
        )
        if concept in STAYS
    }
    periods = [
        row
        for row in raw.rows(
            "observation_period", "person_id", "observation_period_start_date", "observation_period_end_date"
        )
        if row[0] in persons
    ]
    data_end = max(end for _, _, end in periods)
    index: dict[int, date] = {}
    for person, concept, day in raw.rows(
        "drug_exposure", "person_id", "drug_concept_id", "drug_exposure_start_date"
    ):
        if concept in drugs:
            index[person] = min(day, index.get(person, day))
    bleeds = defaultdict(list)
    for person, concept, day, visit in raw.rows(
        "condition_occurrence",
        "person_id",
        "condition_concept_id",
        "condition_start_date",
        "visit_occurrence_id",
    ):
        if concept in bleed:
            bleeds[person].append((day, max(day, stay_end.get((visit, person), day))))
    assert not raw.rows("death", "person_id")
    result: dict[int, tuple[date, int | None]] = {}
    for person, day in index.items():
        around = sorted((start, -end.toordinal(), end) for who, start, end in periods if who == person)
        around = [end for start, _, end in around if start <= day <= end]
        if not around or any(known <= day for _, known in bleeds[person]):
            continue
        last = day + timedelta(days=365)
        if last > data_end:
            continue
        if any(when <= day for when, _ in bleeds[person]):
            y_true = None
        elif any(day < when <= min(last, around[0]) for when, _ in bleeds[person]):
            y_true = 1
        else:
            y_true = 0 if around[0] >= last else None
        result[person] = (day, y_true)
    return result


def test_bleed_after_nsaid_equals_a_second_computation(gibleed: Built, raw: Raw) -> None:
    found = gibleed.rows("select person_id, index_date, y_true from label where task = 'gi_bleed_1y'")
    expected = _expected(raw)
    assert {person: (day, y_true) for person, day, y_true in found} == expected
    labels = [y_true for _, y_true in expected.values() if y_true is not None]
    assert (len(expected), len(labels), sum(labels)) == (2607, 2570, 471)


def test_known_quirks_are_found_in_the_numbers_others_reported(gibleed: Built, raw: Raw) -> None:
    found = {
        (name, table): n
        for name, table, n in gibleed.rows(
            "select name, source_table, found from quality_count where task = ''"
        )
    }
    assert found["visit_is_known", "condition_occurrence"] == 64_717
    assert found["person_is_known", "observation_period"] == 2_649
    assert found["row_is_in_an_observation_period", "condition_occurrence"] == 85
    assert found["row_is_in_an_observation_period", "drug_exposure"] == 80
    for table, rows, keys in (("drug_exposure", 67_707, 63_323), ("measurement", 44_053, 41_870)):
        ids = pd.Series([row[0] for row in raw.rows(table, f"{table}_id")])
        assert (len(ids), ids.nunique()) == (rows, keys)
        other, whole = (
            found[name, table]
            for name in ("key_is_not_repeated_with_other_content", "row_is_not_repeated_whole")
        )
        assert other == int(ids.duplicated(keep=False).sum())  # every row of such a key
        assert whole == 0


def test_no_event_of_the_source_is_lost_or_invented(gibleed: Built, raw: Raw) -> None:
    tables = ("condition_occurrence", "drug_exposure", "procedure_occurrence", "measurement", "observation")
    expected = sum(raw.count(table) for table in tables)
    expected += 2 * raw.count("visit_occurrence")
    assert gibleed.rows("select count(*) from clinical_event") == [(expected,)]


def test_events_are_numbered_by_available_date_and_id(gibleed: Built) -> None:
    wrong = gibleed.rows(
        "select count(*) from (select event_no, row_number() over (partition by person_id"
        " order by available_date, event_id) as expected from clinical_event) where event_no <> expected"
    )
    assert wrong == [(0,)]


def test_split_is_near_60_10_30(gibleed: Built) -> None:
    share = dict(gibleed.rows("select split, count(*) / 2694 from split group by split"))
    assert share == pytest.approx({"train": 0.6, "tuning": 0.1, "held_out": 0.3}, abs=0.03)


@pytest.fixture(scope="module")
def synthea(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("synthea")
    landing = land_folder(shared_data / "synthea27nj", folder / "landing")
    return build(folder, landing, *NO_TESTS)


def test_a_source_without_ancestors_builds_on_literal_ids(synthea: Built) -> None:
    counts = synthea.rows(
        "select n_literal_only_ids, n_members, sha256 from concept_set where concept_set = 'heart_failure'"
    )
    members = sha256(b"316139,319835,4229440").hexdigest()
    assert counts == [(3, 3, members)]
    assert synthea.rows("select y_true from label where task = 'dhf_1y'") == [(0,)]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("simulated")
    write_source(folder / "cdm", folder / "world", persons=4000, seed=1)
    return build(folder, land_folder(folder / "cdm", folder / "landing"), *NO_TESTS)


def test_readme_says_what_each_task_finds(gibleed: Built, synthea: Built, simulated: Built) -> None:
    lines = (PROJECT / "README.md").read_text(encoding="utf-8").splitlines()
    said = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    shown = {row[0].strip("`"): row[1:] for row in said if len(row) == 4}
    found = [dict(built.rows(FOUND)) for built in (gibleed, synthea, simulated)]
    assert len(found[0]) == 16
    assert {task: shown[task] for task in found[0]} == {task: [of[task] for of in found] for task in found[0]}
