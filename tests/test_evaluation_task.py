"""One task from predictions to tables: seeds, shots, groups, refusals, and the test of the ceiling."""

import time

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from ml.adaptation.guards import GUARDS
from ml.evaluation.calibration import clipped_logit, sigmoid
from ml.evaluation.ceiling import ceiling_checks, measure_ceiling
from ml.evaluation.comparing import VERDICT_COLUMNS
from ml.evaluation.evaluate import CHECK_COLUMNS, TaskEvaluation, combine, evaluate_task
from ml.evaluation.measure import METRIC_COLUMNS
from ml.evaluation.metrics import auroc, brier
from ml.evaluation.verdict import BestOf, Comparison, Competitor, HeldOutMismatchError
from ml.refusal import RefusalError


def world(seed=0, n_tuning=300, n_held_out=900):
    rng = np.random.default_rng(seed)
    n = n_tuning + n_held_out
    p = sigmoid(rng.normal(-1.6, 1.4, n))
    table = pd.DataFrame({"example_id": [f"{i:016x}" for i in rng.permutation(n)], "person_id": np.arange(n)})
    table["split"] = ["tuning"] * n_tuning + ["held_out"] * n_held_out
    table["y_true"] = (rng.random(n) < p).astype(int)
    return table, p


def arm(table, p, noise, *, seed=1, bias=0.0):
    logit = (
        clipped_logit(p) + np.random.default_rng(seed).normal(0, noise, len(p)) if noise else clipped_logit(p)
    )
    score = sigmoid(logit)
    rows = table.assign(y_score=score, y_score_raw=sigmoid(logit + bias), seed=seed, k=None, draw=None)
    return rows.astype({"seed": "Int64", "k": "Int64", "draw": "Int64"})


@pytest.fixture(scope="module")
def small():
    table, p = world()
    oracle = pd.DataFrame({"example_id": table["example_id"], "p": p})
    arms = {
        "good": arm(table, p, 0.8),
        "poor": arm(table, p, 4.0, seed=2),
        "seeds": pd.concat([arm(table, p, 1.0, seed=seed) for seed in (1, 2, 3)], ignore_index=True),
        "same": arm(table, p, 0.8),
    }
    return table, oracle, arms


def evaluate(small, *comparisons, **options) -> TaskEvaluation:
    _, oracle, arms = small
    defaults = {"oracle": oracle, "comparisons": comparisons, "n_bootstrap": 300, "seed": 5}
    return evaluate_task("t", arms, **(defaults | options))


def value(metrics, arm, metric, *, split="held_out", subgroup="all", seed=None):
    rows = metrics[(metrics.arm == arm) & (metrics.metric == metric) & (metrics.split == split)]
    rows = rows[rows.subgroup == subgroup]
    rows = rows[rows.seed.isna()] if seed is None and len(rows) > 1 else rows
    rows = rows[rows.seed == seed] if seed is not None else rows
    assert len(rows) == 1
    return rows.iloc[0]


def test_tables_have_the_contract_columns_and_the_plain_values(small):
    _table, _oracle, arms = small
    found = evaluate(small, Comparison("good", "poor", "t", margin=0.05))
    assert list(found.metrics.columns) == METRIC_COLUMNS
    assert list(found.verdicts.columns)[: len(VERDICT_COLUMNS)] == VERDICT_COLUMNS
    assert list(found.checks.columns) == CHECK_COLUMNS
    held = arms["good"][arms["good"].split == "held_out"]
    row = value(found.metrics, "good", "auroc")
    assert row.value == pytest.approx(auroc(held.y_true, held.y_score))
    assert row.ci_low < row.value < row.ci_high
    assert (row.n, row.n_cases) == (900, held.y_true.sum())
    assert value(found.metrics, "good", "brier_raw").value == pytest.approx(
        brier(held.y_true, held.y_score_raw)
    )
    assert value(found.metrics, "oracle", "auroc").value > row.value
    assert set(found.metrics.loc[found.metrics.arm == "oracle", "split"]) == {"held_out"}
    assert set(found.metrics.metric) == {
        "auroc", "auprc", "prevalence", "brier", "brier_raw", "log_loss", "calibration_intercept",
        "calibration_slope", "calibration_intercept_raw", "calibration_slope_raw",
    }  # fmt: skip
    assert not found.metrics.duplicated(["arm", "split", "metric", "seed", "k", "draw", "subgroup"]).any()


def test_a_second_evaluation_gives_the_same_tables(small):
    first, second = (evaluate(small, Comparison("good", "poor", "t")) for _ in range(2))
    for name in ("metrics", "verdicts", "curves", "checks", "ceiling"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name))


