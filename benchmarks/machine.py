"""What the figures were measured on, and how whole processes are measured."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
DATA = Path(os.environ.get("PENCHANT_SHARED_DATA", ROOT.parent / "shared" / "data"))


def facts() -> dict[str, Any]:
    """Processor, memory, versions, and the speed of a 2048³ float32 matrix product as a calibration."""
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        model = next((line.split(":")[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": model or platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(memory, 1),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "polars", "torch", "penchant")},
        "matrix_product_gflops": round(_gflops()),
        "load": os.getloadavg()[0],
    }


def _gflops() -> float:
    a = np.ones((2048, 2048), np.float32)
    best = np.inf
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return float(2 * 2048**3 / best / 1e9)


def run(command: Sequence[str]) -> dict[str, float]:
    """Run a command to its end: wall and CPU seconds and peak memory, by the operating system's own account."""
    start = time.perf_counter()
    process = os.posix_spawn(command[0], list(command), os.environ)
    _, status, usage = os.wait4(process, 0)
    if status:
        sys.exit(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_gib": peak / 2**30,
    }


def report(name: str, measured: dict[str, Any]) -> None:
    """Print a benchmark's figures as JSON and keep them in ``results/``."""
    text = json.dumps({"benchmark": name, "machine": facts()} | measured, indent=1)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n")
    print(text)
