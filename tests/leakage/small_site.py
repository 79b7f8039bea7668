"""A small clean site on the snapshot of `published_world`: entries, periods, views, fit logs and scores."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from published_world import OUTCOME, SPLITS, Tables, make_world, write_world
from published_world import TASK as FIRST

from ml.inputs.count import write_count_features
from ml.inputs.examples import ExampleOptions, cut_examples
from ml.inputs.sequence import write_patient_sequences
from ml.inputs.text import write_patient_texts
from ml.inputs.view import CountOptions, SequenceOptions, TextOptions

TASK = replace(FIRST, entry_limit="first_ever")
SEEDS = Path(__file__).resolve().parents[2] / "dbt_project" / "seeds"
ENTRY, VISIT, BELOW_OUTCOME = 2000, 9201, 3001
COUNTS, SEQUENCE, TEXT = "count_features_counts", "patient_sequence_sequence", "patient_text_text_words_60"
ARM = "count_lr"


def small_tables() -> Tables:
    """One example a person, each with its entry event on the index day, in one period of observation."""
    return {name: frame.copy() for name, frame in _small_tables().items()}


@cache
def _small_tables() -> Tables:
    tables = make_world(3, 120)
    tables = {name: frame for name, frame in tables.items() if name not in ("attrition", "label_count")}
    for name in ("cohort", "label"):
        frame = tables[name]
        kept = frame[frame["task"] == TASK.task].drop_duplicates("person_id")
        tables[name] = kept.reset_index(drop=True)
    cohort, person = tables["cohort"], tables["person"]
    entry = pd.DataFrame(
        {
            **dict.fromkeys(tables["clinical_event"].columns),
            "event_id": cohort["entry_event_id"],
            "person_id": cohort["person_id"],
            "concept_id": ENTRY,
            "source_concept_id": 0,
            "domain": "Condition",
            "event_date": cohort["index_date"],
            "available_date": cohort["index_date"],
            "source_table": "condition_occurrence",
            "type_concept_id": 32817,
        }
    )
    add_events(tables, entry)
    members = tables["concept_set_member"]
    members.loc[members["concept_set"] == "entry", "concept_id"] = ENTRY
    more = [("outcome", BELOW_OUTCOME), ("inpatient_or_emergency_visit", VISIT)]
    tables["concept_set_member"] = pd.concat(
        [members, pd.DataFrame(more, columns=members.columns)], ignore_index=True
    )
    tables["concept_ancestor"] = pd.DataFrame(
        {"ancestor_concept_id": [OUTCOME, OUTCOME], "descendant_concept_id": [OUTCOME, BELOW_OUTCOME]}
    )
    tables["concept"]["invalid_reason"] = pd.array([None] * len(tables["concept"]), dtype="str")
    person["gender_concept_id"] = person["sex_concept_id"]
    of_person = cohort.set_index("person_id").loc[person["person_id"]]
    person["birth_date"] = [
        index - timedelta(days=int(age * 365.25) + 90)
        for index, age in zip(of_person["index_date"], of_person["age"], strict=True)
    ]
    label = tables["label"].set_index("example_id").loc[cohort["example_id"]]
    lost = (label["reason"] == "lost_to_follow_up").to_numpy()
    cohort.loc[lost, "observation_period_end_date"] = label["follow_up_end_date"][lost].to_numpy()
    columns = ["person_id", "observation_period_start_date", "observation_period_end_date"]
    tables["observed_period"] = cohort[columns]
    end = cohort["observation_period_end_date"].max()
    tables["study_period"] = pd.DataFrame(
        {"data_end": [end], "coding_lag_days": np.array([0], dtype=np.int32), "last_tar_end_date": [end]}
    )
    return tables


def add_events(tables: Tables, more: pd.DataFrame) -> None:
    """Add events, number each person's anew, and show each example what was known before its index."""
    events = pd.concat([tables["clinical_event"], more.astype(object)], ignore_index=True)
    tables["clinical_event"] = events
    number(tables)


