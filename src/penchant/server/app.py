"""The HTTP API as an application: paths, what they take, what they answer. All work is the service's.

    POST   /api/feedback                        events, each stored once; answered when they are on disk
    GET    /api/recommend/{user_id}             what to recommend now, with the parts of each score if asked
    POST   /api/session/recommend               the same for events that aren't stored
    POST   /api/rank                            will this user like these items
    GET    /api/item-to-item/{item_id}          what goes with an item
    PUT    /api/user/{target}/merge/{source}    an anonymous session becomes an account
    GET    /api/user/{user_id}/interests        what a user always liked and wants now, habits, and how that moved
    GET    /api/topics, /api/items/map          kinds of items; where items lie among them
    GET    /api/figures/…                       pictures of both, as Plotly's JSON
    DELETE /api/user/{user_id}                  erasure, with a receipt
    GET    /api/feedback, /api/items, /api/users, /api/user/{user_id}/feedback/{event_type}
    POST, GET, PATCH, DELETE of /api/item(s) and /api/user(s)
    GET    /health/live, /health/ready, /metrics, /docs
    GET    /, and what it looks at: see browsing, watching, site

A slash within an id is written ``%2F`` in a path.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from fastapi import Body, Depends, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from penchant.interests import pictures
from penchant.interests.reasons import Reason
from penchant.live.events import LONGEST_ID, MOST_EVENTS
from penchant.live.service import MOST_RECOMMENDED, MOST_WORDS, Ask, Recommended, Service
from penchant.server import shapes
from penchant.server.browsing import add_browsing, add_models
from penchant.server.hot import Hot, fresh_id, list_out, refusal
from penchant.server.observing import Observed, ServiceFigures
from penchant.server.shapes import AnId
from penchant.server.site import KnownNames, SameOrigin, add_page
from penchant.server.watching import LATEST_REQUESTS, TIMED, Watch, add_watching
from penchant.types import NEVER, PenchantError, UnknownError

Many = Annotated[int, Query(ge=1, le=MOST_RECOMMENDED)]
Offset = Annotated[int, Query(ge=0, le=MOST_RECOMMENDED)]
Truth = Annotated[bool, Query()]
Several = Annotated[list[str], Query(max_length=MOST_RECOMMENDED)]
ALIST = shapes.RecommendationOut | list[shapes.GorseScore] | list[str]
"""Ours, Gorse's, and that of its older clients."""
ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": shapes.ErrorOut, "description": "Can't be done as asked; nothing was changed"},
    404: {"model": shapes.ErrorOut, "description": "There is no such user, item or path"},
    413: {"model": shapes.ErrorOut, "description": "The body is too large"},
    422: {"model": shapes.ErrorOut, "description": "Not of the form described here; nothing was changed"},
    503: {"model": shapes.ErrorOut, "description": "Too much waits, or the store can't be used now; ask again later"},
}


def now() -> int:
    """Microseconds since 1970: the one clock of the service."""
    return time.time_ns() // 1000


