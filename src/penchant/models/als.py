"""Factors of items, learned by alternating least squares; a person's are solved from their last items when asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from penchant.models.base import Settings, expect
from penchant.models.item_to_item import CHUNK_BYTES, LastItems, counts_by_user, newcomers
from penchant.types import UNKNOWN, Array, Arrays, Cases, Float, Int, Monitor, PenchantError, Sequences, UserState


@dataclass(frozen=True)
class AlsSettings(Settings):
    """The size of the factors, what training minimises, and how much of a history speaks."""

    factors: int = 64
    regularization: float = 0.05
    """Penalty on squared factors."""
    alpha: float = 10.0
    """An item had ``count`` times weighs ``1 + alpha · count``, one never had weighs 1."""
    epochs: int = 15
    window: int = 200
    seed: int = 1

    def __post_init__(self) -> None:
        self.check(1 <= self.factors <= 2048, "factors must lie between 1 and 2048")
        self.check(0 < self.regularization <= 1e6, "regularization must be above 0 and at most 1000000")
        self.check(0 < self.alpha <= 1e6, "alpha must be above 0 and at most 1000000")
        self.check(self.epochs >= 1, "epochs must be at least 1")
        self.check(1 <= self.window <= 10_000, "window must lie between 1 and 10000")
        self.check(0 <= self.seed < 2**32, "seed must lie between 0 and 4294967295")


class Als(LastItems):
    """Matrix factorisation of who had what (Hu, Koren and Volinsky 2008, "Collaborative filtering for implicit feedback
    datasets"), trained by the library implicit.

    Only the items' factors ``Y[V, f]`` are kept. A person's factors are ``(YᵀCY + regularization · I)⁻¹ YᵀCp``, where ``C``
    holds the confidence in each item and ``p`` is 1 for those among their last items: serving needs NumPy only.
    """

    name = "als"
    settings_type = AlsSettings
    settings: AlsSettings

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        try:
            from implicit.als import AlternatingLeastSquares
            from threadpoolctl import threadpool_limits
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("implicit", "threadpoolctl"):
                raise
            raise PenchantError(
                "training als needs the library implicit; install it with: pip install 'penchant[als]'"
            ) from error
        chosen = self.settings
        confidence = csr_matrix(counts_by_user(train))
        confidence.data = 1 + np.float32(chosen.alpha) * confidence.data
        # implicit calls BLAS once a row: with more than one thread it is slower, and it warns.
        with threadpool_limits(1, "blas"):
            trainer = AlternatingLeastSquares(
                factors=chosen.factors,
                regularization=chosen.regularization,
                alpha=1.0,  # the confidence is in the matrix
                iterations=chosen.epochs,
                num_threads=1,
                random_state=chosen.seed,
                use_gpu=False,
            )
            trainer.fit(
                confidence,
                show_progress=False,
                callback=lambda epoch, *_: monitor.progress("training als", epoch + 1, chosen.epochs),
            )
        self._set_weights({"factors": trainer.item_factors, "events": np.bincount(train.item, minlength=len(train.items))})

    @property
    def window(self) -> int:
        """See ``LastItems``."""
        return self.settings.window

    def weights(self) -> Arrays:
        """``factors[V, f] float32`` and the ``events[V]`` of each item."""
        return {"factors": self._factors, "events": self._events}

    def _set_weights(self, weights: Arrays) -> None:
        size = len(self.items)
        expect(weights, {"factors": (size, self.settings.factors), "events": (size,)})
        self._factors, self._events = weights["factors"], weights["events"]
        self._popular = np.log1p(self._events).astype(np.float32)
        wide = self._factors.astype(np.float64)
        self._gram = wide.T @ wide + self.settings.regularization * np.eye(self.settings.factors)

    def score(self, state: UserState, now: Int) -> Float:
        """How near items are to what someone had; to someone who had none, what is popular. Time doesn't enter."""
        recent = state.arrays["recent"]
        scores: Float = self._people(recent) @ self._factors.T
        scores[newcomers(recent)] = self._popular
        return scores

    def parts(self, state: UserState, now: Int, item: Int) -> dict[str, Float]:
        """Two parts: ``long_term``, 0 to newcomers, and ``popularity``, 0 to everyone else."""
        recent = state.arrays["recent"]
        near = np.einsum("nf,nkf->nk", self._people(recent), self._factors[item])
        return {"long_term": near, "popularity": self._popular[item] * newcomers(recent)[:, None]}

    def _people(self, recent: Int) -> Float:
        """Each person's factors ``[n, f] float32`` after their last items; 0 to newcomers."""
        ordered = np.sort(recent, axis=1)
        ordered = ordered[:, (ordered != UNKNOWN).any(axis=0)]
        factors = self.settings.factors
        people = np.zeros((len(recent), factors), np.float32)
        rows = max(1, CHUNK_BYTES // (8 * factors * (ordered.shape[1] + factors)))
        for start in range(0, len(recent), rows):
            people[start : start + rows] = self._solve(ordered[start : start + rows])
        return people

    def _solve(self, ordered: Int) -> Array:
        """The factors ``[n, f] float64`` of people by their items ``[n, m]`` in ascending order.

        Summed over events, not items: ``YᵀCY = YᵀY + alpha · Σ y yᵀ``, and ``YᵀCp = alpha · Σ y + Σ y`` over the distinct.
        """
        known = ordered != UNKNOWN
        first = known & (np.diff(ordered, axis=1, prepend=UNKNOWN) != 0)
        had = self._factors[np.maximum(ordered, 0)].astype(np.float64) * known[:, :, None]
        left = self._gram + self.settings.alpha * (had.transpose(0, 2, 1) @ had)
        right = ((self.settings.alpha + first)[:, None, :] @ had).transpose(0, 2, 1)
        return np.asarray(np.linalg.solve(left, right)[:, :, 0])
