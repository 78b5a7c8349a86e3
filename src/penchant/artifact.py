"""A model as a folder: ``config.json``, ``weights.safetensors``, ``items.parquet``, ``lineage.json``. No pickle, no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from penchant import folders
from penchant.data import engine
from penchant.models import SAVED
from penchant.models.base import Model
from penchant.types import PenchantError, Vocabulary

FORMAT = 1
FILES = CONFIG, WEIGHTS, ITEMS, LINEAGE = "config.json", "weights.safetensors", "items.parquet", "lineage.json"
_KEYS = {"format": int, "model": str, "id": str, "settings": dict, "items": int, "event_types": list, "sha256": dict}
HASHED = (WEIGHTS, ITEMS, LINEAGE)


def save(model: Model, out: str | Path, lineage: Mapping[str, Any] | None = None) -> None:
    """Write a trained model as a folder, whole or not at all.

    ``lineage`` says where it comes from: the dataset's hash, the split, what training measured. Raises
    ``PenchantError`` for a model that wasn't trained, or where ``out`` can't be written.
    """
    identifier = model.id
    told = {"learned_from": model.learned_from, "histories": model.histories(), "penchant": version("penchant")}
    with folders.writing(Path(out), FILES) as target:
        try:
            save_file({name: array.copy() for name, array in model.weights().items()}, target / WEIGHTS)
        except SafetensorError as error:
            raise PenchantError(f"{out}: can't be written: {error}") from error
        engine.write_parquet(engine.table({"item_id": list(model.items.ids)}).lazy(), target / ITEMS)
        _write(target / LINEAGE, dict(lineage or {}) | told)
        config = {
            "format": FORMAT,
            "model": model.name,
            "id": identifier,
            "settings": asdict(model.settings),
            "items": len(model.items),
            "event_types": model.event_types,
            "sha256": {name: engine.file_hash(target / name) for name in HASHED},
        }
        _write(target / CONFIG, config)


def load(folder: str | Path, kinds: Mapping[str, type[Model]] = SAVED) -> Model:
    """Read a model of one of these kinds.

    ``PenchantError`` says if the folder isn't a model, a file is missing or changed, or a newer Penchant wrote it.
    """
    folder = Path(folder)
    config = read_config(folder)
    for name, digest in config["sha256"].items():
        if not (folder / name).exists():
            raise PenchantError(f"{folder}: has no {name}; copy the whole folder or train again")
        if engine.file_hash(folder / name) != digest:
            raise PenchantError(
                f"{folder / name}: is not the file this model was saved with; copy the whole folder or train again"
            )
    if config["model"] not in kinds:
        raise PenchantError(f"{folder}: is a model of kind {config['model']!r}, which this Penchant doesn't have")
    kind = kinds[config["model"]]
    items = engine.collect(engine.read([folder / ITEMS], ["item_id"]), str(folder / ITEMS))
    lineage = read_lineage(folder)
    histories = lineage.get("histories", {})
    if len(items) != config["items"] or not isinstance(histories, dict):
        raise PenchantError(f"{folder / CONFIG}: is damaged; copy the whole folder or train again")
    try:
        model = kind(kind.settings_type.parse(config["settings"]))
        model.items = Vocabulary(tuple(items["item_id"].to_list()))
        model.event_types = tuple(config["event_types"])
        model.set_weights(load_file(folder / WEIGHTS))
    except SafetensorError as error:
        raise PenchantError(f"{folder / WEIGHTS}: can't be read: {error}") from error
    except PenchantError as error:
        raise PenchantError(f"{folder}: {error}; train it again") from error
    model.set_histories(histories)
    model.learned_from = str(lineage.get("learned_from", ""))
    if model.id != config["id"]:
        raise PenchantError(
            f"{folder}: its files don't belong together (they make {model.id}, not {config['id']}); train again"
        )
    return model


def read_config(folder: str | Path) -> dict[str, Any]:
    """What a model folder says of itself."""
    config = _read(Path(folder), CONFIG)
    if isinstance(config.get("format"), int) and config["format"] > FORMAT:
        raise PenchantError(f"{folder}: has format {config['format']}, this Penchant reads up to {FORMAT}; update Penchant")
    whole = all(isinstance(config.get(key), kind) for key, kind in _KEYS.items())
    if not whole or set(config["sha256"]) != set(HASHED):
        raise PenchantError(f"{Path(folder) / CONFIG}: is damaged; copy the whole folder or train again")
    return config


def read_lineage(folder: str | Path) -> dict[str, Any]:
    """Where a model comes from."""
    return _read(Path(folder), LINEAGE)


def other_dataset(lineage: Mapping[str, Any], content_hash: str) -> str:
    """On which other dataset a model was trained, in words: its folder then, where that is known, and its content's digest."""
    theirs, folder = str(lineage.get("dataset")), lineage.get("dataset_folder")
    named = f"{folder} ({theirs[:12]})" if folder else theirs[:12]
    return f"was trained on the dataset {named}, not on this one ({content_hash[:12]})"


def _write(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _read(folder: Path, name: str) -> dict[str, Any]:
    try:
        value = json.loads((folder / name).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PenchantError(f"{folder}: is not a model (no {name}); make one with penchant train") from error
    except OSError as error:
        raise PenchantError(f"{folder / name}: can't be read: {error.strerror}") from error
    except ValueError as error:
        raise PenchantError(f"{folder / name}: is damaged; copy the whole folder or train again") from error
    if not isinstance(value, dict):
        raise PenchantError(f"{folder / name}: is damaged; copy the whole folder or train again")
    return value
