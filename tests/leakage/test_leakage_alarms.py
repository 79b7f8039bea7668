"""Alarms on a fair site, and on that site with one thing spoilt: each sees its own leak."""

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from dbt_world import PROJECT
from published_world import TASK
from scipy import sparse
from sklearn.metrics import roc_auc_score

from leakage.fair_site import OUTCOME, Site, make_site, write_site
from ml.leakage.fits import permutation, scores, shortcuts
from ml.leakage.inputs import named
from ml.leakage.registry import CHECKS
from ml.leakage.shown import open_shown
from ml.leakage.signals import columns, indexing, order, presence, recency, seasons
from ml.leakage.signals import texts as text_checks
from ml.leakage.splits import duplicates
from ml.leakage.statistics import alarms
from ml.leakage.statistics.column_auroc import column_aurocs

MODULES = (
    named, presence, recency, columns, indexing, order, duplicates, text_checks, shortcuts, seasons, scores,
)  # fmt: skip
OURS = [check for module in MODULES for check in module.CHECKS]


def run(site: Site, root, *only: str) -> dict[str, int]:
    """Every check of these modules on a site, or some by name: what each found."""
    checks = [check for check in OURS if not only or check.name in only]
    with open_shown(write_site(site, root), TASK, seeds=PROJECT / "seeds", n_tasks=2) as shown:
        rows = [check.run(shown) for check in checks if check.applies(TASK, shown.kinds)]
    assert all(row.looked_at > 0 for row in rows)
    assert len(rows) == len(checks)
    ids = set(site.example["example_id"]) | set(site.example["person_id"].astype(str))
    assert not any(one in row.note + row.cannot_see for row in rows for one in ids)
    return {row.name: row.found for row in rows}


def add_events(site: Site, rows: np.ndarray, days: int, **columns) -> None:
    """Show some examples one event more."""
    own = site.event.groupby("example_id").head(1).set_index("example_id")
    known = own.reindex(site.example["example_id"][rows]).dropna(subset="event_id").reset_index()
    site.event = pd.concat([site.event, known.assign(days_before=days, **columns)]).sort_values(
        ["example_id", "days_before"], ascending=[True, False], ignore_index=True
    )


def history_of(site: Site) -> None:
    add_events(site, np.arange(40), 50, concept_id=1999, concept_name="History of heart failure")


def sequela_of(site: Site) -> None:
    add_events(
        site, np.arange(3), 50, concept_id=1999, concept_name="Oedema secondary to chronic heart failure"
    )


def drawn(site: Site, cases: float, others: float) -> np.ndarray:
    """Places of a share of the cases and one of the others."""
    share = np.where(site.is_case, cases, others)
    return np.flatnonzero(np.random.default_rng(5).random(len(site.example)) < share)


def proxy_of_last_week(site: Site) -> None:
    rng = np.random.default_rng(1)
    add_events(site, np.flatnonzero(site.is_case & (rng.random(len(site.example)) < 0.6)), 1, concept_id=1998)


def label_as_column(site: Site) -> None:
    add_events(site, np.flatnonzero(site.is_case), 100, concept_id=1997)


def label_nearly_as_column(site: Site) -> None:
    add_events(site, drawn(site, 0.93, 0.05), 100, concept_id=1997)


def code_of_cases(site: Site) -> None:
    add_events(site, drawn(site, 0.55, 0.03), 300, concept_id=1996)


def result_of_cases(site: Site) -> None:
    add_events(site, drawn(site, 1, 1), 300, concept_id=1996)
    rows = site.event["concept_id"] == 1996
    cases = site.event["example_id"].isin(site.example["example_id"][drawn(site, 0.9, 0.05)])
    site.event.loc[rows, "value_as_concept_id"] = np.where(cases[rows], 45884084, 45878583)


def new_in_the_last_week(site: Site) -> None:
    add_events(site, drawn(site, 0.15, 0.01), 3, concept_id=1995)


def seen_in_the_last_days(site: Site) -> None:
    for day in (1, 2, 3, 5):
        add_events(site, drawn(site, 0.7, 0.1), day)


def values_of_cases(site: Site) -> None:
    cases = site.event["example_id"].isin(site.example["example_id"][site.is_case])
    site.event.loc[cases & (site.event["concept_id"] == 1026), "value_as_number"] += 9


