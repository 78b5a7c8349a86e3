"""Topics of the model that is served, made in the background where there are none, and what they say of a person."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from penchant.interests import topics as kept
from penchant.interests.finding import find_topics
from penchant.interests.profiles import SESSION_GAP, Past
from penchant.interests.topics import Topics
from penchant.live.events import Event
from penchant.live.learning import labels_text, read_store
from penchant.live.ledger import Ledger
from penchant.models.base import Model
from penchant.types import DAY, PenchantError, UnknownError

log = logging.getLogger(__name__)

MOST_READ = 2_000_000
"""Events of a store from which topics are made while it is served."""
FIRST_YEAR = 365 * DAY
"""Times before 1971 are places in a log without times."""


class NotYetError(PenchantError):
    """It will be there in a moment."""


class _StoppedError(Exception):
    """The server stops: what is being made isn't needed any more."""


class Insight:
    """The topics of one service. ``topics`` is set once they are there, and replaced as a whole."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.topics: Topics | None = None
        self._why_not = "this server has no topics; make them with penchant interests MODEL DIR, then start it again"
        self._making: threading.Thread | None = None
        self._stopping = threading.Event()

    def found(self) -> Topics:
        """The topics. ``NotYetError`` while they are made, ``UnknownError`` where there will be none."""
        if self.topics is not None:
            return self.topics
        if self._making is not None and self._making.is_alive():
            raise NotYetError("the topics are being made; ask again in a moment")
        raise UnknownError(self._why_not)

    def begin(self, model: Model, folder: Path) -> None:
        """Take the topics that are kept in ``folder``, or make and keep some, in a thread of its own. Where they are another
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
        self._stopping.set()

    def _make(self, model: Model, folder: Path) -> None:
        try:
            if folder.exists():
                self.topics = kept.load(folder)
                if self.topics.items == model.items:
                    return
            made = self._find(model)
            self.topics = made
            kept.save(made, folder)
        except _StoppedError:
            return
        except PenchantError as error:
            self._why_not = f"this server has no topics: {error}"
            log.warning("topics: %s", error)
        except Exception:
            if not self._stopping.is_set():
                self._why_not = "this server has no topics: making them failed, and its log says why"
                log.exception("topics couldn't be made; all else goes on")

    def _find(self, model: Model) -> Topics:
        events = self._ledger.counts()["events"]
        if events == 0:
            raise PenchantError("the store has no events to make them of; start the server again when it has")
        if events > MOST_READ:
            raise PenchantError(f"the store has more than {MOST_READ:,} events; make them with penchant interests MODEL DIR")

        def progress(*_: Any) -> None:
            if self._stopping.is_set():
                raise _StoppedError

        with TemporaryDirectory() as work:
            events_of_store, _ = read_store(self._ledger, Path(work), progress)
        return find_topics(model, events_of_store, descriptions(self._ledger), old=self.topics, progress=progress)


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


def past_of(events: Sequence[Event], topics: Topics) -> Past:
    """A person's events in order, as profiles read them. A session is what one id names; without ids, a pause of half an hour
    ends it.
    """
    timestamp = np.array([event.timestamp for event in events], np.int64)
    names = [event.session_id for event in events]
    apart = [
        later - earlier > SESSION_GAP if None in pair else pair[0] != pair[1]
        for earlier, later, pair in zip(timestamp[:-1], timestamp[1:], pairwise(names), strict=True)
    ]
    session = np.concatenate([[0], np.cumsum(apart)])[: len(events)].astype(np.int64)
    item = topics.items.codes([event.item_id for event in events])
    real = len(events) == 0 or events[-1].timestamp >= FIRST_YEAR
    return Past(item, timestamp, session, "real" if real else "index")
