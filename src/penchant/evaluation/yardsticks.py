"""What lists are measured by that no model says: how common each item is, which are alike, and of which kinds they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array, vstack

from penchant import metrics
from penchant import sequences as seq
from penchant.evaluation.slices import Asked
from penchant.types import UNKNOWN, Array, Float, Int, Kinds, Sequences, Vocabulary

EVENTS_COMPARED = 1 << 18
"""By how many events at most it is told which items the same people had: those of people spread evenly over all."""
PASTS_AT_ONCE = 1 << 13
"""Histories read at a time."""


@dataclass(frozen=True)
class Yardsticks:
    """Of the items of a training part, in its codes: ``share[V]`` of the people who had each, and unit ``vectors[V, d]``.

    ``alike`` says what the vectors tell: ``words`` about the items, or which ``people`` had them. ``kinds[V, T]`` are the
    shares by which items belong to kinds, where that is known.
    """

    share: Array
    vectors: csr_array
    alike: str
    kinds: csr_array | None = None

    def of_lists(self, recommended: Int, mixtures: csr_array | None = None) -> dict[str, Array]:
        """Novelty and diversity of each list ``[n, k]``, coded as the training part is; and, beside the ``mixtures`` of
        histories, miscalibration.
        """
        found = {
            "novelty": metrics.novelty(recommended, self.share),
            "diversity": metrics.diversity(recommended, self.vectors),
        }
        if self.kinds is not None and mixtures is not None:
            found["miscalibration"] = metrics.miscalibration(recommended, mixtures, self.kinds)
        return found

    def mixtures(self, questions: Asked) -> csr_array | None:
        """The kinds of what each person asked about had, as shares ``[n, T]``; ``None`` where kinds aren't known."""
        if self.kinds is None:
            return None
        pasts = (
            questions.past(np.arange(n, min(n + PASTS_AT_ONCE, len(questions))))
            for n in range(0, len(questions), PASTS_AT_ONCE)
        )
        return csr_array(vstack([metrics.mixtures(past.offsets, past.item, self.kinds) for past in pasts]))


def yardsticks(train: Sequences, kinds: Kinds | None = None) -> Yardsticks:
    """Measured on the training part alone, save for what is known of items."""
    had = _who_had_what(train)
    counts = np.bincount(had.indices, minlength=had.shape[1])
    share = np.maximum(counts, 1) / max(int((train.lengths > 0).sum()), 1)
    memberships = None if kinds is None else _recoded(kinds.items, kinds.offsets, kinds.kind, kinds.share, kinds.size, train)
    if (known := train.content) is not None:
        words = _recoded(known.items, known.offsets, known.feature, known.weight, known.size, train)
        return Yardsticks(share, words, "words", memberships)
    step = -(-had.nnz // EVENTS_COMPARED)
    return Yardsticks(share, _unit(csr_array(had[:: max(step, 1)].T)), "people", memberships)


def _who_had_what(train: Sequences) -> csr_array:
    user = np.repeat(np.arange(len(train)), train.lengths)
    known = train.item != UNKNOWN
    once = coo_array((np.ones(known.sum(), np.float32), (user[known], train.item[known])), (len(train), len(train.items)))
    had = csr_array(once)  # which adds up what is there twice
    had.data[:] = 1
    return had


def _recoded(items: Vocabulary, offsets: Int, column: Int, value: Float, size: int, train: Sequences) -> csr_array:
    """Sparse vectors of ``items``, in the codes of the training part; empty where an item isn't among them."""
    codes = train.items.translation(items)[:-1]
    known = np.flatnonzero(codes != UNKNOWN)
    lengths = np.zeros(len(codes), np.int64)
    lengths[known] = np.diff(offsets)[codes[known]]
    places = seq.ragged_range(offsets[codes[known]], lengths[known])
    return csr_array((value[places], column[places], np.concatenate([[0], np.cumsum(lengths)])), shape=(len(codes), size))


def _unit(rows: csr_array) -> csr_array:
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return csr_array(diags_array(np.where(length > 0, 1 / np.maximum(length, 1e-12), 0)) @ rows)
