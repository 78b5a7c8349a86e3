"""The bounds on connections, and addresses that can't be had. tests/faults has what processes do."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest

from penchant.server import run as running_module
from penchant.types import PenchantError

Running = Any


def connect(running: Running) -> socket.socket:
    host, port = running.address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=5)


def test_too_many_connections_are_refused_and_slow_ones_shaken_off(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_module, "MOST_CONNECTIONS", 4)
    monkeypatch.setattr(running_module, "REQUEST_SECONDS", 0.5)
    slow = [connect(running) for _ in range(4)]
    for number, connection in enumerate(slow):
        connection.sendall(b"POST /api/feedback HTTP/1.1\r\nContent-Length: 10\r\n"[: 10 * number])
    time.sleep(0.1)
    with connect(running) as refused:
        answer = refused.recv(1000)
    assert answer.startswith(b"HTTP/1.1 503")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"].startswith("too many connections")
    for connection in slow:
        assert connection.recv(1000) == b""  # closed after half a second
        connection.close()
    assert running.client.get("/health/live").status_code == 200


def test_a_connection_that_is_used_stays(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_module, "REQUEST_SECONDS", 0.3)
    with connect(running) as connection:
        for _ in range(3):
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
            time.sleep(0.4)  # idle between requests, which is another matter


def test_what_is_not_http_is_told_so(running: Running) -> None:
    with connect(running) as connection:
        connection.sendall(b"hello?\r\n\r\n")
        answer = connection.recv(1000)
    assert answer.startswith(b"HTTP/1.1 400")
    assert "error" in json.loads(answer.partition(b"\r\n\r\n")[2])


def test_an_address_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PenchantError, match="can't be listened at"):
        running_module._listen("127.0.0.1", taken.getsockname()[1])
