"""The bounds on connections, and addresses that can't be had. tests/faults has what processes do."""

from __future__ import annotations

import json
import platform
import socket
import subprocess
import sys
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


HEAPS = """
import ctypes, sys, threading
from penchant.server.run import share_one_heap
if sys.argv[1] == "shared":
    share_one_heap()
together = threading.Barrier(4)
def work():
    together.wait()
    kept = [bytes(5000) for _ in range(100)]
    together.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


@pytest.mark.skipif("glibc" not in platform.libc_ver()[0], reason="other C libraries have one heap, or don't tell")
def test_threads_share_one_heap() -> None:
    def heaps(how: str) -> int:
        ran = subprocess.run([sys.executable, "-c", HEAPS, how], capture_output=True, text=True, check=True)
        return ran.stdout.count("<heap nr=")

    assert heaps("apart") > 1
    assert heaps("shared") < heaps("apart")
