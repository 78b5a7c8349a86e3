"""The live service under load: latency of one click, sustained rates, memory, start, and the ordinary way beside it.

    python -m benchmarks.load --seconds 60

An LSTM 64 wide (sampled softmax, 3 epochs on Amazon Beauty, 12,101 items) and transition counts, each over a store of a million
events of 100,000 users. On a quiet machine of two cores or more ``--seconds 600`` is the run to look at.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.load.generator import USERS
from benchmarks.machine import report
from benchmarks.quality import load
from penchant import artifact, workflow
from penchant.live.events import Event
from penchant.live.ledger import Ledger
from penchant.types import MICROSECONDS, Interactions, Vocabulary, text

MODELS: dict[str, dict[str, Any]] = {"lstm": {"width": 64, "loss": "sampled", "epochs": 3}, "transitions": {}}
EVENTS = 1_000_000
LONG = 10_000


def make_store(path: Path, log: Interactions) -> None:
    """A million events of 100,000 users, items as often as in the log; beside them a user with 10,000 and one with 10."""
    chance = np.random.default_rng(0)
    each = EVENTS // USERS
    users = Vocabulary(tuple(sorted(f"user {number}" for number in range(USERS))))
    begin = (int(time.time()) - 40 * 86_400) * MICROSECONDS
    made = Interactions(
        users=users,
        items=log.items,
        event_types=("event",),
        user=np.repeat(np.arange(USERS, dtype=np.int32), each),
        item=chance.choice(log.item, EVENTS).astype(np.int32),
        timestamp=begin + np.tile(np.arange(each), USERS) * 3600 * MICROSECONDS,
        event_type=np.zeros(EVENTS, np.int16),
        value=np.ones(EVENTS, np.float32),
        session=np.zeros(EVENTS, np.int32),
        event_id=text([f"{number:012}" for number in range(EVENTS)]),
        clock="real",
        content_hash=log.content_hash,
    )
    ledger = Ledger(path, create=True)
    ledger.load(made)
    for user, count in (("long", LONG), ("short", 10)):
        items = [log.items[int(code)] for code in chance.choice(log.item, count)]
        events = [Event(user, item, begin + place * 60 * MICROSECONDS).named() for place, item in enumerate(items)]
        ledger.append(events).result()
    ledger.close()


@contextmanager
def process(words: list[str], port: int) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """A server, from its start until it is ready (how long that took) to its end."""
    started = time.perf_counter()
    running = subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not _ready(port):
        if running.poll() is not None:
            sys.exit(f"{' '.join(words)} ended with {running.returncode}")
        time.sleep(0.02)
    try:
        yield running, time.perf_counter() - started
    finally:
        running.terminate()
        running.wait()


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def memory_mb(running: subprocess.Popen[bytes]) -> int:
    pages = int(Path(f"/proc/{running.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() >> 20


def generate(*words: str) -> dict[str, Any]:
    run = subprocess.run([sys.executable, "-m", "benchmarks.load.generator", *words], capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stderr)
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def measure(model: Path, store: Path, items: Path, port: int, seconds: float) -> dict[str, Any]:
    """One model's figures."""
    words = ["penchant", "serve", str(model), "--store", f"sqlite:///{store}", "--port", str(port), "--log", "warning"]
    address = f"http://127.0.0.1:{port}"
    with process(words, port) as (running, ready):
        figures: dict[str, Any] = {"start_to_ready_seconds": round(ready, 2), "memory_mb": {"at the start": memory_mb(running)}}
        for user, events in (("short", "10 events"), ("long", "10,000 events")):
            figures[f"user with {events}"] = generate("latency", address, "--items", str(items), "--user", user)
        more = ["--items", str(items), "--seconds", str(seconds)]
        load_running = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load.generator", "sustained", address, *more], stdout=subprocess.PIPE
        )
        memory = []
        while load_running.poll() is None:
            memory.append(memory_mb(running))
            time.sleep(1)
        assert load_running.stdout is not None
        figures["sustained"] = json.loads(load_running.stdout.read())
        figures["memory_mb"] |= {"at each minute's end": memory[60::60], "at the end": memory[-1], "most": max(memory)}
        figures["after the load, user with 10 events"] = generate("latency", address, "--items", str(items), "--user", "short")
    return figures


def ordinary(model: Path, items: Path, port: int, last: int) -> dict[str, Any]:
    """The same question to an endpoint that re-encodes; the user's history is as long as what it re-encodes."""
    words = ["benchmarks.load.ordinary", str(model), "--port", str(port), "--last", str(last)]
    with process(words, port):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        known = items.read_text().split("\n")
        events = [{"user_id": "user", "item_id": known[place % len(known)], "event_id": str(place)} for place in range(last)]
        connection.request("POST", "/api/feedback", json.dumps(events))
        connection.getresponse().read()
        return generate("latency", f"http://127.0.0.1:{port}", "--items", str(items), "--user", "user", "--requests", "100")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60, help="of sustained load")
    parser.add_argument("--port", type=int, default=8095)
    parser.add_argument("--models", default=",".join(MODELS))
    options = parser.parse_args()
    figures: dict[str, Any] = {"store": {"events": EVENTS, "users": USERS}}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        log = load("beauty", work)
        (work / "items").write_text("\n".join(log.items.ids))
        make_store(work / "made.db", log)
        for name in options.models.split(","):
            settings = MODELS[name]
            workflow.train(log, name, work / name, settings=settings, split="leave-one-out")
            store = work / f"{name}.db"
            shutil.copy(work / "made.db", store)
            os.sync()  # what this benchmark wrote until now isn't what is measured
            figures[name] = {"items": len(artifact.load(work / name).items)} | measure(
                work / name, store, work / "items", options.port, options.seconds
            )
            store.unlink()
        figures["the ordinary way, lstm"] = {
            f"re-encoding the last {last:,} events": ordinary(work / "lstm", work / "items", options.port, last)
            for last in (50, 1000)
        }
    report("load", figures)


if __name__ == "__main__":
    main()
