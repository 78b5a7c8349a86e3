"""What the fault scripts share: a server as a process, clients that note what was acknowledged, and the check after."""

from __future__ import annotations

import http.client
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from penchant import artifact
from penchant.live.deployment import verify_store
from penchant.live.ledger import Ledger
from penchant.models import create
from penchant.testing import example_histories

READY_SECONDS = 60
ITEMS = 40


def make_model(folder: Path) -> Path:
    """A small model that learns live, over ``item 0`` … ``item 39``."""
    model = create("transitions", window=3).fit(example_histories(np.random.default_rng(1), users=30))
    artifact.save(model, folder / "model")
    return folder / "model"


def free_port() -> int:
    """A port nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@dataclass
class Server:
    """``penchant serve`` as a process."""

    model: Path
    store: Path
    port: int = field(default_factory=free_port)
    before: Callable[[], None] | None = None
    """Run in the new process before it becomes the server."""

    def start(self) -> Server:
        """Start it and wait until it is ready."""
        words = ["serve", str(self.model), "--store", f"sqlite:///{self.store}", "--port", str(self.port), "--log", "warning"]
        self.log = self.store.with_name(f"server-{self.port}.log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "penchant", *words], stdout=self.log, stderr=self.log, preexec_fn=self.before
        )
        end = time.monotonic() + READY_SECONDS
        while self.ask("GET", "/health/ready")[0] != 200:
            assert self.process.poll() is None, f"the server ended with {self.process.returncode}: {self.said()}"
            assert time.monotonic() < end, "the server isn't ready"
            time.sleep(0.05)
        return self

    def said(self) -> str:
        """Its log."""
        return Path(self.log.name).read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal, wait for its end and return its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.log.close()
        return code

    def ask(self, method: str, path: str, body: Any = None, seconds: float = 20) -> tuple[int, Any]:
        """Status and answer of one request; status 0 where there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, quote(path, safe="/?&=%"), content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            return 0, None
        except ValueError as error:
            raise AssertionError(f"{method} {path} was answered with no JSON") from error
        finally:
            connection.close()


class Clients:
    """Threads that send events and ask for recommendations, through whatever happens to the servers."""

    def __init__(self, *servers: Server, threads: int = 4) -> None:
        self.sent: set[str] = set()
        self.acknowledged: set[str] = set()
        self.statuses: dict[int, int] = {}
        self.wrong: list[str] = []
        self._servers = servers
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(threads)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Wait for their last answers."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        chance = random.Random(number)
        while not self._stop.is_set():
            server = chance.choice(self._servers)
            events = [self._event(chance) for _ in range(chance.choice([1, 1, 5, 20]))]
            with self._lock:
                self.sent.update(event["event_id"] for event in events)
            status, answer = server.ask("POST", "/api/feedback", events)
            self._note(status)
            if status == 200:
                with self._lock:
                    self.acknowledged.update(event["event_id"] for event in events)
                mine = events[-1]
                status, answer = server.ask("GET", f"/api/recommend/{mine['user_id']}?n={ITEMS}")
                self._note(status)
                if status == 200 and mine["item_id"] in [item["item_id"] for item in answer["items"]]:
                    self.wrong.append(f"{mine} was acknowledged, but the next list doesn't know it")
            elif status == 0:
                time.sleep(0.02)

    def _event(self, chance: random.Random) -> dict[str, Any]:
        moment = time.time() - (chance.random() * 1000 if chance.random() < 0.1 else 0)  # one in ten comes late
        return {
            "user_id": f"user {chance.randrange(50)}",
            "item_id": f"item {chance.randrange(ITEMS)}",
            "event_id": f"{chance.getrandbits(64):x}",
            "timestamp": moment,
        }

    def _note(self, status: int) -> None:
        with self._lock:
            self.statuses[status] = self.statuses.get(status, 0) + 1


def check(model: Path, store: Path, clients: Clients) -> dict[str, Any]:
    """Every acknowledged event is there once, none that nobody sent, and every state equals its re-encoding."""
    ledger = Ledger(store)
    ids = [event.event_id for event in ledger.events()]
    ledger.close()
    assert clients.wrong == [], clients.wrong[0]
    assert len(ids) == len(set(ids)), "an event is there twice"
    lost = clients.acknowledged - set(ids)
    assert not lost, f"{len(lost)} acknowledged events are lost"
    assert set(ids) <= clients.sent, "there are events that nobody sent"
    found = verify_store(model, f"sqlite:///{store}")
    assert found.faults == (), found.faults[0]
    assert found.differing == (), f"the states of {found.differing} differ from their re-encodings"
    return {"acknowledged": len(clients.acknowledged), "stored": len(ids), "users": found.users, "answers": clients.statuses}


def limited_to(size: int) -> Callable[[], None]:
    """For ``Server.before``: no file may grow beyond so many bytes, as if the disk were full."""

    def limit() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit
