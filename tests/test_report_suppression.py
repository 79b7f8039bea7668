"""Small cells of the report: nothing from 1 to 10 is shown, in flows, metrics, checks and curves."""

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml.evaluation.curves import draw_curves
from ml.report.facts import (
    REASON_OF_STEP,
    AttritionStep,
    AvailabilityCount,
    LabelCount,
    ReportFacts,
    SplitSize,
    TaskFacts,
)
from ml.report.nested_cells import suppress_nested
from ml.report.small_cells import (
    hidden_availability,
    hidden_counts,
    merge_steps,
    suppress_checks,
    suppress_curves,
    suppress_metrics,
)
from ml.report.suppression import SMALLEST_SHOWN
from ml.report.tables import COST_COLUMNS, report_tables

STEP_OF_REASON = {reason: description for description, reason in REASON_OF_STEP.items()}
COHORT_STEP = Path(__file__).resolve().parent.parent / "dbt_project/models/cohort/cohort_step.sql"


def flow(*steps, reasons=(), **options):
    """A task whose last steps take away the null labels of the reasons, in their order."""
    names = [f"step {i}" for i in range(len(steps) - len(reasons))] + [STEP_OF_REASON[one] for one in reasons]
    attrition = tuple(AttritionStep(name, n, n, cases) for name, (n, cases) in zip(names, steps, strict=True))
    return TaskFacts("t", "T", "q", "c", "l", attrition, **options)


def no_metrics():
    return pd.DataFrame({name: [] for name in ("task", "split", "subgroup", "n", "n_cases", "k")})


def test_a_step_that_drops_a_few_hides_the_count_that_would_betray_it():
    hidden = hidden_counts(flow((1000, 200), (995, 200), (700, 150)), no_metrics())
    assert hidden == {"entries:1", "persons:1"}
    assert hidden_counts(flow((1000, 200), (900, 150), (700, 100)), no_metrics()) == frozenset()


def test_a_few_cases_that_leave_hide_a_case_count_and_keep_the_entries():
    hidden = hidden_counts(flow((1000, 200), (900, 195), (700, 100)), no_metrics())
    assert hidden == {"cases:1"}


def test_a_few_null_labels_cannot_be_had_from_cohort_and_splits():
    splits = (SplitSize("train", 600, 120), SplitSize("tuning", 100, 20), SplitSize("held_out", 297, 60))
    task = flow(
        (2000, 300), (1000, 200), (997, 200),
        reasons=["lost_to_follow_up"], splits=splits, null_labels={"lost_to_follow_up": 3},
    )  # fmt: skip
    hidden = hidden_counts(task, no_metrics())
    assert {"null:lost_to_follow_up", "entries:1"} <= hidden
    assert not hidden & {"n:held_out", "cases:held_out"}


def test_a_small_split_cannot_be_had_from_the_labelled_cohort_and_the_other_splits():
    """With null labels too: the last line counts labelled examples, and so do the splits."""
    splits = (SplitSize("train", 200, 60), SplitSize("tuning", 8, 0), SplitSize("held_out", 92, 40))
    task = flow(
        (400, 100), (300, 100),
        reasons=["lost_to_follow_up"], splits=splits, null_labels={"lost_to_follow_up": 100},
    )  # fmt: skip
    hidden = hidden_counts(task, no_metrics())
    assert "n:tuning" in hidden
    assert hidden & {"entries:1", "n:train", "n:held_out"}


def test_splits_that_are_not_the_cohort_are_refused():
    splits = (SplitSize("train", 200, 60), SplitSize("held_out", 90, 40))
    with pytest.raises(ValueError, match="`entries:0` is not the sum"):
        hidden_counts(flow((300, 100), splits=splits), no_metrics())
    with pytest.raises(ValueError, match="`entries:0` is less than"):
        hidden_counts(flow((280, 100), splits=splits, n_examples=290), no_metrics())


def test_examples_drawn_for_the_study_do_not_give_away_the_few_that_were_not():
    splits = (SplitSize("train", 200, 60), SplitSize("tuning", 50, 20), SplitSize("held_out", 92, 40))
    task = flow(
        (500, 120), (350, 120),
        reasons=["lost_to_follow_up"], splits=splits, null_labels={"lost_to_follow_up": 150}, n_examples=442,
    )  # fmt: skip
    hidden = hidden_counts(task, no_metrics())
    # 350 labelled less 342 in the splits leaves 8; all but the cases hang together by it.
    assert hidden & {"entries:1", "n:train", "n:tuning", "n:held_out"}


