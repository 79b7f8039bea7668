"""The page: it parses, stands alone, says what it must, and survives hostile names and empty tasks."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest
from report_world import study_report, task_world

from ml.evaluation.measure import METRIC_COLUMNS
from ml.evaluation.verdict import VERDICTS
from ml.report import words
from ml.report.facts import Refusal, SignOff
from ml.report.page import build_page, report_tables, summary_lines


@pytest.fixture(scope="module")
def report():
    return study_report()


@pytest.fixture(scope="module")
def page(report):
    facts, tables = report
    return build_page(facts, tables)


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
        "answer", "refusals", "cohort", "arms", "results", "verdicts", "checks", "costs", "provenance",
        "reading",
    ]  # fmt: skip


@pytest.mark.parametrize(("data", "shown"), [("simulated", True), ("synthetic", True), ("real", False)])
def test_the_banner_stands_only_over_patients_that_are_not_real(report, data, shown):
    facts, tables = report
    text = build_page(replace(facts, data=data), tables)
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


def test_a_check_with_nothing_to_look_at_is_neither_passed_nor_a_warning(report):
    facts, tables = report
    idle = {"name": "visit_is_known (measurement)", "task": "", "looked_at": 0, "found": 0, "limit": 0,
            "severity": "warn", "passed": False}  # fmt: skip
    checks = pd.concat([tables["checks"], pd.DataFrame([idle, {**idle, "severity": "block"}])])
    before, after = words.check_counts(tables["checks"]), words.check_counts(checks)
    assert after == {**before, "blocked": before["blocked"] + 1, "nothing to look at": 1}
    page = build_page(
        replace(facts, quality_pages="../quality/docs/index.html"), {**tables, "checks": checks}
    )
    text = visible(page[page.index('id="checks"') :])
    assert re.search(r"1\s+nothing to look at", text)
    assert 'href="../quality/docs/index.html"' in page


def test_what_was_signed_off_stands_first_with_what_came_of_it(report):
    facts, tables = report
    told = {False: "It failed, and the task went on.", True: "It did not fail", None: "It did not run."}
    signed = tuple(SignOff("dhf_1y", "no_proxy", "everybody gets it.", passed) for passed in told)
    checks = tables["checks"].assign(severity="signed_off", passed=[False, *tables["checks"]["passed"][1:]])
    page = build_page(replace(facts, sign_offs=signed), {**tables, "checks": checks})
    first = page.partition('<section class="first" id="sign-offs">')[2].partition("</section>")[0]
    assert page.find('id="sign-offs"') < page.find('id="answer"')
    for words_of_end in told.values():
        assert f"No proxy, on dhf_1y: signed off because everybody gets it. {words_of_end}" in first
    assert ">signed off</td><td><strong>signed off</strong>" in page
    assert "failed, signed off" in page
    lines = summary_lines(replace(facts, sign_offs=signed), {**tables, "checks": checks})
    assert sum(line.startswith("Signed off: No proxy") for line in lines[:5]) == 3
    assert ", 3 signed off, 0 blocked" in lines[-1]


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
    page = build_page(hostile, renamed)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 30
    assert read(page).wrong == []


def test_a_study_without_any_result_still_gives_a_page(report):
    facts, tables = report
    nothing = {name: pd.DataFrame() for name in tables}
    assert list(report_tables(facts, nothing)["metrics"].columns) == METRIC_COLUMNS
    page = build_page(replace(facts, tasks=facts.tasks[2:], arms=facts.arms[:1]), nothing)
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
    tables = {name: getattr(found, name) for name in ("metrics", "verdicts", "curves", "checks")}
    page = build_page(replace(facts, tasks=(task,), refusals=()), tables)
    assert "Curves are not shown" in page
    held_out = report_tables(replace(facts, tasks=(task,)), tables)["metrics"]
    assert held_out[held_out.split == "held_out"].n_cases.isna().all()
    assert "fewer than 11 cases" in visible(page)


def test_tables_that_name_an_unknown_arm_or_task_are_refused(report):
    facts, tables = report
    with pytest.raises(ValueError, match="arms that the facts do not"):
        build_page(replace(facts, arms=facts.arms[1:]), tables)
    with pytest.raises(ValueError, match="tasks that the facts do not"):
        build_page(replace(facts, tasks=facts.tasks[1:]), tables)


def test_a_monitoring_reading_is_flagged(report):
    facts, tables = report
    later = tables["verdicts"].assign(reading="monitoring 3")
    page = build_page(facts, tables | {"verdicts": later})
    assert "not the registered verdict" in page
    assert '<span class="badge flag">monitoring 3</span>' in page


def test_the_same_facts_give_the_same_page(report, page):
    facts, tables = report
    assert build_page(facts, tables) == page


def test_every_verdict_word_has_a_tone_and_a_short_sentence():
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
    stuck = words.verdict_in_short(row | {"verdict": "undetermined", "addition": "lower, but not converged"})
    assert "still improving when its training stopped" in stuck


def test_the_summary_says_per_task_what_the_page_answers(report, page):
    facts, tables = report
    lines = summary_lines(facts, tables)
    assert lines[0].startswith("Simulated patients.")
    answers = [words.verdict_in_short(row) for row in tables["verdicts"].to_dict("records")]
    assert len(answers) == 4
    for answer in answers:
        assert f"  {answer}" in lines
        assert answer in visible(page)
    assert "Refused: every arm on gi_bleed_1y: the task has no labelled example in this source" in lines
    assert re.fullmatch(r"Checks: \d+ passed, 2 warned, 0 blocked", lines[-1])


def test_an_arm_on_random_weights_is_never_the_highest(report):
    facts, tables = report

    def named(facts):
        lines = [line for line in summary_lines(facts, tables) if "highest AUROC" in line]
        words = [re.findall(r"The highest AUROC is [0-9.]+ \((\w+)\)", line) for line in lines]
        assert all(line.strip() in build_page(facts, tables) for line in lines)
        return [name for (name,) in words]

    best = named(facts)
    assert best
    smoke = replace(facts, arms=tuple(replace(arm, smoke_only=arm.name in best) for arm in facts.arms))
    assert len(named(smoke)) == len(best) and not set(named(smoke)) & set(best)


def test_examples_drawn_for_the_study_are_said_and_a_small_rest_of_them_is_hidden(report):
    facts, tables = report
    first = facts.tasks[0]
    said = build_page(replace(facts, tasks=(replace(first, n_examples=3047), *facts.tasks[1:])), tables)
    assert "by person and never by label: 3,047." in visible(said)
    labelled = sum(one.n for one in first.splits)
    few = replace(first, n_examples=labelled + 3)
    hiding = visible(build_page(replace(facts, tasks=(few, *facts.tasks[1:])), tables))
    assert f"{labelled + 3:,}" not in hiding or re.search(r"train hidden", hiding)
    assert "lost to follow up hidden" in hiding


def test_checks_of_a_task_that_hides_a_count_do_not_repeat_its_counts(report):
    facts, tables = report
    checks = pd.DataFrame(
        [("lost_is_not_negative", "dhf_1y", 2741, 0, 0, "block", True)], columns=tables["checks"].columns
    )
    given = tables | {"checks": checks}
    assert report_tables(facts, given)["checks"]["looked_at"].isna().all()
    assert "Lost is not negative dhf_1y hidden 0" in visible(build_page(facts, given))


def test_refusals_name_the_checks_that_stopped_arms_what_they_ask_and_what_they_found(report):
    """Found 3 is hidden; that it is over the limit is not. Arms stopped for one reason stand together."""
    facts, tables = report
    rows = [
        ("date_is_possible (measurement)", "gi_bleed_1y", 48_210, 3, 0, "block", False),
        ("no_code_gives_the_outcome_away", "gi_bleed_1y", 5760, 1, 0, "block", False),
        ("not_refused", "gi_bleed_1y", 1, 1, 0, "block", False),
        ("visit_is_known (measurement)", "gi_bleed_1y", 5000, 3, 40, "warn", True),
    ]
    given = tables | {"checks": pd.DataFrame(rows, columns=tables["checks"].columns)}
    claims = {"date_is_possible (measurement)": "No such date.", "no_code_gives_the_outcome_away": "No code."}
    refusals = tuple(Refusal("gi_bleed_1y", arm, "check `x` failed") for arm in ("chance", "count_lr"))
    alarms = frozenset({"no_code_gives_the_outcome_away"})
    page = build_page(replace(facts, refusals=refusals, claims=claims, alarms=alarms), given)
    section = visible(page.partition('id="refusals"')[2].partition("</section>")[0])
    assert "chance, count_lr on gi_bleed_1y: check `x` failed" in section
    assert (
        "Date is possible (measurement) No such date. gi_bleed_1y 48,210 hidden, over the limit 0" in section
    )
    assert "No code gives the outcome away No code. gi_bleed_1y 5,760 1 0" in section
    assert "Not refused" not in section
    assert "hidden, within the limit" in visible(page)
    assert "No arm was scored on this task: check `x` failed" in visible(page)


def test_a_table_that_lacks_a_column_is_refused(report):
    facts, tables = report
    with pytest.raises(ValueError, match="table `costs` lacks the columns"):
        build_page(facts, tables | {"costs": tables["costs"].drop(columns="cpu_s")})
