"""What a model costs: its training, its size, what it keeps of a person, and the time an event and its answer take."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from penchant import sequences as seq
from penchant.models.base import Model
from penchant.models.validation import seen_items
from penchant.ranking import recommend
from penchant.types import Cases

PEOPLE = 100
"""Of so many people the next event is timed."""
SHOWN = 10


@dataclass(frozen=True)
class Cost:
    """``train_seconds`` and ``peak_memory_mb`` are ``None`` where nobody kept them: how long training took, and the most memory
    its process had held when it ended, whatever else that process did before. ``trials`` says how many settings were tried.

    ``next_event_ms`` are the median and the 99th percentile of taking in one event of a person with a stored state, and
    ranking the catalogue for them. ``curve`` is what training measured, epoch by epoch; ``settings`` those that aren't the
    defaults.
    """

    train_seconds: float | None
    peak_memory_mb: float | None
    trials: int
    parameters: int
    model_mb: float
    state_bytes: int
    next_event_ms: Mapping[str, float]
    curve: tuple[Mapping[str, float], ...]
    settings: Mapping[str, Any]


def cost(model: Model, cases: Cases, train_seconds: float | None, peak_memory_mb: float | None, trials: int) -> Cost:
    """Measured on this machine, now, with people of ``cases``; not the same twice, unlike all that is said of quality."""
    weights = model.weights().values()
    defaults = asdict(model.settings_type())
    return Cost(
        train_seconds,
        peak_memory_mb,
        trials,
        sum(array.size for array in weights),
        sum(array.nbytes for array in weights) / 1e6,
        sum(array.nbytes for array in model.initial(1).arrays.values()),
        _next_event(model, cases),
        tuple(model.history),
        {name: value for name, value in asdict(model.settings).items() if value != defaults[name]},
    )


def _next_event(model: Model, cases: Cases) -> dict[str, float]:
    rows = np.unique(np.linspace(0, len(cases) - 1, min(PEOPLE, len(cases))).astype(np.int64))
    histories, targets = (
        seq.recode(seq.select(part, rows), model.items, model.event_types) for part in (cases.histories, cases.targets)
    )
    states = model.encode(histories)
    k = min(SHOWN, len(model.items))
    times = []
    for row in np.r_[0, np.arange(len(rows))]:  # the first is to warm up
        one = np.array([row])
        event = replace(seq.pad(seq.select(targets, one), np.array([0])), lengths=np.ones(1, np.int64))
        exclude = seen_items(seq.select(histories, one))
        started = time.perf_counter()
        state = model.advance(states[one], event)
        recommend(model, state, k, now=cases.now[rows[one]], exclude=exclude)
        times.append(1000 * (time.perf_counter() - started))
    return {f"p{q}": float(np.percentile(times[1:], q)) for q in (50, 99)}
