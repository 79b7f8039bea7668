"""Data quality judged from counts: the catalogue, its limits, and what looked at nothing."""

import re
import warnings
from urllib.parse import unquote

import duckdb
import jinja2
import pytest

from ml.strict import InputError
from orchestration.checks import SNAPSHOT_CHECKS
from orchestration.home import DBT_PROJECT, Home
from orchestration.quality.catalogue import read_catalogue, signable_quality
from orchestration.quality.docs import judge_suites
from orchestration.quality.judging import counted_rows, most_allowed, sign_off, suite_row
from orchestration.quality.snapshots import Kept, earlier, keep
from orchestration.quality.statistic import Statistic, drift_rows
from orchestration.task_checks import TASK_CHECKS

SEEDS = DBT_PROJECT / "seeds"
EMITTED = re.compile(r"^ +\('(\w+)', ", re.MULTILINE)
DEFINED = re.compile(r"^def (test_\w+)", re.MULTILINE)
UNIT_TESTS = re.compile(r"^  - name: (\w+)", re.MULTILINE)


def rows_of(counts, tasks=("t",)):
    return counted_rows(read_catalogue(SEEDS), counts, tasks)


def row(rows, name: str, task: str = "") -> dict:
    return next(one for one in rows if (one["name"], one["task"]) == (name, task))


def test_every_check_of_the_catalogue_is_counted_and_every_count_is_in_it():
    text = (DBT_PROJECT / "models" / "quality" / "quality_count.sql").read_text(encoding="utf-8")
    assert {check.name for check in read_catalogue(SEEDS)} == set(EMITTED.findall(text))


@pytest.mark.parametrize(
    ("percent", "looked_at", "most"),
    [
        (0, 10**9, 0),
        (100, 7, 7),
        (1, 100, 1),
        (1, 99, 0),
        (0.1, 3000, 3),
        (0.1, 2999, 2),
        (5, 60, 3),
        (20, 0, 0),
    ],
)
def test_a_percentage_becomes_the_largest_whole_number_within_it(percent, looked_at, most):
    assert most_allowed(percent, looked_at) == most


def test_all_rows_warn_at_their_limit_and_a_cohort_is_held_to_its_own():
    name, table = "row_is_not_before_birth", "condition_occurrence"
    rows = rows_of({(name, table, ""): (1000, 8), (name, table, "t"): (1000, 8)})
    everyone, cohort = (row(rows, f"{name} ({table})", task) for task in ("", "t"))
    assert (everyone["severity"], everyone["limit"]) == ("warn", 10)
    assert (cohort["severity"], cohort["limit"]) == ("block", 1)


@pytest.mark.parametrize(
    ("name", "looked_at", "found", "limit", "severity"),
    [
        ("enough_examples_are_labelled (example)", 100, 1, 0, "block"),
        ("outcome_is_recorded (concept)", 2, 1, 0, "block"),
        ("outcome_is_recorded_by_several_concepts (concept)", 1, 1, 0, "warn"),
        ("cases_are_no_rarity (example)", 3000, 2998, 2997, "warn"),
        ("cases_are_no_majority (example)", 301, 151, 150, "warn"),
    ],
)
def test_what_a_task_needs_is_judged_of_the_task_alone(name, looked_at, found, limit, severity):
    rows = rows_of({(*name[:-1].split(" ("), "t"): (looked_at, found)})
    one = row(rows, name, "t")
    assert (one["found"], one["limit"], one["severity"]) == (found, limit, severity)
    assert not [other for other in rows if other["name"] == name and not other["task"]]


def test_a_check_with_nothing_to_look_at_keeps_its_row_and_cannot_block():
    rows = rows_of({})
    assert {one["looked_at"] for one in rows} == {0}
    assert {one["severity"] for one in rows} == {"warn"}
    names = [(one["name"], one["task"]) for one in rows]
    assert len(set(names)) == len(names) > 250


def test_more_found_than_looked_at_is_an_error():
    with pytest.raises(ValueError, match="found more"):
        rows_of({("visit_is_known", "measurement", ""): (3, 4)})


def test_a_signature_lifts_what_it_names_and_for_all_rows_every_task_has_to_sign():
    block = {"severity": "block", "name": "rows_hardly_change (death)", "task": ""}
    rows = [
        block,
        {**block, "task": "t"},
        {**block, "name": "other", "task": "t"},
        {**block, "severity": "warn"},
    ]

    def lifted(signed: set[tuple[str, str]]) -> list[bool]:
        return [one["severity"] == "signed_off" for one in sign_off(rows, signed, ["t", "u"])]

    assert lifted(set()) == [False, False, False, False]
    assert lifted({("rows_hardly_change", "t")}) == [False, True, False, False]
    assert lifted({("rows_hardly_change", "t"), ("rows_hardly_change", "u")}) == [True, True, False, False]
    names = signable_quality(SEEDS)
    assert {"date_is_possible", "rows_hardly_change"} <= names
    assert "visit_is_known" not in names  # it only warns


