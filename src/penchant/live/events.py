"""An event as it arrives, and the id of one that brings none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from math import isfinite
from operator import attrgetter
from typing import NamedTuple

from penchant.types import DAY, PenchantError

LONGEST_ID = 1024
MOST_EVENTS = 10_000
"""Events of one request."""
AHEAD = DAY
"""How far an event may lie in the future: one far ahead would make every later event of that person a late one."""
FIRST_YEAR = 365 * DAY
"""Times before 1971 are places in a log without times."""


class Event(NamedTuple):
    """Somebody did something with an item at a moment (microseconds since 1970).

    Without an ``event_id`` one is derived from all the rest, so that sending an event twice stores it once.
    ``recommendation_id`` names the list that led to it. A tuple, since they come by the thousand.
    """

    user_id: str
    item_id: str
    timestamp: int
    event_type: str = "event"
    value: float = 1.0
    event_id: str = ""
    session_id: str | None = None
    recommendation_id: str | None = None

    def named(self) -> Event:
        """The event with an id: its own, or a digest of all it says but the list it came from, which a retry may lack."""
        if self.event_id:
            return self
        said = json.dumps(self[:-1], ensure_ascii=False)
        return self._replace(event_id=f"derived:{blake2b(said.encode(), digest_size=12).hexdigest()}")


_IDS = ("user_id", "item_id", "event_type", "event_id", "session_id", "recommendation_id")
_ids = attrgetter(*_IDS)


def check(events: Sequence[Event], now: int) -> None:
    """Raise ``PenchantError``, saying which event and field, unless all of them can be stored."""
    if len(events) > MOST_EVENTS:
        raise PenchantError(f"there are {len(events):,} events in one request; send at most {MOST_EVENTS:,}")
    for place, event in enumerate(events, 1):
        for field, word in zip(_IDS, _ids(event), strict=True):
            if word and word.isprintable() and len(word) <= LONGEST_ID and not word.isspace():
                continue  # what nearly all are
            if word or field in ("user_id", "item_id", "event_type"):
                check_id(word, f"event {place}, {field}")
        if not 0 <= event.timestamp <= now + AHEAD:
            raise PenchantError(f"event {place}, timestamp: must lie between 1970 and a day from now")
        if not isfinite(event.value):
            raise PenchantError(f"event {place}, value: must be a finite number")


def check_id(word: str, what: str) -> None:
    """Raise ``PenchantError`` where a string can't be an id: empty, endless, with a NUL character, or no Unicode text."""
    if not word.strip():
        raise PenchantError(f"{what}: is empty")
    if len(word) > LONGEST_ID:
        raise PenchantError(f"{what}: is longer than {LONGEST_ID:,} characters; shorten the id")
    if "\0" in word or (not word.isprintable() and any("\ud800" <= character <= "\udfff" for character in word)):
        raise PenchantError(f"{what}: holds a character that no text has (NUL or half of a surrogate pair)")
