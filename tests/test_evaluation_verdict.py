"""The verdict's rule, its sentence, the choice on tuning, and what stands beside it."""

import numpy as np
import pytest
from scipy import stats

from ml.evaluation.metrics import auroc
from ml.evaluation.sentence import (
    ONE_SEED,
    Difference,
    about,
    count_words,
    gather_qualifiers,
    percent,
    verdict_sentence,
)
from ml.evaluation.significance import bootstrap_p_value, holm, paired_delong
from ml.evaluation.verdict import BestOf, Competitor, cases_to_settle, choose_best, judge, verdict_level


@pytest.mark.parametrize(
    ("low", "high", "verdict", "addition"),
    [
        (0.01, 0.05, "superior", ""),
        (0.0, 0.05, "non-inferior", ""),
        (-0.04, 0.03, "non-inferior", ""),
        (-0.04, -0.01, "non-inferior", "measurably lower, by less than the margin"),
        (-0.05, 0.01, "undetermined", ""),
        (-0.09, 0.09, "undetermined", ""),
        (-0.09, -0.01, "undetermined", "lower, amount unclear"),
        (-0.09, -0.05, "undetermined", "lower, amount unclear"),
        (-0.09, -0.06, "inferior", ""),
        (0.0, 0.0, "non-inferior", ""),
    ],
)
def test_an_interval_gives_its_verdict_at_every_boundary(low, high, verdict, addition):
    found = judge(low, high, margin=0.05, n_cases=100, n_non_cases=100)
    assert (found.verdict, found.addition) == (verdict, addition)


@pytest.mark.parametrize(("n_cases", "n_non_cases"), [(99, 500), (500, 99), (0, 0)])
def test_too_few_cases_or_non_cases_leave_it_undetermined_whatever_the_interval(n_cases, n_non_cases):
    for bounds in ((0.2, 0.3), (-0.3, -0.2), (0.0, 0.0)):
        found = judge(*bounds, margin=0.05, n_cases=n_cases, n_non_cases=n_non_cases)
        assert found.verdict == "undetermined (too few cases)"


def test_an_arm_that_did_not_converge_is_never_called_inferior():
    found = judge(-0.3, -0.2, margin=0.05, n_cases=200, n_non_cases=200, is_converged=False)
    assert (found.verdict, found.addition) == ("undetermined", "lower, but not converged")


def test_margins_levels_and_intervals_out_of_range_are_refused():
    with pytest.raises(ValueError, match="margin"):
        judge(-0.1, 0.1, margin=0, n_cases=200, n_non_cases=200)
    with pytest.raises(ValueError, match="lower bound"):
        judge(0.1, -0.1, margin=0.05, n_cases=200, n_non_cases=200)
    with pytest.raises(ValueError, match="n_primary"):
        verdict_level(0)
    assert verdict_level(4) == pytest.approx(0.9875)


def test_the_number_of_cases_that_settles_a_comparison_has_the_power_it_says():
    level, margin, n_cases = 0.95, 0.05, 60
    standard_error = 0.04
    half_width = stats.norm.ppf(0.975) * standard_error
    needed = cases_to_settle(half_width, level, n_cases=n_cases, margin=margin, assumed_delta=0.0)
    error_then = standard_error * np.sqrt(n_cases / needed)
    estimates = np.random.default_rng(0).normal(0, error_then, 200_000)
    power = np.mean(estimates - stats.norm.ppf(0.975) * error_then > -margin)
    assert power == pytest.approx(0.8, abs=0.01)
    assert cases_to_settle(0.001, level, n_cases=50, margin=margin, assumed_delta=0.0) == 100
    assert cases_to_settle(0.1, level, n_cases=50, margin=margin, assumed_delta=-0.05) is None


def test_the_best_of_a_group_is_chosen_on_tuning_and_never_on_held_out():
    group = BestOf("generalist", ("b", "a", "c", "d"))
    values = {"a": 0.7, "b": 0.7, "c": None, "x": 0.9}
    assert choose_best(values, group, metric="auroc", split="tuning") == "a"
    assert choose_best({}, group, metric="auroc", split="tuning") is None
    with pytest.raises(ValueError, match="hint: an arm chosen on held-out"):
        choose_best(values, group, metric="auroc", split="held_out")


