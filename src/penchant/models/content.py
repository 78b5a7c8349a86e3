"""Items that are alike by what is known of them: title, genre, brand. One event of an item is enough to recommend it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from penchant.models.base import Settings
from penchant.models.item_to_item import SimilarItems, fading, nearest
from penchant.types import Cases, Content, Float, Monitor, PenchantError, Sequences, Vocabulary


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


class ContentNeighbours(SimilarItems):
    """Items like the last ones by the cosine of their content vectors."""

    name = "content"
    evidence = "content"
    settings_type = ContentSettings
    settings: ContentSettings

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        if train.content is None:
            raise PenchantError("content needs words about the items, and this dataset has none; prepare it with --items FILE")
        vectors = vectors_of(train.content, train.items)
        self._keep(nearest(csr_array(vectors.T), self.settings.neighbours), train)

    @cached_property
    def age_weights(self) -> Float:
        """See ``ItemToItem``."""
        return fading(self.settings.age_decay, self.settings.window)


def vectors_of(content: Content, items: Vocabulary) -> csr_array:
    """``[V, size]``: the vector of each item, in the order of ``items``; empty for those content doesn't hold."""
    whole = csr_array((content.weight, content.feature, content.offsets), shape=(len(content.items), content.size))
    rows = items.translation(content.items)[:-1]
    known = np.flatnonzero(rows >= 0)
    chosen = csr_array((np.ones(len(known), np.float32), (known, rows[known])), shape=(len(items), len(content.items)))
    return csr_array(chosen @ whole)