def test_a_step_of_null_labels_and_their_reason_are_one_count():
    """380 less 375 is 5; the 20 that were lost give 380 back from 400."""
    reasons = ["lost_to_follow_up", "unmeasured"]
    nulls = {"lost_to_follow_up": 20, "unmeasured": 5}
    task = flow((500, 100), (400, 80), (380, 80), (375, 80), reasons=reasons, null_labels=nulls)
    hidden = hidden_counts(task, no_metrics())
    assert "null:unmeasured" in hidden
    assert hidden & {"entries:2", "entries:3"}
    assert "entries:3" in hidden or hidden & {"null:lost_to_follow_up", "entries:1"}
    # A reason that is not listed has none: its line equals the one before.
    absent = flow(
        (500, 100), (400, 80), (395, 80), (395, 80), reasons=reasons[::-1], null_labels={"unmeasured": 5}
    )
    hidden = hidden_counts(absent, no_metrics())
    assert {"entries:2", "entries:3"} <= hidden or "entries:1" in hidden


def test_null_labels_that_the_flow_does_not_tell_are_refused():
    with pytest.raises(ValueError, match="no step for the null labels"):
        hidden_counts(flow((500, 100), (400, 80), null_labels={"unmeasured": 100}), no_metrics())
    wrong = flow((500, 100), (400, 80), reasons=["unmeasured"], null_labels={"unmeasured": 90})
    with pytest.raises(ValueError, match="not the sum"):
        hidden_counts(wrong, no_metrics())


def test_every_label_step_of_the_cohort_has_its_reason():
    sql = COHORT_STEP.read_text(encoding="utf-8")
    label_steps = sql[sql.index("11 as stage_no") : sql.index("numbered as")]
    kinds = [line.split("'")[1] for line in label_steps.splitlines() if line.endswith("as kind,")]
    texts = [line.split("'")[1] for line in label_steps.splitlines() if line.endswith("as description")]
    assert dict(zip(texts, kinds, strict=True)) == REASON_OF_STEP


def test_the_few_null_labels_without_a_quantity_cannot_be_had_from_the_many_with_it():
    deaths = (LabelCount("deaths_in_time_at_risk", None, 95),)
    task = flow(
        (500, 100), (400, 100),
        reasons=["lost_to_follow_up"], null_labels={"lost_to_follow_up": 100}, label_counts=deaths,
    )  # fmt: skip
    hidden = hidden_counts(task, no_metrics())
    alone = {"null:lost_to_follow_up"} <= hidden and hidden & {"entries:0", "entries:1"}
    assert "deaths_in_time_at_risk:null" in hidden or alone


def test_a_few_open_visits_cannot_be_had_from_starts_and_ends():
    def facts(n_starts, n_ends):
        rows = (
            AvailabilityCount("visit_occurrence", "start", "own_date", n_starts, 0),
            AvailabilityCount("visit_occurrence", "end", "own_date", n_ends - 400, 0),
            AvailabilityCount("visit_occurrence", "end", "visit_end", 400, 400),
            AvailabilityCount("drug_exposure", "row", "own_date", 700, 0),
        )
        return ReportFacts(
            "s", "q", "real", "source", 1, 99999, "", "", "", "", 1, "", (), (), availability=rows
        )

    assert hidden_availability(facts(2000, 1996)) & {"events:0", "events:1", "events:2"}
    assert hidden_availability(facts(2000, 2000)) == frozenset()
    assert hidden_availability(facts(2000, 1900)) == frozenset()


def test_a_long_flow_hides_no_more_than_a_small_step_asks_for():
    """Eight cases leave at one step among many that take nobody: entries stay, and some cases go."""
    entries, cases = [2694, 2630, 2630, 2630, 2607, 2607, 2570], [479, 479, 479, 479, 471, 471, 471]
    hidden = hidden_counts(flow(*zip(entries, cases, strict=True)), no_metrics())
    assert not {name for name in hidden if not name.startswith("cases:")}
    before, after = ({f"cases:{i}" for i in steps} for steps in (range(4), range(4, 7)))
    assert before <= hidden or after <= hidden
    assert not (before <= hidden and after <= hidden)


def test_random_flows_never_give_a_small_step_away():
    rng = np.random.default_rng(3)
    for _ in range(25):
        left = rng.choice([0, 1, 4, 12, 300], size=4)
        entries = 900 + np.cumsum(left[::-1])[::-1]
        entries = [*(int(n) for n in entries), 900]
        gone_cases = np.minimum(left, rng.choice([0, 1, 30], size=4))
        cases = [*(int(n) for n in 150 + np.cumsum(gone_cases[::-1])[::-1]), 150]
        hidden = hidden_counts(flow(*zip(entries, cases, strict=True)), no_metrics())
        for i in range(1, 5):
            for column, values in (("entries", entries), ("cases", cases)):
                shown = not {f"{column}:{i - 1}", f"{column}:{i}"} & hidden
                drop = values[i - 1] - values[i]
                assert not (shown and 0 < drop < SMALLEST_SHOWN)
        # Over hidden steps in between, the shown neighbours must not give a small total away either.
        at = [i for i in range(5) if f"entries:{i}" not in hidden]
        drops = [entries[a] - entries[b] for a, b in itertools.pairwise(at)]
        assert not any(0 < drop < SMALLEST_SHOWN for drop in drops)


