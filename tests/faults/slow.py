"""Thousands of clients that connect and send nothing, or a byte now and then: refused in bounds, and others are served again.

python -m tests.faults.slow --connections 10000
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.serving import Server, make_model

from penchant.server.run import MOST_CONNECTIONS, REQUEST_SECONDS


def memory(process: int) -> int:
    """Resident memory of a process, in MB."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize() >> 20


def main() -> None:
    """Connect, look, wait until the server has shaken them off."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, options.connections + 500), most))
    with TemporaryDirectory() as folder:
        server = Server(make_model(Path(folder)), Path(folder) / "store.db").start()
        before = memory(server.process.pid)
        held: list[socket.socket] = []
        for number in range(options.connections):
            with suppress(OSError):
                held.append(socket.create_connection(("127.0.0.1", server.port), timeout=5))
                if number % 2:
                    held[-1].sendall(b"POST /api/feedback HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n")
        during, _ = server.ask("GET", "/health/live")
        grown = memory(server.process.pid) - before
        refused = sum(_refused(connection) for connection in held[::-1][: max(0, len(held) - MOST_CONNECTIONS)])
        end = time.monotonic() + REQUEST_SECONDS + 10
        while server.ask("GET", "/health/live")[0] != 200:
            assert time.monotonic() < end, "the server doesn't recover"
            time.sleep(0.1)
        for connection in held:
            connection.close()
        assert server.ask("POST", "/api/feedback", [{"user_id": "ann", "item_id": "item 1"}])[0] == 200
        assert server.stop() == 0
        print(json.dumps({"connections": len(held), "refused": refused, "meanwhile": during, "memory_grew_mb": grown}))


def _refused(connection: socket.socket) -> bool:
    connection.settimeout(5)
    try:
        answer = connection.recv(1000)
    except OSError:
        return True
    return not answer or b"503" in answer


if __name__ == "__main__":
    main()