def test_superior_inferior_and_zero_variance_comparisons_get_their_verdicts(small):
    found = evaluate(
        small,
        Comparison("good", "poor", "t", margin=0.05),
        Comparison("poor", "good", "t", margin=0.05),
        Comparison("good", "same", "t", margin=0.05),
        Comparison("poor", "good", "t", metric="brier", margin=0.001),
        Comparison("good", "poor", "another task"),
        n_primary=4,
        qualifiers=["simulated patients"],
    ).verdicts
    assert list(found.verdict) == ["superior", "inferior", "non-inferior", "inferior"]
    assert found.level.unique() == pytest.approx([0.9875])
    same = found.iloc[2]
    assert (same.delta, same.ci_low, same.ci_high) == (0.0, 0.0, 0.0)
    assert "identical scores" in same.sentence
    assert found.sentence.str.contains("Simulated patients; for this trained model \\(one seed\\).").all()
    assert (found.ci_low <= found.ci95_low).all() and (found.ci_high >= found.ci95_high).all()
    assert found.iloc[0].p_holm >= found.iloc[0].p_value
    assert set(found.p_value_kind) == {"paired DeLong", "bootstrap"}


def test_an_arm_of_several_seeds_has_a_row_a_seed_and_one_over_all_with_a_wider_interval(small):
    found = evaluate(small, Comparison("seeds", "poor", "t"))
    by_seed = [value(found.metrics, "seeds", "auroc", seed=seed) for seed in (1, 2, 3)]
    overall = value(found.metrics, "seeds", "auroc")
    assert overall.value == pytest.approx(np.mean([row.value for row in by_seed]))
    assert overall.ci_low < overall.value < overall.ci_high
    assert pd.isna(overall.seed)


def test_the_first_reading_gives_the_verdict_and_later_ones_are_monitoring(small):
    comparison = Comparison("good", "poor", "t")
    assert list(evaluate(small, comparison).verdicts.reading) == ["verdict"]
    assert list(evaluate(small, comparison, n_reading=3).verdicts.reading) == ["monitoring 3"]


def test_the_best_of_a_group_comes_from_tuning_and_is_named_in_the_sentence(small):
    group = BestOf("generalist", ("poor", "good"))
    row = evaluate(
        small, Comparison(group, "seeds", "t"), competitors={"good": Competitor("22.7 M parameters")}
    ).verdicts.iloc[0]
    assert row.challenger == "good"
    assert "good (22.7 M parameters; best generalist arm on tuning)" in row.sentence


def test_a_refused_arm_gives_no_verdict_with_its_reason_and_an_unknown_one_is_an_error(small):
    row = evaluate(small, Comparison("gone", "good", "t"), refused={"gone": "label leak"}).verdicts.iloc[0]
    assert row.verdict == "no verdict"
    assert np.isnan(row.delta)
    assert "gone was refused (label leak)" in row.sentence
    with pytest.raises(KeyError, match="Unknown arm `gone`"):
        evaluate(small, Comparison("gone", "good", "t"))
    with pytest.raises(ValueError, match="against itself"):
        evaluate(small, Comparison("good", "good", "t"))


def test_no_verdict_rests_on_a_design_that_looks_ahead_but_its_metrics_are_given(small):
    compared = Comparison("good", "poor", "t", margin=0.05)
    found = evaluate(small, compared, looks_ahead=True)
    row = found.verdicts.iloc[0]
    assert (row.verdict, row.addition) == ("no verdict", "not usable prospectively")
    assert "not usable prospectively" in row.sentence
    assert pd.isna(row.delta) and pd.isna(row.p_value)
    plain = evaluate(small, compared)
    assert plain.verdicts.iloc[0].verdict == "superior"
    assert "prospectively" not in plain.verdicts.iloc[0].sentence
    pd.testing.assert_frame_equal(found.metrics, plain.metrics)


def test_arms_on_different_held_out_examples_are_refused_without_naming_a_patient(small):
    _table, _oracle, arms = small
    short = arms["good"].drop(index=arms["good"].index[-1])
    with pytest.raises(HeldOutMismatchError, match="899 examples") as caught:
        evaluate_task("t", {"a": arms["good"], "b": short}, n_bootstrap=10)
    assert str(arms["good"].example_id.iloc[-1]) not in str(caught.value)
    assert isinstance(caught.value, RefusalError)
    assert caught.value.guard in GUARDS
    relabelled = arms["good"].copy()
    relabelled.loc[relabelled.index[-1], "y_true"] = 1 - relabelled["y_true"].iloc[-1]
    with pytest.raises(HeldOutMismatchError):
        evaluate_task("t", {"a": arms["good"], "b": relabelled}, n_bootstrap=10)
    two_seeds = pd.concat([arms["good"], short.assign(seed=9)], ignore_index=True)
    with pytest.raises(HeldOutMismatchError, match="runs of"):
        evaluate_task("t", {"a": two_seeds}, n_bootstrap=10)


