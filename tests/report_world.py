"""A study as the report sees it: two scored tasks, five arms, an oracle, with costs and checks."""

from dataclasses import replace

import numpy as np
import pandas as pd

from ml.evaluation.calibration import clipped_logit, fit_recalibration, sigmoid
from ml.evaluation.evaluate import combine, evaluate_task
from ml.evaluation.verdict import Comparison, Competitor
from ml.report.facts import ArmFacts, AttritionStep, Refusal, ReportFacts, SplitSize, TaskFacts
from ml.report.tables import COST_COLUMNS

ARMS = (
    ArmFacts("prevalence", "base rate", "baseline", "fit", "none", None, "none"),
    ArmFacts("counts_logistic", "logistic regression", "baseline", "fit", "counts", 412, "BSD-3-Clause"),
    ArmFacts("counts_lightgbm", "LightGBM", "baseline", "fit", "counts", None, "MIT"),
    ArmFacts("minilm_frozen", "all-MiniLM-L6-v2", "generalist", "frozen", "text", 22_713_216, "Apache-2.0"),
    ArmFacts(
        "transformer_local",
        "small masked transformer",
        "specialist",
        "full",
        "sequence",
        1_300_000,
        "own",
        "a local specialist, pretrained on 1,800 persons: it says nothing about published ones",
    ),
)  # fmt: skip
NOISE = {
    "prevalence": None,
    "counts_logistic": 0.9,
    "counts_lightgbm": 0.7,
    "minilm_frozen": 1.5,
    "transformer_local": 1.2,
}
LABEL = "Heart failure recorded 1 to 365 days after; death first counts as none."


def predict(rows, p, noise, seed):
    logit = np.full(len(p), -1.5)
    if noise is not None:
        logit = 0.6 * clipped_logit(p) + np.random.default_rng(seed).normal(0.4, noise * 0.6, len(p))
    raw = sigmoid(logit)
    tuning = rows["split"] == "tuning"
    score = fit_recalibration(rows.loc[tuning, "y_true"], raw[tuning]).apply(raw)
    table = rows.assign(y_score=score, y_score_raw=raw, seed=seed, k=None, draw=None)
    return table.astype({"seed": "Int64", "k": "Int64", "draw": "Int64"})


def task_world(name, seed, *, n=3000, shift=-1.9):
    rng = np.random.default_rng(seed)
    p = sigmoid(rng.normal(shift, 1.4, n))
    rows = pd.DataFrame({"example_id": [f"{i:016x}" for i in range(n)], "person_id": np.arange(n)})
    rows["split"] = rng.choice(["train", "tuning", "held_out"], n, p=[0.6, 0.1, 0.3])
    rows["y_true"] = (rng.random(n) < p).astype(int)
    arms = {arm: predict(rows, p, noise, 10 + i) for i, (arm, noise) in enumerate(NOISE.items())}
    more = [predict(rows, p, NOISE["transformer_local"], one) for one in (71, 72)]
    arms["transformer_local"] = pd.concat([arms["transformer_local"], *more], ignore_index=True)
    oracle = pd.DataFrame({"example_id": rows["example_id"], "p": p})
    comparisons = [
        Comparison(
            "minilm_frozen", "counts_lightgbm", name, margin=0.05, reason="Half of what the demo can see."
        ),
        Comparison(
            "transformer_local", "minilm_frozen", name, margin=0.05, reason="Half of what the demo can see."
        ),
    ]
    groups = pd.DataFrame({"example_id": rows["example_id"], "subgroup": rng.choice(["female", "male"], n)})
    found = evaluate_task(
        name,
        arms,
        oracle=oracle,
        title="heart failure",
        comparisons=comparisons,
        n_bootstrap=200,
        n_primary=4,
        qualifiers=["simulated patients"],
        competitors={
            "minilm_frozen": Competitor("22.7 M parameters, pretrained elsewhere on general text"),
            "transformer_local": Competitor("1.3 M parameters, local specialist pretrained here"),
            "counts_lightgbm": Competitor("count baseline", is_deterministic=True),
        },
        subgroups=groups,
    )
    splits = tuple(
        SplitSize(
            split, int((rows["split"] == split).sum()), int(rows.loc[rows["split"] == split, "y_true"].sum())
        )
        for split in ("train", "tuning", "held_out")
    )
    n_cases = int(rows["y_true"].sum())
    flow = (
        AttritionStep("First ever record of type 2 diabetes", n + 2411, n + 2411, n_cases + 390),
        AttritionStep("18 or older at the index", n + 2408, n + 2408, n_cases + 390),
        AttritionStep(
            "Observed for the 365 days before the index, in one period", n + 530, n + 530, n_cases + 160
        ),
        AttritionStep("No heart failure recorded by the index", n + 47, n + 47, n_cases),
        AttritionStep("Time at risk ends before the data do", n + 47, n + 47, n_cases),
        AttritionStep("no outcome dated by the index and known only later", n + 43, n + 43, n_cases),
        AttritionStep("followed to the outcome, death or the end of the time at risk", n, n, n_cases),
    )
    task = TaskFacts(
        name,
        "Heart failure after new type 2 diabetes",
        "Will this adult with newly recorded type 2 diabetes have heart failure recorded within a year?",
        "Adults at their first ever record of type 2 diabetes, observed for a year, without heart failure.",
        LABEL,
        flow,
        splits,
        {"lost_to_follow_up": 43, "outcome_before_index_known_later": 4},
        "Dashed: the risk computed from the record by the simulator, the best any model could do on it.",
    )
    return task, found


