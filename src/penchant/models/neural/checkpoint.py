"""Where a training stands, in one file: written whole after each epoch, and gone on from."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from penchant.types import Array, Arrays, PenchantError


@dataclass
class Run:
    """A training after a whole epoch: all that is needed to go on."""

    epoch: int = 0
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    weights: Arrays = field(default_factory=dict)
    """As they are trained."""
    averaged: Arrays = field(default_factory=dict)
    best: Arrays = field(default_factory=dict)
    """Those of the best epoch, as they are used."""
    optimiser: Arrays = field(default_factory=dict)


GROUPS = ("weights", "averaged", "best", "optimiser")


def save(run: Run, path: Path, identity: str) -> None:
    """Replace the file at ``path`` by where the run stands. ``PenchantError`` where it can't be written."""
    tensors = {f"{group}/{name}": array for group in GROUPS for name, array in getattr(run, group).items()}
    words = json.dumps({"identity": identity, "epoch": run.epoch, "best_epoch": run.best_epoch, "history": run.history})
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, partial, metadata={"run": words, "sha256": _digest(words, tensors)})
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise PenchantError(f"{path}: the checkpoint can't be written: {error}") from error
    finally:
        with suppress(OSError):
            partial.unlink()


def load(path: Path | None, identity: str) -> Run:
    """The run in the file; a new one where there is none. ``PenchantError`` for a damaged file, or other settings or data."""
    if path is None or not path.exists():
        return Run()
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata()
            names = list(file.keys())
            tensors = {name: file.get_tensor(name) for name in names}
        whole = metadata["sha256"] == _digest(metadata["run"], tensors)
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        raise PenchantError(f"{path}: is not a checkpoint; delete it and train from the start") from error
    if not whole:
        raise PenchantError(f"{path}: is damaged; delete it and train from the start")
    words = json.loads(metadata["run"])
    if words["identity"] != identity:
        raise PenchantError(f"{path}: was made with other settings or data; delete it, or train with the same")
    groups: dict[str, dict[str, Array]] = {group: {} for group in GROUPS}
    for key, array in tensors.items():
        group, _, name = key.partition("/")
        groups[group][name] = array
    return Run(words["epoch"], words["best_epoch"], words["history"], **groups)


def _digest(words: str, tensors: Arrays) -> str:
    digest = hashlib.sha256(words.encode())
    for name, array in sorted(tensors.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()
