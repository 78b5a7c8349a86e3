"""The models that stand on their own, by name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from penchant.models.als import Als
from penchant.models.base import Model
from penchant.models.content import ContentNeighbours
from penchant.models.ease import Ease
from penchant.models.item_to_item import ItemKNN, Markov, Transitions
from penchant.models.longshort import LongShort
from penchant.models.neural.model import GRU, LSTM, ArticleLSTM, AttentionLSTM, LongShortNetwork, Transformer
from penchant.models.popularity import Popularity, RecentPopularity
from penchant.models.repeats import Repeats
from penchant.types import PenchantError

SINGLE: Mapping[str, type[Model]] = {
    model.name: model
    for model in (
        *(Popularity, RecentPopularity, Repeats, Markov, Transitions, ItemKNN, ContentNeighbours, Ease, Als),
        *(LSTM, GRU, ArticleLSTM, AttentionLSTM, Transformer, LongShortNetwork, LongShort),
    )
}


def create(models: Mapping[str, type[Model]], name: str, settings: Mapping[str, Any]) -> Model:
    """A new, untrained model of one of these kinds.

    ``PenchantError`` names the nearest where there is none of that name, or no such setting.
    """
    if name not in models:
        near = get_close_matches(name.lower(), models, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise PenchantError(f"there is no model {name!r}; {hint}the models are {', '.join(models)}")
    model = models[name]
    return model(model.settings_type.parse(settings))
