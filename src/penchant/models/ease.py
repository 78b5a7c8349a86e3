"""One linear regression of every item on all others, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import csr_array

from penchant.models.base import Settings, expect
from penchant.models.item_to_item import ItemToItem, counts_by_user
from penchant.types import Arrays, Cases, Float, Int, Monitor, PenchantError, Sequences

LARGEST_CATALOGUE = 40_000
"""Items up to which the dense matrix is made."""


@dataclass(frozen=True)
class EaseSettings(Settings):
    """How strongly weights are held down, and how much of a history speaks."""

    l2: float = 100.0
    """Penalty on squared weights: more where there are more events."""
    window: int = 200

    def __post_init__(self) -> None:
        self.check(self.l2 > 0, "l2 must be above 0")
        self.check(1 <= self.window <= 10_000, "window must lie between 1 and 10000")


class Ease(ItemToItem):
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
        self._regression = _regression(gram)
        self._events = np.bincount(train.item, minlength=size)
        self._refresh()

    @property
    def _age_weights(self) -> Float:
        return np.ones(self.settings.window, np.float32)

    def _weighed(self, recent: Int) -> csr_array:
        """``[n, V]``: 1 for each of a person's last items, however often they had it."""
        had = super()._weighed(recent)
        had.data[:] = 1
        return had

    def _derive(self) -> tuple[Float, Float]:
        return self._regression, np.zeros(len(self.items), np.float32)

    def weights(self) -> Arrays:
        """``matrix[V, V] float32``, which is ``B``, and the ``events[V]`` of each item."""
        return {"matrix": self._regression, "events": self._events}

    def _set_weights(self, weights: Arrays) -> None:
        size = len(self.items)
        expect(weights, {"matrix": (size, size), "events": (size,)})
        self._regression, self._events = weights["matrix"], weights["events"]
        self._refresh()


def _regression(gram: Float) -> Float:
    """``B[V, V] float32`` from ``XᵀX + l2 · I`` in float64, which is overwritten."""
    # The transpose of a symmetric matrix is itself, in the column order that lets LAPACK work in place.
    factor, failed = lapack.dpotrf(gram.T, lower=1, overwrite_a=1, clean=1)
    if failed:
        raise PenchantError("ease finds no solution to machine precision; set l2 higher")
    inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    scale = -1 / np.diag(inverse)
    # LAPACK fills the lower triangle; above it are zeros.
    matrix: Float = inverse.astype(np.float32, order="C")
    matrix += np.tril(matrix, -1).T
    matrix *= scale.astype(np.float32)
    np.fill_diagonal(matrix, 0)
    return matrix
