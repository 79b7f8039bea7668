"""Faults to plant in a right snapshot or cut, each with the check that must find it."""

from datetime import timedelta

import pandas as pd
from published_world import OUTCOME, TAR_DAYS, Tables
from published_world import TASK as FIRST

from orchestration.task_checks import MINIMUM_CASES

TASK = FIRST.task  # the task under test


def append(tables: Tables, name: str, source: pd.DataFrame, **changes) -> None:
    tables[name] = pd.concat([tables[name], source.assign(**changes)], ignore_index=True)


def person_twice(tables: Tables) -> None:
    append(tables, "person", tables["person"].head(1))


def event_twice(tables: Tables) -> None:
    events = tables["clinical_event"]
    append(tables, "clinical_event", events.head(1), event_no=9000)


def event_number_twice(tables: Tables) -> None:
    events = tables["clinical_event"]
    append(tables, "clinical_event", events.head(1), event_id=123)


def event_of_nobody(tables: Tables) -> None:
    append(tables, "clinical_event", tables["clinical_event"].head(1), event_id=123, person_id=7)


def event_known_before_it_happened(tables: Tables) -> None:
    events = tables["clinical_event"]
    events.loc[3, "available_date"] = events.loc[3, "event_date"] - timedelta(days=1)


def event_without_a_date(tables: Tables) -> None:
    tables["clinical_event"].loc[3, "event_date"] = None


def event_without_a_day_it_was_known(tables: Tables) -> None:
    tables["clinical_event"].loc[3, "available_date"] = None


def person_in_two_splits(tables: Tables) -> None:
    append(tables, "split", tables["split"].head(1), split="held_out")


def person_without_split(tables: Tables) -> None:
    tables["split"] = tables["split"].iloc[1:]


def unknown_split(tables: Tables) -> None:
    tables["split"].loc[0, "split"] = "validation"


def attrition_of_one_entry_more(tables: Tables) -> None:
    last = tables["attrition"].index[tables["attrition"]["step"] == 2]
    tables["attrition"].loc[last[0], "entries"] += 1


def attrition_of_one_case_fewer(tables: Tables) -> None:
    last = tables["attrition"].index[tables["attrition"]["step"] == 2]
    tables["attrition"].loc[last[1], "cases"] -= 1


def label_that_attrition_does_not_know(tables: Tables) -> None:
    append(tables, "label", tables["label"][tables["label"]["y_true"].notna()].head(1), task="third_1y")


def empty_concept_set(tables: Tables) -> None:
    append(tables, "concept_set", tables["concept_set"].head(1), concept_set="other", n_members=0)


def unknown_concept(tables: Tables) -> None:
    append(tables, "concept_set", tables["concept_set"].head(1), concept_set="other", n_unknown_ids=1)


SNAPSHOT_FAULTS = [
    (person_twice, "person_id_is_unique"),
    (event_twice, "event_id_is_unique"),
    (event_number_twice, "event_id_is_unique"),
    (event_of_nobody, "every_event_has_its_person"),
    (event_known_before_it_happened, "every_event_has_dates_in_order"),
    (event_without_a_date, "every_event_has_dates_in_order"),
    (event_without_a_day_it_was_known, "every_event_has_dates_in_order"),
    (person_in_two_splits, "every_person_has_one_split"),
    (person_without_split, "every_person_has_one_split"),
    (unknown_split, "every_person_has_one_split"),
    (attrition_of_one_entry_more, "attrition_reconciles"),
    (attrition_of_one_case_fewer, "attrition_reconciles"),
    (label_that_attrition_does_not_know, "attrition_reconciles"),
    (empty_concept_set, "concept_sets_of_the_catalogue_are_known"),
    (unknown_concept, "concept_sets_of_the_catalogue_are_known"),
]


def of_task(tables: Tables, name: str, y_true: int | None = None) -> pd.Index:
    """Rows of the task under test in one table, with a label if one is asked for."""
    frame = tables[name]
    label = tables["label"].set_index("example_id")["y_true"]
    y = label.reindex(frame["example_id"]).reset_index(drop=True)
    chosen = frame["task"] == TASK
    return frame.index[chosen if y_true is None else chosen & (y == y_true).fillna(False)]


