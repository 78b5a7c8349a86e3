"""What a store keeps and tells, as values: events as models read them, items, users, states, news of commits."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from penchant.live.events import Event


@dataclass(frozen=True)
class Appended:
    """What became of the events of one request, all of them on disk."""

    accepted: int
    duplicates: int
    new: tuple[Event, ...] = field(default=(), compare=False, repr=False)
    """Those that weren't there before."""


class Happened(NamedTuple):
    """An event as models read it, with its number."""

    timestamp: int
    event_id: str
    item_id: str
    event_type: str
    seq: int


class Last(NamedTuple):
    """The last events of some users, in columns: whose (the user's place among those asked for), how many back (1: the last),
    when, of what item and kind.
    """

    place: list[int]
    back: list[int]
    timestamp: list[int]
    item_id: list[str]
    event_type: list[str]


@dataclass(frozen=True)
class News:
    """What a commit of this process did: all changes with numbers above ``before`` up to ``after``. They were these events of
    these users, and nothing else; ``None``: whatever it was.
    """

    before: int
    after: int
    events: Mapping[str, Sequence[Happened]] | None


Tail = deque[News]
"""News that a follower hasn't taken yet, the oldest first. It is bounded: the oldest are dropped, which the numbers tell."""


@dataclass(frozen=True)
class Item:
    """What the store knows of an item. A deleted one stays, empty, so that it isn't recommended."""

    item_id: str
    hidden: bool = False
    categories: tuple[str, ...] = ()
    labels: Any = ()
    text: str = ""
    timestamp: int | None = None
    deleted: bool = False


@dataclass(frozen=True)
class User:
    """What the store knows of a user beside events."""

    user_id: str
    labels: Any = ()
    comment: str = ""


@dataclass(frozen=True)
class StoredState:
    """A state as bytes: of which model, and as of which number it holds all there was."""

    user_id: str
    state_id: str
    as_of: int
    state: bytes


Cursor = tuple[str, int, str]
"""A user and the place in the history behind which to read: timestamp and event id."""
Receipt = Callable[[Sequence[Happened]], Mapping[str, Any]]
"""What is written down of an erasure, from the events that are erased."""


@dataclass(frozen=True)
class Person:
    """A user in a list: how many events there are, and when the last one was."""

    user_id: str
    events: int
    last: int | None
