"""A server on a free port of this machine, in a thread of its own; everything goes through real HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest

from penchant.evaluation.drift import reference
from penchant.live.ledger import Ledger
from penchant.live.service import Service
from penchant.models import create
from penchant.models.interest import Interest
from penchant.server.app import create_app, now
from penchant.server.run import make_server
from penchant.testing import example_histories


@dataclass
class Clock:
    """A clock that can be set."""

    ahead: int = 0

    def __call__(self) -> int:
        return now() + self.ahead


@dataclass
class Running:
    """A server, the service behind it, and a client."""

    address: str
    service: Service
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.address, timeout=20)


@contextmanager
def serving(service: Service) -> Iterator[Running]:
    """The service behind HTTP while the block runs."""
    clock = Clock()
    server = make_server(create_app(service, clock))
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    made = Running(f"http://127.0.0.1:{listening.getsockname()[1]}", service, clock)
    yield made
    made.client.close()
    server.should_exit = True
    thread.join()
    service.close()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    model = create("transitions", window=3).fit(example_histories(np.random.default_rng(1), users=30))
    with serving(Service(Ledger(tmp_path / "store.db", create=True), model, {})) as made:
        yield made


@pytest.fixture
def informed(tmp_path: Path) -> Iterator[Running]:
    """A server whose model says what it was trained on."""
    train = example_histories(np.random.default_rng(1), users=30)
    model = create("transitions", window=3).fit(train)
    lineage = {"inputs": reference(model.items, train)}
    with serving(Service(Ledger(tmp_path / "store.db", create=True), model, lineage)) as made:
        yield made


@pytest.fixture
def ranking(tmp_path: Path, head: Interest) -> Iterator[Running]:
    """A server whose model ranks candidates."""
    with serving(Service(Ledger(tmp_path / "store.db", create=True), head, {})) as made:
        yield made