def of_concept_set(tables: Tables, name: str, **cells: int) -> None:
    frame = tables["concept_set"]
    frame.loc[frame["concept_set"] == name, list(cells)] = list(cells.values())


def outcome_set_without_members(tables: Tables) -> None:
    of_concept_set(tables, "outcome", n_members=0)


def entry_set_with_an_unknown_id(tables: Tables) -> None:
    of_concept_set(tables, "entry", n_unknown_ids=1)


def outcome_set_of_a_literal_id(tables: Tables) -> None:
    of_concept_set(tables, "outcome", n_literal_only_ids=1)


def no_cohort(tables: Tables) -> None:
    for name in ("cohort", "label", "example_input"):
        tables[name] = tables[name][tables[name]["task"] != TASK]


def few_cases(tables: Tables) -> None:
    split = tables["split"].set_index("person_id")["split"]
    label = tables["label"]
    cases = of_task(tables, "label", 1)
    tuning = [n for n in cases if split[label.loc[n, "person_id"]] == "tuning"]
    label.loc[tuning[MINIMUM_CASES - 1 :], ["y_true", "outcome_date"]] = [0, None]


def index_before_the_period(tables: Tables) -> None:
    cohort = tables["cohort"]
    row = of_task(tables, "cohort")[0]
    cohort.loc[row, "observation_period_start_date"] = cohort.loc[row, "index_date"] + timedelta(days=1)


def index_after_the_period(tables: Tables) -> None:
    cohort = tables["cohort"]
    row = of_task(tables, "cohort")[0]
    cohort.loc[row, "observation_period_end_date"] = cohort.loc[row, "index_date"] - timedelta(days=1)


def index_in_no_period(tables: Tables) -> None:
    periods = ["observation_period_start_date", "observation_period_end_date"]
    tables["cohort"].loc[of_task(tables, "cohort")[0], periods] = None


def input_of_the_index_day(tables: Tables) -> None:
    given = tables["example_input"]
    row = next(n for n in of_task(tables, "example_input") if given.loc[n, "n_events"] > 0)
    index = tables["cohort"].set_index("example_id").loc[given.loc[row, "example_id"], "index_date"]
    events = tables["clinical_event"]
    last = (events["person_id"] == given.loc[row, "person_id"]) & (
        events["event_no"] == given.loc[row, "last_event_no"]
    )
    events.loc[last, "available_date"] = index


def outcome_in_the_input(tables: Tables) -> None:
    given = tables["example_input"]
    row = next(n for n in of_task(tables, "example_input") if given.loc[n, "n_events"] > 0)
    events = tables["clinical_event"]
    first = (events["person_id"] == given.loc[row, "person_id"]) & (events["event_no"] == 1)
    events.loc[first, "concept_id"] = OUTCOME


def case_after_the_time_at_risk(tables: Tables) -> None:
    label = tables["label"]
    row = of_task(tables, "label", 1)[0]
    label.loc[row, "outcome_date"] = label.loc[row, "index_date"] + timedelta(days=TAR_DAYS + 1)


def case_on_the_index_day(tables: Tables) -> None:
    label = tables["label"]
    row = of_task(tables, "label", 1)[0]
    label.loc[row, "outcome_date"] = label.loc[row, "index_date"]


def case_without_outcome(tables: Tables) -> None:
    tables["label"].loc[of_task(tables, "label", 1)[0], "outcome_date"] = None


def non_case_with_outcome(tables: Tables) -> None:
    label = tables["label"]
    row = of_task(tables, "label", 0)[0]
    label.loc[row, "outcome_date"] = label.loc[row, "index_date"] + timedelta(days=TAR_DAYS)


def time_at_risk_of_another_index(tables: Tables) -> None:
    label = tables["label"]
    row = of_task(tables, "label", 0)[0]
    for column in ("tar_start_date", "tar_end_date"):
        label.loc[row, column] += timedelta(days=30)
    label.loc[row, "follow_up_end_date"] = label.loc[row, "tar_end_date"]


