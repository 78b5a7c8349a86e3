"""Topics of the model that is served, made in the background where there are none, and what they say of a person."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from penchant import artifact, folders
from penchant.interests import topics as kept
from penchant.interests.finding import find_topics
from penchant.interests.profiles import SESSION_GAP, Past
from penchant.interests.topics import Topics
from penchant.live import beside
from penchant.live.events import FIRST_YEAR
from penchant.live.learning import labels_text, read_store
from penchant.live.ledger import Ledger
from penchant.models.base import Model
from penchant.types import Array, PenchantError, Progress, UnknownError, quiet

log = logging.getLogger(__name__)

MOST_READ = 2_000_000
"""Events of a store from which topics are made."""
LEAST_PRIORITY = 19
MEANINGS = ("completion", "dwell")
"""What the values of events may say: how much of an item was taken in (0 to 1), or for how many seconds somebody stayed."""


class NotYetError(PenchantError):
    """It will be there in a moment."""


class Insight:
    """The topics of one service. ``topics`` is set once they are there, and replaced as a whole; ``value`` is what of
    ``MEANINGS`` the values of events say.

    They are found by a process of its own (``penchant interests --store``), so that requests don't wait for it, nor share their
    memory with it.
    """

    def __init__(self, ledger: Ledger, value: str | None = None) -> None:
        if value is not None and value not in MEANINGS:
            raise PenchantError(f"the value of an event may say {' or '.join(MEANINGS)}, not {value!r}")
        self.value = value
        self._ledger = ledger
        self.topics: Topics | None = None
        self._why_not = "this server has no topics; make them with penchant interests MODEL DIR, then start it again"
        self._making: threading.Thread | None = None
        self._finding: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def found(self) -> Topics:
        """The topics. ``NotYetError`` while they are made, ``UnknownError`` where there will be none."""
        if self.topics is not None:
            return self.topics
        if self._making is not None and self._making.is_alive():
            raise NotYetError("the topics are being made; ask again in a moment")
        raise UnknownError(self._why_not)

    def begin(self, model: Model, folder: Path) -> None:
        """Take the topics that are kept beside the model's ``folder``, or have some made and kept. Where they are another
        model's, new ones are matched to them; until these are there, the old ones answer.
        """
        if self._making is None or not self._making.is_alive():
            self._making = threading.Thread(target=self._make, args=(model, folder), name="topics", daemon=True)
            self._making.start()

    def wait(self) -> None:
        """Until what has begun is done."""
        if self._making is not None:
            self._making.join()

    def close(self) -> None:
        """Begin nothing more, and give up what isn't done."""
        with self._lock:
            self._closed = True
        if self._finding is not None:
            beside.stop(self._finding)
        if self._making is not None:
            self._making.join(beside.PATIENCE_SECONDS)

    def _make(self, model: Model, folder: Path) -> None:
        place = kept.beside(folder)
        try:
            if place.exists():
                self.topics = kept.load(place)
                if self.topics.items == model.items:
                    return
            refused = self._find(folder)
            if refused is None:
                self.topics = kept.load(place)
        except PenchantError as error:
            refused = str(error)
        if refused and not self._closed:
            self._why_not = f"this server has no topics: {refused}"
            log.warning("topics: %s", refused)

    def _find(self, folder: Path) -> str | None:
        """Have topics found and kept; why there are none, if there are none."""
        words = ["interests", str(folder), "--store", f"sqlite:///{self._ledger.database.path.absolute()}", "--json"]
        with self._lock:
            if self._closed:
                return "the server stops"
            self._finding = beside.start(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if hasattr(os, "setpriority"):
            os.setpriority(os.PRIO_PROCESS, self._finding.pid, LEAST_PRIORITY)
        _, complaint = self._finding.communicate()
        if self._finding.returncode == 0:
            return None
        said = complaint.strip().splitlines()[-1:]
        try:
            return str(json.loads(said[0])["error"])
        except (IndexError, ValueError, KeyError, TypeError):
            return f"finding them failed (exit code {self._finding.returncode}) {' '.join(said)}".strip()


def topics_of_store(
    model: str | Path, ledger: Ledger, *, count: int | None = None, seed: int = 0, progress: Progress = quiet
) -> Topics:
    """The topics kept beside the folder ``model``, or new ones found in what a store has seen, which are kept there.

    Raises ``PenchantError`` where the store has no events, or too many for one machine's memory.
    """
    loaded, place = artifact.load(model), kept.beside(model)
    old = kept.load(place) if place.exists() else None
    if old is not None and old.items == loaded.items and count in (None, len(old)):
        return old
    events = ledger.counts()["events"]
    if events == 0:
        raise PenchantError("the store has no events to make topics of")
    if events > MOST_READ:
        raise PenchantError(f"the store has more than {MOST_READ:,} events; make topics with penchant interests MODEL DIR")
    with folders.scratch(Path(model), "topics") as work:
        seen = read_store(ledger, work, progress).log
    made = find_topics(loaded, seen, descriptions(ledger), count=count, old=old, seed=seed, progress=progress)
    kept.save(made, place)
    return made


def descriptions(ledger: Ledger) -> dict[str, dict[str, Any]]:
    """What the store knows of each item, by columns, as a dataset's catalogue has it."""
    found = {}
    for item in ledger.items():
        labels = item.labels if isinstance(item.labels, Mapping) else {"labels": labels_text(item.labels)}
        told = {
            str(name): value for name, value in labels.items() if isinstance(value, str | int | float) and value != item.text
        }
        said = {"title": item.text, "categories": "|".join(item.categories)} | told
        found[item.item_id] = {name: value for name, value in said.items() if value not in ("", None)}
    return found


def past_of(
    timestamps: Sequence[int],
    items: Sequence[str],
    sessions: Sequence[str | None],
    values: Sequence[float | None],
    topics: Topics,
    value: str | None = None,
) -> Past:
    """A person's events in order, as profiles read them (``Ledger.past``). A session is what one id names; without ids, a pause
    of half an hour ends it. ``value`` is what of ``MEANINGS`` the events' values say, if one of them.
    """
    timestamp, name = np.array(timestamps, np.int64), np.array(sessions, object)
    named = np.array([session is not None for session in sessions], bool)
    paused = np.diff(timestamp) > SESSION_GAP
    apart = np.where(named[1:] & named[:-1], name[1:] != name[:-1], paused)
    session = np.concatenate([[0], np.cumsum(apart)])[: len(timestamp)].astype(np.int64)
    real = len(timestamp) == 0 or timestamp[-1] >= FIRST_YEAR
    told: dict[str, Array] = {}
    if value is not None:
        told[value] = np.array(values, np.float64)
        if value == "completion":
            told[value] = np.clip(told[value], 0, 1)
    return Past(topics.items.codes(items), timestamp, session, "real" if real else "index", **told)
