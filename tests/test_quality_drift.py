"""Drift of two snapshots: silent on the same population at any size, loud on what changed."""

import numpy as np
import pytest

from orchestration.quality.catalogue import DRIFT_CHECKS, name_of
from orchestration.quality.drift import Profile, compare, months, profile_of, stability_index
from orchestration.quality.statistic import Statistic, drift_rows

TABLE = "condition_occurrence"


def snapshot(
    rng: np.random.Generator,
    persons: int,
    *,
    rate: float = 9.0,
    unmapped: float = 0.05,
    prevalence: float = 0.15,
    concepts: int = 300,
    lean: float = 1.3,
    men: float = 0.48,
) -> Profile:
    """A random population: rows geometric in number, up to four concepts a person from a long tail."""
    of_person = rng.geometric(1 / (1 + rate), persons) - 1
    weight = np.arange(1, concepts + 1) ** -lean
    favourites = rng.choice(concepts, size=(persons, 4), p=weight / weight.sum())
    has = np.arange(4) < of_person[:, None]
    pairs = np.unique((np.arange(persons)[:, None] * concepts + favourites)[has])
    counted = np.bincount(pairs % concepts, minlength=concepts)
    splits = rng.multinomial(persons, (0.6, 0.1, 0.3))
    males, cases = int(rng.binomial(persons, men)), int(rng.binomial(persons // 2, prevalence))
    rows = [
        ("persons", "person", "", persons),
        *(("persons_of_split", f"split {n}", "", int(k)) for n, k in enumerate(splits)),
        ("sex", "person", "8507", males), ("sex", "person", "8532", persons - males),
        *(("birth_decade", "person", str(1920 + 10 * n), int(k)) for n, k in
          enumerate(rng.multinomial(persons, np.full(8, 1 / 8)))),
        *(("observed_years", "person", str(n), int(k)) for n, k in
          enumerate(rng.multinomial(persons, np.full(10, 0.1)))),
        ("rows", TABLE, "", int(of_person.sum())),
        ("persons_with_row", TABLE, "", int((of_person > 0).sum())),
        ("unmapped", TABLE, "", int(rng.binomial(of_person, unmapped).sum())),
        *(("concept", TABLE, str(n), int(k)) for n, k in enumerate(counted) if k),
        ("concept_set", "outcome", "abc", 3),
        ("labelled", "t", "1", cases), ("labelled", "t", "0", persons // 2 - cases),
    ]  # fmt: skip
    return profile_of(rows)


def failed(before, now) -> dict[str, str]:
    rows = drift_rows(compare(before, now, same_definitions=True))
    return {row["name"]: row["severity"] for row in rows if row["found"] > row["limit"]}


@pytest.mark.parametrize("persons", [60, 500, 2500])
def test_the_same_population_twice_rarely_warns_and_never_blocks(persons):
    warned = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found = failed(snapshot(rng, persons), snapshot(rng, persons))
        assert "block" not in found.values(), found
        warned += bool(found)
    # at most 1% of runs; 4 of 60 would be a chance of 1 in 300
    assert warned <= 3


CHANGES = [
    ({"rate": 3.0}, f"rows_hardly_change ({TABLE})", "block"),
    ({"unmapped": 0.30}, f"no_more_rows_are_unmapped ({TABLE})", "block"),
    ({"prevalence": 0.35}, "prevalence_hardly_changes", "block"),
    ({"lean": 0.3}, f"concepts_hardly_change ({TABLE})", "block"),
    ({"men": 0.75}, "sex_hardly_changes", "block"),
    ({"concepts": 12}, f"frequent_concepts_stay ({TABLE})", "warn"),
]


@pytest.mark.parametrize(("change", "check", "severity"), CHANGES, ids=[name for _, name, _ in CHANGES])
def test_what_changed_is_found_at_its_severity(change, check, severity):
    rng = np.random.default_rng(1)
    assert failed(snapshot(rng, 6000), snapshot(rng, 6000, **change)).get(check) == severity


def test_every_statistic_that_can_block_may_be_signed_off_by_name():
    twin = snapshot(np.random.default_rng(1), 500)
    month = profile_of(
        [("month", TABLE, "2019-01", 5), ("rows", TABLE, "", 9), ("persons_with_row", TABLE, "", 3)]
    )
    found = [*compare(twin, twin, same_definitions=True), *months(month)]
    blocking = {name_of(one.name) for one in found if one.block is not None}
    assert blocking | {"known_events_stay", "persons_keep_their_split"} == set(DRIFT_CHECKS)


@pytest.mark.parametrize(
    ("persons", "severity"), [(6000, None), (6900, "warn"), (9900, "block"), (5100, "warn"), (4000, "block")]
)
def test_persons_may_grow_more_than_they_may_shrink(persons, severity):
    rng = np.random.default_rng(2)
    assert failed(snapshot(rng, 6000), snapshot(rng, persons)).get("persons_hardly_change") == severity


def test_a_table_that_vanished_blocks_though_none_of_its_rows_are_left():
    before = snapshot(np.random.default_rng(3), 2000)
    gone = {key: bins for key, bins in before.bins.items() if TABLE not in key}
    assert failed(before, type(before)(gone))[f"rows_hardly_change ({TABLE})"] == "block"


def test_a_concept_set_that_resolves_otherwise_warns():
    before = snapshot(np.random.default_rng(4), 1000)
    now = type(before)({**before.bins, ("concept_set", "outcome"): {"def": 3}})
    assert failed(before, now) == {"concept_sets_resolve_as_before": "warn"}


def test_a_vocabulary_of_another_version_warns_and_one_that_says_none_is_not_compared():
    before = snapshot(np.random.default_rng(4), 1000)

    def with_version(version: str) -> Profile:
        return Profile({**before.bins, ("vocabulary", "vocabulary"): {version: 1}})

    assert failed(with_version("v5.0 2019"), with_version("v5.0 2022")) == {
        "vocabulary_keeps_its_version": "warn"
    }
    assert failed(with_version("v5.0 2019"), with_version("v5.0 2019")) == {}
    rows = drift_rows(compare(before, with_version("v5.0 2022"), same_definitions=True))
    assert [row["looked_at"] for row in rows if row["name"] == "vocabulary_keeps_its_version"] == [0]


def test_stability_index_is_that_of_two_multinomials_by_hand():
    before, now = {"a": 500, "b": 300, "c": 200}, {"a": 400, "b": 300, "c": 300}
    by_hand = (0.4 - 0.5) * np.log(0.4 / 0.5) + 0 + (0.3 - 0.2) * np.log(0.3 / 0.2)
    assert stability_index(before, now) == (pytest.approx(by_hand), 3)
    assert stability_index({}, now) == (0.0, 0)


def test_the_limit_of_a_stability_index_knows_its_sample():
    """Twins of 100 in ten bins exceed 0.1 in most draws, and the limit hardly ever."""
    rng = np.random.default_rng(5)
    above, over = 0, 0
    for _ in range(400):
        before, now = (dict(enumerate(map(int, rng.multinomial(100, np.full(10, 0.1))))) for _ in range(2))
        index, bins = stability_index(before, now)
        above += index > 0.1
        over += index > Statistic("n", "", "c", 200, index, 2 / 100, 0.10, 0.25, bins=bins).limits(1)[0]
    assert above > 250
    assert over <= 14  # 1% of 400 is 4


def test_months_that_empty_out_before_the_data_end_are_found():
    persons = [("rows", TABLE, "", 60_000), ("persons_with_row", TABLE, "", 20_000)]
    names = [f"{2018 + (n + 9) // 12}-{(n + 9) % 12 + 1:02d}" for n in range(15)]

    def outcome(last: list[int]) -> tuple[str, bool]:
        counts = [4000] * 12 + last
        rows = [("month", TABLE, name, n) for name, n in zip(names, counts, strict=True) if n]
        (one,) = drift_rows(months(profile_of([*persons, *rows])))
        return one["severity"], one["found"] > one["limit"]

    assert outcome([4000, 3900, 4100]) == ("warn", False)
    assert outcome([3000, 2500, 2000]) == ("warn", True)
    assert outcome([1500, 1000, 900]) == ("block", True)
    assert not months(profile_of(persons))
