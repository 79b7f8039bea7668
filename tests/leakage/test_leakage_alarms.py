"""What holds for all alarms: nothing is raised on a fair site, they share a rate, and judge a person once."""

import numpy as np
import pandas as pd
import pytest
from dbt_world import PROJECT
from published_world import TASK
from scipy import sparse
from sklearn.metrics import roc_auc_score

from leakage.fair_site import write_site
from leakage.spoilt_fair_site import run, site_to_spoil
from ml.leakage.registry import CHECKS
from ml.leakage.shown import open_shown
from ml.leakage.statistics import alarms
from ml.leakage.statistics.column_auroc import column_aurocs


def test_a_fair_site_raises_nothing(tmp_path):
    assert not any(run(site_to_spoil(), tmp_path).values())


def test_every_alarm_has_its_family():
    families = {name: family for family, names in alarms.FAMILIES.items() for name in names}
    hows = {
        check.name: check.how.removeprefix("signed_off_or_") for check in CHECKS if check.name in families
    }
    assert hows == families


def test_parts_of_a_family_add_up_to_its_rate():
    for family, rate in alarms.FAMILY_RATE.items():
        parts = [alarms.level(name, n_tasks=3) for name in alarms.FAMILIES[family]]
        assert 3 * sum(parts) == pytest.approx(rate)


def test_a_trifle_is_no_best_look_however_sure():
    assert alarms.best_look([1e-9, 1e-3, 1e-4], [0.01, 0.5, 0.2], minimum=0.1) == 2
    assert alarms.best_look([1e-9, 1.0, 1e-4], [0.01, 0.1, 0.02], minimum=0.1) == 1
    assert alarms.best_look([1e-9, 1.0, 1e-4], [-0.5, 0.01, 0.02], minimum=0.1) == 2  # the largest of trifles


def test_one_example_a_person_drawn_by_no_order_of_ids(tmp_path):
    site = site_to_spoil()
    twice = site.example.head(400).assign(
        example_id=lambda table: ["f" + one[1:] for one in table["example_id"]], y_true=1
    )
    site.example = pd.concat([site.example, twice], ignore_index=True)
    site.text = pd.concat([site.text, site.text.head(400)], ignore_index=True)
    site.cut = pd.concat([site.cut, site.cut.head(400)], ignore_index=True)
    site.score, site.moved = (np.concatenate([one, one[:400]]) for one in (site.score, site.moved))
    with open_shown(write_site(site, tmp_path), TASK, seeds=PROJECT / "seeds") as shown:
        judged = alarms.judged(shown)
    known = site.example[(site.example["split"] != "held_out")]
    assert judged["person_id"].is_unique
    assert set(judged["person_id"]) == set(known["person_id"])
    drawn = judged["example_id"].isin(twice["example_id"]).sum()
    assert 100 < drawn < 200  # half of about 320, though their ids are the largest


def test_aurocs_of_columns_are_those_of_scikit_learn():
    rng = np.random.default_rng(8)
    matrix = rng.integers(-2, 4, (200, 40)) * (rng.random((200, 40)) < 0.4)
    matrix[:, 0], matrix[:, 1] = 0, 1
    y_true = (rng.random(200) < 0.3).astype(float)
    found = column_aurocs(sparse.csr_matrix(matrix), y_true)
    expected = [roc_auc_score(y_true, matrix[:, column]) for column in range(40)]
    np.testing.assert_allclose(found, expected, atol=1e-12)
