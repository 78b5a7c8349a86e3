"""What travels over HTTP: fields in both spellings, Penchant's (``user_id``) and Gorse's (``UserId``), checked as they come in.

A request with the header ``X-API-Key`` or ``X-API-Version``, which every Gorse client sends, is answered in Gorse's shapes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Annotated, Any

from fastapi import Path
from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from penchant.data.times import RANGES, TO_MICROSECONDS
from penchant.live.events import LONGEST_ID, Event
from penchant.live.records import Cursor, Item, User
from penchant.live.service import MOST_RECOMMENDED, Candidates, Ranked
from penchant.types import PenchantError

LONGEST_TEXT = 100_000
"""Characters of what is known of an item or a user, in one field."""
DEEPEST = 32
"""Lists and objects within each other in labels."""
SLASH = "\ud800"
"""Stands for a slash within an id, one that came as ``%2F``, until the path is taken apart: no text has this character."""
AnId = Annotated[str, BeforeValidator(lambda word: word.replace(SLASH, "/")), Path(min_length=1, max_length=LONGEST_ID)]
"""An id in a path."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
FIRST, LAST = ((end.replace(tzinfo=UTC) - EPOCH) // MICROSECOND for end in (datetime.min, datetime.max))
"""The first and the last moment that can be written."""


def microseconds(time: str | float | None) -> int | None:
    """A moment as microseconds since 1970: a number, as text too (the unit is told from its size), or ISO 8601, UTC unless it
    says otherwise.

    ``None`` where none is given. Raises ``ValueError`` for what is no time, or lies beyond the years 1 to 9999.
    """
    if time is None or time == "":
        return None
    if isinstance(time, str):
        try:
            written = datetime.fromisoformat(time.strip())
        except ValueError:
            return microseconds(float(time))
        written = written if written.tzinfo else written.replace(tzinfo=UTC)
        if written.year == 1:  # Go's zero time stands for none
            return None
        moment = (written - EPOCH) // MICROSECOND
    elif isfinite(time):
        unit = next((unit for unit, (low, high) in RANGES.items() if low <= time < high), "s")
        moment = round(time * int(TO_MICROSECONDS[unit]) if unit != "ns" else time // 1000)
    else:
        raise ValueError("a time must be finite")
    if not FIRST <= moment <= LAST:
        raise ValueError("a time must lie between the years 1 and 9999")
    return moment


class Arrivals:
    """When the events of one request happened: at their own times, or ``now``. Of a user's events without a time each happens
    a microsecond after the one before it, so that they keep their order.
    """

    def __init__(self, now: int) -> None:
        self._now = now
        self._came: dict[str, int] = {}

    def moment(self, user_id: str, time: str | float | None) -> int:
        """The moment of the next event. Raises ``ValueError`` for what is no time."""
        given = microseconds(time)
        if given is not None:
            return given
        place = self._came.get(user_id, 0)
        self._came[user_id] = place + 1
        return self._now + place


def iso(moment: int | None) -> str:
    """Microseconds since 1970 as ISO 8601; nothing for none."""
    return "" if moment is None else (EPOCH + moment * MICROSECOND).isoformat().replace("+00:00", "Z")


def _text(word: str) -> str:
    if "\0" in word:
        raise ValueError("holds a NUL character")
    return word


def _plain_json(value: Any) -> Any:
    level = [value]
    for _ in range(DEEPEST + 1):
        holders = [outer.values() if isinstance(outer, dict) else outer for outer in level if isinstance(outer, dict | list)]
        level = [inner for holder in holders for inner in holder]
    if level:
        raise ValueError(f"must be nested at most {DEEPEST} deep")
    try:
        size = len(json.dumps(value, ensure_ascii=False, allow_nan=False).encode())
    except UnicodeEncodeError as error:
        raise ValueError("holds half of a character") from error
    if size > LONGEST_TEXT:
        raise ValueError(f"must be at most {LONGEST_TEXT:,} bytes of JSON")
    return value


def _no_truth(time: Any) -> Any:
    if isinstance(time, bool):
        raise ValueError("is no time, but true or false")
    return time


def _moment(time: str | float | None) -> str | float | None:
    try:
        microseconds(time)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            "is no time; times are seconds or milliseconds since 1970, or ISO 8601 (2024-05-31T18:30:00Z)"
        ) from error
    return time


Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID), AfterValidator(_text)]
Words = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_text)]
Time = Annotated[str | float | None, BeforeValidator(_no_truth), AfterValidator(_moment)]
Labels = Annotated[Any, AfterValidator(_plain_json)]