def label_as_score(site: Site) -> None:
    site.score = 0.7 * site.is_case + 0.3 / (1 + np.exp(-site.score))


def score_moved_a_little(site: Site) -> None:
    site.moved = 0.02 * (site.is_case & (site.example["split"] == "held_out"))


def chosen_on_held_out(site: Site) -> None:
    site.score = np.where(site.example["split"] == "held_out", site.score + site.is_case, site.score)
    site.chosen_on = "held_out"


def rows_by_label(site: Site) -> None:
    keep_examples(site, np.argsort(~site.is_case, kind="stable"))


def held_out_learnt_by_heart(site: Site) -> None:
    site.score = site.score + 3 * (site.example["split"] == "held_out") * (2 * site.is_case - 1)


def winter_negatives_dropped(site: Site) -> None:
    winter = site.example["index_date"].dt.month.isin([12, 1, 2])
    drop = winter & ~site.is_case & (np.random.default_rng(2).random(len(winter)) < 0.9)
    keep_examples(site, ~drop.to_numpy())


def cases_at_their_diagnosis(site: Site) -> None:
    rows = site.clinical_event["concept_id"] == OUTCOME
    index = site.example.set_index("person_id")["index_date"]
    site.clinical_event.loc[rows, "event_date"] = index[site.clinical_event["person_id"][rows]].to_numpy()


def others_at_their_last_visit(site: Site) -> None:
    others = site.example["person_id"][~site.is_case]
    later = (site.clinical_event["domain"] == "Visit") & site.clinical_event["person_id"].isin(others)
    site.clinical_event = site.clinical_event[~later]


def last_months_not_yet_coded(site: Site) -> None:
    late = site.example["index_date"] > site.example["index_date"].max() - pd.Timedelta(180, "D")
    site.example.loc[late, "y_true"] = 0


def merged(site: Site) -> None:
    visits = site.clinical_event["visit_occurrence_id"].to_numpy(copy=True)
    visits[::40] = visits[1::40][: len(visits[::40])]
    site.clinical_event["visit_occurrence_id"] = visits


def sorted_by_label(site: Site) -> None:
    site.cohort = site.cohort.merge(site.label[["example_id", "y_true"]]).sort_values("y_true")


def early_negatives_dropped(site: Site) -> None:
    early = site.example["index_date"] < site.example["index_date"].median()
    drop = early & ~site.is_case & (np.random.default_rng(2).random(len(early)) < 0.9)
    keep_examples(site, ~drop.to_numpy())


def keep_examples(site: Site, rows: np.ndarray | list[int]) -> None:
    site.text, site.score, site.moved = site.text.iloc[rows], site.score[rows], site.moved[rows]
    site.cut = site.cut.iloc[rows].reset_index(drop=True)
    site.text = site.text.reset_index(drop=True)
    site.example = site.example.iloc[rows].reset_index(drop=True)
    ids = site.example["example_id"]
    site.event = site.event[site.event["example_id"].isin(ids)].reset_index(drop=True)
    site.cohort = site.cohort[site.cohort["example_id"].isin(ids)]


def another_unit_for_cases(site: Site) -> None:
    cases = site.event["example_id"].isin(site.example["example_id"][site.is_case])
    site.event.loc[cases & (site.event["unit_name"] == "mg/dL"), "unit_name"] = "mg per dL"


def only_others_cut(site: Site) -> None:
    site.cut.loc[site.is_case, "n_events_kept"] = site.cut["n_events_in_view"]


def cloned(site: Site) -> None:
    train = site.example[site.example["split"] == "train"]["person_id"].iloc[:40].tolist()
    held_out = site.example[site.example["split"] == "held_out"]["person_id"].iloc[:40].tolist()
    rows = site.clinical_event[~site.clinical_event["person_id"].isin(held_out)]
    copies = rows[rows["person_id"].isin(train)].copy()
    copies["person_id"] = copies["person_id"].map(dict(zip(train, held_out, strict=True)))
    copies["event_date"] += pd.Timedelta(100, "D")
    copies["visit_occurrence_id"] += 10**9
    site.clinical_event = pd.concat([rows, copies], ignore_index=True)


