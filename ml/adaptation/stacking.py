"""Joined scores: a logistic regression on what other arms say of examples they were not fitted on."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from ml.adaptation.guards import require_fitted_inside
from ml.adaptation.heads import choose
from ml.adaptation.shown import Adapted, Part, Setting, Shown

FOLDS = 5
CLIP = 1e-6  # before the logit


def stack(shown: Shown, setting: Setting) -> Adapted:
    """Join the scores of other arms.

    On train each arm is fitted again, in its chosen configuration, on the persons of all folds but one, and
    scores that one; elsewhere its own scores are out of sample already.
    """
    columns = [_out_of_sample(part, shown, setting) for part in shown.parts]
    shown.matrix = np.column_stack([_logit(column) for column in columns])
    return choose("stack", shown, setting)


def _out_of_sample(part: Part, shown: Shown, setting: Setting) -> np.ndarray:
    scores = np.where(shown.split == "train", np.nan, part.y_score_raw)
    rows = shown.fit_rows
    labels = shown.labels(rows, "fit")
    n_folds = int(min(FOLDS, labels.sum(), (1 - labels).sum()))
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=setting.seed)
    for number, (_, out) in enumerate(folds.split(rows, labels, shown.person_id[rows]), start=1):
        left_out = rows[out]
        few = part.shown.without(left_out)
        position = np.flatnonzero(part.shown.may_fit | part.shown.may_select)
        with tempfile.TemporaryDirectory(prefix="fold-", dir=_made(setting.work)) as folder:
            fold_setting = dataclasses.replace(
                part.setting,
                target=Path(folder) / "model",
                work=setting.work / f"{part.name}-fold-{number}",
                key=setting.key,
                progress=lambda line, n=number: setting.progress(f"{part.name}, fold {n}: {line}"),
            )
            adapted = part.adapt(few, fold_setting)
        require_fitted_inside(few.used, {"fit": few.may_fit, "select": few.may_select})
        scores[left_out] = adapted.y_score_raw[np.searchsorted(position, left_out)]
    return scores


def _logit(score: np.ndarray) -> np.ndarray:
    clipped = np.clip(score, CLIP, 1 - CLIP)
    return np.log(clipped) - np.log1p(-clipped)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
