"""Draws: k of each class and split, one example a person, nested in k, blind to who has which label."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from ml.adaptation.draws import COLUMNS, draw_examples, places, possible, write_draws


def examples(n: int = 800, seed: int = 1) -> pd.DataFrame:
    """Persons with one to three examples, some of both classes, some without a label."""
    rng = np.random.default_rng(seed)
    person = rng.integers(0, n // 2, size=n)
    labels = np.where(rng.random(n) < 0.1, np.nan, (rng.random(n) < 0.3).astype(float))
    return pd.DataFrame(
        {
            "example_id": [f"{number:016x}" for number in rng.permutation(n)],
            "person_id": person,
            "split": np.array(["train", "tuning", "held_out"])[person % 3],
            "y_true": pd.array(labels, dtype="Float64").astype("Int64"),
        }
    )


EXAMPLE = examples()
TABLE = draw_examples(EXAMPLE, draws=5, seed=7, largest=16)


def test_each_draw_has_k_of_each_class_and_split():
    assert list(TABLE.columns) == COLUMNS
    for k in (1, 8, 16):
        mine = TABLE[TABLE["place"] <= k]
        sizes = mine.groupby(["draw", "split", "y_true"]).size()
        assert len(sizes) == 5 * 2 * 2
        assert set(sizes) == {k}
        assert sorted(mine["place"].unique()) == list(range(1, k + 1))


def test_a_person_is_drawn_once_and_never_from_held_out():
    assert not TABLE.duplicated(["draw", "person_id"]).any()
    assert set(TABLE["split"]) == {"train", "tuning"}
    joined = TABLE.merge(EXAMPLE, on="example_id", suffixes=("", "_true"))
    assert len(joined) == len(TABLE)
    for column in ("person_id", "split", "y_true"):
        assert (joined[column] == joined[f"{column}_true"]).all()


def test_smaller_draws_lie_in_larger_ones_whatever_the_largest_is():
    small = draw_examples(EXAMPLE, draws=5, seed=7, largest=8)
    pd.testing.assert_frame_equal(small, TABLE[TABLE["place"] <= 8].reset_index(drop=True))


def test_draws_differ_and_seeds_differ():
    drawn = [frozenset(TABLE.loc[TABLE["draw"] == draw, "example_id"]) for draw in range(5)]
    assert len(set(drawn)) == 5
    other = draw_examples(EXAMPLE, draws=5, seed=8, largest=16)
    assert set(other["example_id"]) != set(TABLE["example_id"])


def test_row_order_and_held_out_do_not_matter():
    shuffled = EXAMPLE.sample(frac=1, random_state=3)
    shuffled.loc[shuffled["split"] == "held_out", "y_true"] = 1
    pd.testing.assert_frame_equal(draw_examples(shuffled, draws=5, seed=7, largest=16), TABLE)


def test_everyone_may_be_drawn():
    """Over many draws each person comes about as often as any other."""
    many = draw_examples(EXAMPLE, draws=60, seed=1, largest=12)
    cases = many[(many["y_true"] == 1) & (many["split"] == "train")]
    train = EXAMPLE[(EXAMPLE["split"] == "train") & EXAMPLE["y_true"].notna()]
    alone = train[~train.duplicated("person_id", keep=False)]
    one_example = alone[alone["y_true"] == 1]
    times = Counter(cases["person_id"])
    counts = np.array([times[person] for person in one_example["person_id"]])
    assert len(counts) > 5
    assert counts.min() > 0
    assert counts.max() < 5 * counts.mean()


@pytest.mark.parametrize("k", [[8], [8, 16, 500], [500]])
def test_a_k_with_too_few_cases_is_skipped(k):
    table = draw_examples(EXAMPLE, draws=5, seed=7, largest=max(k))
    fewest = table.groupby(["draw", "split", "y_true"]).size().min()
    assert possible(table, k, draws=5) == [one for one in k if one <= fewest]
    assert min(16, max(k)) <= fewest < 500


def test_a_class_that_is_missing_leaves_no_k():
    none = EXAMPLE[(EXAMPLE["split"] != "tuning") | (EXAMPLE["y_true"] != 1)]
    table = draw_examples(none, draws=2, seed=7, largest=4)
    assert possible(table, [1, 4], draws=2) == []


def test_places_follow_the_order_that_is_asked():
    ids = EXAMPLE["example_id"].sample(frac=1, random_state=5)
    found = places(TABLE, ids, draw=2, k=4)
    expected = TABLE[(TABLE["draw"] == 2) & (TABLE["place"] <= 4)].set_index("example_id")["place"].to_dict()
    assert found.tolist() == [expected.get(one, 0) for one in ids]
    assert (found > 0).sum() == 16


def test_the_file_is_the_same_bytes_again(tmp_path):
    for name in ("one", "two"):
        write_draws(EXAMPLE, tmp_path / name, draws=3, seed=7, largest=4)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