def _either(penchant: str, gorse: str) -> Any:
    return AliasChoices(penchant, gorse)


class _In(BaseModel):
    model_config = ConfigDict(coerce_numbers_to_str=True, extra="ignore")


class SessionEventIn(_In):
    """An event of somebody who needn't be named. Without a ``timestamp`` it happens now."""

    user_id: Id = Field("someone", validation_alias=_either("user_id", "UserId"))
    item_id: Id = Field(validation_alias=_either("item_id", "ItemId"))
    timestamp: Time = Field(None, validation_alias=_either("timestamp", "Timestamp"))
    event_type: Id = Field("event", validation_alias=_either("event_type", "FeedbackType"))
    value: float = Field(1.0, validation_alias=_either("value", "Value"), allow_inf_nan=False)
    event_id: Id | None = Field(None, description="sending the same one again stores nothing")
    session_id: Id | None = None
    recommendation_id: Id | None = Field(None, description="the list that led to it")

    def event(self, arrivals: Arrivals) -> Event:
        """The event, one of those of a request."""
        return Event(
            self.user_id,
            self.item_id,
            arrivals.moment(self.user_id, self.timestamp),
            self.event_type,
            self.value,
            self.event_id or "",
            self.session_id,
            self.recommendation_id,
        )


class EventIn(SessionEventIn):
    """Somebody did something with an item. Without a ``timestamp`` it happens now, and then only an ``event_id`` tells a
    retry.
    """

    user_id: Id = Field(validation_alias=_either("user_id", "UserId"))


class RankIn(_In):
    """Items that a user might be shown now, in one ``context``: columns the model was trained with, as ``{"tab": "1"}``."""

    user_id: Id = Field(validation_alias=_either("user_id", "UserId"))
    items: list[Id] = Field(min_length=1, max_length=MOST_RECOMMENDED)
    context: dict[Id, Id] = Field({}, max_length=100)
    at: Time = Field(None, description="the moment asked about; without it, now")

    def candidates(self, now: int) -> Candidates:
        """The question, at ``now`` if it names no moment."""
        moment = microseconds(self.at)
        return Candidates(now if moment is None else moment, self.user_id, tuple(self.items), self.context)


class ItemIn(_In):
    """What is known of an item; ``hidden`` items aren't recommended."""

    item_id: Id = Field(validation_alias=_either("item_id", "ItemId"))
    hidden: bool = Field(False, validation_alias=_either("hidden", "IsHidden"))
    categories: list[Id] | None = Field(None, validation_alias=_either("categories", "Categories"), max_length=1000)
    labels: Labels = Field(None, validation_alias=_either("labels", "Labels"))
    text: Words = Field("", validation_alias=_either("text", "Comment"))
    timestamp: Time = Field(None, validation_alias=_either("timestamp", "Timestamp"))

    def item(self) -> Item:
        """As the store has it."""
        labels = [] if self.labels is None else self.labels
        moment = microseconds(self.timestamp)
        return Item(self.item_id, self.hidden, tuple(self.categories or ()), labels, self.text, moment)


class _Patch(_In):
    """A change names fields that there are: of a misspelt one the client would believe that it was stored."""

    model_config = ConfigDict(extra="forbid")