def text_copied(site: Site, changed: str = "") -> None:
    train = np.flatnonzero((site.example["split"] == "train") & (site.text.str.len() > 150))[:40]
    held_out = np.flatnonzero(site.example["split"] == "held_out")[:40]
    body = site.text.iloc[train].str.split("\n", n=1).str[1].to_numpy()
    site.text.iloc[held_out] = ["80-year-old male.\n" + one + changed for one in body]


def answer_in_text(site: Site) -> None:
    site.text = site.text + np.where(site.is_case, "\nOutcome: yes", "\nOutcome: no")


def outcome_named(site: Site) -> None:
    site.text.iloc[:5] += "\n- Heart failure [3 times]"


def word_of_cases(site: Site) -> None:
    site.text = site.text + np.where(site.is_case, "\n- Note seen", "")


def word_of_half_the_cases(site: Site) -> None:
    site.text = site.text + np.where(
        np.isin(np.arange(len(site.text)), drawn(site, 0.5, 0.02)), "\n- Seen", ""
    )


def orders_on_sundays(site: Site) -> None:
    tests = (site.event["domain"] == "Measurement").to_numpy()
    row = pd.Index(site.example["example_id"]).get_indexer(site.event["example_id"])
    weekday = site.example["index_date"].dt.day_of_week.to_numpy()[row]
    move = tests & site.is_case[row]
    since_sunday = (weekday + 1) % 7
    days = site.event["days_before"].to_numpy()
    site.event.loc[move, "days_before"] = (days - (days - since_sunday) % 7 + 7)[move]


def seen_more_often(site: Site) -> None:
    many = np.repeat(np.flatnonzero(site.is_case), 12)
    for day in range(5, 17):
        add_events(site, np.unique(many), day * 10)
    site.score = site.is_case + np.random.default_rng(3).normal(size=len(site.example))


PLANTS = {
    "no_outcome_named_in_history": history_of,
    "no_code_gives_the_outcome_away": proxy_of_last_week,
    "few_codes_tell_cases": code_of_cases,
    "new_codes_come_to_all_alike": new_in_the_last_week,
    "cases_are_not_busier_just_before": seen_in_the_last_days,
    "no_feature_is_the_outcome": label_as_column,
    "few_features_tell_cases": label_nearly_as_column,
    "few_values_tell_cases": values_of_cases,
    "no_score_is_the_outcome": label_as_score,
    "few_scores_are_nearly_the_outcome": label_as_score,
    "scores_are_recalibrated_on_tuning_alone": score_moved_a_little,
    "configurations_were_chosen_on_tuning": chosen_on_held_out,
    "scores_are_no_better_on_held_out": held_out_learnt_by_heart,
    "rows_stand_in_order_of_their_ids": rows_by_label,
    "the_index_visit_does_not_tell_cases": cases_at_their_diagnosis,
    "cases_and_non_cases_are_indexed_alike": others_at_their_last_visit,
    "prevalence_holds_to_the_last_index_days": last_months_not_yet_coded,
    "records_are_of_one_human": merged,
    "few_records_are_merged": merged,
    "order_says_nothing_of_the_outcome": sorted_by_label,
    "the_calendar_says_little": early_negatives_dropped,
    "units_do_not_tell_cases": another_unit_for_cases,
    "cutting_does_not_tell_cases": only_others_cut,
    "one_human_is_one_person": cloned,
    "texts_stand_in_one_split": text_copied,
    "few_texts_stand_in_two_splits": text_copied,
    "no_text_names_the_outcome": answer_in_text,
    "no_word_gives_the_outcome_away": word_of_cases,
    "few_words_tell_cases": word_of_half_the_cases,
    "being_seen_says_little": seen_more_often,
    "the_days_of_orders_say_little": orders_on_sundays,
    "shortcuts_explain_little": seen_more_often,
}


@pytest.fixture(scope="module")
def fair() -> Site:
    return make_site(0)


def test_a_fair_site_raises_nothing(fair, tmp_path):
    assert not any(run(fair, tmp_path).values())


def test_every_check_has_a_plant_and_every_alarm_its_family():
    assert set(PLANTS) == {check.name for check in OURS}
    families = {name: family for family, names in alarms.FAMILIES.items() for name in names}
    hows = {
        check.name: check.how.removeprefix("signed_off_or_") for check in CHECKS if check.name in families
    }
    assert hows == families


