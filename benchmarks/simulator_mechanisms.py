"""What the simulated world holds: seconds, cases, oracle beside count model, each mechanism's share.

    .venv/bin/python benchmarks/simulator_mechanisms.py --persons 100000 --ablation-persons 24000

Writes benchmarks/results/simulator_mechanisms.json. The cohorts here are a quick query of their own, apart
from the platform's; the count model is LightGBM on counts in four windows, ages, sex and latest values.
"""

import argparse
import json
import resource
import tempfile
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import duckdb
import lightgbm as lgb
import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.metrics import roc_auc_score

from ml.simulator.oracle import true_risk
from ml.simulator.source import write_source
from ml.simulator.switches import Switches

RESULTS = Path(__file__).with_name("results") / "simulator_mechanisms.json"
WINDOWS_DAYS = (30, 180, 365, 36500)


@dataclass(frozen=True)
class QuickTask:
    """A task in short: concepts of entry and outcome, what must not be known by the index."""

    name: str
    entry_table: str
    entry: tuple[int, ...]
    outcome: tuple[int, ...]
    forbid: tuple[int, ...]
    age_min: int
    prior_days: int


_HEART_FAILURE, _PANCREAS, _CANCERS = (316139, 319835, 4229440), (4180793,), (197500, 4112853, 4115276)
_NSAIDS = (1118084, 1118088, 1124300, 40162359)
TASKS = (
    QuickTask("dhf_1y", "condition", (201826,), _HEART_FAILURE, _HEART_FAILURE, 18, 365),
    QuickTask(
        "paca_1y",
        "condition",
        (201826, 201254, 2000000001, 2000000002, 2000000003),
        _PANCREAS,
        _PANCREAS + _CANCERS,
        45,
        365,
    ),
    QuickTask("gi_bleed_1y", "drug", _NSAIDS, (192671,), (192671,), 0, 0),
)
_EVENT_SQL = """
create or replace temp table event as
with stay as (
    select visit_occurrence_id, visit_end_date from visit_occurrence
    where visit_concept_id in (9201, 9203, 262)
),
condition as (
    select person_id, condition_concept_id as concept_id, condition_start_date as event_date,
        coalesce(visit_end_date, condition_start_date) as available_date, null::double as value,
        'condition' as kind
    from condition_occurrence left join stay using (visit_occurrence_id)
),
procedure as (
    select person_id, procedure_concept_id, procedure_date,
        coalesce(visit_end_date, procedure_date), null::double, 'procedure'
    from procedure_occurrence left join stay using (visit_occurrence_id)
)
select * from condition
union all select * from procedure
union all select person_id, drug_concept_id, drug_exposure_start_date, drug_exposure_start_date, null, 'drug'
    from drug_exposure
union all select person_id, measurement_concept_id, measurement_date, measurement_date,
        value_as_number, 'value'
    from measurement
union all select person_id, observation_concept_id, observation_date, observation_date, null, 'observation'
    from observation
union all select person_id, visit_concept_id, visit_start_date, visit_start_date, null, 'visit'
    from visit_occurrence
"""
_COHORT_SQL = """
with entry as (
    select person_id, min(available_date) as index_date from event
    where kind = $kind and concept_id in $entry group by 1
),
outcome as (
    select person_id, min(event_date) as outcome_date from event
    where kind = 'condition' and concept_id in $outcome group by 1
),
forbidden as (
    select person_id, min(available_date) as forbidden_date from event
    where kind = 'condition' and concept_id in $forbid group by 1
)
select person_id, index_date, gender_concept_id as sex,
    date_diff('day', make_date(year_of_birth, month_of_birth, day_of_birth), index_date) / 365.25 as age,
    case
        when outcome_date <= index_date then null
        when outcome_date <= least(index_date + 365, observation_period_end_date) then 1
        when death_date <= index_date + 365 then 0
        when observation_period_end_date < index_date + 365 then null
        else 0
    end as y_true
from entry join person using (person_id) join observation_period using (person_id)
left join outcome using (person_id) left join forbidden using (person_id) left join death using (person_id)
where index_date between observation_period_start_date + $prior and observation_period_end_date
    and index_date >= make_date(year_of_birth, month_of_birth, day_of_birth) + to_years($age)
    and (death_date is null or death_date > index_date)
    and (forbidden_date is null or forbidden_date > index_date)
    and index_date + 365 <= (select max(observation_period_end_date) from observation_period)
order by person_id
"""


def connect(source: Path) -> duckdb.DuckDBPyConnection:
    """Return an in-memory database with the source's tables as views and its events as one table."""
    con = duckdb.connect(config={"threads": 1})
    for path in sorted(source.glob("*.parquet")):
        con.execute(f"create view {path.stem} as from read_parquet('{path}')")
    con.execute(_EVENT_SQL)
    return con


def cohort(con: duckdb.DuckDBPyConnection, task: QuickTask) -> pd.DataFrame:
    """Return the eligible examples: example_id, person_id, index_date, age, sex, y_true (NaN unknown)."""
    parameters = {
        "kind": task.entry_table,
        "entry": list(task.entry),
        "outcome": list(task.outcome),
        "forbid": list(task.forbid),
        "prior": task.prior_days,
        "age": task.age_min,
    }
    found = con.execute(_COHORT_SQL, parameters).df()
    found["y_true"] = found["y_true"].astype(float)
    found["example_id"] = [f"{person:016x}" for person in found["person_id"]]
    return found


