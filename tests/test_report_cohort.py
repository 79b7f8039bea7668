"""What the page says of cohorts: designs that look ahead, concept sets, labels by class, availability."""

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from report_world import study_report
from test_report_page import read, visible

from ml.report.facts import AvailabilityCount, ConceptSetFacts, LabelCount
from ml.report.page import build_page, report_tables
from ml.report.small_cells import hidden_availability, hidden_counts
from ml.report.task_words import cohort_sentence, label_sentence
from ml.tasks import read_tasks

SEEDS = Path(__file__).resolve().parent.parent / "dbt_project" / "seeds"


@pytest.fixture(scope="module")
def report():
    """The study's first task alone, with everything this page can say of a cohort."""
    facts, tables = study_report()
    first = facts.tasks[0]
    n_cases = first.attrition[-1].cases
    n = first.attrition[-1].entries
    task = replace(
        first,
        looks_ahead=True,
        breaks=("lost_is_not_negative",),
        left_out=(("hospitals without any case", "depends on other persons"),),
        concept_sets=(
            ConceptSetFacts("heart_failure", 3, 1, 0, 2, 1204, "c0ffee" + 58 * "0"),
            ConceptSetFacts("diabetes", 1, 0, 1, 1, 1, "decade" + 58 * "0"),
        ),
        label_counts=(
            LabelCount("examples", 1, n_cases),
            LabelCount("examples", 0, n - n_cases),
            LabelCount("examples", None, 47),
            LabelCount("deaths_in_time_at_risk", 1, 37),
            LabelCount("deaths_in_time_at_risk", 0, 7),
            LabelCount("deaths_in_time_at_risk", None, 0),
            LabelCount("lost_to_follow_up", None, 43),
        ),
        checks_left_out={"no_outcome_in_the_input": "an earlier outcome is allowed"},
    )
    rows = AVAILABILITY
    facts = replace(
        facts, tasks=(task,), refusals=(), availability=rows, n_events=sum(row.n_events for row in rows)
    )
    own = {name: of_task(table, task.name) for name, table in tables.items()}
    return facts, own


AVAILABILITY = (
    AvailabilityCount("condition_occurrence", "row", "visit_end", 4000, 3100),
    AvailabilityCount("condition_occurrence", "row", "own_date_open_visit", 6, 0),
    AvailabilityCount("visit_occurrence", "end", "own_date", 2000, 0),
    AvailabilityCount("measurement", "row", "result_date", 900, 4),
)


def of_task(table: pd.DataFrame, task: str) -> pd.DataFrame:
    return table[table["task"].isin([task, ""])] if "task" in table else table


@pytest.fixture(scope="module")
def page(report):
    return build_page(*report)


def test_a_design_that_looks_ahead_is_marked_wherever_its_numbers_stand(report, page):
    assert page.count('<span class="badge flag">not usable prospectively</span>') == 4
    text = visible(page)
    assert "no verdict rests on them" in text
    assert "breaks these checks, which are listed and do not block: Lost is not negative." in text
    plain = build_page(replace(report[0], tasks=(replace(report[0].tasks[0], looks_ahead=False),)), report[1])
    assert "prospectively" not in plain


def test_rows_left_out_and_checks_that_do_not_apply_are_shown_with_their_reasons(page):
    text = visible(page)
    assert "hospitals without any case depends on other persons" in text
    assert "No outcome in the input" in text
    assert "does not apply: an earlier outcome is allowed" in text
    assert read(page).wrong == []


def test_concept_sets_are_shown_with_size_hash_and_what_the_vocabulary_lacks(page):
    text = visible(page)
    assert "heart_failure 3, 1 taken out 1,204 2 ids without descendants there c0ffee" in text
    assert "1 ids not in the vocabulary; 1 ids without descendants there decade" in text


def test_deaths_are_shown_by_class_and_small_ones_hidden(report, page):
    text = visible(page)
    cases = report[0].tasks[0].attrition[-1].cases
    assert f"Died in the time-at-risk cases 37 {100 * 37 / cases:.1f}%" in text
    assert "Died in the time-at-risk non-cases hidden hidden" in text
    assert "Died in the time-at-risk no label 0" in text
    # the lost stand among the null labels, where the few beside them decide what is shown
    assert "lost to follow up hidden" in text
    section = visible(page[page.index('id="cohort"') : page.index('id="arms"')])
    assert "hidden" in section and not re.search(r"\b43\b", section)


