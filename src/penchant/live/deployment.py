"""A model folder and a store become a service: what the commands do."""

from __future__ import annotations

import logging
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from penchant import artifact, evaluation
from penchant.candidates import load_ranker
from penchant.data import catalog, dataset
from penchant.interests.topics import Topics
from penchant.live import beside
from penchant.live.interests import topics_of_store
from penchant.live.learning import Update, mend, rolled_back, update
from penchant.live.ledger import Ledger
from penchant.live.memory import brought_up, part_learned
from penchant.live.records import Item
from penchant.live.service import Service
from penchant.live.states import MEMORY, Verification, verify
from penchant.types import Array, Interactions, PenchantError, Progress, quiet

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
LOOKS_TO_GROW = 30
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
    ranker: str | Path | None = None,
    value: str | None = None,
    progress: Progress = quiet,
) -> Service:
    """A service over a store, which is made if it isn't there. A dataset is loaded if the store has no events yet; with
    ``split``, of it only what lies before that split's test part, so that ``penchant replay`` can bring the rest.

    ``memory`` bounds the states that are kept in memory, in bytes; ``ranker`` is the folder of a model that ranks candidates;
    ``value`` what the values of events say (``interests.MEANINGS``): a dataset that has such a column is loaded with it.
    """
    if memory < 0:
        raise PenchantError("the memory for states can't be negative")
    mend(model)
    loaded, lineage = artifact.load(model), _lineage(model)
    ranks = None if ranker is None else load_ranker(ranker)
    ledger = open_store(store, create=True)
    try:
        if dataset_folder is not None and ledger.counts()["events"]:
            progress(f"{store} has events already, so {dataset_folder} isn't loaded", 0, 0)
        elif dataset_folder is not None:
            events = dataset.load(dataset_folder)
            if value is not None:
                events = replace(events, value=dataset.measures(dataset_folder).get(value, events.value).astype(np.float32))
            parts = _parts(events, lineage)
            if split is not None:
                kept = ~evaluation.held_out(events, evaluation.split(events, split))
                events, parts = events.where(kept), {name: part[kept] for name, part in parts.items()}
            ledger.load(events, _items(Path(dataset_folder)), progress, parts=parts)
        return Service(ledger, loaded, lineage, memory=memory, ranker=ranks, value=value)
    except BaseException:
        ledger.close()
        raise


def _parts(log: Interactions, lineage: Mapping[str, Any]) -> dict[str, Array]:
    """What a model that was trained on a split of this log has learned of it, and what it would have if it was refit."""
    name = lineage.get("split")
    if lineage.get("dataset") != log.content_hash or name not in evaluation.SPLITS:
        return {}
    cut = evaluation.split(log, name)
    learned = {evaluation.trained_on(refit=False): cut.train, evaluation.trained_on(refit=True): cut.before_test}
    return {part_learned({"split": name, "trained_on": words}): evaluation.within(log, part) for words, part in learned.items()}


def _lineage(model: str | Path) -> dict[str, Any]:
    """Where a model comes from, and when (``created``, seconds since 1970)."""
    return {"created": (Path(model) / artifact.CONFIG).stat().st_mtime} | artifact.read_lineage(model)


def _items(folder: Path) -> list[Item]:
    """A dataset's items as the store keeps them: the title as text, genres as categories, the rest as labels."""
    items = []
    for item_id, known in catalog.describe_items(folder / dataset.ITEMS).items():
        categories = tuple(catalog.kinds_in(next((known[name] for name in CATEGORIES if name in known), None)))
        labels = {name: str(value) for name, value in known.items() if name not in ("events", *CATEGORIES)}
        items.append(Item(item_id, categories=categories, labels=labels, text=catalog.title(known)))
    return items


def update_model(model: str | Path, store: str, *, k: int = 10, seed: int = 0, progress: Progress = quiet) -> Update:
    """Learn from a store; see ``learning.update``."""
    ledger = open_store(store)
    try:
        return update(model, ledger, k=k, seed=seed, progress=progress)
    finally:
        ledger.close()


def find_topics(
    model: str | Path, store: str, *, count: int | None = None, seed: int = 0, progress: Progress = quiet
) -> Topics:
    """Topics of what a store has seen; see ``interests.topics_of_store``."""
    ledger = open_store(store)
    try:
        return topics_of_store(model, ledger, count=count, seed=seed, progress=progress)
    finally:
        ledger.close()


class Following:
    """While a service runs: exchanges its model when another stands in the folder, lets it grow, learns from the store now
    and then, and has its topics made.

    Learning is a process of its own (``penchant update``), so that requests don't wait for it. What goes wrong is logged, and
    the service goes on as it is.
    """

    def __init__(self, service: Service, model: str | Path, store: str, update_every: float | None = None) -> None:
        self._service, self._model, self._store, self._every = service, Path(model), store, update_every
        self._seen = artifact.read_config(model)["id"]
        self._stopping = threading.Event()
        self._learning: subprocess.Popen[str] | None = None
        self._find_topics()
        self._thread = threading.Thread(target=self._run, name="following", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more; a learning that goes on is stopped, and leaves nothing."""
        self._stopping.set()
        self._thread.join()
        if self._learning is not None:
            beside.stop(self._learning)
            self._learning.communicate()

    def _run(self) -> None:
        looks = 0
        while not self._stopping.wait(LOOK_SECONDS):
            looks += 1
            self._hear()
            if self._every is not None and looks % max(1, round(self._every / LOOK_SECONDS)) == 0:
                self._learn()
            try:
                self.look()
                if looks % LOOKS_TO_GROW == 0:
                    self._service.grow()
            except Exception:
                log.exception("the model that answers stays the one it is")

    def _learn(self) -> None:
        """Begin to learn, unless that goes on already, or somebody took the last model back: then what learned the same events
        once more would only come again.
        """
        if self._learning is not None:
            return
        if rolled_back(self._model):
            log.warning("%s was rolled back, so it isn't updated until penchant update is run by hand", self._model)
            return
        words = ["update", str(self._model), "--store", self._store, "--json"]
        self._learning = beside.start(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _hear(self) -> None:
        """Log what came of an update that has ended."""
        if self._learning is not None and self._learning.poll() is not None:
            log.info("update: %s", " ".join(word.strip() for word in self._learning.communicate()))
            self._learning = None

    def _find_topics(self) -> None:
        self._service.insight.begin(self._service.living.model, self._model)

    def look(self) -> bool:
        """Exchange the model if another is in the folder; returns whether."""
        if not self._model.exists():  # the instant between two
            return False
        found = artifact.read_config(self._model)["id"]
        if found == self._seen:
            return False
        self._seen = found  # one that can't be loaded is tried once
        self._service.exchange(artifact.load(self._model), _lineage(self._model))
        self._find_topics()
        log.info("the model %s answers from now on", found)
        return True


def verify_store(model: str | Path, store: str, *, progress: Progress = quiet) -> Verification:
    """Compare every user's state in a store with the re-encoded history."""
    loaded, lineage = artifact.load(model), _lineage(model)
    ledger = open_store(store)
    try:
        if not ledger.database.faults():  # items that came while it served are the living model's
            loaded = brought_up(ledger, loaded, lineage).model
        return verify(ledger, loaded, progress=progress)
    finally:
        ledger.close()