class ItemPatch(_Patch):
    """What is to change of an item; what isn't there or null stays."""

    hidden: bool | None = Field(None, validation_alias=_either("hidden", "IsHidden"))
    categories: list[Id] | None = Field(None, validation_alias=_either("categories", "Categories"), max_length=1000)
    labels: Labels = Field(None, validation_alias=_either("labels", "Labels"))
    text: Words | None = Field(None, validation_alias=_either("text", "Comment"))
    timestamp: Time = Field(None, validation_alias=_either("timestamp", "Timestamp"))

    def fields(self) -> dict[str, Any]:
        """The changes, by the names of ``Item``."""
        given = {name: value for name, value in self if value is not None}
        if "categories" in given:
            given["categories"] = tuple(given["categories"])
        if "timestamp" in given:
            given["timestamp"] = microseconds(given["timestamp"])
        return given


class UserIn(_In):
    """What is known of a user beside events."""

    user_id: Id = Field(validation_alias=_either("user_id", "UserId"))
    labels: Labels = Field(None, validation_alias=_either("labels", "Labels"))
    comment: Words = Field("", validation_alias=_either("comment", "Comment"))

    def user(self) -> User:
        """As the store has it."""
        return User(self.user_id, [] if self.labels is None else self.labels, self.comment)


class UserPatch(_Patch):
    """What is to change of a user; what isn't there or null stays."""

    labels: Labels = Field(None, validation_alias=_either("labels", "Labels"))
    comment: Words | None = Field(None, validation_alias=_either("comment", "Comment"))

    def fields(self) -> dict[str, Any]:
        """The changes, by the names of ``User``."""
        return {name: value for name, value in self if value is not None}


class ErrorOut(BaseModel):
    """What went wrong and what to do about it, in one sentence."""

    error: str


class Accepted(BaseModel):
    """The events are on disk: ``accepted`` new ones, and ``duplicates`` that were there."""

    accepted: int
    duplicates: int


class GorseAccepted(BaseModel):
    """The same for a Gorse client: how many were new."""

    RowAffected: int


class GorseScore(BaseModel):
    """An item of a list, for a Gorse client."""

    Id: str
    Score: float


class BecauseOut(BaseModel):
    """A past item that speaks for a recommended one, and its share among those that do."""

    item_id: str
    title: str
    weight: float


class ReasonOut(BaseModel):
    """Why an item is recommended: shares of the parts of its score, the past items that weigh most, a sentence by language."""

    shares: dict[str, float]
    because: list[BecauseOut]
    sentence: dict[str, str]


class RecommendedItem(BaseModel):
    """An item of a list; with ``explain=true`` it has a ``reason``, and ``parts`` that sum to the score."""

    item_id: str
    score: float
    rank: int
    parts: dict[str, float] | None = None
    reason: ReasonOut | None = None


class RecommendationOut(BaseModel):
    """A list, best first. Events that name its ``recommendation_id`` are counted as coming from it."""

    recommendation_id: str
    model: str
    known: bool = Field(description="whether it rests on anything the person did")
    items: list[RecommendedItem]


class InterestOut(BaseModel):
    """A topic's shares in what a person always liked and wants right now; half of what they did with it is younger than
    ``half_life_days``.
    """

    topic: int
    name: str
    long_term: float
    short_term: float
    half_life_days: float | None


class HabitsOut(BaseModel):
    """Shares of events by hour and weekday (UTC, Monday first), and what sessions are like, where the store has times; and how
    much of an item is taken in, or for how long, where the server was told that values say it (``serve --value``).
    """

    hours: list[float]
    weekdays: list[float]
    sessions: int
    session_minutes: float = Field(default=0, description="the median; left out where the store has an order, but no times")
    events_per_session: float = Field(default=0, description="left out where the store has an order, but no times")
    completion: float = Field(default=0, description="the mean, 0 to 1; left out where values don't say it")
    dwell_seconds: float = Field(default=0, description="the mean; left out where values don't say it")


class RiverOut(BaseModel):
    """Topic shares over time; times are ISO 8601, or numbers of events where the log has no times."""

    times: list[str | int]
    long_term: list[list[float]]
    short_term: list[list[float]]


class SegmentOut(BaseModel):
    """A kind of people; ``fidelity`` is the balanced accuracy of the rule's tree on people it wasn't learned from."""

    name: str
    rule: str
    fidelity: float | None