def test_a_rest_of_a_class_that_is_small_is_hidden_with_its_count(report):
    task = report[0].tasks[0]
    cases = task.attrition[-1].cases
    nearly_all = replace(task, label_counts=(LabelCount("deaths_in_time_at_risk", 1, cases - 3),))
    hidden = hidden_counts(nearly_all, report[1]["metrics"])
    assert {"deaths_in_time_at_risk:1", f"cases:{len(task.attrition) - 1}"} & hidden
    all_of_them = replace(task, label_counts=(LabelCount("deaths_in_time_at_risk", 1, cases),))
    assert "deaths_in_time_at_risk:1" not in hidden_counts(all_of_them, report[1]["metrics"])


def test_events_by_rule_hide_small_counts_and_what_betrays_them(report, page):
    facts, _ = report
    hidden = hidden_availability(facts)
    # 6 of an open visit are hidden; the total is printed, so a second count has to go with them.
    assert {"events:1", "later:3"} <= hidden
    shown = [i for i in range(4) if f"events:{i}" not in hidden]
    assert len(shown) <= 2
    text = visible(page)
    assert "on its own date: the visit has no end hidden hidden hidden" in text
    assert re.search(
        r"condition_occurrence at the end of its inpatient or emergency visit 4,000 57\.9% 77\.5%", text
    )
    assert "visit_occurrence (end)" in text
    large = replace(facts, availability=tuple(replace(row, n_events=500, n_later=0) for row in AVAILABILITY))
    assert hidden_availability(replace(large, n_events=2000)) == frozenset()


def test_own_dates_are_shown_beside_the_auroc_and_leave_in_the_metrics(report):
    facts, tables = report
    assert "Had everything been known" not in build_page(facts, tables)
    metrics = tables["metrics"]
    like = metrics[
        (metrics["arm"] == "counts_logistic") & (metrics["metric"] == "auroc")
        & (metrics["split"] == "held_out") & (metrics["subgroup"] == "all")
    ]  # fmt: skip
    rows = [
        like.assign(metric="auroc_own_date", value=0.811, ci_low=0.78, ci_high=0.84),
        like.assign(metric="auroc_own_date_difference", value=-0.002, ci_low=-0.01, ci_high=0.006),
    ]
    with_rows = tables | {"metrics": pd.concat([metrics, *rows], ignore_index=True)}
    text = visible(build_page(facts, with_rows))
    assert "Frozen and trained arms are not fitted again" in text
    assert f"counts_logistic {like['value'].iloc[0]:.3f}" in text
    assert "0.811 0.780 to 0.840 −0.002 −0.010 to 0.006" in text  # noqa: RUF001
    left = report_tables(facts, with_rows)["metrics"]
    assert set(rows[0]["metric"]) | set(rows[1]["metric"]) <= set(left["metric"])


def test_every_task_of_the_catalogue_is_told_in_two_sentences():
    tasks = read_tasks(SEEDS)
    said = {name: (cohort_sentence(task), label_sentence(task)) for name, task in tasks.items()}
    assert len({cohort for cohort, _ in said.values()}) >= 11
    for name, (cohort, label) in said.items():
        for row in tasks[name].criteria:
            assert row.description.lower() in (cohort + label).lower(), (name, row.order)
        assert cohort.endswith(".") and label.endswith(".")
        assert "None" not in cohort + label
    assert "at 18 or older, with 365 days observed before" in said["dhf_1y"][0]
    assert "no outcome known by the index" in said["dhf_1y"][0]
    assert "everybody on the day of turning 65" in said["mortality_1y"][0].lower()
    assert "HbA1c of 6.5 % or more, or an antidiabetic drug or an antidiabetic drug" in said["dhf_medbert"][0]
    assert "to the end of the stay" in said["long_los"][1]
    assert "Not measured counts" not in said["anaemia"][1] and "not measured: no label" in said["anaemia"][1]
    assert "moved to its outcome" in said["paca_medbert"][1]
    assert "counts as no" in said["paca_medbert"][1]


def test_a_washout_of_no_days_is_the_index_day():
    task = read_tasks(SEEDS)["dhf_1y"]
    assert task.outcome_in_history == "forbid"
    none = cohort_sentence(replace(task, washout_days=0))
    assert "no outcome known by the index on the index day" in none and "0 days" not in none
    assert "in the 90 days before" in cohort_sentence(replace(task, washout_days=90))
