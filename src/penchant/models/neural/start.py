"""Where embeddings begin: factors of what stands near what in histories, found in seconds. NumPy only."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.linalg import svds

from penchant.models.item_to_item import pairs
from penchant.types import Float, Sequences

WINDOW = 5
"""Events further apart don't stand near each other."""
SMOOTHING = 0.75
"""Popular items count as a little less popular than they are, so that rare ones don't seem near by chance."""

DENSE = 1024
"""Catalogues up to so many items are factored whole."""


def factors(train: Sequences, width: int, random: Float) -> Float:
    """A unit vector for each item, ``[V, width] float32``, near each other where items stand near each other.

    The leading factors of the positive pointwise mutual information of items, which is what skip-gram embeddings factor (Levy
    and Goldberg 2014; smoothed as in Levy et al. 2015, §3.2). An item that stands alone, and what a catalogue of fewer items
    than ``width`` leaves open, is taken from ``random[V, width]``.
    """
    near = _information(_near(train))
    found = min(width, near.shape[0] - 1)
    if found < 1 or near.nnz == 0:
        return random
    if near.shape[0] <= DENSE:
        left, strength, _ = np.linalg.svd(near.toarray())
    else:
        left, strength, _ = svds(near, k=found, v0=np.random.default_rng(0).standard_normal(near.shape[0]))
    vectors = left[:, :found] * np.sqrt(strength[:found])
    vectors -= vectors.mean(axis=0)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    alone = np.diff(near.indptr) == 0
    start = random.copy()
    start[:, :found] = np.where(alone[:, None], random[:, :found], vectors / np.maximum(length, 1e-12))
    return start


def _near(train: Sequences) -> csr_array:
    """How often items stand near each other, less the further apart, ``[V, V]``, symmetric."""
    size = len(train.items)
    counts = csr_array((size, size), dtype=np.float64)
    for distance, before, after in pairs(train, WINDOW):
        weight = np.full(len(before), distance**-0.5)
        counts = counts + csr_array(coo_array((weight, (before, after)), shape=(size, size)))
    return csr_array(counts + counts.T)


def _information(near: csr_array) -> csr_array:
    """The positive pointwise mutual information of a row and a column."""
    counts = np.asarray(near.sum(axis=0)).ravel()
    smoothed = counts**SMOOTHING
    together = near.tocoo()
    share = smoothed[together.col] / smoothed.sum()
    value = np.log(together.data / (counts[together.row] * share))
    kept = value > 0
    row, column = together.row[kept], together.col[kept]
    return csr_array(coo_array((value[kept], (row, column)), shape=near.shape))
