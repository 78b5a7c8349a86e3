"""Commands beside a service end with it, whatever ends it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from penchant.data import dataset
from penchant.live import beside

PARENT = "import sys, time; from penchant.live import beside; print(beside.start(sys.argv[1:]).pid, flush=True); time.sleep(60)"


def going_on(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_command_does_not_outlive_a_process_that_was_killed(tmp_path: Path) -> None:
    """A command that waits: for the answer of a server that gives none."""
    rows = "".join(f"u{user},i{item},{1_600_000_000 + 9 * user + item}\n" for user in range(9) for item in range(5))
    (tmp_path / "events.csv").write_text("user_id,item_id,timestamp\n" + rows)
    dataset.write_dataset(dataset.read(tmp_path / "events.csv"), tmp_path / "dataset")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        words = ["replay", str(tmp_path / "dataset"), "--url", address, "--split", "leave-one-out"]
        parent = subprocess.Popen([sys.executable, "-c", PARENT, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert parent.stdout
        child = int(parent.stdout.readline())
        asked, _ = silent.accept()
        assert going_on(child)
        parent.kill()
        parent.wait()
        parent.stdout.close()
        until = time.monotonic() + 20
        while going_on(child) and time.monotonic() < until:
            time.sleep(0.05)
        asked.close()
    assert not going_on(child)


def test_a_command_does_its_work_and_can_be_stopped() -> None:
    done = beside.start(["--version"], stdout=subprocess.PIPE, text=True)
    assert done.communicate()[0].startswith("penchant ")
    assert done.returncode == 0
    beside.stop(done)
