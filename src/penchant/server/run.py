"""A server as a process: its connections bounded, its log in JSON lines, stopped without losing anything."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import logging
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol

import uvicorn
from fastapi import FastAPI
from threadpoolctl import threadpool_limits
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from penchant.live.service import Service
from penchant.server.app import create_app
from penchant.server.observing import JsonLines
from penchant.types import PenchantError

log = logging.getLogger("penchant.server")

MOST_CONNECTIONS = 1000
REQUEST_SECONDS = 10.0
"""How long a client may take to send a request."""
IDLE_SECONDS = 30
DRAIN_SECONDS = 10
SWITCH_SECONDS = 0.001
"""Python's threads take turns this often: the one that writes shouldn't wait five milliseconds, the default, for the one
that counts.
"""

COLLECTION = (50_000, 20, 20)
"""Objects made before Python looks for cycles among the young ones, and how many times before it looks at older ones. States
and waiting events are many and never in cycles: looking through them all, as the default does every other second under load,
stopped every request for a fifth of a second.
"""

M_ARENA_MAX = -8
"""Of glibc's ``mallopt``: how many heaps threads share."""


def share_one_heap() -> None:
    """Let the threads to come take memory from one heap, where the C library is glibc. What one thread makes another lets go of
    here, and heaps of their own keep more and more holes; Python lets one thread work at a time anyway.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)


class Closing(Protocol):
    """What has an end."""

    def close(self) -> None:
        """Come to it."""


class Bounded(HttpToolsProtocol):
    """uvicorn's protocol with two bounds it lacks: on connections, and on the time a request may take to arrive."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse what is too much, before anything is read."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.write(_answer(b"503 Service Unavailable", "too many connections; try again in a moment"))
            transport.close()
            return
        self._expect()

    def on_message_begin(self) -> None:
        """A request begins to arrive, perhaps not the first of its connection."""
        self._expect()
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """It has arrived."""
        if self._late:
            self._late.cancel()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What isn't HTTP is told so, in a sentence as everywhere."""
        self.transport.write(_answer(b"400 Bad Request", f"{msg} Ids and filters must fit in 64 kB of address."))
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        if self._late:
            self._late.cancel()
        super().connection_lost(exc)

    def _expect(self) -> None:
        if self._late:
            self._late.cancel()
        self._late = self.loop.call_later(REQUEST_SECONDS, self.transport.close)


def _answer(status: bytes, sentence: str) -> bytes:
    body = json.dumps({"error": sentence}).encode()
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body


def run(
    service: Service,
    host: str,
    port: int,
    *,
    log_level: str = "info",
    announce: Callable[[str], None] = lambda _: None,
    beside: Sequence[Closing] = (),
    model: Path | None = None,
    report: Path | None = None,
    names: Sequence[str] = (),
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was begun and close the service.

    ``announce`` is called with the address once connections are taken (port 0 takes a free one); what runs ``beside`` the
    service is closed before it. ``model`` is the folder of the model, which the page can roll back, and ``report`` that of an
    evaluation to show. At an address of this machine only, or with ``names``, it answers to its own name and these: see
    ``site.KnownNames``. Raises ``PenchantError`` where the address can't be taken.
    """
    _log_in_json(log_level)
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.freeze()
    gc.set_threshold(*COLLECTION)
    try:
        listening = _listen(host, port)
        address = listening.getsockname()[0]
        own = (host, *names) if names or ip_address(address).is_loopback else None
        server = make_server(create_app(service, model=model, report=report, names=own))
        # uvicorn raises the signals it was stopped by once more when it is done: by then there is nothing left to do.
        previous = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            announce("http://{}:{}".format(*listening.getsockname()[:2]))
            with threadpool_limits(1):
                server.run(sockets=[listening])
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
    finally:
        for thing in (*beside, service):
            thing.close()
    log.info("stopped; all that was answered is on disk")


def make_server(app: FastAPI) -> uvicorn.Server:
    """uvicorn, set up as Penchant wants it. Streams end when it stops."""
    config = uvicorn.Config(
        app,
        http=Bounded,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        server_header=False,
        lifespan="off",
        ws="none",
    )
    server = uvicorn.Server(config)
    app.state.stopping = lambda: server.should_exit
    return server


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except OverflowError as error:
        raise PenchantError(f"{port}: is no port; --port takes 0 (any that is free) to 65535") from error
    except OSError as error:
        raise PenchantError(f"{host}:{port}: can't be listened at: {error.strerror}; name another --host or --port") from error
    listening.setblocking(False)
    return listening


def _log_in_json(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
