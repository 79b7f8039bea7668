"""What dbt makes of sources that nobody here wrote, and of worlds with every oddity, is what was landed."""

import csv
from pathlib import Path

import pytest
from definitions.compiled import Database, catalogue, seed_cell, study_project
from definitions.mixed import STUDIES
from definitions.stacked import Stack
from published_world import TASK

from ml.leakage.record import availability, landed
from ml.leakage.rows import LeakRow
from ml.leakage.shown import open_shown
from orchestration.landing import land

pytestmark = [pytest.mark.slow, pytest.mark.platform]

CHECKS = {check.name: check for module in (landed, availability) for check in module.CHECKS}
PUBLISHED = ("clinical_event", "person", "observed_period", "concept_set_member")
WORLDS = 40


def write_site(root: Path, database: Database, rules: list[dict]) -> Path:
    """Write what the models made, and a cut that holds every person."""
    examples, landing = root / "tasks" / TASK.task / "examples", root / "landing"
    for folder in (root / "published", root / "seeds", examples, landing):
        folder.mkdir(parents=True, exist_ok=True)
    queries = {
        **{root / "published" / name: f"from {name}" for name in PUBLISHED},
        **{root / "published" / name: "select '' as task, '' as example_id" for name in ("cohort", "label")},
        **{
            examples / name: "select person_id::varchar as example_id, person_id from person"
            for name in ("example", "event", "ancestor")
        },
    }
    tables = database.rows("select table_name from duckdb_tables() where schema_name = 'landing'")
    queries |= {landing / name: f"from landing.{name}" for (name,) in tables}
    for path, query in queries.items():
        database.connection.execute(f"copy ({query}) to '{path}.parquet' (format parquet)")
    with (root / "seeds" / "availability.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rules[0]))
        writer.writeheader()
        writer.writerows({column: seed_cell(cell) for column, cell in row.items()} for row in rules)
    return root


def look(root: Path) -> dict[str, LeakRow]:
    with open_shown(root, TASK, seeds=root / "seeds", landing=root / "landing") as shown:
        return {name: check.run(shown) for name, check in CHECKS.items()}


@pytest.mark.parametrize(("source", "unlinked"), [("gibleed", True), ("synthea27nj", False)])
def test_sources_that_nobody_here_wrote_are_published_as_they_are(shared_data, tmp_path, source, unlinked):
    """GiBleed's diagnoses point to visits that are nowhere; some are dated within a stay, which warns.

    One in five of both sources' diagnoses that have a visit is dated before it: that warns as well.
    """
    land(shared_data / source, tmp_path / "landed")
    with Database(study_project("auto", 0)) as database:
        database.land_folder(tmp_path / "landed")
        database.seed(catalogue())
        database.run()
        rows = look(write_site(tmp_path / "site", database, catalogue()["availability"]))
    assert all(row.looked_at > 50 for row in rows.values())
    assert {name for name, row in rows.items() if row.found} == {
        "rows_are_not_older_than_their_visit",
        *(["bills_wait_for_the_end_of_their_stay"] if unlinked else []),
    }


@pytest.mark.parametrize("name", STUDIES)
def test_odd_worlds_are_published_as_they_are(tmp_path, name):
    stack = Stack(STUDIES[name], tuple(range(WORLDS)))
    with stack.database() as database:
        rows = look(write_site(tmp_path / "site", database, stack.template.availability))
    blocking = {name: row.found for name, row in rows.items() if row.severity == "block"}
    assert blocking == dict.fromkeys(blocking, 0)
    assert all(row.looked_at > 50 for row in rows.values())
