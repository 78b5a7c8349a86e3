"""Stop the server (SIGTERM) under load, again and again: what was begun is answered, with no 5xx, and nothing is lost.

python -m tests.faults.stop --times 20
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.serving import Clients, Server, check, make_model


def main() -> None:
    """Stop, start again, compare at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        model, store = make_model(Path(folder)), Path(folder) / "store.db"
        server = Server(model, store).start()
        clients = Clients(server)
        for _ in range(options.times):
            time.sleep(0.3)
            code = server.stop()
            assert code == 0, f"the server ended with {code}: {server.said()}"
            server.start()
        clients.stop()
        assert server.stop() == 0
        failed = {status: count for status, count in clients.statuses.items() if status not in (0, 200)}
        assert not failed, f"requests were answered with {failed}"
        print(json.dumps({"stopped": options.times + 1} | check(model, store, clients)))


if __name__ == "__main__":
    main()
