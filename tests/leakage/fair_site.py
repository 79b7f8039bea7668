"""A fair site of random numbers, large enough for alarms to see: tables to spoil before they are written."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from published_world import TASK
from sklearn.metrics import roc_auc_score

from ml.artefact import write_json
from ml.evaluation.calibration import fit_recalibration, sigmoid
from ml.inputs.count import write_count_features
from ml.inputs.view import CountOptions

N_CODES, OUTCOME, FIRST = 30, 3000, pd.Timestamp("2012-01-01")
NAMES = {1000 + n: f"Finding {chr(65 + n)}" for n in range(26)} | {1026 + n: f"Test {n}" for n in range(4)}


@dataclass
class Site:
    """Tables of a site: `example` and `event` are the cut, the others published; `score`: logits of `arm`."""

    example: pd.DataFrame
    event: pd.DataFrame
    clinical_event: pd.DataFrame
    cohort: pd.DataFrame
    label: pd.DataFrame
    concept: pd.DataFrame
    text: pd.Series
    cut: pd.DataFrame
    score: np.ndarray
    moved: np.ndarray  # what is added to a score after it was recalibrated
    chosen_on: str = "tuning"

    @property
    def is_case(self) -> np.ndarray:
        """Cases among the examples."""
        return (self.example["y_true"] == 1).to_numpy()


def make_site(seed: int, persons: int = 1500) -> Site:
    """Return a site where risk follows one code and age, and nothing else."""
    rng = np.random.default_rng(seed)
    person = rng.integers(-(2**60), 2**60, persons)
    index = FIRST + pd.to_timedelta(rng.integers(0, 2000, persons), "D")
    age, sick = rng.integers(30, 90, persons), rng.random(persons) < 0.3
    risk = 1 / (1 + np.exp(2.2 - 1.2 * sick - 0.02 * (age - 60)))
    y_true = (rng.random(persons) < risk).astype(int)
    ids = [
        hashlib.sha256(f"{one}|{day}".encode()).hexdigest()[:16]
        for one, day in zip(person, index, strict=True)
    ]
    example = pd.DataFrame(
        {
            "example_id": ids,
            "person_id": person,
            "index_date": index,
            "split": rng.choice(["train", "tuning", "held_out"], persons, p=[0.6, 0.2, 0.2]),
            "y_true": pd.array(y_true, dtype="Int64"),
            "age": pd.array(age, dtype="Int64"),
            "sex": rng.choice(["female", "male"], persons),
            "n_events": 0,
        }
    ).sort_values("example_id", ignore_index=True)
    sick = pd.Series(sick, index=ids)[example["example_id"]].to_numpy()
    event = _events(rng, example, sick)
    example["n_events"] = (
        event.groupby("example_id").size().reindex(example["example_id"]).fillna(0).to_numpy(int)
    )
    observed = pd.to_timedelta(rng.integers(400, 3000, persons), "D")
    cohort = (
        example[["example_id", "person_id", "index_date"]]
        .assign(
            task=TASK.task,
            entry_event_id=rng.integers(2**60, size=persons),
            observation_period_start_date=example["index_date"] - observed,
        )
        .sort_values("person_id")
    )
    late = example["index_date"] + pd.to_timedelta(rng.integers(1, 365, persons), "D")
    label = example[["example_id", "person_id", "y_true"]].assign(
        task=TASK.task, outcome_date=late.where(example["y_true"] == 1)
    )
    names = {**NAMES, OUTCOME: "Heart failure"}
    site = Site(
        example=example,
        event=event,
        clinical_event=_clinical(rng, example, event, label),
        cohort=cohort,
        label=label,
        concept=pd.DataFrame({"concept_id": list(names), "concept_name": list(names.values())}),
        text=pd.Series(dtype=str),
        cut=pd.DataFrame(),
        score=rng.normal(size=persons) + sick,
        moved=np.zeros(persons),
    )
    site.text = texts(site)
    kept = np.minimum(example["n_events"], 12)
    site.cut = pd.DataFrame({"n_events_kept": kept, "n_events_in_view": example["n_events"]})
    return site


def texts(site: Site) -> pd.Series:
    """Write each example's events as lines below age and sex."""
    lines = ("- " + site.event["concept_name"]).groupby(site.event["example_id"]).agg("\n".join)
    head = site.example["age"].astype(str) + "-year-old " + site.example["sex"] + ".\n"
    return head + lines.reindex(site.example["example_id"]).fillna("Nothing recorded.").to_numpy()


