"""What each part of ``longshort`` is worth: the model without it."""

from __future__ import annotations

from collections.abc import Iterator

from penchant.models.longshort import LongShort
from penchant.types import Progress, Sequences, Split, quiet

MEMBERS = {
    "network": ("network",),
    "memory": ("transitions", "far_transitions"),
    "neighbours": ("neighbours",),
    "regression": ("regression",),
    "content": ("content",),
    "popularity": ("popularity", "recent_popularity"),
}
"""The settings that switch members, and what the names of these begin with."""
WITHIN = ("short", "long", "time_gaps", "event_types")
"""The settings that switch a part of the network."""


def ablated(model: LongShort, split: Split, progress: Progress = quiet) -> Iterator[tuple[str, LongShort]]:
    """Each part that ``model``, fit to the split, has, and a model trained alike without it."""
    for part in (*MEMBERS, *WITHIN):
        if _there(part, model, split.train):
            progress(f"training {model.name} without {part}", 0, 0)
            yield part, model.varied(split.train, split.valid, progress=progress, **{part: False})


def _there(part: str, model: LongShort, train: Sequences) -> bool:
    """Whether the part does anything, and something is left without it."""
    if part in MEMBERS:
        mine = [name for name in model.members if name.startswith(MEMBERS[part])]
        return 0 < len(mine) < len(model.members)
    matters = {
        "short": model.settings.long,
        "long": model.settings.short,
        "time_gaps": train.clock == "real",
        "event_types": len(train.event_types) > 1,
    }
    return "network" in model.members and bool(getattr(model.settings, part)) and matters[part]
