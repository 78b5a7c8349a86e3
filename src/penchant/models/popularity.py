"""What everybody likes: the least a personal model must beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from penchant.models.base import Model, Settings, expect
from penchant.types import DAY, Arrays, Batch, Cases, Float, Int, Monitor, PenchantError, Sequences, UserState


class Popularity(Model):
    """Items by their share of all events; the score is its logarithm.

    It remembers nothing of a person, so its user state is a cursor and no arrays.
    """

    name = "popularity"

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        counts = np.bincount(train.item, minlength=len(train.items))
        self._log_share = np.log(counts / counts.sum()).astype(np.float32)

    def state_weights(self) -> Arrays:
        """None: there is no state."""
        return {}

    def _initial(self, n: int) -> Arrays:
        return {}

    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        return arrays

    def weights(self) -> Arrays:
        """``log_share[V] float32``."""
        return {"log_share": self._log_share}

    def _set_weights(self, weights: Arrays) -> None:
        expect(weights, {"log_share": (len(self.items),)})
        self._log_share = weights["log_share"]

    def score(self, state: UserState, now: Int) -> Float:
        """The same for everyone, at any time."""
        return np.tile(self._log_share, (len(state), 1))

    def parts(self, state: UserState, now: Int, item: Int) -> dict[str, Float]:
        """One part: ``popularity``."""
        return {"popularity": self._log_share[item]}


@dataclass(frozen=True)
class RecentSettings(Settings):
    """How fast popularity passes."""

    half_life_days: float = 7.0
    """An event this much older than another counts half."""

    def __post_init__(self) -> None:
        self.check(self.half_life_days > 0, "half_life_days must be above 0")


class RecentPopularity(Popularity):
    """Items by their share of events, where an event's weight halves with every ``half_life_days`` of age.

    Exponential ageing keeps the order of items the same at every later moment, so the score needs no clock. Weights are
    summed as logarithms: a weight of many half-lives would be 0 in any floating-point number.
    """

    name = "recent_popularity"
    settings_type = RecentSettings

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        if train.clock == "index":
            raise PenchantError("recent_popularity needs times, and this log has order only; use popularity")
        assert isinstance(self.settings, RecentSettings)
        age = (train.timestamp.max() - train.timestamp) / DAY
        share = np.full(len(train.items), -np.inf)
        np.logaddexp.at(share, train.item, age * (-np.log(2) / self.settings.half_life_days))
        self._log_share = (share - np.logaddexp.reduce(share)).astype(np.float32)
