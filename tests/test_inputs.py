"""The firebreak: a task's examples are cut as brute force says, by whole persons and blind to labels."""

import math

import numpy as np
import pandas as pd
import pytest
from published_world import SPLITS, TASKS, make_world, write_world

from ml.artefact import manifest
from ml.inputs.examples import ExampleOptions, cut_examples, read_examples, split_counts

ALL = ExampleOptions(max_examples=None, seed=1)
EVENT_COLUMNS = ["example_id", "event_no", "event_id", "concept_id", "concept_name", "domain",
                 "days_before", "visit_no", "value_as_number", "unit_name", "value_as_concept_id",
                 "value_name"]  # fmt: skip


def cut(folder, tables, task="first_1y", options=ALL):
    write_world(folder / "published", tables)
    counts = cut_examples(folder / "published", task, folder / "examples", options)
    return counts, read_examples(folder / "examples"), pd.read_parquet(folder / "examples" / "event.parquet")


def names(tables) -> dict[int, str]:
    concept = tables["concept"]
    return dict(zip(concept["concept_id"], concept["concept_name"], strict=True))


# Of a day, from the first that a context cuts to the last.
DAY = ("Visit end", "Visit", "Observation", "Measurement", "Procedure", "Drug", "Condition")


def content(event: dict) -> tuple:
    """What orders an event: when it was known, and what it says; nothing that names its person."""
    numbers = (event[name] for name in ("value_as_number", "unit_concept_id", "value_as_concept_id"))
    return (
        event["available_date"],
        event["event_date"],
        DAY.index(event["domain"]),
        event["concept_id"] or event["source_concept_id"],
        *((pd.isna(number), 0 if pd.isna(number) else number) for number in numbers),
    )


def expected_events(tables, task) -> list[tuple]:
    """Plain Python: each example's run of its person's events, first to last, both included."""
    named = names(tables)
    by_person: dict[int, list[dict]] = {}
    for event in tables["clinical_event"].to_dict("records"):
        by_person.setdefault(event["person_id"], []).append(event)
    index = {row["example_id"]: row["index_date"] for row in tables["cohort"].to_dict("records")}
    found = []
    for row in tables["example_input"].to_dict("records"):
        if row["task"] != task or pd.isna(row["first_event_no"]):
            continue
        own = [
            event
            for event in by_person[row["person_id"]]
            if row["first_event_no"] <= event["event_no"] <= row["last_event_no"]
        ]
        visits: dict[object, list[dict]] = {}
        for event in own:
            visit = event["visit_occurrence_id"]
            visits.setdefault(event["event_date"] if pd.isna(visit) else visit, []).append(event)
        ordered = sorted(
            visits.values(), key=lambda visit: (sorted(map(content, visit)), visit[0]["event_no"])
        )
        visit_no = {event["event_no"]: n for n, visit in enumerate(ordered, 1) for event in visit}
        for event in sorted(own, key=lambda one: (content(one), visit_no[one["event_no"]], one["event_no"])):
            concept = event["concept_id"] or event["source_concept_id"]
            value, unit, result = (
                event[name] for name in ("value_as_number", "unit_concept_id", "value_as_concept_id")
            )
            found.append(
                (
                    row["example_id"],
                    event["event_no"],
                    event["event_id"],
                    concept,
                    named.get(concept, f"unnamed {event['domain'].lower()}"),
                    event["domain"],
                    (index[row["example_id"]] - event["event_date"]).days,
                    visit_no[event["event_no"]],
                    None if math.isnan(value) else value,
                    None if math.isnan(unit) else named[unit],
                    None if pd.isna(result) else result,
                    None if pd.isna(result) else named[result],
                )
            )
    return sorted(found, key=lambda one: one[0])


