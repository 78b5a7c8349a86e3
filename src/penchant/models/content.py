"""Items that are alike by what is known of them: title, genre, brand. It needs no event of an item to recommend it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from penchant.models.base import Settings
from penchant.models.item_to_item import ItemToItem, csr_arrays, csr_from, events_from, nearest
from penchant.types import Arrays, Cases, Content, Float, Monitor, PenchantError, Sequences, Vocabulary


@dataclass(frozen=True)
class ContentSettings(Settings):
    """How many last items are compared with, how fast they fade, and how many alike an item keeps."""

    window: int = 10
    age_decay: float = 0.8
    """The item before the last weighs this much of the last, and so on."""
    neighbours: int = 100

    def __post_init__(self) -> None:
        self.check(1 <= self.window <= 10_000, "window must lie between 1 and 10000")
        self.check(0 < self.age_decay <= 1, "age_decay must lie in (0, 1]")
        self.check(self.neighbours >= 1, "neighbours must be at least 1")


class ContentNeighbours(ItemToItem):
    """Items like the last ones (cosine of their content vectors), the nearest of each."""

    name = "content"
    settings_type = ContentSettings
    settings: ContentSettings

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        if train.content is None:
            raise PenchantError("content needs words about the items, and this dataset has none; prepare it with --items FILE")
        vectors = vectors_of(train.content, train.items)
        self._similar = nearest(csr_array(vectors.T), self.settings.neighbours)
        self._events = np.bincount(train.item, minlength=len(train.items))
        self._refresh()

    @property
    def _age_weights(self) -> Float:
        return np.asarray(self.settings.age_decay ** np.arange(self.settings.window), np.float32)

    def _derive(self) -> tuple[csr_array, Float]:
        return self._similar, np.zeros(len(self.items), np.float32)

    def weights(self) -> Arrays:
        """The similarities, sparse by rows, and the events of each item."""
        return csr_arrays("similar", self._similar) | {"events": self._events}

    def _set_weights(self, weights: Arrays) -> None:
        self._similar = csr_from(weights, "similar", len(self.items))
        self._events = events_from(weights, len(self.items))
        self._refresh()


def vectors_of(content: Content, items: Vocabulary) -> csr_array:
    """``[V, size]``: the vector of each item, in the order of ``items``; empty for those content doesn't hold."""
    whole = csr_array((content.weight, content.feature, content.offsets), shape=(len(content.items), content.size))
    rows = items.translation(content.items)[:-1]
    known = np.flatnonzero(rows >= 0)
    chosen = csr_array((np.ones(len(known), np.float32), (known, rows[known])), shape=(len(items), len(content.items)))
    return csr_array(chosen @ whole)
