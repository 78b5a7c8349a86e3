"""Arguments in, function calls, words and JSON out; no logic.

Here is what must be done before NumPy and the rest are imported, which takes a second.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

INTERRUPTED = 130
SENTENCE = "interrupted; nothing half-written is left"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 on bad input, 130 when interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _set_threads(serving=words[:1] == ["serve"])
    try:
        from penchant.cli import program

        return program.run(words)
    except KeyboardInterrupt:  # before the program could say so itself
        sys.stderr.write(f'{{"error": "{SENTENCE}"}}\n' if "--json" in words else f"penchant: {SENTENCE}\n")
        return INTERRUPTED


def _set_threads(*, serving: bool) -> None:
    """Threads of matrix products that wait for the next are to sleep, unless somebody chose otherwise.

    By default they spin: two trainings on one machine are ten times slower, to sleep costs a tenth. A server answers people one
    by one, in products too small to be shared, beside threads of its own.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")  # NumPy's: they spin for 2⁴ cycles
    if serving and "OMP_NUM_THREADS" not in os.environ:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
