"""The head over counts, vectors or joined columns: it scales each in its own way, then classifies."""

import copy
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

Scaling = Literal["counts", "vectors"]
PRECISION = (np.float64, np.float32)


class Head(ClassifierMixin, BaseEstimator):
    """A scaler and a classifier as one scikit-learn estimator that passes `check_estimator`.

    Parameters:
        classifier: an unfitted classifier; None is a logistic regression.
        scaling: of all columns.
        blocks: (scaling, width) of each run of columns, where several representations stand side by side.
    """

    def __init__(
        self,
        classifier: Any = None,
        scaling: Scaling = "vectors",
        blocks: tuple[tuple[str, int], ...] = (),
    ):
        self.classifier = classifier
        self.scaling = scaling
        self.blocks = blocks

    def fit(self, X: Any, y: Any) -> "Head":
        """Fit scaler and classifier on (N, D) and labels (N,)."""
        X, y = self._open(X, y)
        self.classifier_.fit(self.scaler_.fit_transform(X), y)
        return self

    def fit_early_stopped(
        self, X: Any, y: Any, X_tuning: Any, y_tuning: Any, *, ceiling: int, patience: int
    ) -> tuple[int, int]:
        """Fit a classifier epoch by epoch and keep its best on tuning; return the best epoch and the last.

        scikit-learn's own early stopping would cut its tuning from train.
        """
        X, y = self._open(X, y)
        X, X_tuning = self.scaler_.fit_transform(X), self.scaler_.transform(X_tuning)
        running, best_score, best_epoch, epoch = self.classifier_, -np.inf, 0, 0
        while epoch < ceiling and epoch - best_epoch < patience:
            running.partial_fit(X, y, classes=self.classes_)
            epoch += 1
            score = float(roc_auc_score(y_tuning, running.predict_proba(X_tuning)[:, 1]))
            if score > best_score:
                best_score, best_epoch = score, epoch
                self.classifier_ = copy.deepcopy(running)
        return best_epoch, epoch

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class, (N, C)."""
        check_is_fitted(self)
        checked: Any = validate_data(self, X, accept_sparse="csr", dtype=PRECISION, reset=False)
        return self.classifier_.predict_proba(self.scaler_.transform(checked))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class, (N,)."""
        most_probable = self.predict_proba(X).argmax(1)
        return self.classes_[most_probable]

    @property
    def pipeline(self) -> Pipeline:
        """The fitted steps as scikit-learn's own pipeline, which loads without this package."""
        return make_pipeline(self.scaler_, self.classifier_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _open(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Check data, and make an unfitted scaler and classifier for them."""
        checked: Any = validate_data(self, X, y, accept_sparse="csr", dtype=PRECISION)
        X, y = checked
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        self.classifier_: Any = clone(LogisticRegression() if self.classifier is None else self.classifier)
        self.scaler_ = self._scaler(is_sparse=hasattr(X, "tocsr"))
        return X, y

    def _scaler(self, *, is_sparse: bool) -> Any:
        if not self.blocks:
            return _scaler(self.scaling, is_sparse=is_sparse)
        scalers, start = [], 0
        for number, (scaling, width) in enumerate(self.blocks):
            columns = slice(start, start + width)
            scalers.append((f"{number}_{scaling}", _scaler(scaling, is_sparse=is_sparse), columns))
            start += width
        return ColumnTransformer(scalers)


def _scaler(scaling: str, *, is_sparse: bool) -> Any:
    if scaling == "vectors":
        return StandardScaler(with_mean=not is_sparse)  # the intercept takes up what is not centred
    # asinh is log-like for large counts and, unlike log1p, defined for negative values.
    return make_pipeline(
        FunctionTransformer(np.arcsinh, accept_sparse=True, check_inverse=False), MaxAbsScaler()
    )
