"""Tail probabilities against exact ones and against simulation: never too small, and not much too large."""

import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from ml.leakage.statistics import differences, tails


def exact_rank_tail(labels, score):
    """Share of all ways to deal the labels with a rank sum as far from its mean."""
    rank = stats.rankdata(score)
    n, k = len(labels), int(sum(labels))
    mean = k * rank.mean()
    sums = np.array([rank[list(cases)].sum() for cases in itertools.combinations(range(n), k)])
    seen = abs(rank[np.asarray(labels) == 1].sum() - mean)
    return float(np.mean(np.abs(sums - mean) >= seen - 1e-9))


@pytest.mark.parametrize("seed", range(12))
def test_the_rank_bound_is_never_below_the_exact_chance(seed):
    rng = np.random.default_rng(seed)
    score = rng.integers(0, (3, 8, 100)[seed % 3], 14)
    labels = np.zeros(14, dtype=int)
    labels[np.argsort(-score, kind="stable")[: 3 + seed % 5]] = 1
    tail = tails.rank_tail(labels, score, 1e-3)
    assert tail.auroc == pytest.approx(roc_auc_score(labels, score))
    assert exact_rank_tail(labels, score) <= tail.p_value * (1 + 1e-9)
    assert tails.rank_tail(labels, -score, 1e-3).p_value == pytest.approx(tail.p_value, rel=1e-3)


@pytest.mark.parametrize(("n", "cases"), [(400, 40), (2000, 400), (5000, 60)])
def test_the_rank_bound_costs_little_beside_the_normal_distribution(n, cases):
    rng = np.random.default_rng(n)
    labels = (rng.permutation(n) < cases).astype(int)
    tail = tails.rank_tail(labels, rng.permutation(n), 1e-7)
    error = np.sqrt((n + 1) / (12 * cases * (n - cases)))
    assert 1.0 < tail.smallest / (stats.norm.isf(0.5e-7) * error) < 1.25
    assert tail.p_value > 1e-3


def test_the_smallest_effect_is_where_the_bound_reaches_the_level():
    rng = np.random.default_rng(1)
    labels = (rng.permutation(900) < 200).astype(int)
    score = rng.normal(size=900) + 0.5 * labels
    tail = tails.rank_tail(labels, score, 1e-3)
    again = tails.rank_tail(labels, score, tail.p_value)
    assert again.smallest == pytest.approx(tail.auroc - 0.5, rel=1e-3)


def test_strata_take_away_what_they_explain():
    rng = np.random.default_rng(2)
    strata = rng.integers(0, 10, 4000)
    labels = (rng.random(4000) < 0.05 + 0.05 * strata).astype(int)
    score = strata * 10 + rng.normal(size=4000)
    assert tails.rank_tail(labels, score, 1e-3).p_value < 1e-20
    within = tails.rank_tail(labels, score, 1e-3, strata=strata)
    assert within.p_value > 0.01
    assert abs(within.auroc - 0.5) < 0.03


def test_rank_tails_of_random_labels_hold_their_level():
    rng = np.random.default_rng(3)
    score = np.concatenate([np.zeros(150), rng.integers(1, 6, 50)])  # mostly ties
    p = [tails.rank_tail((rng.permutation(200) < 30).astype(int), score, 0.01).p_value for _ in range(600)]
    assert np.mean(np.array(p) <= 0.05) <= 0.05
    assert np.mean(np.array(p) <= 0.2) > 0.01  # and it is no constant


def test_one_class_says_nothing():
    assert tails.rank_tail(np.ones(20), np.arange(20), 1e-3) == tails.RankTail(0.5, 1.0, 0.5)


def test_shares_and_tables_are_the_exact_tests_of_scipy():
    assert tails.share_tail(9, 20, 0.05) == pytest.approx(
        stats.binomtest(9, 20, 0.05, alternative="greater").pvalue
    )
    both, present, cases, n = 9, 20, 100, 2000
    table = [[both, present - both], [cases - both, n - present - cases + both]]
    expected = min(stats.fisher_exact(table, alternative=side).pvalue for side in ("less", "greater"))
    assert tails.table_tail(both, present, cases, n) == pytest.approx(2 * expected, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(30, 200), (500, 500)])
def test_shares_that_differ_by_what_is_allowed_hold_their_level(n, m):
    rng = np.random.default_rng(n)
    draws = zip(rng.binomial(n, 0.4, 400), rng.binomial(m, 0.1, 400), strict=True)
    p = np.array([tails.shares_tail((int(a), n), (int(b), m), 0.3) for a, b in draws])
    assert np.mean(p <= 0.05) <= 0.05
    assert tails.shares_tail((n, n), (0, m), 0.3) < 1e-4
    assert tails.shares_tail((n, n), (0, m), 0.3) == tails.shares_tail((0, m), (n, n), 0.3)


def test_the_interval_behind_two_shares_is_that_of_scipy():
    p = tails.shares_tail((40, 50), (10, 300), 0.3)
    low = stats.binomtest(40, 50).proportion_ci(1 - p / 2, method="exact").low
    high = stats.binomtest(10, 300).proportion_ci(1 - p / 2, method="exact").high
    assert low - high == pytest.approx(0.3, abs=1e-6)


