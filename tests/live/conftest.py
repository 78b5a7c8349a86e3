"""A store, a model that learns and one with a network, and a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from penchant.live.events import Event
from penchant.live.ledger import Ledger
from penchant.models import create
from penchant.models.base import Model
from penchant.models.interest import Interest, InterestSettings, shapes
from penchant.models.neural.model import LSTM
from penchant.models.neural.runtime import RUNTIMES, common_shapes
from penchant.testing import example_histories
from penchant.types import MICROSECONDS, Vocabulary

NOW = 1_700_000_000 * MICROSECONDS
Did = Callable[..., Event]


@pytest.fixture
def now() -> int:
    return NOW


@pytest.fixture
def did() -> Did:
    """An event some seconds before now."""

    def event(user: str, item: int | str, second: float = 0, **more: object) -> Event:
        name = f"item {item}" if isinstance(item, int) else item
        return Event(user, name, NOW - 1000 * MICROSECONDS + round(second * MICROSECONDS), **more).named()  # type: ignore[arg-type]

    return event


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "store.db", create=True)
    yield opened
    opened.close()


def fit(name: str, **settings: object) -> Model:
    """A small model over ``item 0`` … ``item 39``."""
    return create(name, **settings).fit(example_histories(np.random.default_rng(1), users=30))


@pytest.fixture
def transitions() -> Model:
    return fit("transitions", window=3)


@pytest.fixture(scope="session")
def lstm() -> Model:
    """As if trained: with weights drawn at random, so that no torch is needed."""
    model, chance = create("lstm", width=8), np.random.default_rng(2)
    assert isinstance(model, LSTM)
    model.items = Vocabulary(tuple(f"item {number}" for number in range(40)))
    model.event_types = ("event",)
    shapes = common_shapes(40, 1, timed=True, settings=model.settings) | RUNTIMES["lstm"].shapes(model.settings, timed=True)
    model.set_weights({name: chance.normal(size=shape).astype(np.float32) for name, shape in shapes.items()})
    return model


@pytest.fixture(scope="session")
def head(lstm: Model) -> Interest:
    """A ranker over it, as if trained on clicks and likes in three tabs."""
    model, chance = Interest(InterestSettings(width=8, hidden=6, ring=4)), np.random.default_rng(3)
    model.take_base(lstm, lstm.items, lstm.event_types)
    form = model.form_for(("click", "like"), {"tab": ("1", "2", "3")})
    weights = {name: chance.normal(size=shape).astype(np.float32) for name, shape in shapes(form, model.settings).items()}
    weights["usual"] = np.array([0.4, 0.1], np.float32)
    weights["counted"] = np.cumsum(chance.integers(0, 9, weights["counted"].shape), axis=1)[:, ::-1].astype(np.float32)  # shown
    model.set_head(form, weights, (np.ones(2, np.float32), np.zeros(2, np.float32)))
    return model