def with_visits_and_results(tables, seed):
    """Half of the events in one of a person's visits, a third of those measured with a named result."""
    rng = np.random.default_rng(seed)
    events = tables["clinical_event"]
    n = len(events)
    visits = events["person_id"].rank(method="dense").astype(int) * 10 + rng.integers(3, size=n)
    events["visit_occurrence_id"] = visits.where(rng.random(n) < 0.5)
    measured = (events["domain"] == "Measurement") & (rng.random(n) < 0.3)
    events["value_as_concept_id"] = pd.Series(1000 + rng.integers(12, size=n)).where(measured)
    assert measured.sum() > 5
    return tables


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("task", TASKS)
def test_the_cut_is_what_brute_force_finds(tmp_path, seed, task):
    tables = with_visits_and_results(make_world(seed, persons=60), seed)
    counts, example, event = cut(tmp_path, tables, task)
    cohort = tables["cohort"][tables["cohort"]["task"] == task].sort_values("example_id", ignore_index=True)
    label = tables["label"].set_index("example_id")
    split = tables["split"].set_index("person_id")["split"]
    given = tables["example_input"].set_index("example_id")["n_events"]
    assert len(cohort) > 10
    sex = cohort["sex_concept_id"].map({8507: "male", 8532: "female"})
    assert example["example_id"].tolist() == cohort["example_id"].tolist()
    assert example["person_id"].tolist() == cohort["person_id"].tolist()
    assert example["index_date"].dt.date.tolist() == cohort["index_date"].tolist()
    assert example["age"].tolist() == cohort["age"].tolist()
    assert example["split"].tolist() == split.loc[cohort["person_id"]].tolist()
    assert example["y_true"].equals(label.loc[cohort["example_id"], "y_true"].reset_index(drop=True))
    assert example["n_events"].tolist() == given.loc[cohort["example_id"]].tolist()
    assert example["sex"].fillna("?").tolist() == sex.fillna("?").tolist()
    assert list(event.columns) == EVENT_COLUMNS
    rows = event.astype(object).where(event.notna(), None).itertuples(index=False, name=None)
    assert list(rows) == expected_events(tables, task)
    assert counts == {
        "examples": len(cohort),
        "persons": cohort["person_id"].nunique(),
        "labelled": int(example["y_true"].notna().sum()),
        "cases": int(example["y_true"].sum()),
        "events": len(event),
    }


def test_the_runs_add_up_to_the_events_shown(tmp_path):
    _, example, event = cut(tmp_path, make_world(4))
    shown = event.groupby("example_id").size().reindex(example["example_id"], fill_value=0)
    assert shown.tolist() == example["n_events"].tolist()
    assert (event["days_before"] > 0).all()


def test_a_run_that_starts_later_shows_nothing_before_its_first_event(tmp_path):
    tables = make_world(5)
    given = tables["example_input"]
    long = given.index[(given["n_events"] >= 4) & (given["task"] == "first_1y")]
    tables["example_input"].loc[long, "first_event_no"] += 2
    tables["example_input"].loc[long, "n_events"] -= 2
    _, _, event = cut(tmp_path, tables)
    assert list(event[EVENT_COLUMNS[:3]].itertuples(index=False, name=None)) == [
        row[:3] for row in expected_events(tables, "first_1y")
    ]


def test_equal_records_are_shown_in_equal_order_whatever_their_numbers(tmp_path):
    tables = make_world(7)
    _, _, before = cut(tmp_path / "before", tables)
    events, rng = tables["clinical_event"], np.random.default_rng(1)
    # As the snapshot would number them had the persons other ids: within a day of availability, anew.
    shuffled = events.iloc[rng.permutation(len(events))].sort_values(
        ["person_id", "available_date"], kind="stable"
    )
    shuffled["event_no"] = shuffled.groupby("person_id").cumcount() + 1
    assert (shuffled["event_no"].sort_index() != events["event_no"]).sum() > 10
    _, _, after = cut(tmp_path / "after", {**tables, "clinical_event": shuffled})
    unnumbered = before.drop(columns=["event_no", "event_id"])
    pd.testing.assert_frame_equal(unnumbered, after.drop(columns=["event_no", "event_id"]))


def test_a_null_label_keeps_its_reason_and_its_example(tmp_path):
    tables = make_world(1)
    _, example, _ = cut(tmp_path, tables)
    label = pd.read_parquet(tmp_path / "examples" / "label.parquet")
    assert label["example_id"].tolist() == example["example_id"].tolist()
    lost = label["y_true"].isna()
    assert lost.sum() > 3
    assert (label["reason"].notna() == lost).all()
    assert set(label["reason"].dropna()) == {"lost_to_follow_up"}


def test_what_happens_after_the_index_changes_no_byte_of_the_input(tmp_path):
    tables = make_world(6)
    cut(tmp_path / "before", tables)
    events = tables["clinical_event"]
    more = events.groupby("person_id").tail(1).copy()
    more["event_no"] += 1
    more["event_id"] = np.arange(len(more))
    more["concept_id"] = 3000
    tables["clinical_event"] = pd.concat([events, more], ignore_index=True)
    cut(tmp_path / "after", tables)
    assert manifest(tmp_path / "before" / "examples") == manifest(tmp_path / "after" / "examples")


