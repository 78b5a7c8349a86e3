"""The two requests that come thousands of times a second, events in and a list out, read and answered without a framework.

They are middleware before the application, and answer only what is plainly right: JSON of exactly the described fields, a list
without filters. Everything else, and whatever might be refused, goes on to the application's own routes, which have the last
word; so there is one place where requests are judged, and a test holds the two ways to the same answers.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from itertools import count
from typing import Annotated, Any
from urllib.parse import unquote
from uuid import uuid4

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penchant.live.database import StoreError
from penchant.live.events import LONGEST_ID, MOST_EVENTS, Event
from penchant.live.interests import NotYetError
from penchant.live.service import MOST_RECOMMENDED, Ask, Recommended, Service
from penchant.live.worker import OverloadedError
from penchant.server.shapes import GORSE, SLASH, Arrivals
from penchant.types import PenchantError, UnknownError

log = logging.getLogger("penchant.server")

FEEDBACK, LISTS = "/api/feedback", "/api/recommend/"
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_ID)]
_ENCODED = re.compile("%2f", re.IGNORECASE)
_ONLY_N = re.compile(rb"n=([1-9][0-9]{0,3})")
_PROCESS, _COUNT = uuid4().hex[:20], count()


def fresh_id() -> str:
    """An id no other answer of any server has: cheaper than a random one for each."""
    return f"{_PROCESS}{next(_COUNT):012x}"


def refusal(error: PenchantError) -> tuple[int, str]:
    """The status and the sentence that an error is answered with."""
    if isinstance(error, UnknownError):
        return 404, str(error)
    if isinstance(error, NotYetError):
        return 503, str(error)
    if isinstance(error, OverloadedError | StoreError):
        log.error("%s", error)
        return 503, str(error)
    return 400, str(error)


_FIELDS: list[Any] = [
    ("user_id", Id),
    ("item_id", Id),
    ("timestamp", str | float | None, None),
    ("event_type", Id, "event"),
    ("value", float, 1.0),
    *((name, Id | None, None) for name in ("event_id", "session_id", "recommendation_id")),
]
"""``shapes.EventIn`` as it nearly always comes: a field more, or one in the other spelling, and it isn't plain."""


def _reader(names: Mapping[str, str]) -> msgspec.json.Decoder[Any]:
    plain = msgspec.defstruct("Event", _FIELDS, rename=names, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(Annotated[list[plain], msgspec.Meta(max_length=MOST_EVENTS)])  # type: ignore[valid-type]


_EVENTS, _GORSE_EVENTS = _reader({}), _reader(GORSE)
_ENCODER = msgspec.json.Encoder()


def read_events(body: bytes, now: int) -> list[Event] | None:
    """Events as described, those without a time at ``now``; ``None`` where somebody else has to judge."""
    arrivals = Arrivals(now)
    try:
        try:
            found = _EVENTS.decode(body)
        except msgspec.ValidationError:
            found = _GORSE_EVENTS.decode(body)
        return [
            Event(
                e.user_id,
                e.item_id,
                arrivals.moment(e.user_id, e.timestamp),
                e.event_type,
                e.value,
                e.event_id or "",
                e.session_id,
                e.recommendation_id,
            )
            for e in found
        ]
    except (msgspec.DecodeError, ValueError, OverflowError):
        return None


def list_out(found: Recommended) -> dict[str, Any]:
    """A list as it is sent."""
    items: list[dict[str, Any]] = [
        {"item_id": item, "score": score, "rank": rank}
        for rank, (item, score) in enumerate(zip(found.items, found.scores, strict=True), 1)
    ]
    for name, part in found.parts.items():
        for item, value in zip(items, part, strict=True):
            item.setdefault("parts", {})[name] = value
    return {
        "recommendation_id": found.recommendation_id,
        "model": found.model,
        "known": found.known,
        "items": items,
    }


class Hot:
    """ASGI middleware that answers the two itself. ``routes`` gives each path's route of the application, for the log."""

    def __init__(self, app: ASGIApp, service: Service, clock: Callable[[], int], routes: dict[str, Any]) -> None:
        self._app, self._service, self._clock = app, service, clock
        self._feedback_route, self._list_route = routes[FEEDBACK], routes[f"{LISTS}{{user_id}}"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        raw = scope.get("raw_path", b"")
        if b"%2" in raw and _ENCODED.search(raw.decode("latin-1")):
            # A copy: whoever called us wouldn't understand such a path.
            path = SLASH.join(map(unquote, _ENCODED.split(raw.decode("latin-1"))))
            inner = {**scope, "path": path, "raw_path": b""}
            await self(inner, receive, send)
            scope["route"] = inner.get("route")
            return
        path = scope.get("path", "")
        if path == FEEDBACK and scope["method"] in ("POST", "PUT"):
            await self._feedback(scope, receive, send)
        elif path.startswith(LISTS) and scope["method"] == "GET":
            await self._list(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _feedback(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if b"content-length" not in headers or not headers.get(b"content-type", b"").startswith(b"application/json"):
            await self._app(scope, receive, send)
            return
        came = [await receive()]
        while came[-1].get("more_body"):
            came.append(await receive())
        moment = self._clock()
        if came[-1]["type"] == "http.disconnect":
            return
        events = read_events(b"".join([message.get("body", b"") for message in came]), moment)
        try:
            stored = None if events is None else self._service.feedback(events, moment)
        except PenchantError:
            stored = None
        if stored is None:
            again = iter(came)

            async def receive_again() -> Message:
                return next(again, None) or await receive()

            await self._app(scope, receive_again, send)
            return
        scope["route"] = self._feedback_route
        done = await _done(stored, send)
        if done is None:
            return
        if b"x-api-key" in headers or b"x-api-version" in headers:
            await _answer(send, {"RowAffected": done.accepted})
        else:
            await _answer(send, {"accepted": done.accepted, "duplicates": done.duplicates})

    async def _list(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, query = scope["path"][len(LISTS) :], scope["query_string"]
        user = path.replace(SLASH, "/")
        only_n = _ONLY_N.fullmatch(query)
        n = int(only_n[1]) if only_n else 10
        gorse = any(name in (b"x-api-key", b"x-api-version") for name, _ in scope["headers"])
        plain = (only_n or not query) and n <= MOST_RECOMMENDED and path and "/" not in path and not gorse
        try:
            wish = Ask(self._clock(), user, n=n, recommendation_id=fresh_id())
            asked = self._service.recommend(wish) if plain else None
        except PenchantError:
            asked = None
        if asked is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = self._list_route
        found = await _done(asked, send)
        if found is not None:
            await _answer(send, list_out(found))


async def _done(future: Future[Any], send: Send) -> Any:
    """What a future comes to; where it fails the refusal is sent, and there is nothing."""
    try:
        return await asyncio.wrap_future(future)
    except PenchantError as error:
        status, sentence = refusal(error)
        await _answer(send, {"error": sentence}, status)
        return None


async def _answer(send: Send, content: dict[str, Any], status: int = 200) -> None:
    body = _ENCODER.encode(content)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
