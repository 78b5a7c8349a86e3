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
from penchant.testing import example_histories
from penchant.types import MICROSECONDS

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
