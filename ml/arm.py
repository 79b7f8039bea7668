"""One arm on one task: read its input view, adapt the model, recalibrate, write predictions and model."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from ml.adaptation.regimes import REGIMES, Adapted, Shown
from ml.artefact import whole_file, whole_folder
from ml.embedding.store import EmbeddingStore
from ml.evaluation.calibration import fit_recalibration
from ml.inputs.examples import read_examples
from ml.schema import check


class RefusalError(RuntimeError):
    """A named guard stopped an arm; a result, not a crash."""

    def __init__(self, guard: str, reason: str):
        super().__init__(f"{guard}: {reason}")
        self.guard, self.reason = guard, reason


@dataclass(frozen=True)
class ArmSpec:
    """What an arm needs, as plain values: it travels as JSON to the process that does the work."""

    model: str
    regime: str
    input: str
    seed: int
    configurations: int
    examples: str
    view: str | None
    store: str | None
    predictions: str
    fitted: str


def run_arm(spec: ArmSpec, progress: Callable[[str], None]) -> dict[str, Any]:
    """Carry out one arm; return what the record says of it.

    Raises:
        RefusalError: the reloaded model scores otherwise, or an example has no finite score.
    """
    example = read_examples(Path(spec.examples))
    labelled = example[example["y_true"].notna()].sort_values("example_id", ignore_index=True)
    shown = Shown(
        _matrix(spec, labelled["example_id"]),
        labelled["y_true"].to_numpy(dtype=np.float64),
        labelled["split"].to_numpy(dtype=object),
    )
    adapted = REGIMES[spec.regime](spec.model, shown, spec.configurations, spec.seed, progress)
    _require_scores(adapted.y_score_raw)
    _write_fitted(Path(spec.fitted), adapted, shown, labelled)
    tuning = shown.split == "tuning"
    recalibration = fit_recalibration(shown.y_true[tuning], adapted.y_score_raw[tuning])
    predictions = pd.DataFrame(
        {
            "example_id": labelled["example_id"],
            "person_id": labelled["person_id"],
            "split": labelled["split"],
            "y_true": labelled["y_true"].astype("int64"),
            "y_score": recalibration.apply(adapted.y_score_raw),
            "y_score_raw": adapted.y_score_raw,
            "seed": np.int64(spec.seed),
            "k": pd.array([None] * len(labelled), dtype="Int64"),
            "draw": pd.array([None] * len(labelled), dtype="Int64"),
        }
    )
    with whole_file(Path(spec.predictions)) as temporary:
        check(predictions, "predictions").to_parquet(temporary, index=False)
    return {
        "examples": len(predictions),
        "features": int(shown.matrix.shape[1]),
        "configuration": adapted.configuration,
        "trials": adapted.trials,
        "converged": adapted.converged,
        "recalibration_intercept": round(float(recalibration.intercept), 6),
        "recalibration_slope": round(float(recalibration.slope), 6),
    }


def _matrix(spec: ArmSpec, example_id: pd.Series) -> Any:
    """Return the input view in the order of `example_id`: sparse counts, float32 vectors, or one constant."""
    if spec.input == "none":
        return np.zeros((len(example_id), 1))
    assert spec.view is not None
    view = Path(spec.view)
    if spec.input == "counts":
        rows = pd.read_parquet(view / "row.parquet")["example_id"]
        width = len(pd.read_parquet(view / "column.parquet"))
        value = pd.read_parquet(view / "value.parquet")
        matrix = sparse.csr_matrix((value["value"], (value["row"], value["column"])), (len(rows), width))
        places = pd.Index(rows).get_indexer(pd.Index(example_id))
        if (places < 0).any():  # -1 would read the last row: another person's features
            raise ValueError(f"{int((places < 0).sum())} of {len(places)} examples have no row in their view")
        return matrix[places]
    index = pd.read_parquet(view).set_index("example_id").loc[example_id]
    assert spec.store is not None
    return EmbeddingStore(Path(spec.store)).read(index["text_sha256"].tolist())


def _require_scores(scores: np.ndarray) -> None:
    unscored = int((~np.isfinite(scores)).sum())
    if unscored:
        raise RefusalError(
            "example_without_score", f"{unscored} of {len(scores)} examples have no finite score"
        )


def _write_fitted(folder: Path, adapted: Adapted, shown: Shown, labelled: pd.DataFrame) -> None:
    """Save the chosen model with the record of its fit, reload it and compare its scores (rule 5)."""
    with whole_folder(folder) as temporary:
        reloaded = _save_and_reload(adapted.estimator, temporary)
        difference = float(np.abs(reloaded(shown.matrix) - adapted.y_score_raw).max())
        if difference > 1e-9:
            raise RefusalError("reloaded_scores_differ", f"largest difference {difference:.3g}")
        fit = {
            "configuration": adapted.configuration,
            "trials": adapted.trials,
            "fitted_on": "train",
            "selected_on": "tuning",
            "persons": {
                split: int(n) for split, n in labelled.groupby("split")["person_id"].nunique().items()
            },
        }
        (temporary / "fit.json").write_text(json.dumps(fit, indent=1, sort_keys=True), encoding="utf-8")


def _save_and_reload(estimator: Any, folder: Path) -> Callable[[Any], np.ndarray]:
    """Write a head as skops or LightGBM text, never as pickle; return the reloaded scorer."""
    if type(estimator).__name__ == "LGBMClassifier":
        from lightgbm import Booster

        path = folder / "model.txt"
        estimator.booster_.save_model(path, num_iteration=estimator.best_iteration_)
        booster = Booster(model_file=path)
        return lambda matrix: np.asarray(booster.predict(matrix))
    from skops import io

    path = folder / "head.skops"
    io.dump(estimator, path)
    # asinh is numpy's own function; everything else in a head is on the default list of skops.
    head = io.load(
        path, trusted=["numpy.arcsinh"] if "numpy.arcsinh" in io.get_untrusted_types(file=path) else []
    )
    return lambda matrix: head.predict_proba(matrix)[:, 1]
