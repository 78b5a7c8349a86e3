"""What a person had before and comes back to: books borrowed again, songs played again, goods bought again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array

from penchant.models.base import Settings, expect
from penchant.models.item_to_item import LastItems
from penchant.types import UNKNOWN, Arrays, Cases, Float, Int, Monitor, Sequences, UserState


@dataclass(frozen=True)
class RepeatSettings(Settings):
    """How far back a return is thought possible."""

    window: int = 100
    """How many last events can return."""
    popularity: float = 0.01
    """Weight of the logarithm of an item's share of all events: the order of what the person never had."""

    def __post_init__(self) -> None:
        self.check(1 <= self.window <= 10_000, "window must lie between 1 and 10000")
        self.check(0 <= self.popularity <= 1e6, "popularity must lie between 0 and 1000000")


class Repeats(LastItems):
    """The score of an item is ``log(1 + V · Σ_d rate[d])`` over the places ``d`` events back at which the person had it.

    ``rate[d]`` is how often, in training, the next event was the item of ``d`` events ago, alike within each octave of
    distances (1, 2 – 3, 4 – 7, …); ``V`` items make chance the measure. The weighing of returns by recency is that of
    Anderson et al. 2014, "The dynamics of repeat consumption". It tells nothing where seen items are excluded.
    """

    name = "repeats"
    settings_type = RepeatSettings
    settings: RepeatSettings

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        user = np.repeat(np.arange(len(train)), train.lengths)
        returned, asked = np.zeros((2, self.settings.window), np.int64)
        for distance in range(1, min(self.settings.window, len(user) - 1) + 1):
            same = user[distance:] == user[:-distance]
            returned[distance - 1] = np.count_nonzero(same & (train.item[distance:] == train.item[:-distance]))
            asked[distance - 1] = np.count_nonzero(same)
        octave = np.log2(np.arange(1, self.settings.window + 1)).astype(np.int64)
        rate = np.bincount(octave, returned) / np.maximum(np.bincount(octave, asked), 1)
        counts = np.bincount(train.item, minlength=len(train.items))
        share = np.log(counts / counts.sum()).astype(np.float32)
        self._set_weights({"rate": rate[octave].astype(np.float32), "log_share": share})

    @property
    def window(self) -> int:
        """See ``LastItems``."""
        return self.settings.window

    def weights(self) -> Arrays:
        """``rate[window] float32``, of the last event first, and ``log_share[V] float32``."""
        return {"rate": self._rate, "log_share": self._log_share}

    def _set_weights(self, weights: Arrays) -> None:
        expect(weights, {"rate": (self.settings.window,), "log_share": (len(self.items),)})
        self._rate, self._log_share = weights["rate"], weights["log_share"]
        self._prior = np.float32(self.settings.popularity) * self._log_share

    def score(self, state: UserState, now: Int) -> Float:
        """What is likely to return, before what is popular. Time doesn't enter."""
        return np.asarray(self._returns(state.arrays["recent"]).toarray() + self._prior, np.float32)

    def parts(self, state: UserState, now: Int, item: Int) -> dict[str, Float]:
        """Two parts: ``repeats`` and ``popularity``."""
        returns = self._returns(state.arrays["recent"]).toarray()
        return {"repeats": np.take_along_axis(returns, item, axis=1), "popularity": self._prior[item]}

    def _returns(self, recent: Int) -> csr_array:
        """``log(1 + V · Σ_d rate[d])``, ``[n, V] float32``."""
        rows, places = np.nonzero(recent != UNKNOWN)
        rate = self._rate[::-1][places]
        total = csr_array(coo_array((rate, (rows, recent[rows, places])), shape=(len(recent), len(self.items))))
        total.data = np.log1p(np.float32(len(self.items)) * total.data)
        return total
