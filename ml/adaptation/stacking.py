"""Joined scores: a logistic regression on what other arms say of examples they were not fitted on."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from ml.adaptation.guards import require_fitted_inside, require_foldable
from ml.adaptation.heads import choose
from ml.adaptation.shown import Adapted, Part, Setting, Shown

FOLDS = 5
CLIP = 1e-6  # before the logit


def stack(shown: Shown, setting: Setting) -> Adapted:
    """Join the scores of other arms.

    On train each arm is fitted again, in its chosen configuration, on the persons of all folds but one, and
    scores that one; elsewhere its own scores are out of sample already. A stack has converged where its own
    head, every arm that it joins and each of their fits without a fold has.

    Raises:
        RefusalError: too few persons of a class to leave a fold of them out (`too_few_to_fold`).
    """
    folds = _folds(shown, setting)
    joined = [_out_of_sample(part, folds, shown, setting) for part in shown.parts]
    shown.matrix = np.column_stack([_logit(scores) for scores, _ in joined])
    adapted = choose("stack", shown, setting)
    converged = [part.converged and of_folds for part, (_, of_folds) in zip(shown.parts, joined, strict=True)]
    return dataclasses.replace(adapted, converged=adapted.converged and all(converged))


def _folds(shown: Shown, setting: Setting) -> list[np.ndarray]:
    """Return the positions of each fold of train; no person is in two, and what is left has both classes."""
    rows = shown.fit_rows
    labels, persons = shown.labels(rows, "fit"), shown.person_id[rows]
    n_persons = [len(np.unique(persons[labels == label])) for label in (0, 1)]
    require_foldable(n_persons, [])
    folds = StratifiedGroupKFold(min(FOLDS, *n_persons), shuffle=True, random_state=setting.seed)
    split = list(folds.split(rows, labels, persons))
    require_foldable(n_persons, [labels[inside] for inside, _ in split])
    return [rows[outside] for _, outside in split]


def _out_of_sample(
    part: Part, folds: list[np.ndarray], shown: Shown, setting: Setting
) -> tuple[np.ndarray, bool]:
    """Return the scores of an arm, each out of sample, and whether its fits without a fold converged."""
    scores, converged = np.where(shown.split == "train", np.nan, part.y_score_raw), True
    for number, left_out in enumerate(folds, start=1):
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
        converged = converged and adapted.converged
    return scores, converged


def _logit(score: np.ndarray) -> np.ndarray:
    clipped = np.clip(score, CLIP, 1 - CLIP)
    return np.log(clipped) - np.log1p(-clipped)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
