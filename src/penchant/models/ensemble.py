"""The blend of one's choice."""

from __future__ import annotations

from dataclasses import dataclass

from penchant.models import registry
from penchant.models.base import Model, Settings
from penchant.models.blend import Blend
from penchant.types import PenchantError


@dataclass(frozen=True)
class BlendSettings(Settings):
    """Who is in the blend."""

    members: str = "transitions+item_knn+lstm"
    """Names of models, joined by ``+``; each learns with its defaults."""
    seen: str = "exclude"
    """Whether the weights are chosen for lists without the items a person already has (``exclude``) or with them (``keep``)."""

    def __post_init__(self) -> None:
        self.check(self.seen in ("exclude", "keep"), "seen must be exclude or keep")


class ChosenBlend(Blend):
    """Any models, blended with weights learned on validation."""

    name = "blend"
    settings_type = BlendSettings
    settings: BlendSettings

    @property
    def _exclude_seen(self) -> bool:
        return self.settings.seen == "exclude"

    def _make_members(self) -> dict[str, Model]:
        names = [name.strip() for name in self.settings.members.split("+") if name.strip()]
        if not names or len(set(names)) < len(names) or self.name in names:
            raise PenchantError(f"setting members must name different models, none of them blend: {self.settings.members!r}")
        return {name: registry.create(registry.SINGLE, name, {}) for name in names}
