"""The flagship: networks of two memories, and a scoreboard of what needs no gradient."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace

from penchant.models.base import Model
from penchant.models.blend import Blend
from penchant.models.content import ContentNeighbours
from penchant.models.ease import NearestEase
from penchant.models.item_to_item import ItemKNN, Transitions
from penchant.models.neural.model import LongShortNetwork
from penchant.models.neural.settings import LongShortNetworkSettings
from penchant.models.popularity import Popularity, RecentPopularity
from penchant.models.tuned import TunedTransitions
from penchant.types import Sequences

SEEDS_APART = 1 << 16
"""Between the seeds of networks beside each other, so that models of seeds in a row share none."""


@dataclass(frozen=True)
class LongShortSettings(LongShortNetworkSettings):
    """The network's settings, and which parts there are beside it: each can be switched off."""

    network: bool = True
    """The network; its memories are switched by ``short`` and ``long``."""
    networks: int = 1
    """So many of them, alike but for their seeds: they err differently, and cost so many times as much."""
    memory: bool = True
    """What followed what: transitions over a short window, and over a longer one."""
    neighbours: bool = True
    """Items liked by the same people, over a person's last hundred."""
    regression: bool = True
    """What tells each item from all others, in a linear regression over the same."""
    content: bool = True
    """Items alike by their words, where the dataset has some."""
    popularity: bool = True
    """What everybody likes, lately where the log has times."""
    half_life_days: float = 7.0
    """What *lately* is: an event this much older than another counts half. Hours, where items live for hours."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check(1 <= self.networks <= 16, "networks must lie between 1 and 16")
        self.check(self.half_life_days >= 1e-6, "half_life_days must be at least 0.000001")
        parts = (self.network, self.memory, self.neighbours, self.regression, self.content, self.popularity)
        self.check(any(parts), "network, memory, neighbours, regression, content and popularity can't all be false")


class LongShort(Blend):
    """``score = interest · item + bias + Σ λ · evidence``: see ``LongShortNetwork`` for the interest.

    The evidence: smoothed transition counts, which the live service updates with every event; neighbours; a regression of
    each item on the others; content, which carries rare items; popularity. Their weights are set on validation, where they
    don't fade as they would if they were learned with the network; so is what the nearer transitions forget, and how fast.
    """

    name = "longshort"
    settings_type = LongShortSettings
    settings: LongShortSettings

    def _make_members(self) -> dict[str, Model]:
        chosen = self.settings
        own = {field.name for field in fields(LongShortNetworkSettings)}
        network = LongShortNetworkSettings(**{name: value for name, value in asdict(chosen).items() if name in own})
        seeds = [(chosen.seed + number * SEEDS_APART) % (1 << 32) for number in range(chosen.networks)]
        members: dict[str, tuple[bool, Model]] = {
            f"network_{number}" if number > 1 else "network": (chosen.network, LongShortNetwork(replace(network, seed=seed)))
            for number, seed in enumerate(seeds, 1)
        }
        members |= {
            "transitions": (chosen.memory, TunedTransitions()),
            "far_transitions": (
                chosen.memory,
                Transitions(window=20, distance_power=1.0, scale=20.0, popularity=-0.4),
            ),
            "neighbours": (chosen.neighbours, ItemKNN()),
            "regression": (chosen.regression, NearestEase()),
            "content": (chosen.content, ContentNeighbours()),
            "popularity": (chosen.popularity, Popularity()),
            "recent_popularity": (chosen.popularity, RecentPopularity(half_life_days=chosen.half_life_days)),
        }
        return {name: member for name, (wanted, member) in members.items() if wanted}

    def _usable(self, name: str, train: Sequences) -> bool:
        if name == "content":
            return train.content is not None
        return name != "recent_popularity" or train.clock == "real"
