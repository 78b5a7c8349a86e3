"""What everybody likes: the least a personal model must beat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from penchant import sequences as seq
from penchant.models.base import Model, Settings
from penchant.types import (
    DAY,
    Array,
    Arrays,
    Batch,
    Cases,
    Float,
    Int,
    Monitor,
    PenchantError,
    Sequences,
    UserState,
    Vocabulary,
)

STEPS = 16
"""Steps of age in a half-life: an event counts as old as the nearest step says, at most 2.2% more or less than it should,"""
OLD = 16
"""and after so many half-lives, by when it is worth a 65,536th, as the nearest whole half-life says."""


class Popularity(Model):
    """Items by their share of all events; the score is its logarithm.

    It learns event by event and takes back exactly what it learned: events are counted, by item and age. It remembers nothing
    of a person, so its user state is a cursor and no arrays. An item without events (all who met it were erased) stands below
    all that had some.
    """

    name = "popularity"

    _item: Int
    """Events are counted ``_count[m] int64`` times for an item (ascending) and, for each item, a step of age (ascending),"""
    _step: Int
    """``0`` at the reference, the last event that was fitted, and 1 for a sixteenth of a half-life before it,"""
    _count: Int
    _counted: Counter[tuple[int, int]]
    """but for those (item, step) that were learned since."""
    _reference: int
    _level: Float
    """The logarithms of the weight of all events that were fitted, and of what an item without events has."""
    _log_weight: Float
    """Of each item's events, ``-inf`` without any, ``[V] float64``."""
    _log_share: Float

    def _steps(self, timestamp: Int) -> Int:
        """The age of events in steps of a sixteenth of a half-life: here, all count alike."""
        return np.zeros(len(timestamp), np.int64)

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        self._reference = int(train.timestamp.max())
        self._item, self._step, self._count = _counts(
            train.item, self._steps(train.timestamp), np.ones(len(train.item), np.int64)
        )
        weight = self._weighed()
        self._level = np.array([np.logaddexp.reduce(weight), weight.min() - np.log(2)])
        self._refresh()

    def _weighed(self) -> Float:
        """Weights of many half-lives are 0 in any floating-point number: they are summed as logarithms."""
        total = np.full(len(self.items), -np.inf)
        np.logaddexp.at(total, self._item, np.log(self._count) - self._step * (np.log(2) / STEPS))
        return total

    def _refresh(self) -> None:
        """What follows from the counts."""
        self._counted = Counter()
        self._log_weight = self._weighed()
        self._log_share = self._share(self._log_weight)

    def _share(self, log_weight: Float) -> Float:
        whole, least = self._level
        return np.asarray(np.where(log_weight == -np.inf, least, log_weight) - whole, np.float32)

    @property
    def reach(self) -> int:
        """None: an event counts for itself."""
        return 0

    def learn(self, histories: Sequences) -> None:
        """Count some histories; items outside the catalogue are passed over."""
        self._add(histories, 1)

    def unlearn(self, histories: Sequences) -> None:
        """Count them no longer, exactly; ``PenchantError`` if that is more than was counted."""
        self._add(histories, -1)

    def _add(self, histories: Sequences, sign: int) -> None:
        known = seq.known_only(seq.recode(histories, self.items))
        item, step, count = self._settled()
        item, step, count = _counts(
            np.concatenate([item, known.item]),
            np.concatenate([step, self._steps(known.timestamp)]),
            np.concatenate([count, np.full(len(known.item), sign)]),
        )
        if (count < 0).any():
            raise PenchantError("these histories were never learned, so they can't be unlearned")
        self._item, self._step, self._count = item, step, count
        self._refresh()
        self._has_learned()

    def learn_next(self, before: Sequences, events: Sequences) -> None:
        """Count ``events``, whatever came ``before``."""
        known = seq.known_only(seq.recode(events, self.items))
        step = self._steps(known.timestamp)
        self._counted.update(zip(known.item.tolist(), step.tolist(), strict=True))
        np.logaddexp.at(self._log_weight, known.item, -step * (np.log(2) / STEPS))
        self._log_share[known.item] = self._share(self._log_weight[known.item])
        self._has_learned()

    def _settled(self) -> tuple[Int, Int, Int]:
        """The counts as three arrays."""
        if self._counted:
            more = np.array([(*key, count) for key, count in self._counted.items()], np.int64).T
            parts = zip((self._item, self._step, self._count), more, strict=True)
            self._item, self._step, self._count = _counts(*(np.concatenate(part) for part in parts))
            self._counted = Counter()
        return self._item, self._step, self._count

    @property
    def growable(self) -> bool:
        """Always."""
        return True

    def grown(self, items: Sequence[str]) -> Self:
        """A copy with more items at the end of the catalogue, without events yet."""
        larger = type(self)(self.settings)
        larger.items, larger.event_types, larger.history = Vocabulary((*self.items.ids, *items)), self.event_types, self.history
        larger.set_weights(self.weights())
        return larger

    def state_weights(self) -> Arrays:
        """None: there is no state."""
        return {}

    def _initial(self, n: int) -> Arrays:
        return {}

    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        return arrays

    def weights(self) -> Arrays:
        """How often (``count``) events of an ``item`` and a ``step`` of age were learned, ``[m]`` each; the ``reference`` in
        microseconds, from which age is told; the ``level`` of all that was fitted and of nothing.
        """
        item, step, count = self._settled()
        return {"item": item, "step": step, "count": count, "reference": np.array([self._reference]), "level": self._level}

    def _set_weights(self, weights: Arrays) -> None:
        shapes = {name: array.shape for name, array in weights.items()}
        counts = dict.fromkeys(("item", "step", "count"), shapes.get("item"))
        if shapes != counts | {"reference": (1,), "level": (2,)} or not _within(weights["item"], len(self.items)):
            raise PenchantError("the weights don't fit the configuration: they aren't counts of this catalogue's items")
        self._item, self._step, self._count = weights["item"], weights["step"], weights["count"]
        self._reference, self._level = int(weights["reference"][0]), weights["level"]
        self._refresh()

    def score(self, state: UserState, now: Int) -> Float:
        """The same for everyone, at any time."""
        return np.tile(self._log_share, (len(state), 1))

    def level(self, *, newcomer: bool) -> Float:
        """All of everybody's scores, newcomers' or not, ``[V]``."""
        return self._log_share

    def parts(self, state: UserState, now: Int, item: Int) -> dict[str, Float]:
        """One part: ``popularity``."""
        return {"popularity": self._log_share[item]}