def test_a_catalogue_that_is_kinder_to_a_cohort_or_names_a_check_twice_is_refused(tmp_path):
    text = (SEEDS / "quality_checks.csv").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("visit_is_known"))
    (tmp_path / "quality_checks.csv").write_text(
        text.replace(",warn,5,1,isForeignKey", ",warn,5,6,isForeignKey")
    )
    with pytest.raises(InputError, match="held to no less"):
        read_catalogue(tmp_path)
    (tmp_path / "quality_checks.csv").write_text(f"{text}{line}\n")
    with pytest.raises(InputError, match="stands twice"):
        read_catalogue(tmp_path)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Rows of which one blocks, one warns, one passes and the others look at nothing, with their pages."""
    site = tmp_path_factory.mktemp("site")
    counts = {
        ("required_values_are_there", "measurement", "t"): (5000, 1),
        ("visit_is_known", "measurement", ""): (4000, 201),
        ("visit_is_known", "observation", ""): (4000, 200),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of modules that its own imports touch
        return judge_suites(rows_of(counts), site), site


def test_great_expectations_judges_each_count_and_never_passes_nothing(judged):
    rows, _ = judged
    assert not row(rows, "required_values_are_there (measurement)", "t")["passed"]
    assert not row(rows, "visit_is_known (measurement)")["passed"]
    assert [one["name"] for one in rows if one["passed"]] == ["visit_is_known (observation)"]
    assert len(rows) == len(rows_of({}))


def test_the_pages_show_counts_beside_their_limits_and_ask_no_other_server(judged):
    _, site = judged
    pages = {file: file.read_text(encoding="utf-8") for file in site.rglob("*.html")}
    first = pages[site / "index.html"]
    links = re.findall(r'<a href="([^"]+)">', first)
    assert len(links) == 2 and all((site / unquote(link)).exists() for link in links)
    assert "A row has its person, start date and concept, measurement\n(blocks)" in first
    assert "The visit that a row names is there and is its person&#39;s, measurement\n(warns)" in first
    assert "text-danger::before" in first
    shown = "".join(pages.values())
    assert "of 4,000 looked at; allowed: 5 %" in shown
    assert "Nothing to look at, so not passed" in shown
    assert not re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=[\"'](?:https?:)?//", shown)
    assert not re.findall(r"url\(['\"]?https?:", shown)


def test_rows_of_one_suite_are_judged_together_wherever_they_stand(tmp_path):
    """A refresh ends with drift of all rows, of a task, and of all rows again."""
    test = {"claim": "c", "looked_at": 900, "spread": 0.0, "warn": 0.1, "block": 0.3}
    tests = [
        Statistic(name, task, found=found, **test)
        for name, task, found in (("a", "", 0.0), ("b", "t", 0.4), ("c", "", 0.2))
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        rows = judge_suites([{**one, "claim": one["name"]} for one in drift_rows(tests)], tmp_path)
    found = {one["name"]: (one["passed"], one["severity"]) for one in rows}
    assert found == {"a": (True, "warn"), "b": (False, "block"), "c": (False, "warn")}


def test_an_asset_check_sums_up_what_was_judged_and_is_no_pass_when_nothing_was(judged):
    rows, _ = judged
    cohort = suite_row("rows_of_t", [one for one in rows if one["task"]])
    assert (cohort["passed"], cohort["severity"], cohort["checks"]) == (False, "block", 1)
    conformance = suite_row("conformance", [r for r in rows if not r["task"] and r["suite"] == "conformance"])
    assert (conformance["passed"], conformance["severity"]) == (False, "warn")
    assert conformance["failed"] == "visit_is_known (measurement)"
    assert suite_row("nothing", [one for one in rows if one["suite"] == "plausibility"])["passed"] is False


def test_a_landing_that_drifted_too_far_is_never_compared_with(tmp_path):
    home, published = Home(tmp_path / "home"), tmp_path / "published"
    published.mkdir()

    def land(name: str, *, accepted: bool) -> str | None:
        (published / "snapshot_profile.parquet").write_text(name)
        found = earlier(home, name)
        keep(home, {"landing": name, "accepted": accepted}, published)
        again = earlier(home, name)
        assert (found and found.sha256) != "" and (again is None) == (found is None)
        return again and again.facts["landing"]

    assert land("a", accepted=True) is None
    assert land("a", accepted=True) is None  # the same landing again: other models
    assert land("b", accepted=False) == "a"
    assert land("b", accepted=False) == "a"
    assert land("c", accepted=True) == "a"
    assert land("d", accepted=True) == "c"
    assert Kept(home.quality / "now").facts["landing"] == "d"


PAGE = DBT_PROJECT.parent / "orchestration" / "QUALITY.md"


def test_the_page_names_every_quirk_and_only_tests_and_checks_that_exist():
    page = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \|.*\| (.*) \|$", page, re.MULTILINE)
    assert {int(number) for number, _ in rows} == set(range(1, 22))
    python, unit = PAGE.parents[1].glob("tests/**/*.py"), DBT_PROJECT.rglob("*unit_tests.yml")
    tests = {name for file in python for name in DEFINED.findall(file.read_text(encoding="utf-8"))}
    tests |= {name for file in unit for name in UNIT_TESTS.findall(file.read_text(encoding="utf-8"))}
    named = {name for _, held_by in rows for name in re.findall(r"`(\w+)`", held_by)}
    assert len(named) > 25
    assert named <= tests
    section = page[page.index("## Beyond") : page.index("## Found")]
    checks = {check.name for check in (*read_catalogue(SEEDS), *SNAPSHOT_CHECKS, *TASK_CHECKS)}
    in_backticks = set(re.findall(r"`([a-z_0-9]+)`", section)) - {"prevalence_hardly_changes"}
    assert in_backticks <= checks
    assert len(in_backticks) >= 5


@pytest.mark.parametrize(("given", "asks"), [("auto", True), ("2018-01-01", False), ("none", False)])
def test_periods_that_end_after_today_ask_for_a_data_end(given, asks):
    text = (DBT_PROJECT / "tests" / "data_end_is_given_when_periods_end_after_today.sql").read_text()
    sql = jinja2.Template(text).render(ref=lambda name: name, var=lambda name: given)
    with duckdb.connect() as connection:
        connection.execute("create table study_period as select current_date + 1 as data_end")
        assert bool(connection.execute(sql).fetchall()) == asks
        connection.execute("update study_period set data_end = current_date")
        assert not connection.execute(sql).fetchall()