def test_holm_equals_its_definition_on_random_p_values():
    rng = np.random.default_rng(0)
    for _ in range(50):
        p = rng.random(6) ** 3
        order = np.argsort(p)
        expected = np.empty(6)
        expected[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(6, 0, -1)))
        assert holm(list(p)) == pytest.approx(list(expected))
    assert holm([None, 0.5]) == [None, 0.5]


def test_delong_agrees_with_the_difference_of_areas_and_with_a_large_bootstrap():
    rng = np.random.default_rng(1)
    y = rng.random(300) < 0.3
    first, second = rng.normal(y, 1.5), rng.normal(y, 1.2)
    found = paired_delong(y, first, second)
    assert found.delta == pytest.approx(auroc(y, first) - auroc(y, second), abs=1e-12)
    draws = []
    for _ in range(2000):
        at = rng.integers(0, 300, 300)
        draws.append(auroc(y[at], first[at]) - auroc(y[at], second[at]))
    assert found.standard_error == pytest.approx(np.std(draws), rel=0.08)
    assert bootstrap_p_value(draws) == pytest.approx(found.p_value, abs=0.08)


def test_delong_of_equal_scores_has_p_one_and_of_one_case_is_not_estimable():
    y = np.array([0, 0, 1, 1])
    assert paired_delong(y, y, y).p_value == 1.0
    assert paired_delong([0, 0, 1], [0.1, 0.2, 0.3], [0.1, 0.2, 0.3]) is None


def test_delong_keeps_its_level_under_no_difference():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(400):
        y = rng.random(150) < 0.4
        hits += paired_delong(y, rng.normal(y, 1), rng.normal(y, 1)).p_value < 0.05
    assert 8 <= hits <= 34


def sentence(judgement, **changes):
    arguments = {
        "task": "Heart failure",
        "metric": "auroc",
        "margin": 0.05,
        "names": ("a (22.7 M parameters)", "b"),
        "n_held_out": 900,
        "n_cases": 180,
        "to_settle": [],
        "qualifiers": ["simulated patients", ONE_SEED],
        "n_reading": 1,
    }
    difference = Difference(-0.012, -0.041, 0.017, 0.9875, -0.035, 0.011)
    return verdict_sentence(judgement, difference, **(arguments | changes))


def test_a_sentence_says_what_competed_the_difference_and_every_qualifier():
    text = sentence(judge(-0.041, 0.017, margin=0.05, n_cases=180, n_non_cases=720))
    assert text == (
        "On Heart failure, a (22.7 M parameters) is non-inferior to b: AUROC difference \u22120.012 "
        "(98.75% interval \u22120.041 to +0.017; 95% interval \u22120.035 to +0.011) at a margin of 0.05, "
        "on 900 held-out examples with 180 cases. Simulated patients; for this trained model (one seed)."
    )


def test_a_sentence_with_too_few_cases_says_how_many_would_settle_it_and_prints_no_small_count():
    text = sentence(
        judge(-0.3, 0.3, margin=0.05, n_cases=7, n_non_cases=720),
        n_cases=7,
        to_settle=[("the two are truly equal", 1234), ("never", None)],
        n_reading=3,
    )
    assert "fewer than 11 cases" in text
    assert "with 7" not in text
    assert "about 1,200 if the two are truly equal" in text
    assert "never" not in text
    assert "Monitoring, reading 3 of held-out data: not the registered verdict." in text


def test_qualifiers_stand_once_in_order_and_one_seed_is_for_trained_models():
    trained, fixed = Competitor(qualifiers=("smoke only",)), Competitor(is_deterministic=True)
    study = ["simulated patients", "smoke only"]
    assert gather_qualifiers(study, trained, fixed, n_runs=(1, 1)) == [*study, ONE_SEED]
    assert gather_qualifiers(study, trained, fixed, n_runs=(3, 1)) == study
    stuck = Competitor(is_converged=False, is_deterministic=True)
    assert gather_qualifiers([], stuck, fixed, n_runs=(1, 1)) == ["challenger not converged"]


def test_numbers_in_words_keep_sensible_digits():
    assert [about(n) for n in (100, 1234, 98765)] == ["100", "1,200", "99,000"]
    assert [count_words(n, "cases") for n in (0, 1, 10, 11)] == [
        "0 cases",
        "fewer than 11 cases",
        "fewer than 11 cases",
        "11 cases",
    ]
    assert (percent(0.95), percent(0.9875), percent(1 - 0.05 / 3)) == ("95%", "98.75%", "98.33%")