def _counts(item: Int, step: Int, count: Int) -> tuple[Int, Int, Int]:
    """Counts of one item and step added up, in order; without those of 0."""
    order = np.lexsort((step, item))
    item, step, count = np.asarray(item, np.int64)[order], step[order], count[order]
    first = np.flatnonzero(np.diff(item, prepend=-1) | np.diff(step, prepend=0))
    total = np.add.reduceat(count, first) if len(first) else count
    first, total = first[total != 0], total[total != 0]
    return item[first], step[first], total


def _within(item: Array, size: int) -> bool:
    return item.ndim == 1 and bool(((item >= 0) & (item < size)).all())


@dataclass(frozen=True)
class RecentSettings(Settings):
    """How fast popularity passes."""

    half_life_days: float = 7.0
    """An event this much older than another counts half."""

    def __post_init__(self) -> None:
        self.check(self.half_life_days >= 1e-6, "half_life_days must be at least 0.000001")


class RecentPopularity(Popularity):
    """Items by their share of events, where an event's weight halves with every ``half_life_days`` of age.

    Exponential ageing keeps the order of items the same at every later moment, so the score needs no clock.
    """

    name = "recent_popularity"
    settings_type = RecentSettings
    settings: RecentSettings

    def _steps(self, timestamp: Int) -> Int:
        """See ``STEPS`` and ``OLD``; below 0 for what came after the reference."""
        halves = (self._reference - timestamp) / (DAY * self.settings.half_life_days)
        near, far = np.round(STEPS * halves), STEPS * np.round(halves)
        return np.asarray(np.where(halves < OLD, near, far), np.int64)

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        if train.clock == "index":
            raise PenchantError("recent_popularity needs times, and this log has order only; use popularity")
        super()._fit(train, valid, monitor)
