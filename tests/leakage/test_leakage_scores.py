"""Scores that are the outcome or were made with held-out, shortcuts as good as the arm, and random labels."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from leakage.fair_site import Site
from leakage.spoilt_fair_site import CHECKS, Plant, add_events, run, site_to_spoil
from ml.leakage.fits import permutation
from ml.leakage.statistics import alarms


def label_as_score(site: Site) -> None:
    site.score = 0.7 * site.is_case + 0.3 / (1 + np.exp(-site.score))


def score_moved_a_little(site: Site) -> None:
    site.moved = 0.02 * (site.is_case & (site.example["split"] == "held_out"))


def chosen_on_held_out(site: Site) -> None:
    site.score = np.where(site.example["split"] == "held_out", site.score + site.is_case, site.score)
    site.chosen_on = "held_out"


def held_out_learnt_by_heart(site: Site) -> None:
    site.score = site.score + 3 * (site.example["split"] == "held_out") * (2 * site.is_case - 1)


def seen_more_often(site: Site) -> None:
    many = np.repeat(np.flatnonzero(site.is_case), 12)
    for day in range(5, 17):
        add_events(site, np.unique(many), day * 10)
    site.score = site.is_case + np.random.default_rng(3).normal(size=len(site.example))


def orders_on_sundays(site: Site) -> None:
    tests = (site.event["domain"] == "Measurement").to_numpy()
    row = pd.Index(site.example["example_id"]).get_indexer(pd.Index(site.event["example_id"]))
    weekday = site.example["index_date"].dt.day_of_week.to_numpy()[row]
    move = tests & site.is_case[row]
    since_sunday = (weekday + 1) % 7
    days = site.event["days_before"].to_numpy()
    site.event.loc[move, "days_before"] = (days - (days - since_sunday) % 7 + 7)[move]


PLANTS: list[tuple[str, Plant]] = [
    ("no_score_is_the_outcome", label_as_score),
    ("few_scores_are_nearly_the_outcome", label_as_score),
    ("scores_are_recalibrated_on_tuning_alone", score_moved_a_little),
    ("configurations_were_chosen_on_tuning", chosen_on_held_out),
    ("scores_are_no_better_on_held_out", held_out_learnt_by_heart),
    ("being_seen_says_little", seen_more_often),
    ("the_days_of_orders_say_little", orders_on_sundays),
    ("shortcuts_explain_little", seen_more_often),
]


def test_every_check_has_a_plant():
    assert {name for name, _ in PLANTS} == {check.name for check in CHECKS["scores"]}


@pytest.mark.parametrize(("name", "plant"), PLANTS)
def test_a_plant_is_seen_by_its_check(tmp_path, name, plant):
    site = site_to_spoil()
    plant(site)
    assert run(site, tmp_path, name)[name] > 0


def test_random_labels_that_are_learned_are_seen():
    rng = np.random.default_rng(9)
    repetition = np.repeat(np.arange(4), 300)
    y_true = (rng.random(1200) < 0.2).astype(int)
    table = pd.DataFrame({"repetition": repetition, "y_true": y_true, "y_score": rng.normal(size=1200)})
    part = alarms.level("nothing_is_learned_from_random_labels", n_tasks=2)
    assert permutation.random_evidence(table, part).p_value > 1e-3
    learned = permutation.random_evidence(table.assign(y_score=table["y_score"] + y_true), part)
    assert learned.p_value < part
    by_hand = [roc_auc_score(own["y_true"], own["y_score"]) for _, own in table.groupby("repetition")]
    assert permutation.random_evidence(table, part).effect + 0.5 == pytest.approx(np.mean(by_hand), abs=0.003)
