"""Pairs of texts that are nearly equal: all of them, without comparing every pair.

Two sets of grams with a Jaccard index of t or more share a gram among the first |x| - ceil(t |x|) + 1 of
each, in any order that both are sorted by (prefix filter of Chaudhuri, Ganti and Kaushik 2006). With the
rarest grams first few pairs are left, and those are counted out. It is exact, as MinHash is not.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

GRAM_WORDS = 3
ROWS_AT_ONCE = 512


def near_duplicates(
    words: Sequence[Sequence[str]], jaccard: float, asked: npt.NDArray[np.integer] | None = None
) -> npt.NDArray[np.integer]:
    """Return the pairs of N texts with such a Jaccard index or a higher one, (M, 2), the lower place first.

    Args:
        words: of each text, in order.
        jaccard: of the sets of word triples, above 0; shorter texts are one gram.
        asked: places of texts, each compared with all N; None for all of them.
    """
    grams = _incidence(words)
    size = np.diff(grams.indptr)
    prefix = _prefixes(grams, size, jaccard)
    turned = prefix.T.tocsr()
    rows = np.arange(len(words)) if asked is None else asked
    found: list[npt.NDArray[np.integer]] = [np.empty((0, 2), dtype=np.intp)]
    for start in range(0, len(rows), ROWS_AT_ONCE):
        block = rows[start : start + ROWS_AT_ONCE]
        pair = (prefix[block] @ turned).tocoo()
        left, right = block[pair.row], pair.col
        # of all texts each pair once
        keep = (left < right if asked is None else left != right) & (
            np.minimum(size[left], size[right]) >= jaccard * np.maximum(size[left], size[right])
        )
        left, right = left[keep], right[keep]
        for part in np.array_split(np.arange(left.size), left.size // 100_000 + 1):
            one, other = left[part], right[part]
            both = np.asarray(grams[one].multiply(grams[other]).sum(axis=1)).ravel()
            near = both >= jaccard * (size[one] + size[other] - both) - 1e-9
            found.append(np.sort(np.column_stack([one[near], other[near]]), axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _incidence(words: Sequence[Sequence[str]]) -> sparse.csr_matrix:
    """Return which text has which gram, int32 (N, G) of ones; grams by rising number of texts."""
    number: dict[tuple[str, ...], int] = {}
    columns: list[npt.NDArray] = []
    for text in words:
        last = max(1, len(text) - GRAM_WORDS + 1)
        own = {tuple(text[n : n + GRAM_WORDS]) for n in range(last)}
        columns.append(np.array([number.setdefault(gram, len(number)) for gram in own], dtype=np.int64))
    flat = np.concatenate(columns)
    frequency = np.bincount(flat)
    place = np.empty_like(frequency)
    place[np.lexsort((np.arange(len(frequency)), frequency))] = np.arange(len(frequency))
    starts = np.concatenate([[0], np.cumsum([own.size for own in columns])])
    matrix = sparse.csr_matrix(
        (np.ones(flat.size, dtype=np.int32), place[flat], starts), (len(words), len(frequency))
    )
    matrix.sort_indices()
    return matrix


def _prefixes(grams: sparse.csr_matrix, size: npt.NDArray, jaccard: float) -> sparse.csr_matrix:
    """Keep the first |x| - ceil(t |x|) + 1 grams of each text."""
    length = size - np.ceil(jaccard * size - 1e-9).astype(np.int64) + 1
    within = np.arange(grams.nnz) - np.repeat(grams.indptr[:-1], size)
    keep = within < np.repeat(length, size)
    starts = np.concatenate([[0], np.cumsum(np.minimum(length, size))])
    return sparse.csr_matrix((grams.data[keep], grams.indices[keep], starts), grams.shape)
