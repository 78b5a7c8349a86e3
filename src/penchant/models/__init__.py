"""The models, by name. A new one is a file here and a line in ``registry.SINGLE``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penchant.models import registry
from penchant.models.base import Model
from penchant.models.ensemble import ChosenBlend
from penchant.models.interest import Interest

MODELS: Mapping[str, type[Model]] = {**registry.SINGLE, ChosenBlend.name: ChosenBlend}

RANKERS: Mapping[str, type[Interest]] = {Interest.name: Interest}
"""Models that learn from impressions, over one of ``MODELS``."""
SAVED: Mapping[str, type[Model]] = {**MODELS, **RANKERS}


def create(name: str, /, **settings: Any) -> Model:
    """A new, untrained model. ``PenchantError`` names the nearest where there is none of that name, or no such setting."""
    return registry.create(MODELS, name, settings)
