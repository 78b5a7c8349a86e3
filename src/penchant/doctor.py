"""What is installed, what works, what to do."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

CORE = ("penchant", "numpy", "scipy", "polars", "narwhals", "safetensors", "rich")
EXTRAS = {
    "torch": ("torch", "training networks: pip install 'penchant[train]'"),
    "scikit-learn": ("sklearn", "penchant classify: pip install 'penchant[classify]'"),
    "implicit": ("implicit", "training the model als: pip install 'penchant[als]'"),
    "optuna": ("optuna", "penchant tune: pip install 'penchant[tune]'"),
    "fastapi": ("fastapi", "penchant serve: pip install 'penchant[serve]'"),
    "tensorboard": ("tensorboard", "penchant train --tensorboard: pip install 'penchant[tensorboard]'"),
}
"""The module of each package, and what it is for."""


def examine() -> list[dict[str, Any]]:
    """One finding a line: ``{"what", "found", "works", "advice"}``."""
    findings = [_finding("python", platform.python_version(), works=True)]
    findings += [
        _finding(name, version_of(name), works=version_of(name) is not None, advice=f"pip install {name}") for name in CORE
    ]
    for name, (module, purpose) in EXTRAS.items():
        findings.append(_finding(name, version_of(name), works=find_spec(module) is not None, advice=f"needed for {purpose}"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    findings.append(_finding("processors", f"{cores} for this process", works=True))
    free = shutil.disk_usage(".").free / 1e9
    findings.append(_finding("disk here", f"{free:.1f} GB free", works=free > 1, advice="make room: under 1 GB is left"))
    findings.append(_finding("this folder", os.getcwd(), works=os.access(".", os.W_OK), advice="it can't be written"))  # noqa: PTH109
    return findings


def _finding(what: str, found: str | None, *, works: bool, advice: str = "") -> dict[str, Any]:
    return {"what": what, "found": found or "not installed", "works": works, "advice": "" if works else advice}


def version_of(name: str) -> str | None:
    """The installed version of a package; None if it isn't there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
