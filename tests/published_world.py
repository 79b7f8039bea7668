"""A small right snapshot, made at random and written by hand with the published columns of the design."""

import hashlib
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from ml.tasks import Criterion, Task

Tables = dict[str, pd.DataFrame]

TASKS = ("first_1y", "second_1y")
# What `first_1y` is, as its seeds would say.
TASK = Task(
    task="first_1y",
    title="First",
    question="Will it happen?",
    anchor="event",
    entry_limit="all",
    prior_observation_days=0,
    tar_start_days=1,
    tar_end="days",
    tar_end_days=365,
    outcome_in_history="forbid",
    index_day_input="exclude",
    death_policy="negative",
    follow_up_policy="null_label",
    index_rule="anchor",
    design="prospective",
    oracle="none",
    version=1,
    criteria=(
        Criterion("first_1y", 1, "entry", "Condition", "an entry", concept_set="entry"),
        Criterion("first_1y", 2, "outcome", "Condition", "the outcome", concept_set="outcome"),
    ),
)
SPLITS = ("train", "tuning", "held_out")
TAR_DAYS = 365
SEXES = {8507: "MALE", 8532: "FEMALE"}
CONCEPTS = {1000 + n: f"Finding {chr(65 + n)}" for n in range(12)}
MEASURED, UNIT = (1010, 1011), 8840
OUTCOME, UNMAPPED_SOURCE, NAMELESS = 3000, 4000, 4999


def example_id(task: str, person_id: int, index: date) -> str:
    """The first 16 hex digits of sha256(task, person_id, index_date), as the cohort model joins them."""
    return hashlib.sha256(f"{task}|{person_id}|{index}".encode()).hexdigest()[:16]


