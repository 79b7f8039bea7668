"""Metrics at known answers, against scikit-learn, and batched against one by one."""

import warnings

import numpy as np
import pytest
from scipy.optimize import brentq
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from ml.evaluation import bootstrap as bootstrap_module
from ml.evaluation.bootstrap import bootstrap, percentile_interval, person_weights
from ml.evaluation.calibration import (
    NotEstimableError,
    clipped_logit,
    fit_recalibration,
    measure_calibration,
    sigmoid,
)
from ml.evaluation.metrics import (
    auprc,
    auroc,
    brier,
    log_loss,
    prevalence,
    rank_scores,
    weighted_ranking_metrics,
)


def sample(seed, n=200, digits=None):
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1.5, n)
    y = (rng.random(n) < sigmoid(logit)).astype(int)
    score = sigmoid(logit + rng.normal(0, 1, n))
    return y, score if digits is None else score.round(digits)


@pytest.mark.parametrize("digits", [None, 2, 1, 0])
@pytest.mark.parametrize("seed", range(5))
def test_metrics_equal_scikit_learn_with_and_without_ties(seed, digits):
    y, score = sample(seed, digits=digits)
    assert auroc(y, score) == pytest.approx(sk.roc_auc_score(y, score), abs=1e-12)
    assert auprc(y, score) == pytest.approx(sk.average_precision_score(y, score), abs=1e-12)
    assert brier(y, score) == pytest.approx(sk.brier_score_loss(y, score), abs=1e-12)
    assert log_loss(y, score) == pytest.approx(sk.log_loss(y, score), abs=1e-12)
    assert prevalence(y) == pytest.approx(y.mean())


def test_perfect_constant_and_reversed_scores_have_their_known_values():
    y = [0, 0, 0, 1]
    assert (auroc(y, [0.1, 0.2, 0.3, 0.9]), auprc(y, [0.1, 0.2, 0.3, 0.9])) == (1.0, 1.0)
    assert (auroc(y, [0.5] * 4), auprc(y, [0.5] * 4)) == (0.5, 0.25)
    assert auroc(y, [0.9, 0.8, 0.7, 0.1]) == 0.0


@pytest.mark.parametrize("y", [[0, 0, 0], [1, 1, 1]])
def test_one_class_is_not_estimable_and_never_a_number(y):
    score = [0.1, 0.2, 0.3]
    assert auroc(y, score) is None
    assert auprc(y, score) is None
    calibration = measure_calibration(y, score)
    assert (calibration.intercept, calibration.slope) == (None, None)


def test_bad_labels_and_scores_are_refused():
    with pytest.raises(ValueError, match="neither 0 nor 1"):
        auroc([0, 2], [0.1, 0.2])
    with pytest.raises(ValueError, match="not finite"):
        brier([0, 1], [0.1, float("nan")])
    with pytest.raises(ValueError, match="outside 0 to 1"):
        clipped_logit([1.2])


@pytest.mark.parametrize("digits", [None, 1])
def test_weighted_ranking_equals_scikit_learn_sample_weight(digits):
    y, score = sample(3, digits=digits)
    weights = np.random.default_rng(0).integers(0, 4, size=(30, y.size)).astype(float)
    areas, precisions = weighted_ranking_metrics(rank_scores(y, score), weights.T)
    for row, area, precision in zip(weights, areas, precisions, strict=True):
        assert area == pytest.approx(sk.roc_auc_score(y, score, sample_weight=row), abs=1e-12)
        expected = sk.average_precision_score(y, score, sample_weight=row)
        assert precision == pytest.approx(expected, abs=1e-12)


def test_bootstrap_equals_a_plain_loop_over_drawn_persons():
    y, score = sample(4, n=120)
    person = np.random.default_rng(5).integers(0, 50, y.size)
    found = bootstrap(y, person, {"a": score}, n_bootstrap=40, seed=7)
    replicate = 0
    for _, block, _ in person_weights(y.astype(float), person, n_bootstrap=40, seed=7):
        for row in block.T:
            for one in np.unique(person):
                assert len(set(row[person == one])) == 1
            drawn = np.repeat(np.arange(y.size), row.astype(int))
            values = found.values["a"]
            assert values["auroc"][replicate] == pytest.approx(auroc(y[drawn], score[drawn]), abs=1e-12)
            assert values["auprc"][replicate] == pytest.approx(auprc(y[drawn], score[drawn]), abs=1e-12)
            assert values["brier"][replicate] == pytest.approx(brier(y[drawn], score[drawn]), abs=1e-12)
            assert values["log_loss"][replicate] == pytest.approx(log_loss(y[drawn], score[drawn]), abs=1e-12)
            assert found.prevalence[replicate] == pytest.approx(y[drawn].mean())
            replicate += 1
    assert replicate == 40


def test_draws_are_the_same_for_every_arm_and_for_every_block_size(monkeypatch):
    y, score = sample(6, n=90)
    other = sample(8, n=90)[1]
    both = bootstrap(y, np.arange(90), {"a": score, "b": other}, n_bootstrap=70, seed=1)
    monkeypatch.setattr(bootstrap_module, "BLOCK_WEIGHTS", 90 * 11)
    alone = bootstrap(y, np.arange(90), {"b": other}, n_bootstrap=70, seed=1)
    np.testing.assert_array_equal(both.values["b"]["auroc"], alone.values["b"]["auroc"])
    again = bootstrap(y, np.arange(90), {"b": other}, n_bootstrap=70, seed=2)
    assert not np.array_equal(again.values["b"]["auroc"], alone.values["b"]["auroc"])