def test_few_shot_arms_are_scored_on_discrimination_only_and_cover_their_draws(small):
    table, _, arms = small
    draws = [
        arms["poor"].assign(k=8, draw=draw, y_score_raw=np.random.default_rng(draw).random(len(table)))
        for draw in range(5)
    ]
    shots = pd.concat([arms["good"], *draws], ignore_index=True).astype({"k": "Int64", "draw": "Int64"})
    found = evaluate_task("t", {"a": shots}, n_bootstrap=100).metrics
    few = found[found.k == 8]
    assert set(few.metric) == {"auroc", "auprc", "prevalence"}
    overall = few[few.draw.isna() & (few.metric == "auroc") & (few.split == "held_out")]
    assert len(overall) == 1
    assert few.draw.nunique() == 5


def test_subgroups_get_their_own_rows(small):
    table, _oracle, arms = small
    groups = pd.DataFrame({"example_id": table.example_id, "subgroup": np.where(table.index % 2, "F", "M")})
    found = evaluate(small, subgroups=groups).metrics
    held = arms["good"][(arms["good"].split == "held_out") & (table.index % 2 == 1)]
    row = value(found, "good", "auroc", subgroup="F")
    assert row.value == pytest.approx(auroc(held.y_true, held.y_score))
    assert row.n == len(held)


def test_one_class_in_held_out_gives_null_metrics_no_interval_and_no_verdict():
    table, p = world(n_held_out=60)
    table.loc[table.split == "held_out", "y_true"] = 0
    arms = {"a": arm(table, p, 1), "b": arm(table, p, 2)}
    found = evaluate_task("t", arms, comparisons=[Comparison("a", "b", "t")], n_bootstrap=50)
    assert np.isnan(value(found.metrics, "a", "auroc").value)
    assert np.isnan(value(found.metrics, "a", "brier").ci_low)
    assert found.verdicts.verdict.iloc[0] == "no verdict"
    assert "one class only" in found.verdicts.sentence.iloc[0]
    assert found.curves.empty


def test_too_few_cases_says_how_many_would_settle_it():
    table, p = world(n_held_out=300)
    arms = {"a": arm(table, p, 1), "b": arm(table, p, 1.1, seed=2)}
    row = evaluate_task("t", arms, comparisons=[Comparison("a", "b", "t")], n_bootstrap=300).verdicts.iloc[0]
    assert row.verdict == "undetermined (too few cases)"
    assert row.cases_to_settle > 100
    assert "if the two are truly equal" in row.sentence


def test_combining_tasks_adjusts_p_values_over_all_of_them(small):
    one = evaluate(small, Comparison("good", "seeds", "t"))
    both = combine([one, one])
    assert len(both.metrics) == 2 * len(one.metrics)
    assert both.verdicts.p_holm.iloc[0] == pytest.approx(min(1, 2 * one.verdicts.p_value.iloc[0]))


def test_curves_have_at_most_100_points_and_account_for_every_example(small):
    curves = evaluate(small).curves
    for (_, curve), part in curves.groupby(["arm", "curve"]):
        assert len(part) <= (10 if curve.startswith("calibration") else 100)
        assert part.n.sum() == 900
    roc = curves[(curves.arm == "good") & (curves.curve == "roc")]
    assert (roc.x.iloc[0], roc.y.iloc[0], roc.x.iloc[-1], roc.y.iloc[-1]) == (0, 0, 1, 1)
    area = np.trapezoid(roc.y, roc.x)
    assert area == pytest.approx(value(evaluate(small).metrics, "good", "auroc").value, abs=0.01)


def test_a_planted_arm_that_sees_the_outcome_fails_the_ceiling(small):
    table, oracle, arms = small
    p = oracle.p.to_numpy()
    leak = sigmoid(clipped_logit(p) + 1.5 * (table.y_true.to_numpy() - 0.5))
    cheat = arms["good"].assign(y_score=leak, y_score_raw=leak)
    found = evaluate_task("t", {**arms, "cheat": cheat}, oracle=oracle, n_bootstrap=100)
    checks = found.checks.set_index("name")
    assert not checks.loc["no_arm_beats_the_oracle_auroc", "passed"]
    assert not checks.loc["no_arm_beats_the_oracle_log_loss", "passed"]
    assert checks.loc["no_arm_beats_the_oracle_auroc", "severity"] == "block"
    failed = found.ceiling[~found.ceiling.passed.astype(bool)]
    assert set(failed.arm) == {"cheat"}