class InterestsOut(BaseModel):
    """A person's interests. ``source`` says whether the shares come from the network's memories or from the history."""

    user_id: str
    known: bool
    events: int
    topics: list[InterestOut]
    drift: float = Field(description="Jensen-Shannon distance of long-term and short-term, 0 to 1")
    habits: HabitsOut
    river: RiverOut
    source: str
    segment: SegmentOut | None
    words: dict[str, str]
    pictures: dict[str, Any] = Field(description="those asked for by `picture`, as Plotly's JSON")


class TypicalOut(BaseModel):
    """An item by which a topic is known."""

    item_id: str
    title: str


class TopicOut(BaseModel):
    """A kind of items; ``fidelity`` is the balanced accuracy of the rule's tree on items it wasn't learned from."""

    topic: int
    name: str
    terms: list[str]
    items: int
    typical: list[TypicalOut]
    rule: str
    fidelity: float | None


class MapOut(BaseModel):
    """Items in two dimensions, column by column: ``shown`` of them ``of`` so many."""

    item_id: list[str]
    title: list[str]
    x: list[float]
    y: list[float]
    topic: list[int]
    shown: int
    of: int


class RankedItem(BaseModel):
    """An item and the probability of each thing the model was trained to tell, ``click`` for example."""

    item_id: str
    rank: int
    probabilities: dict[str, float]


class RankedOut(BaseModel):
    """The items, likeliest first by the first of the probabilities."""

    model: str
    known: bool = Field(description="whether it rests on anything the person did")
    items: list[RankedItem]


def ranked_out(found: Ranked) -> dict[str, Any]:
    """Ranked candidates as they are sent back."""
    items = [
        {"item_id": item, "rank": place + 1, "probabilities": {name: p[place] for name, p in found.probabilities.items()}}
        for place, item in enumerate(found.items)
    ]
    return {"model": found.model, "known": found.known, "items": items}


def event_out(event: Event) -> dict[str, Any]:
    """An event as it is sent back."""
    return {
        "user_id": event.user_id,
        "item_id": event.item_id,
        "timestamp": iso(event.timestamp),
        "event_type": event.event_type,
        "value": event.value,
        "event_id": event.event_id,
        "session_id": event.session_id,
        "recommendation_id": event.recommendation_id,
    }


def item_out(item: Item) -> dict[str, Any]:
    """An item as it is sent back."""
    return {
        "item_id": item.item_id,
        "hidden": item.hidden,
        "categories": list(item.categories),
        "labels": item.labels,
        "text": item.text,
        "timestamp": iso(item.timestamp),
    }


def user_out(user: User) -> dict[str, Any]:
    """A user as it is sent back."""
    return {"user_id": user.user_id, "labels": user.labels, "comment": user.comment}


GORSE = {
    "user_id": "UserId",
    "item_id": "ItemId",
    "timestamp": "Timestamp",
    "event_type": "FeedbackType",
    "value": "Value",
    "hidden": "IsHidden",
    "categories": "Categories",
    "labels": "Labels",
    "text": "Comment",
    "comment": "Comment",
    "cursor": "Cursor",
    "events": "Feedback",
    "items": "Items",
    "users": "Users",
}


def in_gorse(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields in Gorse's spelling, without those it doesn't have; lists of fields too."""
    return {
        GORSE[name]: [in_gorse(entry) for entry in value] if name in ("events", "items", "users") else value
        for name, value in fields.items()
        if name in GORSE
    }


def cursor_out(place: list[Any]) -> str:
    """A place in a list, as a word to ask for what is behind it."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def cursor_in(word: str) -> Cursor | None:
    """The inverse for events, ``None`` for the beginning. Raises ``PenchantError`` for other words."""
    if not word:
        return None
    try:
        user, moment, event = json.loads(base64.urlsafe_b64decode(word.encode()))
        if not (isinstance(user, str) and isinstance(event, str) and type(moment) is int and abs(moment) < 1 << 63):
            raise TypeError
        (user + event).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise PenchantError("cursor: is none that this server gave") from error
    return user, moment, event
