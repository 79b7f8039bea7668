"""What was fitted (L27), chosen (L28), or made (L38) with examples that it must not see."""

import collections
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.preprocessing import MaxAbsScaler

from leakage import pipeline
from leakage.plants.plant import plant
from leakage.site import Site
from ml import arm, arm_views
from ml.adaptation import heads
from ml.adaptation.shown import Shown
from ml.arm_views import Run, View
from ml.evaluation.calibration import fit_recalibration
from ml.inputs import count
from ml.inputs.count import read_count_features
from ml.inputs.record import admitted, read_records
from ml.inputs.sequence import SPECIAL_TOKENS, Edges, token
from ml.inputs.view import SequenceOptions

OF_TRAIN = "where example.split = 'train'\ngroup by feature_event.concept_id"
KNOWN_VALUES = "'latest_value/' || measurement as feature,\n        value\n    from latest"
LATEST = "select\n        example_id,\n        " + KNOWN_VALUES
NEIGHBOURS = 3


@plant("L27", level="code", task="long_los")
def rare_codes_are_judged_on_all(site: Site, rng: np.random.Generator) -> None:
    """Whether a code is too rare to be a column is asked of all examples instead of those of train."""
    assert count.VOCABULARY.count(OF_TRAIN) == 1
    site.code["ml.inputs.count.VOCABULARY"] = count.VOCABULARY.replace(
        OF_TRAIN, "group by feature_event.concept_id"
    )
    site.rebuild("examples")


@plant("L27", level="code", task="long_los")
def sequence_vocabulary_of_everyone(site: Site, rng: np.random.Generator) -> None:
    """The tokens of sequences were collected before the split was made, so that all examples name them."""

    def fit(examples: Path, edges: Edges, options: SequenceOptions) -> tuple[list[str], int]:
        seen: collections.Counter[str] = collections.Counter()
        n_train = 0
        for record in read_records(examples):
            n_train += record.split == "train"
            kept = admitted(record, options.level, options.look_back_days)[: options.max_events]
            seen.update({token(event, edges) for event in kept})
        known = sorted(name for name, n in seen.items() if n >= options.min_train_examples)
        return [*SPECIAL_TOKENS, *known], n_train

    site.code["ml.inputs.sequence._fit_vocabulary"] = fit
    site.rebuild("examples")


@plant("L27", level="code", task="dhf_1y")
def missing_results_take_the_mean_of_all(site: Site, rng: np.random.Generator) -> None:
    """Where no result is known the mean of everybody's latest one is filled in, held-out's as well."""
    assert count.LONG.count(LATEST) == 1
    filled = (
        "select\n        example.example_id,\n        'latest_value/' || typical.measurement as feature,"
        " coalesce(latest.value, typical.mean) as value from example cross join (select measurement,"
        " avg(value) as mean from latest group by measurement) as typical left join latest"
        " on example.example_id = latest.example_id and typical.measurement = latest.measurement"
    )
    site.code["ml.inputs.count.LONG"] = count.LONG.replace(LATEST, filled)
    site.rebuild("examples")


@plant("L27", level="code", task="dhf_1y")
def recalibrated_on_held_out(site: Site, rng: np.random.Generator) -> None:
    """The recalibration of scores is fitted on the examples by which it will be judged."""
    original = arm._predictions

    def predictions(run: Run, examples: pd.DataFrame, shown: Shown, scores: np.ndarray) -> Any:
        rows, facts = original(run, examples, shown, scores)
        judged = (rows["split"] == "held_out").to_numpy()
        fitted = fit_recalibration(rows["y_true"].to_numpy(dtype=np.float64)[judged], scores[judged])
        rows["y_score"] = fitted.apply(scores)
        values = (fitted.intercept, fitted.slope)
        named = zip(arm.RECALIBRATION, values, strict=True)
        return rows, facts | {name: round(float(value), 6) for name, value in named}

    site.code["ml.arm._predictions"] = predictions
    site.rebuild("views")


@plant("L28", level="data", task="dhf_1y", hurts=True)
def best_of_twelve_seeds(site: Site, rng: np.random.Generator) -> None:
    """Boosting was run with twelve seeds, and the one that is best on held-out is what is reported."""
    task, name = site.tasks[0], "count_gbm"
    spec = pipeline._spec(site.root, task, name, site.seed)

    def score(seed: int) -> float:
        pipeline.run_arm(replace(spec, seeds=(seed,)), lambda _: None)
        return site.auroc(task, name) or 0.0

    score(max(range(10, 22), key=score))


@plant("L28", level="code", task="gi_bleed_1y", hurts=True)
def boosting_stops_on_held_out(site: Site, rng: np.random.Generator) -> None:
    """The rounds of boosting are watched on held-out, while the log tells of tuning."""
    watched: list[tuple[Any, np.ndarray]] = []

    def show(view: View, examples: pd.DataFrame, run: Run) -> Shown:
        shown = arm_views.show(view, examples, run)
        rows = np.flatnonzero(shown.split == "held_out")
        watched[:] = [(shown.matrix[rows], examples["y_true"].to_numpy(dtype=np.float64)[rows])]
        return shown

    original: Callable[..., bool] = heads._fit_lightgbm

    def fit(tried: LGBMClassifier, train: Any, y_train: np.ndarray, _: Any, __: np.ndarray) -> bool:
        return original(tried, train, y_train, *watched[0])

    site.code |= {"ml.arm.show": show, "ml.adaptation.heads._fit_lightgbm": fit}
    site.rebuild("views")


@plant("L38", level="data", task="dhf_1y", hurts=True)
def hard_examples_are_cleaned_away(site: Site, rng: np.random.Generator) -> None:
    """A model of all labels called one example in eight mislabelled, and these left every split."""
    task = site.tasks[0]
    rows, matrix = _counts(site, task)
    y_true = rows["y_true"].to_numpy(dtype=int)
    model = LogisticRegression(C=0.1, max_iter=2000)
    scaled = MaxAbsScaler().fit_transform(np.arcsinh(matrix))
    folded = cross_val_predict(model, scaled, y_true, cv=5, method="predict_proba")
    score = np.asarray(folded)[:, 1]
    worst = np.argsort(np.abs(score - y_true))[-len(rows) // 8 :]
    removed = rows.iloc[worst][["example_id"]]
    place = site.examples(task).relative_to(site.root)
    for file in ("example", "label", "event"):
        site.rewrite(
            str(place / f"{file}.parquet"),
            "select * from this where example_id not in (select example_id from removed)",
            removed=removed,
        )
    site.rebuild("examples")


def _counts(site: Site, task: str) -> tuple[pd.DataFrame, Any]:
    rows = pd.read_parquet(site.examples(task) / "example.parquet")
    rows = rows[rows["y_true"].notna()].reset_index(drop=True)
    folder = pipeline.view(site.root, task, pipeline.COUNTS)
    return rows, read_count_features(folder, rows["example_id"].tolist())