def test_distributions_within_what_is_allowed_hold_their_level():
    rng = np.random.default_rng(5)
    found = []
    for _ in range(300):
        first, second = rng.random(60), rng.random(400) * 0.8  # true distance 0.2
        found.append(tails.distributions_tail(first, second, 0.2))
    assert found[0][0] == pytest.approx(_ks(60, 400, 5))
    assert np.mean([p <= 0.05 for _, p in found]) <= 0.05
    apart = tails.distributions_smallest(60, 400, 0.2, 1e-4)
    assert tails.distributions_tail(np.zeros(60), np.ones(400), 1 - (apart - 0.2))[1] == pytest.approx(1e-4)


def _ks(n, m, seed):
    rng = np.random.default_rng(seed)
    return stats.ks_2samp(rng.random(n), rng.random(m) * 0.8).statistic


def test_an_auroc_at_the_limit_holds_its_level_whatever_the_scores():
    rng = np.random.default_rng(6)
    p = []
    for _ in range(400):  # a case is either above everyone or below: the worst there is
        above = rng.random(40) < 0.75
        auroc = above.mean()
        p.append(float(tails.auroc_tail(auroc, 40, 4000, 0.75)))
    assert np.mean(np.array(p) <= 0.05) <= 0.05
    assert float(tails.auroc_tail(1.0, 40, 4000, 0.75)) == pytest.approx(0.75**40)
    reached = tails.auroc_smallest(200, 900, 0.75, 1e-7)
    assert float(tails.auroc_tail(reached, 900, 200, 0.75)) == pytest.approx(1e-7)
    assert tails.auroc_smallest(20, 900, 0.75, 1e-7) == float("inf")


def test_a_contrast_of_aurocs_holds_its_level_and_sees_a_shortcut():
    rng = np.random.default_rng(7)
    labels = np.repeat([0, 1], [400, 100])
    p, seen = [], 0
    for _ in range(300):
        signal = rng.normal(size=500)
        full = labels * 1.0 + signal
        weak = labels * 0.775 + rng.normal(size=500)  # 0.8 of the AUROC above one half
        p.append(tails.contrast_tail(labels, weak, full, 0.8))
        seen += tails.contrast_tail(labels, full + 0.01 * rng.normal(size=500), full, 0.8) < 1e-3
    assert np.mean(np.array(p) <= 0.05) < 0.09
    assert seen > 150


def test_the_smallest_difference_of_shares_is_where_the_bound_reaches_the_level():
    reached = tails.shares_smallest(130, (10, 480), 0.2, 1e-7)
    found = round((reached + 10 / 480) * 130)
    assert (
        tails.shares_tail((found, 130), (10, 480), 0.2)
        <= 1e-7
        < tails.shares_tail((found - 1, 130), (10, 480), 0.2)
    )
    assert tails.shares_smallest(5, (10, 480), 0.2, 1e-7) == float("inf")


@pytest.mark.parametrize("seed", range(6))
def test_a_difference_of_shares_is_never_bounded_below_its_exact_chance(seed):
    rng = np.random.default_rng(seed)
    n, m, allowed = int(rng.integers(8, 30)), int(rng.integers(8, 60)), float(rng.choice([0, 0.2, 0.5]))
    first, second = (int(0.9 * n), n), (int(0.1 * m), m)
    here, there = np.arange(n + 1)[:, None], np.arange(m + 1)[None, :]
    seen = first[0] / n - second[0] / m
    as_far = np.abs(here / n - there / m) >= seen - 1e-12
    exact = max(
        (stats.binom.pmf(here, n, share + allowed) * stats.binom.pmf(there, m, share))[as_far].sum()
        for share in np.linspace(0, 1 - allowed, 41)
    )
    bound = differences.difference_tail(first, second, allowed)
    assert exact <= bound <= 60 * exact
    assert bound == differences.difference_tail(second, first, allowed)


def test_the_smallest_difference_reaches_the_level_and_no_smaller_one_does():
    reached = differences.difference_smallest(130, (10, 480), 0.2, 1e-7)
    found = round((reached + 10 / 480) * 130)
    assert differences.difference_tail((found, 130), (10, 480), 0.2) <= 1e-7
    assert differences.difference_tail((found - 1, 130), (10, 480), 0.2) > 1e-7
    assert differences.difference_smallest(5, (10, 480), 0.2, 1e-7) == float("inf")


def test_looks_that_could_not_fire_need_no_part_and_the_others_hold_their_level():
    rng = np.random.default_rng(12)
    present = np.concatenate([np.full(300, 2), rng.integers(10, 60, 12)])
    most = np.minimum(present, 50)
    least = stats.hypergeom.sf(most - 1, 400, 50, present)
    looks = differences.looks_that_count(least, 0.05)
    assert looks == 12
    fired = 0
    for _ in range(400):  # of those who have each thing, cases as dealt
        cases = rng.hypergeometric(50, 350, present)
        fired += bool((stats.hypergeom.sf(cases - 1, 400, 50, present) <= 0.05 / looks).any())
    assert 0 < fired / 400 <= 0.05