def test_one_class_replicates_are_drawn_again_and_counted():
    y = np.array([1] + [0] * 19)
    found = bootstrap(y, np.arange(20), {"a": np.linspace(0, 1, 20)}, n_bootstrap=300, seed=0)
    assert found.n_redrawn > 50
    assert np.isfinite(found.values["a"]["auroc"]).all()
    with pytest.raises(ValueError, match="cases and non-cases"):
        bootstrap(np.zeros(5), np.arange(5), {"a": np.zeros(5)}, n_bootstrap=10, seed=0)


def test_several_runs_are_averaged_and_widen_the_interval():
    y, score = sample(9, n=400)
    noise = np.random.default_rng(1).normal(0, 3, (3, y.size)) * np.array([[0.0], [1.0], [3.0]])
    stack = sigmoid(clipped_logit(score) + noise)
    found = bootstrap(y, np.arange(y.size), {"all": stack, "one": stack[1]}, n_bootstrap=400, seed=0)
    assert found.values["all"]["auroc"].std() > 1.5 * found.values["one"]["auroc"].std()
    expected = np.mean([auroc(y, run) for run in stack])
    assert found.values["all"]["auroc"].mean() == pytest.approx(expected, abs=0.02)
    same = bootstrap(y, np.arange(y.size), {"all": stack[[1, 1]], "one": stack[1]}, n_bootstrap=50, seed=0)
    np.testing.assert_allclose(same.values["all"]["auroc"], same.values["one"]["auroc"], atol=1e-12)


def test_persons_with_many_examples_widen_the_interval():
    y, score = sample(10, n=100)
    once = bootstrap(y, np.arange(100), {"a": score}, n_bootstrap=500, seed=0)
    many = bootstrap(
        np.tile(y, 5), np.tile(np.arange(100), 5), {"a": np.tile(score, 5)}, n_bootstrap=500, seed=0
    )
    np.testing.assert_allclose(once.values["a"]["auroc"], many.values["a"]["auroc"], atol=1e-12)
    assert percentile_interval([0, 1], 0.9) == pytest.approx((0.05, 0.95))


def test_calibration_slope_and_intercept_equal_independent_fits():
    y, score = sample(11, n=500)
    logit = clipped_logit(score)
    found = measure_calibration(y, score)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit[:, None], y)
    assert found.slope == pytest.approx(model.coef_[0, 0], abs=1e-4)
    shift = brentq(lambda a: np.sum(y - sigmoid(a + logit)), -10, 10)
    assert found.intercept == pytest.approx(shift, abs=1e-6)
    assert found.slope_interval[0] < found.slope < found.slope_interval[1]


def test_calibration_interval_covers_the_truth_about_as_often_as_it_says():
    hits = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        p = rng.beta(1, 4, 300)
        found = measure_calibration(rng.random(300) < p, p)
        hits += found.slope_interval[0] < 1 < found.slope_interval[1]
    assert 180 <= hits <= 199


def test_calibration_interval_counts_persons_not_examples():
    y, score = sample(12, n=200)
    once = measure_calibration(y, score)
    tiled = measure_calibration(np.tile(y, 4), np.tile(score, 4), np.tile(np.arange(200), 4))
    assert tiled.slope_interval == pytest.approx(once.slope_interval, abs=1e-6)


def test_separating_and_constant_scores_have_no_slope_but_an_intercept():
    assert measure_calibration([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]).slope is None
    constant = measure_calibration([0, 0, 0, 1], [0.5] * 4)
    assert constant.slope is None
    assert constant.intercept == pytest.approx(np.log(1 / 3))


def test_recalibration_undoes_a_known_distortion():
    rng = np.random.default_rng(0)
    logit = rng.normal(-1, 1.5, 40_000)
    y = rng.random(logit.size) < sigmoid(logit)
    found = fit_recalibration(y, sigmoid(3 * logit + 2))
    assert found.slope == pytest.approx(1 / 3, abs=0.02)
    assert found.intercept == pytest.approx(-2 / 3, abs=0.05)
    assert found.apply(sigmoid(3 * logit + 2)).mean() == pytest.approx(y.mean(), abs=1e-4)
    assert found == fit_recalibration(y, sigmoid(3 * logit + 2))


def test_recalibration_keeps_the_order_and_the_auroc():
    y, score = sample(13)
    found = fit_recalibration(y, score)
    assert found.keeps_order
    assert auroc(y, found.apply(score)) == pytest.approx(auroc(y, score), abs=1e-12)
    assert not fit_recalibration(y, 1 - score).keeps_order


def test_recalibration_of_constant_scores_gives_the_share_of_cases_and_keeps_slope_one():
    found = fit_recalibration([0, 0, 0, 1], [0.9] * 4)
    assert found.slope == 1.0
    assert found.apply([0.9]) == pytest.approx([0.25])


def test_recalibration_survives_separation_and_saturated_scores_and_refuses_one_class():
    found = fit_recalibration([0] * 10 + [1] * 10, [0.0] * 10 + [1.0] * 10)
    assert np.isfinite([found.intercept, found.slope]).all()
    low, high = found.apply([0.0, 1.0])
    assert low < 0.1 < 0.9 < high
    with pytest.raises(NotEstimableError, match="cases and non-cases"):
        fit_recalibration([0, 0], [0.1, 0.2])
