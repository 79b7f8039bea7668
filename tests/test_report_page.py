"""The page: it parses, stands alone, says what it must, and survives hostile names and empty tasks."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from ml.evaluation.calibration import clipped_logit, fit_recalibration, sigmoid
from ml.evaluation.evaluate import combine, evaluate_task
from ml.evaluation.verdict import Comparison, Competitor
from ml.report import words
from ml.report.facts import ArmFacts, AttritionStep, Refusal, ReportFacts, SplitSize, TaskFacts
from ml.report.page import build_page
from ml.report.tables import COST_COLUMNS, report_tables

ARMS = (
    ArmFacts("prevalence", "base rate", "baseline", "fit", "none", None, "none"),
    ArmFacts("counts_logistic", "logistic regression", "baseline", "fit", "counts", 412, "BSD-3-Clause"),
    ArmFacts("counts_lightgbm", "LightGBM", "baseline", "fit", "counts", None, "MIT"),
    ArmFacts("minilm_frozen", "all-MiniLM-L6-v2", "generalist", "frozen", "text", 22_713_216, "Apache-2.0"),
    ArmFacts(
        "transformer_local",
        "small masked transformer",
        "specialist",
        "full",
        "sequence",
        1_300_000,
        "own",
        "a local specialist, pretrained on 1,800 persons: it says nothing about published ones",
    ),
)  # fmt: skip
NOISE = {
    "prevalence": None,
    "counts_logistic": 0.9,
    "counts_lightgbm": 0.7,
    "minilm_frozen": 1.5,
    "transformer_local": 1.2,
}
LABEL = "Heart failure recorded 1 to 365 days after; death first counts as none."


def predict(rows, p, noise, seed):
    logit = np.full(len(p), -1.5)
    if noise is not None:
        logit = 0.6 * clipped_logit(p) + np.random.default_rng(seed).normal(0.4, noise * 0.6, len(p))
    raw = sigmoid(logit)
    tuning = rows["split"] == "tuning"
    score = fit_recalibration(rows.loc[tuning, "y_true"], raw[tuning]).apply(raw)
    table = rows.assign(y_score=score, y_score_raw=raw, seed=seed, k=None, draw=None)
    return table.astype({"seed": "Int64", "k": "Int64", "draw": "Int64"})


def task_world(name, seed, *, n=3000, shift=-1.9):
    rng = np.random.default_rng(seed)
    p = sigmoid(rng.normal(shift, 1.4, n))
    rows = pd.DataFrame({"example_id": [f"{i:016x}" for i in range(n)], "person_id": np.arange(n)})
    rows["split"] = rng.choice(["train", "tuning", "held_out"], n, p=[0.6, 0.1, 0.3])
    rows["y_true"] = (rng.random(n) < p).astype(int)
    arms = {arm: predict(rows, p, noise, 10 + i) for i, (arm, noise) in enumerate(NOISE.items())}
    more = [predict(rows, p, NOISE["transformer_local"], one) for one in (71, 72)]
    arms["transformer_local"] = pd.concat([arms["transformer_local"], *more], ignore_index=True)
    oracle = pd.DataFrame({"example_id": rows["example_id"], "p": p})
    comparisons = [
        Comparison(
            "minilm_frozen", "counts_lightgbm", name, margin=0.05, reason="Half of what the demo can see."
        ),
        Comparison(
            "transformer_local", "minilm_frozen", name, margin=0.05, reason="Half of what the demo can see."
        ),
    ]
    groups = pd.DataFrame({"example_id": rows["example_id"], "subgroup": rng.choice(["female", "male"], n)})
    found = evaluate_task(
        name,
        arms,
        oracle=oracle,
        title="heart failure",
        comparisons=comparisons,
        n_bootstrap=200,
        n_primary=4,
        qualifiers=["simulated patients"],
        competitors={
            "minilm_frozen": Competitor("22.7 M parameters, pretrained elsewhere on general text"),
            "transformer_local": Competitor("1.3 M parameters, local specialist pretrained here"),
            "counts_lightgbm": Competitor("count baseline", is_deterministic=True),
        },
        subgroups=groups,
    )
    splits = tuple(
        SplitSize(
            split, int((rows["split"] == split).sum()), int(rows.loc[rows["split"] == split, "y_true"].sum())
        )
        for split in ("train", "tuning", "held_out")
    )
    n_cases = int(rows["y_true"].sum())
    flow = (
        AttritionStep("First ever record of type 2 diabetes", n + 2411, n + 2411, n_cases + 390),
        AttritionStep("18 or older at the index", n + 2408, n + 2408, n_cases + 390),
        AttritionStep(
            "Observed for the 365 days before the index, in one period", n + 530, n + 530, n_cases + 160
        ),
        AttritionStep("No heart failure recorded by the index", n + 47, n + 47, n_cases),
        AttritionStep("Time at risk ends before the data do", n + 47, n + 47, n_cases),
    )
    task = TaskFacts(
        name,
        "Heart failure after new type 2 diabetes",
        "Will this adult with newly recorded type 2 diabetes have heart failure recorded within a year?",
        "Adults at their first ever record of type 2 diabetes, observed for a year, without heart failure.",
        LABEL,
        flow,
        splits,
        {"lost_to_follow_up": 43, "outcome_before_index_known_later": 4},
        "Dashed: the risk computed from the record by the simulator, the best any model could do on it.",
    )
    return task, found


def cost_table():
    rows = [
        ("", "", "landing", 3.2, 2.9, 41e7, 0, None, 3.2e7, False),
        ("", "", "dbt", 14.1, 9.2, 3e8, 0, None, 5e7, True),
    ]
    rows += [
        ("dhf_1y", arm.name, "predict", 0.4 + 70 * i, 0.3 + 66 * i, 2e8 + i * 3e8, 0, 123, 1e5, i == 1)
        for i, arm in enumerate(ARMS)
    ]
    return pd.DataFrame(rows, columns=COST_COLUMNS)


def check_table():
    rows = [
        ("no_event_after_input_window", "dhf_1y", 48210, 0, 0, "block", True),
        ("split_is_by_person", "dhf_1y", 3000, 0, 0, "block", True),
        ("values_within_plausible_range", "", 912345, 1204, 1000, "warn", False),
        ("death_after_last_event", "", 3000, 4, 0, "warn", False),
    ]
    return pd.DataFrame(rows, columns=["name", "task", "looked_at", "found", "limit", "severity", "passed"])


@pytest.fixture(scope="module")
def report():
    first, evaluation = task_world("dhf_1y", 1)
    second, small = task_world("paca_1y", 2, n=900, shift=-2.6)
    second = replace(
        second,
        title="Pancreatic cancer after a warning sign",
        question="Will this person have pancreatic cancer recorded within a year?",
    )
    third = TaskFacts(
        "gi_bleed_1y",
        "Bleed after a first NSAID",
        "Will this person bleed?",
        "First exposure.",
        "Bleed.",
        note="The source holds no exposure to celecoxib or diclofenac.",
    )
    found = combine([evaluation, small])
    facts = ReportFacts(
        study="demo",
        question="Is a general-purpose language model good enough, or is a specialist clinical model needed?",
        data="simulated",
        source="simulated world, 20,000 persons, seed 1",
        n_persons=20_000,
        n_events=1_204_332,
        data_end="2026-06-30",
        snapshot="9f2c41d7a0b35e6688aa",
        study_hash="5d41402abc4b2a76b9719d911017c592ae2f1b7c8d9e0f1a2b3c4d5e6f708192",
        registered_at="2026-11-21T08:00:00Z",
        n_readings=1,
        home_created_at="2026-11-21T07:55:00Z",
        tasks=(first, second, third),
        arms=ARMS,
        refusals=(Refusal("gi_bleed_1y", "", "the task has no labelled example in this source"),),
        git_commit="e1f2d1e0de1f2d1e0de1f2d1e0de1f2d1e0de1f2",
        seeds={"study": "1", "bootstrap": "0"},
        libraries={"numpy": "2.4.6", "scikit-learn": "1.9.1", "torch": "2.13.0"},
        code_versions={"dhf_1y/examples": "a" * 64},
        artefacts={"predictions/dhf_1y/minilm_frozen.parquet": "b" * 64},
    )
    checks = pd.concat([check_table(), found.checks], ignore_index=True)
    return facts, {
        "metrics": found.metrics,
        "verdicts": found.verdicts,
        "curves": found.curves,
        "checks": checks,
        "costs": cost_table(),
    }


@pytest.fixture(scope="module")
def page(report):
    facts, tables = report
    return build_page(facts, **tables)


class Reader(HTMLParser):
    void = frozenset({"meta", "br", "img", "link", "hr", "input"})
    shapes = frozenset({"line", "rect", "circle", "polyline", "polygon", "path"})

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.references, self.ids, self.words, self.wrong = [], [], [], [], []
        self.svg, self.figures = None, []

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.references += [value for key, value in attrs if key in ("src", "href", "xlink:href", "data")]
        self.ids += [named["id"]] if "id" in named else []
        if tag not in self.void:
            self.open.append(tag)
        if tag == "svg":
            self.svg = {"attrs": named, "tags": []}
        elif self.svg:
            self.svg["tags"].append(tag)

    def handle_startendtag(self, tag, attrs):
        if tag not in self.void | self.shapes:
            self.wrong.append(tag)
        if self.svg:
            self.svg["tags"].append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"/{tag}")
        if tag == "svg":
            self.figures.append(self.svg)
            self.svg = None

    def handle_data(self, data):
        if self.open[-1:] not in (["style"], ["script"]):
            self.words.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


def visible(page):
    return re.sub(r"\s+", " ", " ".join(read(page).words))


def test_every_tag_is_closed_in_order_and_ids_are_unique(page):
    reader = read(page)
    assert (reader.wrong, reader.open) == ([], [])
    assert len(reader.ids) == len(set(reader.ids)) > 20


def test_the_page_stands_alone_without_script_font_or_image_from_elsewhere(page):
    reader = read(page)
    assert len(reader.references) >= 8
    assert all(reference.startswith("#") for reference in reader.references)
    assert {reference[1:] for reference in reader.references} <= set(reader.ids)
    assert not re.search(r"<script|@import|@font-face|url\(|https?:", page)


def test_every_figure_has_a_role_a_title_and_a_description(page):
    reader = read(page)
    figures = reader.figures
    assert len(figures) > 15
    for figure in figures:
        assert figure["attrs"]["role"] == "img"
        assert figure["tags"][:2] == ["title", "desc"]
        assert set(figure["attrs"]["aria-labelledby"].split()) <= set(reader.ids)


def test_a_phone_gets_its_viewport_and_tables_scroll_in_their_box(page):
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page
    assert page.count('<div class="scroll"') == page.count("<table>") > 5


def test_every_arm_task_section_and_verdict_is_on_the_page(page, report):
    facts, tables = report
    text = visible(page)
    for word in [arm.name for arm in facts.arms] + [task.title for task in facts.tasks] + ["oracle"]:
        assert word in text
    for sentence in tables["verdicts"]["sentence"]:
        assert sentence in text
    assert len(tables["verdicts"]) == 4
    sections = re.findall(r'<section[^>]* id="(\w+)"', page)
    assert sections == [
        "answer", "refusals", "cohort", "arms", "results", "verdicts", "checks", "costs", "provenance", "reading",
    ]  # fmt: skip


@pytest.mark.parametrize(("data", "shown"), [("simulated", True), ("synthetic", True), ("real", False)])
def test_the_banner_stands_only_over_patients_that_are_not_real(report, data, shown):
    facts, tables = report
    text = build_page(replace(facts, data=data), **tables)
    assert ('class="banner"' in text) == shown
    assert ("never which model is better for patients" in text) == shown


def test_known_numbers_appear_as_a_reader_wants_them(page, report):
    _, tables = report
    metrics = tables["metrics"]
    row = metrics[
        (metrics.arm == "minilm_frozen") & (metrics.metric == "auroc") & (metrics.split == "held_out")
    ]
    row = row[(row.task == "dhf_1y")]
    row = row[row.subgroup == "all"].iloc[0]
    assert f'{row.value:.3f}<span class="ci">{row.ci_low:.3f} to {row.ci_high:.3f}</span>' in page
    assert "1,204,332" in page
    assert "22.7 M" in page
    assert "3 seeds, AUROC" in page
    assert "5d41402abc4b…" in page


def test_the_counts_of_checks_stand_before_the_table(page, report):
    counts = words.check_counts(report[1]["checks"])
    assert counts["passed"] == len(report[1]["checks"]) - 2
    assert (counts["warned"], counts["blocked"]) == (2, 0)
    text = visible(page[page.index('id="checks"') :])
    assert re.search(rf"{counts['passed']}\s+passed\s+2\s+warned\s+0\s+blocked", text)
    assert "Death after last event" in text


def test_small_counts_and_the_steps_that_betray_them_are_hidden(page):
    text = visible(page)
    assert not re.search(r"\b3 left\b", text)
    assert not re.search(r"outcome before index known later 4\b", text)
    assert "outcome before index known later hidden" in text
    assert "left: hidden" in text


def test_hostile_names_are_escaped_everywhere(report):
    facts, tables = report
    evil = '<script>alert("x")</script>'
    renamed = {name: table.replace({"minilm_frozen": evil}) for name, table in tables.items()}
    arms = tuple(
        replace(arm, name=evil if arm.name == "minilm_frozen" else arm.name, note=evil) for arm in facts.arms
    )
    tasks = tuple(replace(task, title=evil, question=evil, oracle=evil, note=evil) for task in facts.tasks)
    refusals = (Refusal("dhf_1y", evil, evil),)
    hostile = replace(
        facts, study=evil, question=evil, source=evil, arms=arms, tasks=tasks, refusals=refusals
    )
    page = build_page(hostile, **renamed)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 30
    assert read(page).wrong == []


def test_a_study_without_any_result_still_gives_a_page(report):
    facts, tables = report
    nothing = {name: table.iloc[:0] for name, table in tables.items()}
    page = build_page(replace(facts, tasks=facts.tasks[2:], arms=facts.arms[:1]), **nothing)
    reader = read(page)
    assert (reader.wrong, reader.open) == ([], [])
    text = visible(page)
    assert "No arm was scored on this task" in text
    assert "the task has no labelled example in this source" in text


def test_few_cases_give_numbers_but_no_curve_and_no_small_count(report):
    facts, _ = report
    task, found = task_world("paca_1y", 4, n=400, shift=-4)
    n_cases = next(one.n_cases for one in task.splits if one.split == "held_out")
    assert 0 < n_cases < 11
    tables = {"metrics": found.metrics, "verdicts": found.verdicts, "curves": found.curves}
    page = build_page(
        replace(facts, tasks=(task,), refusals=()), checks=found.checks, costs=cost_table().iloc[:0], **tables
    )
    assert "Curves are not shown" in page
    held_out = report_tables(
        metrics=found.metrics, verdicts=found.verdicts, checks=found.checks, costs=cost_table(), tasks=[task]
    )["metrics"]
    assert held_out[held_out.split == "held_out"].n_cases.isna().all()
    assert "fewer than 11 cases" in visible(page)


def test_tables_that_name_an_unknown_arm_or_task_are_refused(report):
    facts, tables = report
    with pytest.raises(ValueError, match="arms that the facts do not"):
        build_page(replace(facts, arms=facts.arms[1:]), **tables)
    with pytest.raises(ValueError, match="tasks that the facts do not"):
        build_page(replace(facts, tasks=facts.tasks[1:]), **tables)


def test_a_monitoring_reading_is_flagged(report):
    facts, tables = report
    later = tables["verdicts"].assign(reading="monitoring 3")
    page = build_page(facts, **(tables | {"verdicts": later}))
    assert "not the registered verdict" in page
    assert '<span class="badge flag">monitoring 3</span>' in page


def test_the_same_facts_give_the_same_page(report, page):
    facts, tables = report
    assert build_page(facts, **tables) == page


def test_every_verdict_word_has_a_tone_and_a_short_sentence():
    from ml.evaluation.verdict import VERDICTS

    assert set(words.TONES) == set(VERDICTS)
    row = {"challenger": "a", "reference": "b", "metric": "auroc", "margin": 0.05, "delta": -0.01}
    row |= {"ci_low": -0.04, "ci_high": 0.02, "level": 0.95, "addition": ""}
    said = {verdict: words.verdict_in_short(row | {"verdict": verdict}) for verdict in VERDICTS}
    assert len(set(said.values())) == len(VERDICTS) == 6
    assert said["non-inferior"].startswith("a is at most 0.05 AUROC worse than b")
    lower = words.verdict_in_short(
        row | {"verdict": "non-inferior", "addition": "measurably lower, by less than the margin"}
    )
    assert "measurably worse" in lower
