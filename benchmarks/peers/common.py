"""What the peers' scripts share. It runs in every peer's environment, so it needs NumPy and nothing else."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.machine import DATA

K = 10
LONGEST = 50
"""Events of a history that the peers' networks see: RecBole's default, and the literature's on this log."""


def histories() -> list[list[int]]:
    """Each user's training part, oldest first: all but their last two items."""
    lines = (DATA / "amazon" / "Beauty.txt").read_text(encoding="utf-8").splitlines()
    return [[int(item) for item in line.split()[1:-2]] for line in lines]


class Meter:
    """What a training costs between ``start`` and ``stop``, with a matrix product timed right before and right after.

    Scripts add the targets they trained to ``targets``.
    """

    def __init__(self) -> None:
        self.targets = 0
        self.products: list[float] = []

    def start(self) -> None:
        """Time the product, then begin."""
        self.products.append(gflop_per_cpu_second())
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        """End, then time the product again."""
        self.wall, self.cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        self.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        self.products.append(gflop_per_cpu_second())

    def figures(self) -> dict[str, Any]:
        """``gflop_per_target`` is the price of a target in matrix products, so that runs at different speeds compare."""
        return {
            "targets": self.targets,
            "cpu_seconds": self.cpu,
            "seconds": self.wall,
            "targets_per_cpu_second": self.targets / self.cpu,
            "product_gflop_per_cpu_second": self.products,
            "gflop_per_target": float(np.mean(self.products)) * self.cpu / self.targets,
            "peak_gib": self.peak / 2**30,
        }


def gflop_per_cpu_second(rounds: int = 10) -> float:
    """The speed of a 2048³ float32 product: torch's where a script trains with torch, otherwise NumPy's."""
    matrix: Any = np.ones((2048, 2048), np.float32)
    if "torch" in sys.modules:
        matrix = sys.modules["torch"].from_numpy(matrix)
    matrix @ matrix
    start = time.process_time()
    for _ in range(rounds):
        matrix @ matrix
    return 2 * 2048**3 * rounds / (time.process_time() - start) / 1e9


def answers(one: Callable[[int], object], everyone: Callable[[], object], rounds: int = 300) -> dict[str, Any]:
    """Milliseconds of ``one(user)`` for as many users as ``rounds``, after ten others; seconds of ``everyone()``."""
    times = []
    for user in range(rounds + 10):
        start = time.perf_counter()
        one(user)
        times.append(time.perf_counter() - start)
    wall, cpu = time.perf_counter(), time.process_time()
    everyone()
    return {
        "event_and_top10_ms": {
            "p50": float(np.percentile(times[10:], 50)) * 1e3,
            "p99": float(np.percentile(times[10:], 99)) * 1e3,
        },
        "top10_all_seconds": time.perf_counter() - wall,
        "top10_all_cpu_seconds": time.process_time() - cpu,
    }


def main(measure: Callable[[str], dict[str, Any]]) -> None:
    """Measure the model named on the command line; the figures are one JSON line, the last on standard output."""
    print(json.dumps({"date": time.strftime("%Y-%m-%d"), "load": os.getloadavg()[0]} | measure(sys.argv[1])))
