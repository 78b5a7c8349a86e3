"""A model folder and a store become a service: what the commands do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from penchant import artifact, evaluation
from penchant.data import catalog, dataset
from penchant.live.ledger import Item, Ledger
from penchant.live.service import Service
from penchant.live.states import MEMORY, Verification, verify
from penchant.types import PenchantError, Progress, quiet

CATEGORIES = ("categories", "category", "genres", "genre")


def _sqlite(place: str, *, create: bool) -> Ledger:
    return Ledger(place, create=create)


STORES: Mapping[str, Callable[..., Ledger]] = {"sqlite:///": _sqlite}
"""How each kind of store is opened, by how its address begins."""


def open_store(url: str, *, create: bool = False) -> Ledger:
    """A store by its address: ``sqlite:///penchant.db`` is a file here, ``sqlite:////var/penchant.db`` one anywhere."""
    for prefix, opened in STORES.items():
        if url.startswith(prefix) and len(url) > len(prefix):
            return opened(url.removeprefix(prefix), create=create)
    raise PenchantError(f"{url}: is no store; stores are {', '.join(f'{prefix}FILE' for prefix in STORES)}")


def open_service(
    model: str | Path,
    store: str,
    *,
    dataset_folder: str | Path | None = None,
    split: str | None = None,
    memory: int = MEMORY,
    progress: Progress = quiet,
) -> Service:
    """A service over a store, which is made if it isn't there. A dataset is loaded if the store has no events yet; with
    ``split``, of it only what lies before that split's test part, so that ``penchant replay`` can bring the rest.

    ``memory`` bounds the states that are kept in memory, in bytes.
    """
    loaded, lineage = artifact.load(model), _lineage(model)
    ledger = open_store(store, create=True)
    try:
        if dataset_folder is not None and not ledger.counts()["events"]:
            log = dataset.load(dataset_folder)
            if split is not None:
                log = log.where(~evaluation.held_out(log, evaluation.split(log, split)))
            ledger.load(log, _items(Path(dataset_folder)), progress)
        return Service(ledger, loaded, lineage, memory=memory)
    except BaseException:
        ledger.close()
        raise


def _lineage(model: str | Path) -> dict[str, Any]:
    """Where a model comes from, and when (``created``, seconds since 1970)."""
    return {"created": (Path(model) / artifact.CONFIG).stat().st_mtime} | artifact.read_lineage(model)


def _items(folder: Path) -> list[Item]:
    """A dataset's items as the store keeps them: the title as text, genres as categories, the rest as labels."""
    items = []
    for item_id, known in catalog.describe_items(folder / dataset.ITEMS).items():
        words = next((str(known[name]) for name in CATEGORIES if name in known), "")
        categories = tuple(dict.fromkeys(word.strip() for word in words.replace(",", "|").split("|") if word.strip()))
        labels = {name: str(value) for name, value in known.items() if name not in ("events", *CATEGORIES)}
        items.append(Item(item_id, categories=categories, labels=labels, text=catalog.title(known)))
    return items


def verify_store(model: str | Path, store: str, *, progress: Progress = quiet) -> Verification:
    """Compare every user's state in a store with the re-encoded history."""
    loaded = artifact.load(model)
    ledger = open_store(store)
    try:
        return verify(ledger, loaded, progress=progress)
    finally:
        ledger.close()