def time_at_risk_that_is_too_short(tables: Tables) -> None:
    row = of_task(tables, "label", 0)[0]
    tables["label"].loc[row, "tar_end_date"] -= timedelta(days=1)


def case_after_its_follow_up(tables: Tables) -> None:
    label = tables["label"]
    row = of_task(tables, "label", 1)[0]
    label.loc[row, "follow_up_end_date"] = label.loc[row, "outcome_date"] - timedelta(days=1)


def lost_called_negative(tables: Tables) -> None:
    label = tables["label"]
    lost = label.index[(label["task"] == TASK) & label["y_true"].isna()][0]
    label.loc[lost, "y_true"] = 0
    label.loc[lost, "reason"] = None


def non_case_whose_follow_up_is_not_known(tables: Tables) -> None:
    tables["label"].loc[alive_non_case(tables), "follow_up_end_date"] = None


def alive_non_case(tables: Tables) -> int:
    label, events = tables["label"], tables["clinical_event"]
    died = set(events.loc[events["source_table"] == "death", "person_id"])
    return next(n for n in of_task(tables, "label", 0) if label.loc[n, "person_id"] not in died)


def null_label_without_reason(tables: Tables) -> None:
    label = tables["label"]
    lost = label.index[(label["task"] == TASK) & label["y_true"].isna()][0]
    label.loc[lost, "reason"] = None


def label_with_a_reason(tables: Tables) -> None:
    tables["label"].loc[of_task(tables, "label", 0)[0], "reason"] = "lost_to_follow_up"


TASK_FAULTS = [
    (outcome_set_without_members, "concept_sets_are_known"),
    (entry_set_with_an_unknown_id, "concept_sets_are_known"),
    (outcome_set_of_a_literal_id, "descendants_of_concepts_are_known"),
    (time_at_risk_of_another_index, "case_means_outcome_in_time_at_risk"),
    (time_at_risk_that_is_too_short, "case_means_outcome_in_time_at_risk"),
    (case_after_its_follow_up, "case_was_followed_to_its_outcome"),
    (few_cases, "splits_have_enough_cases"),
    (index_before_the_period, "index_lies_in_one_observation_period"),
    (index_after_the_period, "index_lies_in_one_observation_period"),
    (index_in_no_period, "index_lies_in_one_observation_period"),
    (input_of_the_index_day, "no_input_after_the_index"),
    (outcome_in_the_input, "no_outcome_in_the_input"),
    (case_after_the_time_at_risk, "case_means_outcome_in_time_at_risk"),
    (case_on_the_index_day, "case_means_outcome_in_time_at_risk"),
    (case_without_outcome, "case_means_outcome_in_time_at_risk"),
    (non_case_with_outcome, "case_means_outcome_in_time_at_risk"),
    (lost_called_negative, "lost_is_not_negative"),
    (non_case_whose_follow_up_is_not_known, "lost_is_not_negative"),
    (null_label_without_reason, "null_label_has_a_reason"),
    (label_with_a_reason, "null_label_has_a_reason"),
]


def another_persons_event(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    if name == "event":
        others = frame[frame["example_id"] != frame.loc[0, "example_id"]]
        frame.loc[0, "event_id"] = others.loc[others["days_before"].idxmax(), "event_id"]
    return frame


def event_of_no_snapshot(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    if name == "event":
        frame.loc[0, "event_id"] = 123
    return frame


def person_in_two_splits_of_the_cut(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    if name == "example":
        twice = frame.index[frame["person_id"].duplicated()][0]
        frame.loc[twice, "split"] = "tuning" if frame.loc[twice, "split"] != "tuning" else "train"
    return frame


CUT_FAULTS = [
    # The stranger's event may also have become known after this index.
    (another_persons_event, "no_input_of_another_person", {"no_input_after_the_index"}),
    (event_of_no_snapshot, "no_input_of_another_person", set()),
    (person_in_two_splits_of_the_cut, "person_is_in_one_split", set()),
]
