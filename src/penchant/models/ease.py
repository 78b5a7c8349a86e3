"""One linear regression of every item on all others, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import coo_array, csr_array

from penchant.models.base import Settings, expect
from penchant.models.item_to_item import LastItems, SimilarItems, counts_by_user, newcomers
from penchant.types import UNKNOWN, Array, Arrays, Cases, Float, Int, Monitor, PenchantError, Sequences, UserState

LARGEST_CATALOGUE = 40_000
"""Items up to which the dense matrix is made."""


@dataclass(frozen=True)
class EaseSettings(Settings):
    """How strongly weights are held down, and how much of a history speaks."""

    l2: float = 100.0
    """Penalty on squared weights: more where there are more events."""
    window: int = 200

    def __post_init__(self) -> None:
        self.check(0 < self.l2 <= 1e9, "l2 must be above 0 and at most 1000000000")
        self.check(1 <= self.window <= 10_000, "window must lie between 1 and 10000")


class Ease(LastItems):
    """The score of an item is ``Σ_j B[j, item]`` over the distinct last items ``j`` (Steck 2019, "Embarrassingly shallow
    autoencoders for sparse data").

    ``B = I − P · diag(1 / diag P)`` with ``P = (XᵀX + l2 · I)⁻¹`` and ``X[users, V]`` who had what: the weights that best
    tell each item from all others, itself left out.
    """

    name = "ease"
    settings_type = EaseSettings
    settings: EaseSettings

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        size = len(train.items)
        if size > LARGEST_CATALOGUE:
            raise PenchantError(
                f"ease needs a matrix of {size:,} × {size:,} items, {4 * size**2 / 1e9:.1f} GB, and is made for up to "
                f"{LARGEST_CATALOGUE:,} items; use item_knn"
            )
        had = counts_by_user(train)
        had.data[:] = 1
        gram = (had.T @ had).toarray().astype(np.float64)
        gram[np.diag_indices(size)] += self.settings.l2
        self._set_weights({"matrix": _regression(gram), "events": np.bincount(train.item, minlength=size)})

    @property
    def window(self) -> int:
        """See ``LastItems``."""
        return self.settings.window

    def weights(self) -> Arrays:
        """``matrix[V, V] float32``, which is ``B``, and the ``events[V]`` of each item."""
        return {"matrix": self._matrix, "events": self._events}

    def _set_weights(self, weights: Arrays) -> None:
        size = len(self.items)
        expect(weights, {"matrix": (size, size), "events": (size,)})
        self._matrix, self._events = weights["matrix"], weights["events"]
        self._popular = np.log1p(self._events).astype(np.float32)

    def score(self, state: UserState, now: Int) -> Float:
        """What goes with the last items; to someone who has none, what is popular. Time doesn't enter."""
        recent = state.arrays["recent"]
        scores = self._memory(recent)
        scores[newcomers(recent)] = self._popular
        return scores

    def parts(self, state: UserState, now: Int, item: Int) -> dict[str, Float]:
        """Two parts: ``memory``, 0 to newcomers, and ``popularity``, 0 to everyone else."""
        recent = state.arrays["recent"]
        memory = np.take_along_axis(self._memory(recent), item, axis=1)
        return {"memory": memory, "popularity": self._popular[item] * newcomers(recent)[:, None]}

    def _memory(self, recent: Int) -> Float:
        """``Σ_j B[j]`` over each person's distinct last items, ``[n, V] float32``."""
        rows, places = np.nonzero(recent != UNKNOWN)
        item = recent[rows, places]
        had = csr_array(coo_array((np.ones(len(item), np.float32), (rows, item)), shape=(len(recent), len(self.items))))
        had.data[:] = 1
        return np.asarray(had @ self._matrix, np.float32)


@dataclass(frozen=True)
class NearestEaseSettings(Settings):
    """Of how many items, and how much of what is found is kept."""

    l2: float = 100.0
    """Penalty on squared weights."""
    window: int = 50
    neighbours: int = 100
    """Of each item the largest weights above 0 that are kept,"""
    items: int = 10_000
    """and of the items those most people had: time grows with the cube of their number, 15 CPU-seconds for so many."""

    def __post_init__(self) -> None:
        self.check(0 < self.l2 <= 1e9, "l2 must be above 0 and at most 1000000000")
        self.check(1 <= self.window <= 10_000, "window must lie between 1 and 10000")
        self.check(self.neighbours >= 1, "neighbours must be at least 1")
        self.check(1 <= self.items <= LARGEST_CATALOGUE, f"items must lie between 1 and {LARGEST_CATALOGUE}")


class NearestEase(SimilarItems):
    """The largest weights of ``Ease`` between the most frequent items: sparse, so that it costs a blend little to ask."""

    name = "nearest_ease"
    evidence = "neighbours"
    settings_type = NearestEaseSettings
    settings: NearestEaseSettings

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        chosen, size = self.settings, len(train.items)
        had = counts_by_user(train)
        had.data[:] = 1
        people = np.asarray(had.sum(axis=0)).ravel()
        some = np.sort(np.argsort(-people, kind="stable")[: chosen.items])
        had = csr_array(had[:, some])
        gram = (had.T @ had).toarray()
        gram[np.diag_indices(len(some))] += np.float32(chosen.l2)
        matrix = _regression(gram)
        edge = np.partition(matrix, -min(chosen.neighbours, len(some)), axis=1)[:, -min(chosen.neighbours, len(some)), None]
        row, column = np.nonzero((matrix >= edge) & (matrix > 0))
        self._keep(csr_array(coo_array((matrix[row, column], (some[row], some[column])), shape=(size, size))), train)

    @cached_property
    def age_weights(self) -> Float:
        """See ``ItemToItem``."""
        return np.ones(self.settings.window, np.float32)


def _regression(gram: Array) -> Float:
    """``B[V, V] float32`` from ``XᵀX + l2 · I``, in whose precision it is found; it is overwritten."""
    factorise, invert = lapack.get_lapack_funcs(("potrf", "potri"), (gram,))
    # The transpose of a symmetric matrix is itself, in the column order that lets LAPACK work in place.
    factor, failed = factorise(gram.T, lower=1, overwrite_a=1, clean=1)
    if failed:
        raise PenchantError("ease finds no solution to machine precision; set l2 higher")
    inverse, _ = invert(factor, lower=1, overwrite_c=1)
    scale = -1 / np.diag(inverse)
    # LAPACK fills the lower triangle; above it are zeros.
    matrix: Float = inverse.astype(np.float32, order="C")
    matrix += np.tril(matrix, -1).T
    matrix *= scale.astype(np.float32)
    np.fill_diagonal(matrix, 0)
    return matrix