def scored(p):
    return dict.fromkeys(("auroc", "log_loss"), p)


def test_a_slight_leak_among_900_examples_fails_the_ceiling():
    table, p = world(seed=3)
    held = (table.split == "held_out").to_numpy()
    y = table.y_true.to_numpy()
    leak = sigmoid(clipped_logit(p) + 0.8 * y)
    found = measure_ceiling("t", y[held], np.arange(900), p[held], {"leak": scored(leak[held])}, seed=0)
    assert not found.set_index("metric").loc["auroc", "passed"]


def test_the_oracle_plus_noise_and_the_oracle_itself_pass_the_ceiling():
    failures = 0
    for seed in range(20):
        table, p = world(seed=seed, n_tuning=2)
        held = (table.split == "held_out").to_numpy()
        noisy = sigmoid(clipped_logit(p[held]) + np.random.default_rng(seed).normal(0, 0.3, held.sum()))
        y = table.y_true.to_numpy()[held]
        found = measure_ceiling(
            "t",
            y,
            np.arange(y.size),
            p[held],
            {"noisy": scored(noisy), "oracle again": scored(p[held])},
            seed=seed,
            n_bootstrap=1000,
        )
        assert found[found.arm == "oracle again"].passed.all()
        failures += not found.passed.all()
    assert failures == 0
    assert [row["passed"] for row in ceiling_checks(found)] == [True, True]


def test_an_oracle_that_lacks_examples_is_refused(small):
    with pytest.raises(ValueError, match="the oracle lacks 1 of 900"):
        evaluate(small, oracle=small[1].iloc[:-1])


def test_a_recalibration_that_turns_the_order_is_warned_of(small):
    _, _, arms = small
    turned = arms["good"].assign(y_score=1 - arms["good"].y_score)
    checks = evaluate_task("t", {"a": turned}, n_bootstrap=20).checks.set_index("name")
    row = checks.loc["recalibration_keeps_order"]
    assert (bool(row.passed), row.severity, row.found > 0) == (False, "warn", True)
    kept = evaluate(small).checks.set_index("name").loc["recalibration_keeps_order"]
    assert bool(kept.passed)


@pytest.mark.parametrize(
    "recalibrate", [lambda score: 1 - score, lambda score: np.round(score, 1)], ids=["turned", "tied"]
)
def test_discrimination_reads_raw_scores_whatever_recalibration_does_to_their_order(small, recalibrate):
    table, oracle, arms = small
    changed = {
        name: rows.assign(y_score=recalibrate(rows.y_score.to_numpy()))
        for name, rows in arms.items()
        if name != "same"
    }
    compared = (Comparison("good", "poor", "t"), Comparison(BestOf("g", ("poor", "good")), "seeds", "t"))
    groups = pd.DataFrame({"example_id": table.example_id, "subgroup": "F"})
    before, after = (
        evaluate_task("t", given, oracle=oracle, comparisons=compared, n_bootstrap=100, subgroups=groups)
        for given in ({name: arms[name] for name in changed}, changed)
    )
    held = changed["good"][changed["good"].split == "held_out"]
    expected = roc_auc_score(held.y_true, held.y_score_raw)
    assert value(after.metrics, "good", "auroc").value == pytest.approx(expected, abs=1e-12)
    assert roc_auc_score(held.y_true, held.y_score) != pytest.approx(expected, abs=1e-4)
    pd.testing.assert_frame_equal(after.verdicts, before.verdicts)
    for name, column, of_order in (
        ("metrics", "metric", ("auroc", "auprc")),
        ("curves", "curve", ("roc", "pr")),
        ("ceiling", "metric", ("auroc",)),
    ):
        first, second = (
            found[found[column].isin(of_order)].reset_index(drop=True)
            for found in (getattr(before, name), getattr(after, name))
        )
        assert len(first) > 2
        pd.testing.assert_frame_equal(first, second)
    assert value(after.metrics, "good", "brier").value > value(before.metrics, "good", "brier").value


def test_six_arms_of_900_examples_and_2000_replicates_take_seconds():
    table, p = world()
    arms = {f"arm{i}": arm(table, p, 1, seed=i) for i in range(6)}
    started = time.process_time()
    evaluate_task("t", arms, n_bootstrap=2000)
    assert time.process_time() - started < 20