def test_the_order_of_the_published_rows_changes_no_byte(tmp_path):
    tables = make_world(6)
    cut(tmp_path / "before", tables)
    cut(tmp_path / "after", {name: frame.sample(frac=1, random_state=3) for name, frame in tables.items()})
    assert manifest(tmp_path / "before" / "examples") == manifest(tmp_path / "after" / "examples")


def drawn(folder, tables, n, seed=1) -> set[str]:
    _, example, _ = cut(folder, tables, options=ExampleOptions(n, seed))
    return set(example["example_id"])


@pytest.mark.parametrize("n", [1, 10, 40, 10_000])
def test_a_draw_takes_whole_persons_and_at_most_what_was_asked(tmp_path, n):
    tables = make_world(7)
    cohort = tables["cohort"][tables["cohort"]["task"] == "first_1y"]
    kept = drawn(tmp_path, tables, n)
    most = cohort.groupby("person_id").size().max()
    assert most > 1
    assert min(n, len(cohort)) - most < len(kept) <= n
    persons = cohort[cohort["example_id"].isin(kept)]["person_id"]
    assert set(cohort[cohort["person_id"].isin(persons)]["example_id"]) == kept


def test_a_draw_is_blind_to_labels(tmp_path):
    tables = make_world(7)
    before = drawn(tmp_path / "a", tables, 40)
    label = tables["label"]
    label["y_true"] = (1 - label["y_true"]).sample(frac=1, random_state=2).to_numpy()
    label["reason"] = np.where(label["y_true"].isna(), "lost_to_follow_up", None)
    assert drawn(tmp_path / "b", tables, 40) == before


def test_a_larger_draw_holds_the_smaller_and_another_seed_is_another_draw(tmp_path):
    tables = make_world(7)
    small, large = drawn(tmp_path / "a", tables, 20), drawn(tmp_path / "b", tables, 40)
    assert small < large
    assert drawn(tmp_path / "c", tables, 40, seed=2) not in (small, large)


def test_a_draw_stays_when_other_persons_join(tmp_path):
    tables = make_world(7, persons=60)
    joined = make_world(8, persons=60)
    both = {
        name: pd.concat([tables[name], joined[name]], ignore_index=True)
        if name not in ("concept", "attrition")
        else tables[name]
        for name in tables
    }
    before, after = drawn(tmp_path / "a", tables, 30), drawn(tmp_path / "b", both, 30)
    old = set(tables["cohort"]["example_id"])
    assert 5 < len(after & old) < 25
    # The persons of a draw are first in one fixed order: those who join only push the last ones out.
    assert after & old <= before
    everyone = drawn(tmp_path / "c", both, 10_000)
    assert set(tables["cohort"][tables["cohort"]["task"] == "first_1y"]["example_id"]) <= everyone


def test_persons_are_drawn_about_evenly_from_the_splits(tmp_path):
    tables = make_world(9, persons=300)
    kept = drawn(tmp_path, tables, 150)
    split = tables["cohort"].merge(tables["split"]).drop_duplicates("example_id")
    sizes = split[split["example_id"].isin(kept)]["split"].value_counts()
    assert set(sizes.index) == set(SPLITS)
    assert (sizes > 25).all()


def test_a_task_without_cohort_has_empty_tables(tmp_path):
    counts, example, event = cut(tmp_path, make_world(1, persons=12), task="third_1y")
    assert set(counts.values()) == {0}
    assert (len(example), len(event)) == (0, 0)
    assert split_counts(tmp_path / "examples") == dict.fromkeys(SPLITS, (0, 0))


def test_split_counts_are_labelled_examples_and_cases(tmp_path):
    _, example, _ = cut(tmp_path, make_world(2))
    for split, (n, cases) in split_counts(tmp_path / "examples").items():
        rows = example[(example["split"] == split) & example["y_true"].notna()]
        assert (n, cases) == (len(rows), int(rows["y_true"].sum()))
        assert n > cases > 0


def test_a_folder_with_a_quote_in_its_name_is_written(tmp_path):
    _, example, _ = cut(tmp_path / "O'Brien", make_world(1, persons=12))
    assert len(example) > 5
