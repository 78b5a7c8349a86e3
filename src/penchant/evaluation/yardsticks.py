"""What lists are measured by that no model says: how common each item is, and which items are alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array

from penchant import metrics
from penchant import sequences as seq
from penchant.types import UNKNOWN, Array, Content, Int, Sequences

EVENTS_COMPARED = 1 << 18
"""By how many events at most it is told which items the same people had: those of people spread evenly over all."""


@dataclass(frozen=True)
class Yardsticks:
    """Of the items of a training part, in its codes: ``share[V]`` of the people who had each, and unit ``vectors[V, d]``.

    ``alike`` says what the vectors tell: ``words`` about the items, or which ``people`` had them.
    """

    share: Array
    vectors: csr_array
    alike: str

    def of_lists(self, recommended: Int) -> dict[str, Array]:
        """Novelty and diversity of each list ``[n, k]``, coded as the training part is."""
        return {
            "novelty": metrics.novelty(recommended, self.share),
            "diversity": metrics.diversity(recommended, self.vectors),
        }


def yardsticks(train: Sequences) -> Yardsticks:
    """Measured on the training part alone."""
    had = _who_had_what(train)
    counts = np.bincount(had.indices, minlength=had.shape[1])
    share = np.maximum(counts, 1) / max(int((train.lengths > 0).sum()), 1)
    if train.content is not None:
        return Yardsticks(share, _words(train.content, train), "words")
    step = -(-had.nnz // EVENTS_COMPARED)
    return Yardsticks(share, _unit(csr_array(had[:: max(step, 1)].T)), "people")


def _who_had_what(train: Sequences) -> csr_array:
    user = np.repeat(np.arange(len(train)), train.lengths)
    known = train.item != UNKNOWN
    once = coo_array((np.ones(known.sum(), np.float32), (user[known], train.item[known])), (len(train), len(train.items)))
    had = csr_array(once)  # which adds up what is there twice
    had.data[:] = 1
    return had


def _words(content: Content, train: Sequences) -> csr_array:
    """The content's vectors, in the codes of the training part; empty where it knows nothing."""
    codes = train.items.translation(content.items)[:-1]
    known = np.flatnonzero(codes != UNKNOWN)
    lengths = np.zeros(len(codes), np.int64)
    lengths[known] = np.diff(content.offsets)[codes[known]]
    places = seq.ragged_range(content.offsets[codes[known]], lengths[known])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return csr_array((content.weight[places], content.feature[places], offsets), shape=(len(codes), content.size))


def _unit(rows: csr_array) -> csr_array:
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return csr_array(diags_array(np.where(length > 0, 1 / np.maximum(length, 1e-12), 0)) @ rows)
