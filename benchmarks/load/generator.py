"""The load: clients over kept-alive connections, in one process beside the server's. Prints one JSON value.

It should leave the two cores to the server, so bodies are made ahead, 4,000 of them with 200,000 pairs of user and item; what
is sent is whole JSON over HTTP all the same, and each event is a new one.

python -m benchmarks.load.generator latency ADDRESS --user U --requests 500
python -m benchmarks.load.generator sustained ADDRESS --seconds 60 --events 5000 --recommendations 500
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

BATCH = 50
BODIES = 4000
MARK = "@number@"
USERS = 100_000
SENDERS, ASKERS = 8, 24
"""Connections that send batches, and that ask for lists."""
BACKGROUND = 50
"""Events a second of others while one client is measured."""


class Client(asyncio.Protocol):
    """One connection, kept alive; a request at a time."""

    def __init__(self, address: str) -> None:
        self._host, port = address.removeprefix("http://").split(":")
        self._port = int(port)
        self._came = b""

    async def connect(self) -> Client:
        """Open the connection."""
        made, _ = await asyncio.get_running_loop().create_connection(lambda: self, self._host, self._port)
        self._transport = made
        return self

    async def ask(self, method: str, path: str, content: bytes = b"") -> bytes:
        """The answer's body. Ends the program on anything but 200."""
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(content)}\r\n\r\n"
        self._answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._transport.write(head.encode() + content)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        """Some of an answer has come."""
        self._came += data
        head, end, body = self._came.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            sys.exit(f"{head[:100]!r}: {body[:300]!r}")
        self._came = b""
        if not self._answer.done():  # nobody waits any more, at the end
            self._answer.set_result(body)

    def connection_lost(self, exc: Exception | None) -> None:
        """The server has closed it."""
        if not self._answer.done():
            self._answer.set_exception(ConnectionError("the server closed the connection"))


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Milliseconds."""
    ordered = sorted(seconds)
    return {f"p{q}": round(1000 * ordered[min(len(ordered) - 1, len(ordered) * q // 100)], 2) for q in (50, 90, 99)}


async def paced(rate: float, until: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do something ``rate`` times a second, later ones sooner if one took long, until a moment."""
    begun, done = time.perf_counter(), 0
    while time.perf_counter() < until:
        await work()
        done += 1
        await asyncio.sleep(max(0.0, min(until, begun + done / rate) - time.perf_counter()))


def event(chance: random.Random, items: list[str], user: str | None = None) -> dict[str, Any]:
    return {
        "user_id": user or f"user {chance.randrange(USERS)}",
        "item_id": chance.choice(items),
        "event_id": f"{chance.getrandbits(64):x}",
    }


class Batches:
    """Bodies of a batch of events each, made ahead; in each turn only the ids of the events are new."""

    def __init__(self, chance: random.Random, items: list[str]) -> None:
        made = ([event(chance, items) | {"event_id": f"{MARK}{place}"} for place in range(BATCH)] for _ in range(BODIES))
        self._bodies = [json.dumps(events).encode() for events in made]
        self._sent = 0

    def next(self) -> bytes:
        """The next body."""
        self._sent += 1
        return self._bodies[self._sent % BODIES].replace(MARK.encode(), f"{self._sent:08x}-".encode())


async def latency(address: str, items: list[str], user: str, requests: int) -> dict[str, Any]:
    """One client sends an event of one user and asks for that user's list; others send events meanwhile."""
    chance = random.Random()  # every run sends events that weren't there
    mine, others = await Client(address).connect(), await Client(address).connect()
    path = f"/api/recommend/{user.replace(' ', '%20')}?n=10"
    total: list[float] = []
    posted: list[float] = []
    changed = 0

    async def background() -> None:
        await others.ask("POST", "/api/feedback", json.dumps([event(chance, items)]).encode())

    running = asyncio.create_task(paced(BACKGROUND, time.perf_counter() + 3600, background))
    before = b""
    for number in range(requests + 20):
        happened = json.dumps([event(chance, items, user)]).encode()
        started = time.perf_counter()
        await mine.ask("POST", "/api/feedback", happened)
        stored = time.perf_counter()
        answer = json.loads(await mine.ask("GET", path))["items"]
        ended = time.perf_counter()
        if number >= 20:  # the first ones read the history from disk
            total.append(ended - started)
            posted.append(stored - started)
            changed += json.dumps(answer).encode() != before
        before = json.dumps(answer).encode()
        await asyncio.sleep(0.005)
    running.cancel()
    return {"event_to_list_ms": quantiles(total), "event_ms": quantiles(posted), "lists_changed": changed / requests}


async def sustained(address: str, items: list[str], seconds: float, events: float, lists: float) -> dict[str, Any]:
    """Batches of events and requests for lists at once, each at a rate that is aimed at; what came of it."""
    chance = random.Random(1)
    batches = Batches(chance, items)
    until = time.perf_counter() + seconds
    posted: list[float] = []
    asked: list[float] = []
    workers = []

    async def sender(client: Client) -> None:
        batch = batches.next()
        started = time.perf_counter()
        await client.ask("POST", "/api/feedback", batch)
        posted.append(time.perf_counter() - started)

    async def asker(client: Client) -> None:
        started = time.perf_counter()
        await client.ask("GET", f"/api/recommend/user%20{chance.randrange(USERS)}?n=10")
        asked.append(time.perf_counter() - started)

    for count, work, rate in ((SENDERS, sender, events / BATCH), (ASKERS, asker, lists)):
        for _ in range(count):
            client = await Client(address).connect()
            workers.append(paced(rate / count, until, lambda work=work, client=client: work(client)))  # type: ignore[misc]
    started = time.perf_counter()
    await asyncio.gather(*workers)
    took = time.perf_counter() - started
    return {
        "seconds": round(took, 1),
        "events_per_second": round(BATCH * len(posted) / took),
        "lists_per_second": round(len(asked) / took),
        "batch_of_50_ms": quantiles(posted),
        "list_ms": quantiles(asked),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("latency", "sustained"))
    parser.add_argument("address")
    parser.add_argument("--items", required=True, help="a file of item ids, one a line")
    parser.add_argument("--user", default="user 1")
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--events", type=float, default=5000)
    parser.add_argument("--lists", type=float, default=500)
    options = parser.parse_args()
    items = Path(options.items).read_text(encoding="utf-8").split("\n")
    if options.what == "latency":
        found = uvloop.run(latency(options.address, items, options.user, options.requests))
    else:
        found = uvloop.run(sustained(options.address, items, options.seconds, options.events, options.lists))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
