"""The disk full, the store unwritable, a page of it damaged: a sentence each time, and nothing acknowledged is lost.

python -m tests.faults.disk
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.faults.serving import Clients, Server, check, limited_to, make_model

PAGE = 4096


def full(folder: Path) -> dict[str, Any]:
    """No file may grow beyond 600 kB: events are refused from then on, recommendations go on, and later all is well again."""
    model, store = make_model(folder), folder / "full.db"
    server = Server(model, store, before=limited_to(600_000)).start()
    clients = Clients(server, threads=2)
    while 503 not in clients.statuses:
        assert 500 not in clients.statuses, server.said()
        time.sleep(0.05)
    clients.stop()
    status, answer = server.ask("POST", "/api/feedback", [{"user_id": "ann", "item_id": "item 1"}] * 200)
    assert status == 503, (status, answer)
    recommended, _ = server.ask("GET", "/api/recommend/ann")
    assert recommended == 200
    server.stop()
    server.before = None
    server.start()
    assert server.ask("POST", "/api/feedback", [{"user_id": "user 1", "item_id": "item 1", "event_id": "after"}])[0] == 200
    clients.sent.add("after")
    server.stop()
    return {"sentence": answer["error"]} | check(model, store, clients)


def read_only(folder: Path) -> dict[str, Any]:
    """A store that may not be written is refused at once, in a sentence."""
    model, store = make_model(folder), folder / "closed" / "store.db"
    store.parent.mkdir()
    Server(model, store).start().stop()
    for path in (store, *store.parent.iterdir()):
        path.chmod(0o444)
    store.parent.chmod(0o555)
    words = ["verify", str(model), "--store", f"sqlite:///{store}"]
    for path in (folder, *folder.rglob("*")):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    # Root may write anything, so the process becomes somebody who may not, once it has read what only root may.
    become = "os.getuid() == 0 and (os.setgid(65534), os.setuid(65534))"
    program = f"import os, penchant.cli; {become}; raise SystemExit(penchant.cli.main({words!r}))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    store.parent.chmod(0o755)
    assert run.returncode == 2, (run.returncode, run.stderr)
    assert run.stderr.count("\n") == 1, run.stderr
    return {"sentence": run.stderr.strip()}


def damaged(folder: Path) -> dict[str, Any]:
    """Pages overwritten with noise: ``verify`` says what is wrong, and a server says so or goes on with what is whole."""
    model, store = make_model(folder), folder / "damaged.db"
    server = Server(model, store).start()
    clients = Clients(server, threads=2)
    while len(clients.acknowledged) < 2000:
        time.sleep(0.05)
    clients.stop()
    server.stop()
    content = bytearray(store.read_bytes())
    for page in range(len(content) // PAGE * 3 // 4, len(content) // PAGE):
        content[page * PAGE : (page + 1) * PAGE] = os.urandom(PAGE)
    store.write_bytes(content)
    words = [sys.executable, "-m", "penchant", "verify", str(model), "--store", f"sqlite:///{store}"]
    run = subprocess.run(words, capture_output=True, text=True)
    assert run.returncode == 2, (run.returncode, run.stderr)
    assert "Traceback" not in run.stderr, run.stderr
    try:
        server.start()
    except AssertionError:  # it needn't start over such a file, if it says why
        assert server.process.returncode == 2
        assert "the file is damaged" in server.said()
        return {"sentence": run.stderr.strip()}
    for number in range(50):
        for method, path, body in (
            ("GET", f"/api/recommend/user {number}", None),
            ("POST", "/api/feedback", [{"user_id": f"user {number}", "item_id": "item 1"}]),
        ):
            status, answer = server.ask(method, path, body)
            assert status == 200 or (status == 503 and "damaged" in answer["error"]), (status, answer)
    server.stop()
    return {"sentence": run.stderr.strip()}


def main() -> None:
    """All three."""
    with TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101
        found = {}
        for fault in (full, read_only, damaged):
            place = Path(folder) / fault.__name__
            place.mkdir()
            found[fault.__name__] = fault(place)
            shutil.rmtree(place)
        print(json.dumps(found))


if __name__ == "__main__":
    main()
