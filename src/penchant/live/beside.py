"""A command of Penchant's as a process beside a service: it ends when the service's process does, however that comes about."""

from __future__ import annotations

import _thread
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

PATIENCE_SECONDS = 3.0
_alive: list[int] = []
"""The ends of a pipe nobody writes to: the command reads on one, which comes to an end when this process, which has the other,
is gone. Even if it was killed."""


def start(words: Sequence[str], **how: Any) -> subprocess.Popen[Any]:
    """Start ``penchant`` with these words; ``how`` is for ``Popen``."""
    if not _alive:
        _alive.extend(os.pipe())
    command = [sys.executable, "-m", __name__, *words]
    return subprocess.Popen(command, stdin=_alive[0], **how)  # noqa: S603 - our own words


def stop(running: subprocess.Popen[Any]) -> None:
    """Interrupt it, so that it leaves nothing behind; end it where that takes long."""
    if running.poll() is None:
        running.send_signal(signal.SIGINT)
        try:
            running.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def _interrupted_with_parent() -> None:
    os.read(0, 1)
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # even where it waits for something
    else:
        _thread.interrupt_main()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # even where whoever started the service ignored it
    threading.Thread(target=_interrupted_with_parent, daemon=True).start()
    runpy.run_module("penchant", run_name="__main__", alter_sys=True)
