"""Own-date sensitivity: AUROC and paired difference, on the draws that the evaluation itself uses."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from test_evaluation_task import arm, value, world

from ml.evaluation.evaluate import evaluate_task
from ml.evaluation.measure import METRIC_COLUMNS
from ml.evaluation.own_date import own_date_metrics
from ml.evaluation.verdict import HeldOutMismatchError


@pytest.fixture(scope="module")
def pair():
    table, p = world(seed=4, n_held_out=400)
    return table, arm(table, p, 1.5, seed=1), arm(table, p, 0.5, seed=1)


def held_out(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["split"] == "held_out"].sort_values("example_id")


def test_both_numbers_are_those_of_scikit_learn(pair):
    _, available, own = pair
    found = own_date_metrics("t", {"a": available}, {"a": own}, n_bootstrap=50, seed=3)
    assert list(found.columns) == METRIC_COLUMNS
    first, second = (roc_auc_score(rows.y_true, rows.y_score_raw) for rows in map(held_out, (available, own)))
    row = value(found, "a", "auroc_own_date")
    assert (row.value, row.n, row.seed) == (pytest.approx(second), 400, 1)
    assert value(found, "a", "auroc_own_date_difference").value == pytest.approx(second - first)


def test_the_interval_is_that_of_a_plain_bootstrap_over_persons(pair):
    _, available, own = pair
    found = own_date_metrics("t", {"a": available}, {"a": own}, n_bootstrap=600, seed=3)
    row = value(found, "a", "auroc_own_date_difference")
    first, second = held_out(available), held_out(own)
    rng = np.random.default_rng(17)
    differences = []
    for _ in range(600):
        drawn = rng.integers(0, len(first), len(first))
        y = first.y_true.to_numpy()[drawn]
        differences.append(
            roc_auc_score(y, second.y_score_raw.to_numpy()[drawn])
            - roc_auc_score(y, first.y_score_raw.to_numpy()[drawn])
        )
    low, high = np.quantile(differences, [0.025, 0.975])
    assert (row.ci_low, row.ci_high) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))


def test_a_refit_that_changes_nothing_differs_by_nothing_and_has_the_interval_of_the_evaluation(pair):
    _, available, _ = pair
    found = own_date_metrics("t", {"a": available}, {"a": available.copy()}, n_bootstrap=80, seed=3)
    same = value(found, "a", "auroc_own_date_difference")
    assert (same.value, same.ci_low, same.ci_high) == (0, 0, 0)
    evaluated = value(evaluate_task("t", {"a": available}, n_bootstrap=80, seed=3).metrics, "a", "auroc")
    row = value(found, "a", "auroc_own_date")
    assert (row.value, row.ci_low, row.ci_high) == (evaluated.value, evaluated.ci_low, evaluated.ci_high)


def test_several_seeds_are_drawn_alike_on_both_sides(pair):
    table, available, _ = pair
    seeds = pd.concat(
        [available, *(available.assign(seed=seed, y_score_raw=shuffled(table, seed)) for seed in (2, 3))]
    )
    found = own_date_metrics("t", {"a": seeds}, {"a": seeds.copy()}, n_bootstrap=80, seed=3)
    same = value(found, "a", "auroc_own_date_difference")
    assert (same.value, same.ci_low, same.ci_high) == (0, 0, 0)
    evaluated = value(evaluate_task("t", {"a": seeds}, n_bootstrap=80, seed=3).metrics, "a", "auroc")
    row = value(found, "a", "auroc_own_date")
    assert (row.ci_low, row.ci_high) == pytest.approx((evaluated.ci_low, evaluated.ci_high))
    with pytest.raises(ValueError, match="the same seeds"):
        own_date_metrics("t", {"a": seeds}, {"a": available}, n_bootstrap=20, seed=3)


def shuffled(table: pd.DataFrame, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(len(table))


def test_few_shot_rows_are_not_read(pair):
    table, available, own = pair
    shots = arm(table, np.full(len(table), 0.5), 3.0, seed=9).assign(k=8, draw=0)
    both = [pd.concat([rows, shots]).astype({"k": "Int64", "draw": "Int64"}) for rows in (available, own)]
    plain = own_date_metrics("t", {"a": available}, {"a": own}, n_bootstrap=20, seed=3)
    more = own_date_metrics("t", {"a": both[0]}, {"a": both[1]}, n_bootstrap=20, seed=3)
    pd.testing.assert_frame_equal(plain, more)


def test_other_examples_are_refused(pair):
    _, available, own = pair
    fewer = own.drop(held_out(own).index[0])
    with pytest.raises(HeldOutMismatchError):
        own_date_metrics("t", {"a": available}, {"a": fewer}, n_bootstrap=20, seed=3)


def test_one_class_is_not_estimable(pair):
    _, available, own = pair
    none = [rows.assign(y_true=0) for rows in (available, own)]
    found = own_date_metrics("t", {"a": none[0]}, {"a": none[1]}, n_bootstrap=20, seed=3)
    assert found["value"].isna().all()
    assert set(found["metric"]) == {"auroc_own_date", "auroc_own_date_difference"}
