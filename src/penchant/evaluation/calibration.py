"""Do lists keep the mixture of a person's interests? A metric that needs to know which topics items belong to."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array, csr_array

from penchant.types import UNKNOWN, Array, Float, Int

ALPHA = 0.01
"""How much of the history's shares is mixed into the list's, so that a topic the list lacks costs much but not everything."""


def miscalibration(recommended: Int, offsets: Int, item: Int, membership: Float, alpha: float = ALPHA) -> Array:
    """How far the topics of a list are from those of the person's history, ``[n] float64``: 0 if their shares are the same.

    ``KL(p ‖ (1 - alpha) q + alpha p)`` in nats, where ``p`` are the mean memberships of the history's items and ``q`` those of
    the list's (Steck 2018, "Calibrated recommendations", section 3, all events and places alike). ``recommended[n, k]``
    are the lists, ``item[offsets[i]:offsets[i + 1]]`` the histories, both codes of the rows of ``membership[V, T]``, which sum
    to 1; ``UNKNOWN`` is passed over. NaN where a list or a history holds no known item.
    """
    people, places = np.nonzero(recommended != UNKNOWN)
    q = _shares(people, recommended[people, places], len(recommended), membership)
    known = item != UNKNOWN
    owner = np.repeat(np.arange(len(recommended)), np.diff(offsets))
    p = _shares(owner[known], item[known], len(recommended), membership)
    mixed = (1 - alpha) * q + alpha * p
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p / mixed), 0.0)
    return np.where(np.isnan(p).any(axis=1) | np.isnan(q).any(axis=1), np.nan, terms.sum(axis=1))


def _shares(owner: Int, item: Int, people: int, membership: Float) -> Array:
    """Each person's mean membership ``[n, T] float64``; NaN where there is no item."""
    had = csr_array(coo_array((np.ones(len(owner)), (owner, item)), shape=(people, len(membership))))
    count = np.asarray(had.sum(axis=1), np.float64).reshape(-1, 1)
    return np.asarray(
        np.divide(
            had @ membership.astype(np.float64), count, out=np.full((people, membership.shape[1]), np.nan), where=count > 0
        )
    )
