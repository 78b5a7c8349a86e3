"""Kill the server (SIGKILL) at random moments under load, again and again: nothing acknowledged is lost, no state is wrong.

python -m tests.faults.kill --times 200
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.faults.serving import Clients, Server, check, make_model


def main() -> None:
    """Kill, start again, compare at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with TemporaryDirectory() as folder:
        model, store = make_model(Path(folder)), Path(folder) / "store.db"
        server = Server(model, store).start()
        clients = Clients(server)
        for time_killed in range(1, options.times + 1):
            time.sleep(chance.uniform(0.02, 1.0))
            server.stop(signal.SIGKILL)
            server.start()
            print(f"killed {time_killed} times, {len(clients.acknowledged)} events acknowledged", file=sys.stderr)
        time.sleep(0.2)
        clients.stop()
        server.stop()
        print(json.dumps({"killed": options.times} | check(model, store, clients)))


if __name__ == "__main__":
    main()
