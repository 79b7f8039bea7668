"""Heads are scikit-learn estimators, fitted as scikit-learn fits them, and are saved without pickle."""

import copy
import importlib.util
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from adaptation_world import quiet
from scipy import sparse
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from ml.adaptation import heads, saved_head
from ml.adaptation.budgets import (
    GRIDS,
    LIGHTGBM_CEILING,
    LIGHTGBM_PATIENCE,
    MLP_CEILING,
    MOST_CONFIGURATIONS,
    configurations,
)
from ml.adaptation.heads import choose, estimator
from ml.adaptation.regimes import REGIMES
from ml.adaptation.saved_head import head_arrays, load_head, save_head, score_arrays
from ml.adaptation.shown import Setting, Shown
from ml.models.registry import MODELS

N, D = 240, 6
BLOCKS = (("counts", 2), ("vectors", 4))
HEADS = ("logistic_regression", "frozen_logistic_regression", "frozen_mlp", "stack", "concat", "prior")
RNG = np.random.default_rng(2)
MATRIX = np.column_stack([RNG.poisson(2, size=(N, 2)), RNG.normal(3, 2, size=(N, 4))]).astype(float)
LOGIT = np.log1p(MATRIX[:, 0]) - 0.8 * MATRIX[:, 2] + 0.5 * MATRIX[:, 3] * (MATRIX[:, 4] > 3)
Y_TRUE = (LOGIT + RNG.logistic(size=N) > np.median(LOGIT)).astype(float)
SPLIT = np.repeat(np.array(["train", "tuning", "held_out"], dtype=object), N // 3)


def shown_of(matrix=MATRIX) -> Shown:
    return Shown.of(
        Y_TRUE,
        split=SPLIT,
        person_id=np.arange(N),
        may_fit=SPLIT == "train",
        may_select=SPLIT == "tuning",
        place=np.zeros(N, dtype=int),
        matrix=matrix,
        blocks=BLOCKS,
    )


def setting(folder: Path, family: str, n: int = 2, **changes) -> Setting:
    return Setting(
        model=MODELS["logistic_regression"],
        folder=None,
        configurations=configurations(family, n),
        seed=4,
        target=folder / "model",
        work=folder / "work",
        key="",
        progress=quiet,
        **changes,
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # few passes over few rows
@pytest.mark.parametrize("family", [name for name in HEADS if name != "concat"])
def test_a_head_passes_the_checks_of_scikit_learn(family):
    given = GRIDS[family].rows[2 if family == "logistic_regression" else 0]
    if family == "frozen_mlp":
        given = {**given, "hidden": 8, "learning_rate": 1e-2}
    results = check_estimator(estimator(family, given, seed=0, blocks=()), on_fail=None, on_skip=None)
    failed = {one["check_name"]: str(one["exception"])[:200] for one in results if one["status"] == "failed"}
    assert len(results) > 50
    assert failed == {}


def fitted(family: str):
    matrix = MATRIX[:, :1] if family == "prior" else MATRIX  # the prior is shown one constant column
    head = estimator(family, GRIDS[family].rows[-2], seed=0, blocks=BLOCKS) if family != "prior" else None
    head = head or estimator(family, {}, seed=0, blocks=())
    return head.fit(matrix[:80], Y_TRUE[:80]), matrix


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("family", HEADS)
def test_arrays_of_a_head_say_what_the_head_says(family):
    head, matrix = fitted(family)
    arrays = head_arrays(head)
    assert all(isinstance(value, np.ndarray) for value in arrays.values())
    expected = head.predict_proba(matrix)[:, 1]
    assert np.abs(score_arrays(arrays, matrix) - expected).max() < 1e-9
    assert np.abs(score_arrays(arrays, sparse.csr_matrix(matrix)) - expected).max() < 1e-9
    assert family == "prior" or np.ptp(expected) > 0.01


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("has_skops", [True, False])
@pytest.mark.parametrize("family", HEADS)
def test_a_head_is_saved_without_pickle_with_skops_and_on_a_bare_machine(
    tmp_path, monkeypatch, family, has_skops
):
    if not has_skops:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        monkeypatch.setitem(sys.modules, "skops", None)
    head, matrix = fitted(family)
    save_head(head, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["head.skops" if has_skops else "head.safetensors"]
    assert np.abs(load_head(tmp_path)(matrix) - head.predict_proba(matrix)[:, 1]).max() < 1e-9


def test_a_head_with_a_foreign_function_is_not_loaded(tmp_path):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer
    from skops.io.exceptions import UntrustedTypesFoundException

    save_head(
        make_pipeline(FunctionTransformer(copy.deepcopy), DummyClassifier()).fit(MATRIX, Y_TRUE), tmp_path
    )
    with pytest.raises(UntrustedTypesFoundException):
        load_head(tmp_path)


def test_the_joined_head_is_scikit_learn_on_scaled_blocks_side_by_side(tmp_path):
    adapted = REGIMES["concat"](shown_of(sparse.csr_matrix(MATRIX)), setting(tmp_path, "concat", 1))
    train = SPLIT == "train"
    counts = np.arcsinh(MATRIX[:, :2])
    scaled = np.column_stack(
        [counts / np.abs(counts[train]).max(0), MATRIX[:, 2:] / MATRIX[train][:, 2:].std(0)]
    )
    plain = LogisticRegression(C=0.001, max_iter=5000, tol=1e-8).fit(scaled[train], Y_TRUE[train])
    assert np.abs(adapted.y_score_raw - plain.predict_proba(scaled)[:, 1]).max() < 1e-4


def test_the_network_head_is_the_best_epoch_of_scikit_learns_own(tmp_path):
    given = setting(tmp_path, "frozen_mlp", 1, head="mlp")
    adapted = REGIMES["frozen"](shown_of(), given)
    train, tuning = SPLIT == "train", SPLIT == "tuning"
    scaler = StandardScaler().fit(MATRIX[train])
    network = MLPClassifier((128,), alpha=1e-4, learning_rate_init=1e-3, random_state=4)
    aurocs, scores = [], []
    for _ in range(MLP_CEILING):
        network.partial_fit(scaler.transform(MATRIX[train]), Y_TRUE[train], classes=[0.0, 1.0])
        scores.append(network.predict_proba(scaler.transform(MATRIX))[:, 1])
        aurocs.append(roc_auc_score(Y_TRUE[tuning], scores[-1][tuning]))
        if len(aurocs) - 1 - int(np.argmax(aurocs)) >= 5:
            break
    best = int(np.argmax(aurocs))
    assert best > 0
    assert np.abs(adapted.y_score_raw - scores[best]).max() < 1e-12
    assert adapted.converged
    assert np.abs(adapted.reload(np.arange(N)) - adapted.y_score_raw).max() < 1e-9


@pytest.mark.parametrize(
    ("family", "name", "value"), [("frozen_mlp", "MLP_CEILING", 2), ("lightgbm", "LIGHTGBM_CEILING", 3)]
)
def test_a_head_that_ends_at_its_ceiling_is_not_converged(tmp_path, monkeypatch, family, name, value):
    assert choose(family, shown_of(), setting(tmp_path, family, 1)).converged
    monkeypatch.setattr(heads, name, value)
    assert not choose(family, shown_of(), setting(tmp_path, family, 1)).converged
    assert LIGHTGBM_CEILING > 1000


def test_boosting_that_ends_at_its_ceiling_within_patience_of_its_best_is_not_converged(
    tmp_path, monkeypatch
):
    from lightgbm import Booster

    assert choose("lightgbm", shown_of(), setting(tmp_path, "lightgbm", 1)).converged
    best = Booster(model_file=tmp_path / "model" / "model.txt").current_iteration()
    for more, converged in ((2, False), (LIGHTGBM_PATIENCE - 1, False), (LIGHTGBM_PATIENCE, True)):
        monkeypatch.setattr(heads, "LIGHTGBM_CEILING", best + more)
        assert choose("lightgbm", shown_of(), setting(tmp_path, "lightgbm", 1)).converged is converged


def test_what_a_fit_warns_of_is_heard_unless_it_is_its_ceiling(tmp_path, monkeypatch):
    class Loud(LogisticRegression):
        def fit(self, *given):
            warnings.warn("not converged", ConvergenceWarning, stacklevel=1)
            warnings.warn("a column is constant", RuntimeWarning, stacklevel=1)
            return super().fit(*given)

    monkeypatch.setattr(heads, "LogisticRegression", Loud)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        assert not choose("stack", shown_of(), setting(tmp_path, "stack", 1)).converged
    assert [(one.category, str(one.message)) for one in heard] == [(RuntimeWarning, "a column is constant")]


def test_every_family_has_a_grid_of_the_same_length_with_its_source():
    for family, grid in GRIDS.items():
        assert len(grid.source) > 10, family
        distinct = {tuple(sorted(row.items())) for row in grid.rows}
        assert len(distinct) == len(grid.rows)
        assert len(grid.rows) in (1, MOST_CONFIGURATIONS), family
    assert {family for family, grid in GRIDS.items() if len(grid.rows) == 1} == {"prior", "untrained"}


@pytest.mark.parametrize("n", [1, 4])
def test_as_many_configurations_are_tried_as_the_study_says(tmp_path, n):
    for family in ("logistic_regression", "stack", "lightgbm"):
        trials = choose(family, shown_of(), setting(tmp_path, family, n)).trials
        assert len(trials) == n


def test_saved_head_module_names_no_pickle():
    assert "pickle" not in Path(saved_head.__file__).read_text(encoding="utf-8").split('"""')[2]
