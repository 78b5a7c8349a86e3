"""Two servers on one store, clients that change between them with every request: one truth.

python -m tests.faults.together --seconds 60
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.serving import Clients, Server, check, make_model


def main() -> None:
    """Send to both, compare at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        model, store = make_model(Path(folder)), Path(folder) / "store.db"
        servers = [Server(model, store).start(), Server(model, store).start()]
        clients = Clients(*servers)
        time.sleep(options.seconds)
        clients.stop()
        time.sleep(1)  # what one server took in, the model of the other learns a moment later
        differing = 0
        for user in range(50):
            lists = [server.ask("GET", f"/api/recommend/user {user}")[1]["items"] for server in servers]
            differing += [item["item_id"] for item in lists[0]] != [item["item_id"] for item in lists[1]]
        for server in servers:
            assert server.stop() == 0, server.said()
        assert set(clients.statuses) == {200}, clients.statuses
        assert differing == 0, f"{differing} of 50 users get other lists from the other server"
        print(json.dumps({"seconds": options.seconds} | check(model, store, clients)))


if __name__ == "__main__":
    main()