def metric_rows(sizes):
    rows = [
        {
            "task": "t",
            "arm": "a",
            "split": "held_out",
            "metric": metric,
            "value": 0.5,
            "ci_low": 0.4,
            "ci_high": 0.6,
        }
        | {"n": n, "n_cases": cases, "seed": 1, "k": None, "draw": None, "subgroup": group}
        for group, (n, cases) in sizes.items()
        for metric in ("auroc", "prevalence")
    ]
    return pd.DataFrame(rows).astype({"n": "Int64", "n_cases": "Int64", "k": "Int64"})


def test_a_small_subgroup_hides_its_counts_its_complement_and_their_prevalence():
    metrics = metric_rows({"all": (900, 180), "female": (893, 178), "male": (7, 2)})
    shown = suppress_metrics(metrics, {"t": hidden_counts(None, metrics)})
    by_group = shown.set_index(["subgroup", "metric"])
    assert by_group.loc[("all", "auroc"), "n"] == 900
    assert by_group.loc[[("female", "auroc"), ("male", "auroc")], "n"].isna().all()
    assert by_group.loc[[("female", "prevalence"), ("male", "prevalence")], "value"].isna().all()
    assert by_group.loc[("male", "auroc"), "value"] == 0.5


def test_checks_lose_small_counts_and_small_remainders_but_not_counts_of_files():
    checks = pd.DataFrame(
        [
            ("a", 1000, 3, True), ("b", 1000, 995, True), ("c", 8, 0, True), ("d", 1000, 0, True),
            ("e", 1000, -0.0012, True), ("f", 9, 2, True), ("g", 1000, 20, True),
        ],
        columns=["name", "looked_at", "found", "passed"],
    ).assign(task="t", unit=["rows"] * 5 + ["files", "rows"])  # fmt: skip
    shown = suppress_checks(checks, {"t": frozenset()}).set_index("name")
    assert list(shown.index[shown.found.isna()]) == ["a", "b"]
    assert list(shown.index[shown.looked_at.isna()]) == ["c"]
    assert shown.loc["e", "found"] == -0.0012
    assert (shown.loc["f", "looked_at"], shown.loc["f", "found"]) == (9, 2)


def test_checks_of_examples_go_where_their_task_hides_a_count():
    """120 labelled and 112 non-cases looked at would give the 8 cases away."""
    checks = pd.DataFrame(
        [
            ("case_means_outcome_in_time_at_risk", "t", 120, 0), ("lost_is_not_negative", "t", 112, 40),
            ("no_input_after_the_index", "t", 9000, 0), ("no_arm_beats_the_oracle_auroc", "t", 500, -0.01),
            ("concept_sets_are_known", "t", 4, 0), ("lost_is_not_negative", "u", 112, 40),
            ("person_id_is_unique", "", 3000, 0),
        ],
        columns=["name", "task", "looked_at", "found"],
    )  # fmt: skip
    shown = suppress_checks(checks, {"t": frozenset({"cases:0"}), "u": frozenset()})
    assert list(shown["looked_at"].isna()) == [True, True, False, True, False, False, False]
    assert list(shown["found"].isna()) == [False, True, False, False, False, False, False]


def test_rows_of_event_tables_are_shown_where_their_task_hides_a_count_of_persons():
    checks = pd.DataFrame(
        [
            ("date_is_possible (measurement)", 63_840, 181), ("date_is_possible (death)", 90, 20),
            ("person_has_a_row (measurement)", 120, 30), ("sex_is_recorded (person)", 120, 30),
            ("value_is_plausible (measurement)", 9, 0), ("unit_is_plausible (measurement)", 500, 3),
        ],
        columns=["name", "looked_at", "found"],
    ).assign(task="t")  # fmt: skip
    shown = suppress_checks(checks, {"t": frozenset({"cases:0"})})
    assert list(shown["looked_at"].isna()) == [False, True, True, True, True, False]
    assert list(shown["found"].isna()) == [False, True, True, True, False, True]


def test_whether_an_alarm_fired_is_shown_and_what_it_looked_at_where_that_is_two_shown_counts():
    """Of 576 examples of train and tuning, both shown, nobody is left out; 570 would give 6 persons away."""
    rows = [("all", "t", 576, 1), ("some", "t", 570, 1), ("all", "u", 576, 0), ("no_alarm", "t", 576, 1)]
    checks = pd.DataFrame(rows, columns=["name", "task", "looked_at", "found"])
    hidden = {task: frozenset({"cases:0"}) for task in ("t", "u")}
    shown = suppress_checks(checks, hidden, ["all", "some"], {"t": 576, "u": None})
    assert list(shown["looked_at"].isna()) == [False, True, True, True]
    assert list(shown["found"].isna()) == [False, False, False, True]