@pytest.mark.parametrize("name", PLANTS)
def test_a_plant_is_seen_by_its_check(fair, tmp_path, name):
    site = deepcopy(fair)
    PLANTS[name](site)
    assert run(site, tmp_path, name)[name] > 0


@pytest.mark.parametrize(
    ("name", "plant"),
    [
        ("texts_stand_in_one_split", lambda site: text_copied(site, " again")),
        ("no_text_names_the_outcome", outcome_named),
        ("no_outcome_named_in_history", sequela_of),
        ("few_codes_tell_cases", result_of_cases),
        ("the_calendar_says_little", winter_negatives_dropped),
        ("rows_stand_in_order_of_their_ids", lambda site: keep_examples(site, [0, 0, *range(1, 1500)])),
    ],
)
def test_other_forms_of_a_plant_are_seen(fair, tmp_path, name, plant):
    site = deepcopy(fair)
    plant(site)
    assert run(site, tmp_path, name)[name] > 0


def test_what_blocks_is_not_found_where_only_its_warning_may(fair, tmp_path):
    site = deepcopy(fair)
    add_events(site, drawn(site, 0.45, 0.02), 300, concept_id=1996)
    blocks, warns = ("no_code_gives_the_outcome_away", "no_feature_is_the_outcome"), "few_codes_tell_cases"
    found = run(site, tmp_path, *blocks, warns)
    assert found[warns] > 0
    assert not any(found[name] for name in blocks)


def test_a_risk_factor_that_was_always_there_is_not_new(fair, tmp_path):
    site = deepcopy(fair)
    add_events(site, drawn(site, 0.45, 0.3), 400, concept_id=1994)
    add_events(site, drawn(site, 0.45, 0.3), 2, concept_id=1994)
    assert not any(run(site, tmp_path, "new_codes_come_to_all_alike", "few_codes_tell_cases").values())


def test_examples_that_stand_twice_get_a_verdict_from_every_check(fair, tmp_path):
    site = deepcopy(fair)
    keep_examples(site, [*range(1500), *range(60)])
    site.example.loc[1500:, "split"] = "held_out"
    raised = ("cutting_does_not_tell_cases", "no_feature_is_the_outcome", "order_says_nothing_of_the_outcome")
    found = run(site, tmp_path, "rows_stand_in_order_of_their_ids", *raised)
    assert found["rows_stand_in_order_of_their_ids"] > 0
    assert not any(found[name] for name in raised)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("History of congestive heart failure", True),
        ("Pleural effusion due to heart failure", True),
        ("Anemia following gastrointestinal hemorrhage", True),
        ("Haemorrhages of gastrointestinal tract, late effects", True),
        ("Heart failure follow-up", True),
        ("Heart failure, in remission", True),
        ("Family history of heart failure", False),
        ("At risk of heart failure", False),
        ("No history of heart failure", False),
        ("Heart failure due to hypertension", False),
        ("Status post repair of heart valve", False),
        ("Anemia following hemorrhage of uterus", False),
        ("Respiratory failure due to disease of heart", False),  # its words stand on two sides
    ],
)
def test_names_that_say_the_outcome_has_been(name, expected):
    outcomes = named.shortest(["Heart failure", "Acute heart failure", "Gastrointestinal hemorrhage"])
    assert outcomes == [{"failure", "heart"}, {"gastrointestinal", "hemorrhage"}]
    assert named.says_it_has_been(name, outcomes) is expected


def test_texts_alike_by_chance_are_told_and_do_not_block(fair, tmp_path):
    site = deepcopy(fair)
    rng = np.random.default_rng(4)  # pairs of persons, whatever their splits
    for one, other in rng.permutation(len(site.text))[:400].reshape(-1, 2):
        site.text.iloc[other] = site.text.iloc[one].replace("male", "person")
    found = run(site, tmp_path)
    assert found["few_texts_stand_in_two_splits"] > 0
    assert not found["texts_stand_in_one_split"]


def test_parts_of_a_family_add_up_to_its_rate():
    for family, rate in alarms.FAMILY_RATE.items():
        parts = [alarms.level(name, n_tasks=3) for name in alarms.FAMILIES[family]]
        assert 3 * sum(parts) == pytest.approx(rate)


def test_one_example_a_person_drawn_by_no_order_of_ids(fair, tmp_path):
    site = deepcopy(fair)
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