def write_site(site: Site, root: Path) -> Path:
    """Write the tables, a text view, count features and the scores of one arm below `root`."""
    below = root / "tasks" / TASK.task
    published, examples, text = root / "published", below / "examples", below / "patient_text"
    for folder in (published, examples, text, root / "predictions" / TASK.task):
        folder.mkdir(parents=True)
    outcome = pd.DataFrame({"concept_set": ["outcome"], "concept_id": [OUTCOME]})
    pairs = pd.DataFrame({"concept_id": [1001], "ancestor_concept_id": [900]}).astype("int64")
    for folder, tables in (
        (published, {"cohort": site.cohort, "label": site.label, "concept": site.concept,
                     "clinical_event": site.clinical_event, "concept_set_member": outcome}),
        (examples, {"example": site.example, "event": site.event, "ancestor": pairs}),
    ):  # fmt: skip
        for name, table in tables.items():
            days = (
                {}
                if folder == examples
                else {column: "date32[day][pyarrow]" for column in table if table[column].dtype.kind == "M"}
            )
            table.astype(days).to_parquet(folder / f"{name}.parquet", index=False)
    ids = site.example["example_id"]
    pd.DataFrame({"example_id": ids, "text": site.text}).to_parquet(text / "text.parquet", index=False)
    site.cut.assign(example_id=ids).to_parquet(text / "shown.parquet", index=False)
    write_json(text / "view.json", {"options": {}, "prefix": "", "max_tokens": 128})
    options = CountOptions(windows_days=(365,))
    write_count_features(examples, below / "count_features_counts", options)
    _write_scores(site, root)
    return root


def _write_scores(site: Site, root: Path) -> None:
    raw, none = sigmoid(site.score), pd.array([None] * len(site.example), dtype="Int64")
    label = site.example["y_true"].astype(int).to_numpy()
    tuning, chosen = ((site.example["split"] == split).to_numpy() for split in ("tuning", site.chosen_on))
    recalibration = fit_recalibration(label[tuning], raw[tuning])
    run = {
        **{"seed": 1, "k": None, "draw": None},
        "recalibration_intercept": round(recalibration.intercept, 6),
        "recalibration_slope": round(recalibration.slope, 6),
        "trials": [{"auroc": 0.4}, {"auroc": round(float(roc_auc_score(label[chosen], raw[chosen])), 6)}],
    }
    fitted = root / "fitted" / TASK.task / "arm"
    fitted.mkdir(parents=True)
    write_json(fitted / "fit.json", {"runs": [run]})
    site.example[["example_id", "split"]].assign(
        y_true=label,
        y_score=recalibration.apply(raw) + site.moved,
        y_score_raw=raw,
        seed=1,
        k=none,
        draw=none,
    ).to_parquet(root / "predictions" / TASK.task / "arm.parquet", index=False)


def _events(rng: np.random.Generator, example: pd.DataFrame, sick: np.ndarray) -> pd.DataFrame:
    row = np.repeat(np.arange(len(example)), rng.poisson(14, len(example)))
    row = np.concatenate([row, np.flatnonzero(sick)])
    code = np.concatenate([rng.integers(1001, 1030, len(row) - sick.sum()), np.full(sick.sum(), 1000)])
    measured = code >= 1026
    event = pd.DataFrame(
        {
            "example_id": example["example_id"].to_numpy()[row],
            "event_id": rng.integers(2**60, size=len(row)),
            "concept_id": code,
            "concept_name": [NAMES[one] for one in code],
            "domain": np.where(measured, "Measurement", "Condition"),
            "days_before": rng.integers(1, 900, len(row)),
            "value_as_number": np.where(measured, rng.normal(7, 2, len(row)).round(2), np.nan),
            "unit_name": np.where(measured & (rng.random(len(row)) < 0.7), "mg/dL", "mmol/L"),
            "value_as_concept_id": pd.array([None] * len(row), dtype="Int64"),
            "value_name": pd.array([None] * len(row), dtype="str"),
        }
    )
    event.loc[~measured, "unit_name"] = None
    event = event.sort_values(
        ["example_id", "days_before", "event_id"], ascending=[True, False, True], ignore_index=True
    )
    event["event_no"] = event.groupby("example_id").cumcount() + 1
    event["visit_no"] = event.groupby("example_id")["days_before"].rank("dense", ascending=False).astype(int)
    return event


def _clinical(
    rng: np.random.Generator, example: pd.DataFrame, event: pd.DataFrame, label: pd.DataFrame
) -> pd.DataFrame:
    """The events of the cut, two visits after each index, and the outcomes."""
    person = example.set_index("example_id")
    before = event[["event_id", "concept_id", "domain"]].assign(
        person_id=person["person_id"].loc[event["example_id"]].to_numpy(),
        event_date=(person["index_date"].loc[event["example_id"]].to_numpy()
                    - pd.to_timedelta(event["days_before"], "D").to_numpy()),
    )  # fmt: skip
    visits = [
        pd.DataFrame(
            {
                "person_id": example["person_id"],
                "event_date": example["index_date"]
                + pd.to_timedelta(rng.integers(1, 700, len(example)), "D"),
                "concept_id": 9202,
                "domain": "Visit",
            }
        )
        for _ in range(2)
    ]
    cases = label[label["y_true"] == 1]
    outcome = pd.DataFrame(
        {
            "person_id": cases["person_id"],
            "event_date": cases["outcome_date"],
            "concept_id": OUTCOME,
            "domain": "Condition",
        }
    )
    table = pd.concat([before, *visits, outcome], ignore_index=True)
    table["event_id"] = rng.integers(2**60, size=len(table))
    table["visit_occurrence_id"] = np.arange(len(table), dtype=np.int64)
    for column in ("value_as_concept_id", "unit_concept_id"):
        table[column] = pd.array([None] * len(table), dtype="Int64")
    table["available_date"] = table["event_date"]
    return table.assign(source_concept_id=0, value_as_number=np.nan, source_table="condition_occurrence")