def test_counts_of_a_cohort_go_where_they_leave_a_few_of_all_rows():
    checks = pd.DataFrame(
        [
            ("a", "", 1000, 50, 10), ("a", "t", 995, 20, 9), ("b", "", 1000, 50, 10), ("b", "t", 600, 47, 6),
            ("c", "", 1000, 50, 10), ("c", "t", 600, 30, 6), ("d", "", 1000, 0.03, 0.1),
            ("d", "t", 995, 0.031, 0.1), ("e", "", 1000, 900, 10), ("e", "t", 600, 505, 6),
            ("f", "t", 995, 20, 9),
        ],
        columns=["name", "task", "looked_at", "found", "limit"],
    )  # fmt: skip
    shown = suppress_nested(checks, suppress_checks(checks, {}))
    hidden = shown[["looked_at", "found", "limit"]].isna()
    assert list(zip(checks["name"], checks["task"], *(hidden[name] for name in hidden), strict=True)) == [
        (name, task, *gone)
        for name, task, *gone in [
            ("a", "", False, False, False), ("a", "t", True, False, True),
            ("b", "", False, False, False), ("b", "t", False, True, False),
            ("c", "", False, False, False), ("c", "t", False, False, False),
            ("d", "", False, False, False), ("d", "t", False, False, False),
            ("e", "", False, False, False), ("e", "t", False, True, False),
            ("f", "t", False, False, False),
        ]
    ]  # fmt: skip


def test_published_curves_have_no_step_or_bin_with_a_small_cell_and_keep_their_ends():
    rng = np.random.default_rng(4)
    for share in (0.08, 0.2, 0.5, 0.95):
        y = rng.random(1500) < share
        score = 1 / (1 + np.exp(-rng.normal(y, 1)))
        full = draw_curves("t", "a", y, score, score**2)
        shown = suppress_curves(full)
        assert set(shown.curve) == {"roc", "pr", "calibration", "calibration_raw"}
        for _, part in shown.groupby("curve"):
            assert part.n.sum() == 1500
            assert part.n_cases.sum() == y.sum()
            for n, cases in zip(part.n, part.n_cases, strict=True):
                assert n == 0 or n >= SMALLEST_SHOWN
                assert not 0 < cases < SMALLEST_SHOWN
                assert not 0 < n - cases < SMALLEST_SHOWN
        roc = shown[shown.curve == "roc"]
        assert (roc.x.iloc[0], roc.y.iloc[-1]) == (0, 1)
        area = [np.trapezoid(one.y, one.x) for one in (roc, full[full.curve == "roc"])]
        assert area[0] == pytest.approx(area[1], abs=0.02)


def test_curves_with_too_few_cases_are_left_out():
    y = np.array([1] * 10 + [0] * 500)
    curves = draw_curves("t", "a", y, np.linspace(0, 1, 510), np.linspace(0, 1, 510))
    assert suppress_curves(curves).empty
    assert merge_steps([5, 5], [0, 0]) == []
    assert merge_steps([11, 12, 3], [0, 0, 0]) == [(0, 1), (1, 3)]
    assert merge_steps([30, 30, 5], [15, 15, 2]) == [(0, 1), (1, 3)]


def test_report_tables_have_the_contract_columns_and_leave_the_originals_alone():
    metrics = metric_rows({"all": (900, 180), "male": (7, 2)})
    before = metrics.copy()
    verdicts = pd.DataFrame(
        columns=[
            "task", "metric", "challenger", "reference", "margin", "delta", "ci_low", "ci_high", "level",
            "verdict", "sentence", "reading", "addition",
        ]
    )  # fmt: skip
    checks = pd.DataFrame(
        [("a", "t", 1000, 3, 0, "warn", False)],
        columns=["name", "task", "looked_at", "found", "limit", "severity", "passed"],
    )
    costs = pd.DataFrame(columns=COST_COLUMNS)
    facts = ReportFacts("s", "q", "real", "source", 1, 1, "", "", "", "", 1, "", (), ())
    given = {"metrics": metrics, "verdicts": verdicts, "costs": costs, "checks": checks}
    found = report_tables(facts, given)
    assert list(found) == ["metrics", "verdicts", "costs", "checks"]
    assert list(found["metrics"].columns) == [
        "task", "arm", "split", "metric", "value", "ci_low", "ci_high", "n", "n_cases", "seed", "k", "draw",
        "subgroup",
    ]  # fmt: skip
    assert list(found["verdicts"].columns)[-1] == "reading"
    assert found["checks"].found.isna().all()
    pd.testing.assert_frame_equal(metrics, before)