def cost_table():
    rows = [
        ("", "", "landing", 3.2, 2.9, 41e7, 0, None, 3.2e7, False),
        ("", "", "dbt", 14.1, 9.2, 3e8, 0, None, 5e7, True),
    ]
    rows += [
        ("dhf_1y", arm.name, "predict", 0.4 + 70 * i, 0.3 + 66 * i, 2e8 + i * 3e8, 0, 123, 1e5, i == 1)
        for i, arm in enumerate(ARMS)
    ]
    return pd.DataFrame(rows, columns=COST_COLUMNS)


def check_table():
    rows = [
        ("no_event_after_input_window", "dhf_1y", 48210, 0, 0, "block", True),
        ("split_is_by_person", "dhf_1y", 3000, 0, 0, "block", True),
        ("values_within_plausible_range", "", 912345, 1204, 1000, "warn", False),
        ("death_after_last_event", "", 3000, 4, 0, "warn", False),
    ]
    return pd.DataFrame(rows, columns=["name", "task", "looked_at", "found", "limit", "severity", "passed"])


def study_report():
    """Facts and unsuppressed tables of the whole study."""
    first, evaluation = task_world("dhf_1y", 1)
    second, small = task_world("paca_1y", 2, n=900, shift=-2.6)
    second = replace(
        second,
        title="Pancreatic cancer after a warning sign",
        question="Will this person have pancreatic cancer recorded within a year?",
    )
    third = TaskFacts(
        "gi_bleed_1y",
        "Bleed after a first NSAID",
        "Will this person bleed?",
        "First exposure.",
        "Bleed.",
        note="The source holds no exposure to celecoxib or diclofenac.",
    )
    found = combine([evaluation, small])
    facts = ReportFacts(
        study="demo",
        question="Is a general-purpose language model good enough, or is a specialist clinical model needed?",
        data="simulated",
        source="simulated world, 20,000 persons, seed 1",
        n_persons=20_000,
        n_events=1_204_332,
        data_end="2026-06-30",
        snapshot="9f2c41d7a0b35e6688aa",
        study_hash="5d41402abc4b2a76b9719d911017c592ae2f1b7c8d9e0f1a2b3c4d5e6f708192",
        registered_at="2026-11-21T08:00:00Z",
        n_readings=1,
        home_created_at="2026-11-21T07:55:00Z",
        tasks=(first, second, third),
        arms=ARMS,
        refusals=(Refusal("gi_bleed_1y", "", "the task has no labelled example in this source"),),
        git_commit="e1f2d1e0de1f2d1e0de1f2d1e0de1f2d1e0de1f2",
        seeds={"study": "1", "bootstrap": "0"},
        libraries={"numpy": "2.4.6", "scikit-learn": "1.9.1", "torch": "2.13.0"},
        code_versions={"dhf_1y/examples": "a" * 64},
        artefacts={"predictions/dhf_1y/minilm_frozen.parquet": "b" * 64},
    )
    checks = pd.concat([check_table(), found.checks], ignore_index=True)
    return facts, {
        "metrics": found.metrics,
        "verdicts": found.verdicts,
        "curves": found.curves,
        "checks": checks,
        "costs": cost_table(),
    }
