"""Penchant: from an event log to recommendations that know what people always liked and what they want right now.

>>> import penchant
>>> log = penchant.read("events.csv")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penchant.api import *  # noqa: F403
    from penchant.api import __all__, __version__  # noqa: F401


def __getattr__(name: str) -> Any:
    """What ``api`` has, and the modules, imported when they are asked for: a program may have something to do before."""
    if name.startswith("_") and name not in ("__all__", "__version__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if find_spec(f"{__name__}.{name}") is not None:
        return import_module(f"{__name__}.{name}")
    return getattr(import_module(f"{__name__}.api"), name)


def __dir__() -> list[str]:
    """What ``api`` has."""
    return list(import_module(f"{__name__}.api").__all__)