def count_features(con: duckdb.DuckDBPyConnection, examples: pd.DataFrame) -> sparse.csr_matrix:
    """Return counts of each concept in each window before the index, latest values, age, sex: (N, F)."""
    con.register(
        "example", examples.assign(number=np.arange(len(examples)))[["number", "person_id", "index_date"]]
    )
    counts = con.execute(
        """
        select number, concept_id, w.days, count(*) as n
        from example join event using (person_id), (select unnest($windows::integer[]) as days) as w
        where available_date < index_date and available_date >= index_date::date - w.days
        group by all order by all
        """,
        {"windows": list(WINDOWS_DAYS)},
    ).df()
    latest = con.execute(
        """
        select number, concept_id, 0 as days, arg_max(value, event_date) as n
        from example join event using (person_id)
        where available_date < index_date and value is not null
        group by all order by all
        """
    ).df()
    con.unregister("example")
    cells = pd.concat([counts, latest], ignore_index=True)
    feature = cells["concept_id"].to_numpy(np.int64) * 100_000 + cells["days"].to_numpy(np.int64)
    column = np.unique(feature, return_inverse=True)[1]
    shape = (len(examples), int(column.max()) + 1)
    table = sparse.csr_matrix((cells["n"].astype(float), (cells["number"], column)), shape=shape)
    return sparse.csr_matrix(sparse.hstack([table, examples[["age", "sex"]].to_numpy(float)]))


def count_model_auroc(features: sparse.csr_matrix, y_true: np.ndarray, held_out: np.ndarray) -> float:
    """Fit LightGBM on two thirds (a tenth of it for early stopping) and return the held-out AUROC."""
    rng = np.random.default_rng(0)
    tuning = ~held_out & (rng.random(len(y_true)) < 0.12)
    train = ~held_out & ~tuning
    best = 0.0
    chosen = None
    for leaves, rate in ((15, 0.03), (6, 0.05)):
        model = lgb.LGBMClassifier(
            n_estimators=1500,
            learning_rate=rate,
            num_leaves=leaves,
            min_child_samples=20,
            colsample_bytree=0.5,
            subsample=0.8,
            subsample_freq=1,
            reg_lambda=5.0,
            n_jobs=1,
            random_state=0,
            verbose=-1,
        )
        model.fit(
            features[train],
            y_true[train],
            eval_set=[(features[tuning], y_true[tuning])],
            eval_metric="auc",
            callbacks=[lgb.early_stopping(80, verbose=False)],
        )
        score = roc_auc_score(y_true[tuning], np.asarray(model.predict_proba(features[tuning]))[:, 1])
        if score > best:
            best, chosen = score, model
    assert chosen is not None
    return float(roc_auc_score(y_true[held_out], np.asarray(chosen.predict_proba(features[held_out]))[:, 1]))


def measure(
    folder: Path, tasks: tuple[QuickTask, ...], *, with_oracle: bool = True
) -> dict[str, dict[str, float]]:
    """Return what each task looks like in a written world: examples, cases, oracle, count model."""
    con = connect(folder / "cdm")
    found = {}
    for task in tasks:
        eligible = cohort(con, task)
        labelled = eligible.dropna(subset="y_true").reset_index(drop=True)
        y_true = labelled["y_true"].to_numpy()
        held_out = np.random.default_rng(1).random(len(labelled)) < 0.3
        result = {
            "eligible": len(eligible),
            "labelled": len(labelled),
            "prevalence": float(y_true.mean()),
            "count_auroc": count_model_auroc(count_features(con, labelled), y_true, held_out),
        }
        if with_oracle:
            begun = time.perf_counter()
            risk = true_risk(
                folder / "world",
                labelled.loc[held_out, ["example_id", "person_id", "index_date", "y_true"]],
                outcome_concept_ids=set(task.outcome),
                tar_start_days=1,
                tar_end_days=365,
                seed=0,
            )
            p = risk["p"].to_numpy()
            result |= {
                "held_out": int(held_out.sum()),
                "oracle_seconds": time.perf_counter() - begun,
                "oracle_rollouts": int(risk["n_rollouts"].iloc[0]),
                "oracle_auroc": float(roc_auc_score(y_true[held_out], p)),
                "observed_over_expected": float(y_true[held_out].sum() / p.sum()),
                "observed_minus_expected_z": float(
                    (y_true[held_out].sum() - p.sum()) / np.sqrt((p * (1 - p)).sum())
                ),
            }
            result["gap"] = result["oracle_auroc"] - result["count_auroc"]
        found[task.name] = {name: round(value, 4) for name, value in result.items()}
    con.close()
    return found


def world(folder: Path, persons: int, seed: int, switches: Switches) -> dict[str, float]:
    """Write a world and return its seconds and the memory this process has peaked at."""
    begun = time.perf_counter()
    write_source(folder / "cdm", folder / "world", persons=persons, seed=seed, switches=switches)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "persons": persons,
        "seconds": round(time.perf_counter() - begun, 1),
        "peak_mb_so_far": round(peak),
    }


def main() -> None:
    """Measure the demo's world, a large one, and one world for each mechanism switched off."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--persons", type=int, default=100_000)
    parser.add_argument("--ablation-persons", type=int, default=24_000)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    everything = Switches()
    worlds = {"demo": (options.ablation_persons, everything), "large": (options.persons, everything)}
    for field in fields(Switches):
        worlds[f"without {field.name}"] = (
            options.ablation_persons,
            replace(everything, **{field.name: False}),
        )
    results = {}
    for name, (persons, switches) in worlds.items():
        if persons == 0:
            continue
        with tempfile.TemporaryDirectory() as folder:
            written = world(Path(folder), persons, options.seed, switches)
            results[name] = {
                "world": written,
                "switches": asdict(switches),
                "tasks": measure(Path(folder), TASKS),
            }
        print(name, json.dumps(results[name], indent=1), flush=True)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