class Application(FastAPI):
    """FastAPI behind a ``front`` that answers what comes often itself: a framework's layers cost such a request more than all
    else.
    """

    front: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self.front(scope, receive, send)

    async def behind(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that the front leaves to the framework."""
        await super().__call__(scope, receive, send)


def create_app(
    service: Service,
    clock: Callable[[], int] = now,
    *,
    model: FilePath | None = None,
    report: FilePath | None = None,
    names: Collection[str] | None = None,
) -> FastAPI:
    """The application over a service, which stays the caller's to close. ``model`` is the folder its model came from, and
    ``report`` that of an evaluation: the page shows both. With ``names`` it answers to these only (``site.KnownNames``).
    """
    app = Application(
        title="Penchant",
        description="Recommendations that change with the next event. Requests with the header X-API-Key or X-API-Version "
        "are answered in Gorse's shapes.",
        version="1",
        responses=ERRORS,
        redirect_slashes=False,
        docs_url=None,  # see site: FastAPI's would load a script from elsewhere
        redoc_url=None,
    )
    registry = CollectorRegistry()
    registry.register(ServiceFigures(service, time.time()))
    app.state.service, app.state.clock = service, clock
    _add_errors(app)
    _add_recommendations(app, service, clock)
    _add_feedback(app, service, clock)
    _add_items(app, service)
    add_models(app, service, model, report)  # before the pictures of people, whose path would take /api/figures/models/… too
    _add_interests(app, service, clock)
    _add_users(app, service, clock)
    _add_health(app, service, registry)
    add_browsing(app, service)
    latest = {path: deque[float](maxlen=LATEST_REQUESTS) for path in TIMED.values()}
    add_watching(app, Watch(service, clock, latest))
    add_page(app)
    routes = {route.path: route for route in app.routes if isinstance(route, APIRoute)}
    front: ASGIApp = SameOrigin(Hot(app.behind, service=service, clock=clock, routes=routes))
    if names is not None:
        front = KnownNames(front, names=names)
    app.front = Observed(ServerErrorMiddleware(front, handler=_broken), registry=registry, latest=latest)
    return app


def _add_errors(app: FastAPI) -> None:
    def answer(status: int, sentence: str) -> JSONResponse:
        return JSONResponse({"error": sentence}, status)

    @app.exception_handler(PenchantError)
    async def refused(_: Request, error: PenchantError) -> JSONResponse:
        return answer(*refusal(error))

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["loc"][0] == "body" and "json" not in request.headers.get("content-type", "").lower():
            return answer(422, "body: only JSON is read; send it with Content-Type: application/json")
        if first["type"] == "json_invalid":
            return answer(422, f"body: is not JSON ({first['ctx']['error']} at character {first['loc'][1] + 1})")
        place = ", ".join(str(word)[:80] for word in first["loc"])
        if first["type"] == "extra_forbidden":
            return answer(422, f"{place}: is no field that can be changed")
        return answer(422, f"{place}: {first['msg'].removeprefix('Value error, ')}")

    app.exception_handler(Exception)(_broken)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400 and error.__cause__ is not None:  # the framework couldn't read the body, and says no more
            packed = request.headers.get("content-encoding")
            return answer(400, "body: is packed; send it as it is" if packed else "body: is not JSON in UTF-8")
        return JSONResponse({"error": str(error.detail)}, error.status_code, headers=error.headers)


async def _broken(_: Request, error: Exception) -> JSONResponse:
    sentence = f"this is a defect of Penchant ({type(error).__name__}); the log says more by the request's id"
    return JSONResponse({"error": sentence}, 500)


async def _speaks_gorse(
    x_api_key: Annotated[str | None, Header()] = None, x_api_version: Annotated[str | None, Header()] = None
) -> int:
    """0 for our own clients; for Gorse's the version of its API that they want."""
    if x_api_version is not None:
        return 2 if x_api_version.strip() == "2" else 1
    return 0 if x_api_key is None else 1


Gorse = Annotated[int, Depends(_speaks_gorse)]


_ZONE = re.compile(r"([T ]\d\d:\d\d\S*) (\d\d:?\d\d)$")


def _moment(name: str, word: str | None) -> int | None:
    """A time in a query, in any notation that events have; the plus of a time zone may have come as a blank."""
    try:
        return shapes.microseconds(None if word is None else _ZONE.sub(r"\1+\2", word))
    except (ValueError, OverflowError) as error:
        raise PenchantError(f"{name}: is no time; write it as 2024-05-31T18:30:00Z") from error


async def _filters(
    n: Many = 10,
    offset: Offset = 0,
    exclude_seen: Truth = True,
    explain: Truth = False,
    exclude: Several = [],  # noqa: B006 - FastAPI copies defaults
    categories: Annotated[list[str], Query(alias="category", max_length=MOST_RECOMMENDED)] = [],  # noqa: B006
    newer_than: Annotated[str | None, Query(max_length=40)] = None,
    at: Annotated[str | None, Query(max_length=40, description="the moment asked about; without it, now")] = None,
) -> dict[str, Any]:
    return {
        "now": _moment("at", at),
        "n": n,
        "offset": offset,
        "exclude_seen": exclude_seen,
        "explain": explain,
        "exclude": tuple(exclude),
        "categories": tuple(categories),
        "newer_than": _moment("newer_than", newer_than),
        "recommendation_id": fresh_id(),
    }


Filters = Annotated[dict[str, Any], Depends(_filters)]
Events = Annotated[list[shapes.EventIn], Body(max_length=MOST_EVENTS)]
Session = Annotated[list[shapes.SessionEventIn], Body(max_length=MOST_WORDS)]
Items = Annotated[list[shapes.ItemIn], Body(max_length=MOST_EVENTS)]
Users = Annotated[list[shapes.UserIn], Body(max_length=MOST_EVENTS)]


def _add_recommendations(app: FastAPI, service: Service, clock: Callable[[], int]) -> None:
    async def answered(wish: Ask, gorse: int, *, scored: bool) -> Response:
        found = await asyncio.wrap_future(service.recommend(wish))
        if wish.explain and not gorse:
            return _list(found, gorse, scored=scored, why=await run_in_threadpool(service.reasons, wish, found.items))
        return _list(found, gorse, scored=scored)

    def ask(filters: dict[str, Any], **more: Any) -> Ask:
        return Ask(**filters | more | {"now": clock() if filters["now"] is None else filters["now"]})

    @app.get("/api/recommend/{user_id}", response_model=ALIST, tags=["recommend"])
    async def recommend(user_id: AnId, filters: Filters, gorse: Gorse) -> Response:
        """What to recommend to a user now. Without anything known of them: what newcomers get."""
        return await answered(ask(filters, user_id=user_id), gorse, scored=gorse == 2)

    @app.get("/api/recommend/{user_id}/", include_in_schema=False)
    async def recommend_any_category(user_id: AnId, filters: Filters, gorse: Gorse) -> Response:
        return await answered(ask(filters, user_id=user_id), gorse, scored=gorse == 2)

    @app.get("/api/recommend/{user_id}/{category}", response_model=ALIST, tags=["recommend"])
    async def recommend_category(user_id: AnId, category: AnId, filters: Filters, gorse: Gorse) -> Response:
        """The same of one category."""
        return await answered(ask(filters, user_id=user_id, categories=(category,)), gorse, scored=gorse == 2)

    @app.post("/api/session/recommend", response_model=ALIST, tags=["recommend"])
    async def session(events: Session, filters: Filters, gorse: Gorse) -> Response:
        """What to recommend after some events, which aren't stored: for people who aren't known."""
        moment = clock() if filters["now"] is None else filters["now"]
        arrivals = shapes.Arrivals(moment)
        wish = ask(filters, events=tuple(event.event(arrivals) for event in events))
        return await answered(wish, gorse, scored=True)

    @app.post("/api/rank", response_model=shapes.RankedOut, tags=["recommend"])
    async def rank(wish: shapes.RankIn) -> Response:
        """How likely a user is to like each of some items, likeliest first. Needs a model that ranks candidates (``penchant
        serve --ranker``).
        """
        found = await asyncio.wrap_future(service.rank(wish.candidates(clock())))
        return JSONResponse(shapes.ranked_out(found))

    @app.get("/api/item-to-item/{item_id}", response_model=ALIST, tags=["recommend"])
    @app.get("/api/item/{item_id}/neighbors", response_model=ALIST, tags=["recommend"])
    async def similar(item_id: AnId, gorse: Gorse, n: Many = 10, offset: Offset = 0) -> Response:
        """What goes with an item: what the model recommends to someone who had just this one."""
        found = await asyncio.wrap_future(service.similar(item_id, clock(), n, offset, fresh_id()))
        return _list(found, gorse, scored=True)


def _list(found: Recommended, gorse: int, *, scored: bool, why: Sequence[Reason] = ()) -> Response:
    if gorse:
        pairs = zip(found.items, found.scores, strict=True)
        body: Any = [{"Id": item, "Score": score} for item, score in pairs] if scored else list(found.items)
        return JSONResponse(body, headers={"X-Recommendation-Id": found.recommendation_id})
    body = list_out(found)
    reason_of = {reason.item_id: reason for reason in why}
    for item in body["items"]:
        if item["item_id"] in reason_of:
            item["reason"] = reason_of[item["item_id"]].to_json()
    return JSONResponse(body)


def _add_feedback(app: FastAPI, service: Service, clock: Callable[[], int]) -> None:
    @app.post("/api/feedback", response_model=shapes.Accepted | shapes.GorseAccepted, tags=["events"])
    @app.put("/api/feedback", response_model=shapes.Accepted | shapes.GorseAccepted, tags=["events"])
    async def feedback(events: Events, gorse: Gorse) -> Response:
        """Store events: all of them or, where one can't be stored, none. The answer comes when they are on disk. The next
        recommendation knows them, in the order of their times, also those that come late.
        """
        moment = clock()
        arrivals = shapes.Arrivals(moment)
        stored = await asyncio.wrap_future(service.feedback([event.event(arrivals) for event in events], moment))
        if gorse:
            return JSONResponse({"RowAffected": stored.accepted})
        return JSONResponse({"accepted": stored.accepted, "duplicates": stored.duplicates})

    @app.get("/api/feedback", tags=["events"])
    async def list_feedback(
        gorse: Gorse, n: Annotated[int, Query(ge=1, le=MOST_EVENTS)] = 100, cursor: Annotated[str, Query(max_length=8000)] = ""
    ) -> Response:
        """All events in the order of users and times, page by page; the ``cursor`` of a page asks for the next, and is empty at
        the end.
        """
        after = shapes.cursor_in(cursor) or ("", NEVER, "")
        events = await run_in_threadpool(service.ledger.events, after=after, most=n)
        last = events[-1] if len(events) == n else None
        place = shapes.cursor_out([last.user_id, last.timestamp, last.event_id]) if last else ""
        return _spelled({"cursor": place, "events": [shapes.event_out(event) for event in events]}, gorse)

    async def of_user(user_id: str, event_type: str | None, gorse: int) -> Response:
        events = await run_in_threadpool(service.ledger.events, user_id=user_id, event_type=event_type)
        return _spelled_list([shapes.event_out(event) for event in events], gorse)

    @app.get("/api/user/{user_id}/feedback", tags=["events"])
    async def all_of_user(user_id: AnId, gorse: Gorse) -> Response:
        """A user's events in order."""
        return await of_user(user_id, None, gorse)

    @app.get("/api/user/{user_id}/feedback/{event_type}", tags=["events"])
    async def some_of_user(user_id: AnId, event_type: AnId, gorse: Gorse) -> Response:
        """A user's events of one type, in order."""
        return await of_user(user_id, event_type, gorse)

    async def delete(user_id: str, item_id: str, event_type: str | None, gorse: int) -> Response:
        deleted = await run_in_threadpool(service.erase_events, user_id, item_id, event_type)
        return JSONResponse({"RowAffected" if gorse else "deleted": deleted})

    @app.delete("/api/feedback/{user_id}/{item_id}", tags=["events"])
    async def delete_events(user_id: AnId, item_id: AnId, gorse: Gorse) -> Response:
        """Delete a user's events of an item, as if they had never been."""
        return await delete(user_id, item_id, None, gorse)

    @app.delete("/api/feedback/{event_type}/{user_id}/{item_id}", tags=["events"])
    async def delete_events_of_type(event_type: AnId, user_id: AnId, item_id: AnId, gorse: Gorse) -> Response:
        """Delete a user's events of one type of an item, as if they had never been."""
        return await delete(user_id, item_id, event_type, gorse)


def _spelled(fields: dict[str, Any], gorse: int) -> Response:
    return JSONResponse(shapes.in_gorse(fields) if gorse else fields)


def _spelled_list(entries: Sequence[dict[str, Any]], gorse: int) -> Response:
    return JSONResponse([shapes.in_gorse(entry) for entry in entries] if gorse else list(entries))


def _add_items(app: FastAPI, service: Service) -> None:
    async def put(items: Sequence[shapes.ItemIn], gorse: int) -> Response:
        stored = await asyncio.wrap_future(service.put_items([item.item() for item in items]))
        return JSONResponse({"RowAffected" if gorse else "stored": stored})

    @app.post("/api/item", tags=["items"])
    async def post_item(item: shapes.ItemIn, gorse: Gorse) -> Response:
        """Add an item, or replace what is known of it."""
        return await put([item], gorse)

    @app.post("/api/items", tags=["items"])
    async def post_items(items: Items, gorse: Gorse) -> Response:
        """Add items, or replace what is known of them."""
        return await put(items, gorse)

    @app.get("/api/items", tags=["items"])
    async def get_items(
        gorse: Gorse,
        n: Annotated[int, Query(ge=1, le=MOST_EVENTS)] = 100,
        cursor: Annotated[str, Query(max_length=LONGEST_ID)] = "",
        q: Annotated[str, Query(max_length=1000)] = "",
    ) -> Response:
        """Items by id, page by page: the ``cursor`` of a page asks for the next. With ``q`` those whose id or text hold it."""
        items = await run_in_threadpool(service.ledger.items, words=q, after=cursor, most=n)
        following = items[-1].item_id if len(items) == n else ""
        return _spelled({"cursor": following, "items": [shapes.item_out(item) for item in items]}, gorse)

    @app.get("/api/item/{item_id}", tags=["items"])
    async def get_item(item_id: AnId, gorse: Gorse) -> Response:
        """What is known of an item."""
        for item in await run_in_threadpool(service.ledger.items, item_id=item_id):
            return _spelled(shapes.item_out(item), gorse)
        raise UnknownError(f"there is no item {item_id[:80]!r}")

    @app.patch("/api/item/{item_id}", tags=["items"])
    async def patch_item(item_id: AnId, patch: shapes.ItemPatch, gorse: Gorse) -> Response:
        """Change some of what is known of an item, for example ``{"hidden": true}``: it holds from the next recommendation."""
        await asyncio.wrap_future(service.patch_item(item_id, patch.fields()))
        return JSONResponse({"RowAffected" if gorse else "stored": 1})

    @app.delete("/api/item/{item_id}", tags=["items"])
    async def delete_item(item_id: AnId, gorse: Gorse) -> Response:
        """Recommend an item no more, and forget what is known of it. Its events stay: they are people's histories."""
        known = await asyncio.wrap_future(service.delete_item(item_id))
        return JSONResponse({"RowAffected" if gorse else "deleted": int(known)})


Language = Annotated[Literal["en", "zh"], Query()]
Theme = Annotated[Literal["light", "dark"], Query()]
APicture = Literal["interests", "beside", "habits", "drift"]
MapLimit = Annotated[int, Query(alias="limit", ge=1, le=MOST_EVENTS)]


def _add_interests(app: FastAPI, service: Service, clock: Callable[[], int]) -> None:
    @app.get("/api/user/{user_id}/interests", response_model=shapes.InterestsOut, tags=["interests"])
    async def interests(
        user_id: AnId,
        language: Language = "en",
        theme: Theme = "light",
        picture: Annotated[list[APicture], Query(max_length=len(pictures.OF_PEOPLE))] = [],  # noqa: B006 - FastAPI copies it
    ) -> Response:
        """What a user has always liked and wants right now, how far the two are apart, habits, and how it moved, with the
        ``picture`` s asked for. Of somebody never seen: what everybody likes, with ``known`` false. 503 while topics are made.
        """
        found = await run_in_threadpool(service.interests, user_id, clock())
        shown = {name: pictures.OF_PEOPLE[name](found, language=language, theme=theme) for name in picture}
        return JSONResponse(found.to_json(language) | {"pictures": shown})

    @app.get("/api/topics", response_model=list[shapes.TopicOut], tags=["interests"])
    async def topics(language: Language = "en") -> Response:
        """The kinds of items there are, each with its terms, typical items, and a rule that explains it. 503 while they are
        made.
        """
        return JSONResponse(service.insight.found().to_json(language))

    @app.get("/api/items/map", response_model=shapes.MapOut, tags=["interests"])
    async def items_map(limit: MapLimit = pictures.POINTS) -> Response:
        """Where items lie in two dimensions, and their topics: of a large catalogue a sample, always the same."""
        return JSONResponse(await run_in_threadpool(service.insight.found().map_json, limit))

    @app.get("/api/figures/map", tags=["interests"])
    async def map_figure(limit: MapLimit = pictures.POINTS, language: Language = "en", theme: Theme = "light") -> Response:
        """The map of items, as Plotly's JSON."""
        topics = service.insight.found()
        return JSONResponse(await run_in_threadpool(pictures.topic_map, topics, most=limit, language=language, theme=theme))

    @app.get("/api/figures/{picture}/{user_id}", tags=["interests"])
    async def figure(picture: APicture, user_id: AnId, language: Language = "en", theme: Theme = "light") -> Response:
        """A picture of a user's interests, as Plotly's JSON: the river (``interests``), long-term beside right now
        (``beside``), ``habits``, or ``drift``.
        """
        found = await run_in_threadpool(service.interests, user_id, clock())
        return JSONResponse(pictures.OF_PEOPLE[picture](found, language=language, theme=theme))


def _add_users(app: FastAPI, service: Service, clock: Callable[[], int]) -> None:
    async def put(users: Sequence[shapes.UserIn], gorse: int) -> Response:
        stored = await asyncio.wrap_future(service.put_users([user.user() for user in users]))
        return JSONResponse({"RowAffected" if gorse else "stored": stored})

    @app.post("/api/user", tags=["users"])
    async def post_user(user: shapes.UserIn, gorse: Gorse) -> Response:
        """Add a user, or replace what is known beside events."""
        return await put([user], gorse)

    @app.post("/api/users", tags=["users"])
    async def post_users(users: Users, gorse: Gorse) -> Response:
        """Add users, or replace what is known of them beside events."""
        return await put(users, gorse)

    @app.get("/api/users", tags=["users"])
    async def get_users(
        gorse: Gorse,
        n: Annotated[int, Query(ge=1, le=MOST_EVENTS)] = 100,
        cursor: Annotated[str, Query(max_length=LONGEST_ID)] = "",
    ) -> Response:
        """Users by id, page by page: the ``cursor`` of a page asks for the next."""
        users = await run_in_threadpool(service.ledger.users, after=cursor, most=n)
        following = users[-1].user_id if len(users) == n else ""
        return _spelled({"cursor": following, "users": [shapes.user_out(user) for user in users]}, gorse)

    @app.get("/api/user/{user_id}", tags=["users"])
    async def get_user(user_id: AnId, gorse: Gorse) -> Response:
        """What is known of a user beside events."""
        for user in await run_in_threadpool(service.ledger.users, user_id=user_id):
            return _spelled(shapes.user_out(user), gorse)
        raise UnknownError(f"there is no user {user_id[:80]!r}")

    @app.patch("/api/user/{user_id}", tags=["users"])
    async def patch_user(user_id: AnId, user: shapes.UserPatch, gorse: Gorse) -> Response:
        """Change some of what is known of a user beside events."""
        await asyncio.wrap_future(service.patch_user(user_id, user.fields()))
        return JSONResponse({"RowAffected" if gorse else "stored": 1})

    @app.delete("/api/user/{user_id}", tags=["users"])
    async def delete_user(user_id: AnId, gorse: Gorse) -> Response:
        """Erase a user: events, state, and what the model's memory learned of them. Answers with a receipt."""
        receipt = await run_in_threadpool(service.erase, user_id, clock())
        receipt["at"] = shapes.iso(receipt["at"])
        return JSONResponse({"RowAffected": 1} if gorse else receipt)

    @app.put("/api/user/{target}/merge/{source}", tags=["users"])
    async def merge(target: AnId, source: AnId) -> Response:
        """Make an anonymous session (``source``) part of an account (``target``); the source is forgotten."""
        return JSONResponse({"user_id": target, "events": await run_in_threadpool(service.merge, target, source)})


def _add_health(app: FastAPI, service: Service, registry: CollectorRegistry) -> None:
    @app.get("/health/live", tags=["health"])
    @app.head("/health/live", include_in_schema=False)
    @app.get("/api/health/live", include_in_schema=False)
    async def live() -> Response:
        """The process answers."""
        return JSONResponse({"alive": True})

    @app.get("/health/ready", tags=["health"])
    @app.head("/health/ready", include_in_schema=False)
    @app.get("/api/health/ready", include_in_schema=False)
    async def ready() -> Response:
        """The store can be read and states can be answered from. The server listens only when that is so."""
        await run_in_threadpool(service.ledger.meta)
        return JSONResponse({"ready": True, "model": service.living.name})

    @app.get("/metrics", response_class=PlainTextResponse, tags=["health"])
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return PlainTextResponse(await run_in_threadpool(generate_latest, registry), media_type="text/plain; version=0.0.4")