def number(tables: Tables) -> None:
    """Number events by the day they were known, and inputs by that."""
    events = tables["clinical_event"].sort_values(["person_id", "available_date", "event_id"])
    events = events.reset_index(drop=True)
    events["event_no"] = events.groupby("person_id").cumcount() + 1
    tables["clinical_event"] = events
    own = tables["cohort"][["task", "example_id", "person_id", "index_date"]]
    known = own.merge(events[["person_id", "event_no", "available_date"]], on="person_id")
    n_known = known[known["available_date"] < known["index_date"]].groupby("example_id").size()
    n_events = own["example_id"].map(n_known).fillna(0).astype("int64")
    last = n_events.astype("Int64").where(n_events > 0)
    tables["example_input"] = own.drop(columns="index_date").assign(
        first_event_no=last.where(last.isna(), 1), last_event_no=last, n_events=n_events
    )


def event_of(tables: Tables, person: int, day, **cells) -> pd.DataFrame:
    """One event of a person, of a finding that nobody else has."""
    row = {
        **dict.fromkeys(tables["clinical_event"].columns),
        "event_id": len(tables["clinical_event"]),
        "person_id": person,
        "concept_id": 1005,
        "source_concept_id": 0,
        "domain": "Condition",
        "event_date": day,
        "available_date": day,
        "source_table": "condition_occurrence",
        "type_concept_id": 32817,
    }  # fmt: skip
    return pd.DataFrame([{**row, **cells}])


def write_seeds(folder: Path) -> Path:
    """The rules of the project, with the concept sets of this world."""
    folder.mkdir(parents=True)
    shutil.copy(SEEDS / "availability.csv", folder)
    lines = ["concept_set,concept_id,concept_name,include_descendants,is_excluded"]
    lines += [f"outcome,{OUTCOME},Outcome,true,false", f"entry,{ENTRY},Entry,false,false"]
    (folder / "concept_sets.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_site(root: Path, tables: Tables, *, with_views: bool = True) -> Path:
    """Write what a home holds of one task: snapshot, cut, views, a fit log and scores."""
    write_seeds(root / "seeds")
    write_world(root / "published", tables)
    below = root / "tasks" / TASK.task
    cut_examples(root / "published", TASK.task, below / "examples", ExampleOptions(None, 1))
    if with_views:
        write_views(below / "examples", below)
    example = pd.read_parquet(below / "examples" / "example.parquet")
    labelled = example[example["y_true"].notna()]
    purposes = {"fit": "train", "select": "tuning", "recalibrate": "tuning"}
    log = pd.concat(
        labelled.loc[labelled["split"] == split, ["person_id"]].assign(purpose=purpose, run="seed1")
        for purpose, split in purposes.items()
    )
    scores = labelled[["example_id", "person_id", "split", "y_true"]].assign(
        y_score=0.5, y_score_raw=0.5, seed=1, k=pd.array([None] * len(labelled), "Int64"),
        draw=pd.array([None] * len(labelled), "Int64"),
    )  # fmt: skip
    for path, frame in (
        (root / "fitted" / TASK.task / ARM / "fit_log.parquet", log),
        (root / "predictions" / TASK.task / f"{ARM}.parquet", scores),
    ):
        path.parent.mkdir(parents=True)
        frame.to_parquet(path, index=False)
    return root


def write_views(examples: Path, below: Path) -> None:
    """Write a view of each kind from a cut."""
    write_count_features(examples, below / COUNTS, CountOptions(min_train_examples=2))
    write_patient_sequences(examples, below / SEQUENCE, SequenceOptions(min_train_examples=2))
    write_patient_texts(
        examples, below / TEXT, TextOptions(), prefix="", max_tokens=60, progress=lambda line: None,
        count_tokens=lambda texts: [len(text) // 3 for text in texts],
    )  # fmt: skip


def edit(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Change a stored table."""
    change(pd.read_parquet(path)).to_parquet(path, index=False)


__all__ = ["ARM", "COUNTS", "ENTRY", "OUTCOME", "SEQUENCE", "SPLITS", "TASK", "TEXT", "VISIT", "timedelta"]
