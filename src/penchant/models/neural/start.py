"""Where a training begins: embeddings as factors of what stands near what in histories, or all that an earlier one learned.

NumPy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.linalg import svds

from penchant.models.item_to_item import pairs
from penchant.types import UNKNOWN, Array, Arrays, Float, Int, Sequences, Vocabulary

WINDOW = 5
"""Events further apart don't stand near each other."""
SMOOTHING = 0.75
"""Popular items count as a little less popular than they are, so that rare ones don't seem near by chance."""

DENSE = 1024
"""Catalogues up to so many items are factored whole."""


@dataclass(frozen=True)
class Earlier:
    """What a training goes on from: a network's ``weights``, and the items and kinds of events they are of.

    Of the histories trained on now, ``learned[n]`` events at the beginning of each are known to it. It goes on for so many
    ``epochs``; ``None``: as many as validation says.
    """

    weights: Arrays
    items: Vocabulary
    event_types: tuple[str, ...]
    learned: Int
    epochs: int | None = None


def carried_over(earlier: Earlier, new: Arrays, train: Sequences) -> dict[str, Array]:
    """The earlier weights for the items and kinds of events of ``train``, in the shapes of ``new``.

    An item that wasn't known begins as the mean of the known ones that stand near it in histories (of all, where none does); a
    kind that wasn't, and what is of another shape, as in ``new``.
    """
    old = earlier.weights
    weights = {name: old[name] if name in old and old[name].shape == array.shape else array for name, array in new.items()}
    item = train.items.translation(earlier.items)[:-1]
    known = item != UNKNOWN
    table = np.empty((len(item), old["embedding"].shape[1] + 1), np.float32)
    table[known] = np.column_stack([old["embedding"], old["bias"]])[item[known]]
    near = csr_array(_near(train)[~known][:, known])
    total = near.sum(axis=1)[:, None]
    table[~known] = np.where(total > 0, near @ table[known] / np.maximum(total, 1e-12), table[known].mean(axis=0))
    weights |= {"embedding": np.ascontiguousarray(table[:, :-1]), "bias": np.ascontiguousarray(table[:, -1])}
    if "kind" in new and "kind" in old:
        kind = Vocabulary(train.event_types).translation(Vocabulary(earlier.event_types))[:-1]
        weights["kind"] = np.where((kind != UNKNOWN)[:, None], old["kind"][kind], new["kind"])
    return weights


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
        counts = counts + csr_array(coo_array((weight, (train.item[before], train.item[after])), shape=(size, size)))
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