def make_world(seed: int, persons: int = 90) -> Tables:
    """Every published table, consistent with each other, with several examples of some persons."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[dict]] = {name: [] for name in ("person", "split", "clinical_event", "cohort")}
    rows |= {"label": [], "example_input": []}
    for n in range(persons):
        # Ids of real exports are signed and beyond 2^53.
        person = int(rng.integers(2**60)) * (-1) ** n
        index = date(2015, 1, 1) + timedelta(days=int(rng.integers(1000)))
        later = index + timedelta(days=int(rng.integers(20, 60)))
        sex = (8507, 8532, 0)[int(rng.choice(3, p=[0.45, 0.45, 0.1]))]
        rows["person"].append({"person_id": person, "sex_concept_id": sex})
        rows["split"].append({"person_id": person, "split": SPLITS[n % 3]})
        fate = ("case", "none", "none", "dead", "lost")[(n // 3) % 5] if n >= 3 else "lost"
        fate = "case" if (n // 3) % 2 else fate
        events = _events(rng, person, index, later, fate)
        rows["clinical_event"].extend(events)
        indexes = [("first_1y", index)]
        indexes += [("first_1y", later)] if n % 7 == 0 else []
        indexes += [("second_1y", index)] if n % 4 == 0 else []
        for task, day in indexes:
            key = {"task": task, "example_id": example_id(task, person, day), "person_id": person}
            known = [event["event_no"] for event in events if event["available_date"] < day]
            rows["cohort"].append(
                {
                    **key,
                    "index_date": day,
                    "entry_event_id": int(rng.integers(2**60)),
                    "observation_period_start_date": index - timedelta(days=900),
                    "observation_period_end_date": index + timedelta(days=900),
                    "age": int(rng.integers(18, 95)),
                    "sex_concept_id": sex,
                }
            )
            at_risk = {
                "tar_start_date": day + timedelta(days=1),
                "tar_end_date": day + timedelta(days=TAR_DAYS),
            }
            rows["label"].append({**key, "index_date": day, **_label(day, index, fate), **at_risk})
            rows["example_input"].append(
                {
                    **key,
                    "first_event_no": min(known, default=None),
                    "last_event_no": max(known, default=None),
                    "n_events": len(known),
                }
            )
    tables = {name: pd.DataFrame(values) for name, values in rows.items()}
    tables["label"]["y_true"] = tables["label"]["y_true"].astype("Int64")
    for column in ("first_event_no", "last_event_no"):
        tables["example_input"][column] = tables["example_input"][column].astype("Int64")
    return {**tables, **_facts(tables)}


def _events(rng, person: int, index: date, later: date, fate: str) -> list[dict]:
    """A person's events, before and after the index, numbered by (available_date, event_id)."""
    days = [int(day) for day in rng.integers(1, 700, size=int(rng.integers(0, 14)))]
    days += [int(day) for day in rng.choice(days, size=len(days) // 3)] if days else []
    happened = [(index - timedelta(days=day), int(rng.choice(list(CONCEPTS)))) for day in days]
    happened += [(index - timedelta(days=3), 0)] if rng.random() < 0.3 else []
    happened += [(index - timedelta(days=9), NAMELESS)] if rng.random() < 0.2 else []
    happened += [(later + timedelta(days=int(day)), 1001) for day in rng.integers(0, 300, size=3)]
    happened += [(_outcome_day(index), OUTCOME)] if fate == "case" else []
    rows = []
    for day, concept in happened:
        measured = concept in MEASURED and rng.random() < 0.8
        rows.append(
            {
                "event_id": int(rng.integers(-(2**62), 2**62)),
                "person_id": person,
                "concept_id": concept,
                "source_concept_id": UNMAPPED_SOURCE if concept == 0 else 0,
                "domain": "Measurement" if concept in MEASURED else "Condition",
                "event_date": day,
                "available_date": day + timedelta(days=int(rng.choice([0, 0, 0, 5]))),
                "visit_occurrence_id": None,
                "value_as_number": float(np.round(rng.normal(7, 3), 3)) if measured else None,
                "value_as_concept_id": None,
                "unit_concept_id": UNIT if measured and rng.random() < 0.7 else None,
                "source_table": "measurement" if concept in MEASURED else "condition_occurrence",
                "type_concept_id": 32817,
            }
        )
    if fate == "dead":
        day = _death_day(index)
        rows.append(
            {
                **dict.fromkeys(rows[0]),
                "event_id": int(rng.integers(-(2**62), 2**62)),
                "person_id": person,
                "concept_id": 0,
                "source_concept_id": 0,
                "domain": "Death",
                "event_date": day,
                "available_date": day,
                "source_table": "death",
            }
        )
    rows.sort(key=lambda row: (row["available_date"], row["event_id"]))
    return [{"event_no": n, **row} for n, row in enumerate(rows, start=1)]


def _outcome_day(index: date) -> date:
    return index + timedelta(days=200)


def _death_day(index: date) -> date:
    return index + timedelta(days=150)


def _label(day: date, index: date, fate: str) -> dict:
    if fate == "lost":
        return {"y_true": None, "reason": "lost_to_follow_up", "outcome_date": None,
                "follow_up_end_date": day + timedelta(days=30)}  # fmt: skip
    end = _death_day(index) if fate == "dead" else index + timedelta(days=900)
    return {"y_true": int(fate == "case"), "reason": None,
            "outcome_date": _outcome_day(index) if fate == "case" else None,
            "follow_up_end_date": end}  # fmt: skip


def _facts(tables: Tables) -> Tables:
    names = {**CONCEPTS, **SEXES, OUTCOME: "Outcome", UNMAPPED_SOURCE: "Local code", UNIT: "mmol/L"}
    attrition = []
    for task in TASKS:
        label = tables["label"][tables["label"]["task"] == task]
        labelled = label[label["y_true"].notna()]
        for step, rows in ((1, label), (2, labelled)):
            attrition.append(
                {
                    "task": task,
                    "step": step,
                    "description": f"step {step}",
                    "entries": len(rows),
                    "persons": rows["person_id"].nunique(),
                    "cases": int(rows["y_true"].fillna(0).sum()),
                }
            )
    members = {"entry": 1000, "outcome": OUTCOME}
    sizes = {
        "n_included_ids": 1,
        "n_excluded_ids": 0,
        "n_unknown_ids": 0,
        "n_literal_only_ids": 0,
        "n_members": 1,
    }
    return {
        "concept": pd.DataFrame({"concept_id": list(names), "concept_name": list(names.values())}),
        "concept_ancestor": pd.DataFrame(
            {"ancestor_concept_id": [OUTCOME], "descendant_concept_id": [OUTCOME]}
        ),
        "concept_set_member": pd.DataFrame(
            {"concept_set": list(members), "concept_id": list(members.values())}
        ),
        "concept_set": pd.DataFrame(
            [
                {"concept_set": name, **sizes, "sha256": hashlib.sha256(str(one).encode()).hexdigest()}
                for name, one in members.items()
            ]
        ),
        "availability_count": pd.DataFrame(
            [
                {
                    "source_table": "condition_occurrence",
                    "kind": "row",
                    "applied_rule": rule,
                    "n_events": 50,
                    "n_later": later,
                }
                for rule, later in (("own_date_no_visit", 0), ("visit_end", 20))
            ]
        ),
        "label_count": _label_count(tables["label"]),
        "attrition": pd.DataFrame(attrition),
    }


def _label_count(label: pd.DataFrame) -> pd.DataFrame:
    rows = [
        {"task": task, "quantity": quantity, "y_true": y_true, "n": n}
        for task in TASKS
        for y_true, own in ((1, 1), (0, 0), (None, -1))
        for quantity, n in (
            ("examples", int(((label["task"] == task) & (label["y_true"].fillna(-1) == own)).sum())),
            ("deaths_in_time_at_risk", 0),
        )
    ]
    return pd.DataFrame(rows).astype({"y_true": "Int64"})


WHOLE_NUMBERS = ("visit_occurrence_id", "value_as_concept_id", "unit_concept_id", "type_concept_id")


def write_world(folder: Path, tables: Tables) -> Path:
    """Write each table as Parquet with the types of the design: dates, whole numbers with nulls."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in tables.items():
        typed = frame.copy()
        for column in typed.columns:
            if column in WHOLE_NUMBERS:
                typed[column] = typed[column].astype("Int64")
            if column == "value_as_number":
                typed[column] = pd.array(typed[column], dtype="Float64")
            if column in ("reason", "concept_name"):
                typed[column] = typed[column].astype("str")
        typed.to_parquet(folder / f"{name}.parquet", index=False)
    return folder
