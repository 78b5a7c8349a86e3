"""The models, by name. A new one is a file here and a line in ``MODELS``."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from penchant.models.base import Model
from penchant.models.item_to_item import ItemKNN, Markov, Transitions
from penchant.models.neural.model import GRU, LSTM, ArticleLSTM, AttentionLSTM, LongShortNetwork, Transformer
from penchant.models.popularity import Popularity, RecentPopularity
from penchant.types import PenchantError

MODELS: Mapping[str, type[Model]] = {
    model.name: model
    for model in (
        *(Popularity, RecentPopularity, Markov, Transitions, ItemKNN),
        *(LSTM, GRU, ArticleLSTM, AttentionLSTM, Transformer, LongShortNetwork),
    )
}


def create(name: str, /, **settings: Any) -> Model:
    """A new, untrained model. ``PenchantError`` names the nearest where there is none of that name, or no such setting."""
    if name not in MODELS:
        near = get_close_matches(name, MODELS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        raise PenchantError(f"there is no model {name!r}; {hint}the models are {', '.join(MODELS)}")
    model = MODELS[name]
    return model(model.settings_type.parse(settings))
