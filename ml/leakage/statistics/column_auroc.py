"""AUROC of every column of a sparse matrix at once."""

import numpy as np
import numpy.typing as npt
from scipy import sparse

FloatArray = npt.NDArray[np.float64]


def column_aurocs(matrix: sparse.csr_matrix, y_true: FloatArray) -> FloatArray:
    """Return the AUROC of each column of a sparse matrix (N, D) alone, ties one half, float64 (D,).

    Only stored values are sorted: those that are not count as zeros with one mid-rank a column.
    """
    entry = sparse.coo_matrix(matrix)
    entry.eliminate_zeros()
    n, width = len(y_true), int(matrix.shape[1])  # pyright: ignore[reportOptionalSubscript]
    n_cases = float(y_true.sum())
    order = np.lexsort((entry.data, entry.col))
    column, value = entry.col[order], entry.data[order]
    is_case = y_true[entry.row[order]]
    n_stored = np.bincount(column, minlength=width)
    starts = np.concatenate([[0], np.cumsum(n_stored)[:-1]])
    rank = np.arange(len(column)) - starts[column] + 1.0
    run = np.cumsum(np.r_[True, (np.diff(column) != 0) | (np.diff(value) != 0)][: len(column)]) - 1
    n_tied = np.bincount(run)
    rank = (np.bincount(run, rank) / n_tied)[run] if len(column) else rank
    n_zero = n - n_stored
    rank += np.where(value > 0, n_zero[column], 0)
    n_below = np.bincount(column, value < 0, minlength=width)
    zero_rank = n_below + (n_zero + 1) / 2
    cases_stored = np.bincount(column, is_case, minlength=width)
    rank_sum = np.bincount(column, rank * is_case, minlength=width) + (n_cases - cases_stored) * zero_rank
    return (rank_sum - n_cases * (n_cases + 1) / 2) / (n_cases * (n - n_cases))
