"""What the page looks up, as part of the API: people by prefix, a history newest first, items by words, models, receipts.

GET    /api/people                       who is there, by how ids begin, page by page
GET    /api/user/{user_id}/history       a user's events with their items' texts, the newest first, page by page
GET    /api/catalogue                    what can be recommended, by id or words, page by page
GET    /api/erasures                     receipts of erasures, the newest first
GET    /api/models                       the model that serves, the one before, what is known of both
POST   /api/models/roll-back             back to the one before
GET    /api/figures/models/{picture}     both models, or an evaluation's, compared in a picture
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from heapq import merge, nsmallest
from itertools import islice
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from penchant import artifact
from penchant.live import learning
from penchant.live.events import LONGEST_ID
from penchant.live.records import Item
from penchant.live.service import Service
from penchant.server import charts, shapes
from penchant.server.shapes import AnId
from penchant.types import PenchantError, UnknownError

PageLength = Annotated[int, Query(ge=1, le=200)]
Place = Annotated[str, Query(max_length=8000)]
Number = Annotated[int | None, Query(ge=1, lt=1 << 63)]
"""Of a row of the store."""
Language = Annotated[Literal["en", "zh"], Query()]
Theme = Annotated[Literal["light", "dark"], Query()]
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
"""An evaluation's page brings its own style and needs nothing else."""


class PersonOut(BaseModel):
    """A user in a list."""

    user_id: str
    events: int
    last: str


class PeopleOut(BaseModel):
    """Users by id; ``cursor`` asks for the next page, and is empty at the end."""

    people: list[PersonOut]
    cursor: str


class HistoryEvent(BaseModel):
    """An event with the text of its item."""

    event_id: str
    item_id: str
    text: str
    timestamp: str
    event_type: str
    value: float | None


class HistoryOut(BaseModel):
    """A user's events, the newest first; ``cursor`` asks for older ones, and is empty at the end."""

    user_id: str
    events: list[HistoryEvent]
    cursor: str


class CatalogueItem(BaseModel):
    """An item, and whether the model knows it."""

    item_id: str
    text: str
    categories: list[str]
    hidden: bool
    known: bool


class CatalogueOut(BaseModel):
    """Items by id; ``cursor`` asks for the next page, and is empty at the end."""

    items: list[CatalogueItem]
    cursor: str


class ErasureOut(BaseModel):
    """A receipt: how many events went, how many of them the model's memory gave back, and how many had been training data."""

    number: int
    at: str
    fingerprint: str
    events: int
    taken_from_memory: int
    in_training_data: int
    model: str


class ErasuresOut(BaseModel):
    """Receipts, the newest first; ``cursor`` asks for older ones, and is empty at the end."""

    erasures: list[ErasureOut]
    cursor: str


class AModel(BaseModel):
    """A model folder: its kind, what it was set to, and where it comes from."""

    id: str
    kind: str
    items: int | None
    settings: dict[str, Any]
    lineage: dict[str, Any]


class ModelsOut(BaseModel):
    """The model that serves, the one before it if there is one to go back to, and whether there is an evaluation to see.

    ``answering`` names what answers this moment: the model in the folder, or what it has become with items that came up since.
    """

    answering: str
    serving: AModel
    before: AModel | None
    report: bool


class RollBackIn(BaseModel):
    """Which model to go back to: the one before, by id, so that asking twice doesn't go forth again."""

    to: str


class RolledBack(BaseModel):
    """The model in the folder now; the server takes it within seconds."""

    model: str


def add_browsing(app: FastAPI, service: Service) -> None:
    """Add what is asked of people, items and erasures."""

    @app.get("/api/people", response_model=PeopleOut, tags=["users"])
    async def people(
        prefix: Annotated[str, Query(max_length=LONGEST_ID)] = "", n: PageLength = 20, cursor: Place = ""
    ) -> Response:
        """Who is there: users whose ids begin with ``prefix``, by id, with how many events each has and when the last was."""
        found = await run_in_threadpool(service.ledger.people, prefix=prefix, after=cursor, most=n)
        told = [{"user_id": person.user_id, "events": person.events, "last": shapes.iso(person.last)} for person in found]
        return JSONResponse({"people": told, "cursor": found[-1].user_id if len(found) == n else ""})

    @app.get("/api/user/{user_id}/history", response_model=HistoryOut, tags=["users"])
    async def history(user_id: AnId, n: PageLength = 20, cursor: Place = "") -> Response:
        """A user's events with the texts of their items, the newest first. Of somebody never seen: none."""
        place = shapes.cursor_in(cursor)
        before = None if place is None else place[1:]
        events = await run_in_threadpool(service.ledger.newest, user_id, before=before, most=n)
        texts = await run_in_threadpool(service.ledger.texts, [event.item_id for event in events])
        told = [
            {
                "event_id": e.event_id,
                "item_id": e.item_id,
                "text": texts.get(e.item_id, ""),
                "timestamp": shapes.iso(e.timestamp),
            }
            | {"event_type": e.event_type, "value": e.value}
            for e in events
        ]
        after = shapes.cursor_out([user_id, events[-1].timestamp, events[-1].event_id]) if len(events) == n else ""
        return JSONResponse({"user_id": user_id, "events": told, "cursor": after})

    @app.get("/api/catalogue", response_model=CatalogueOut, tags=["items"])
    async def catalogue(q: Annotated[str, Query(max_length=1000)] = "", n: PageLength = 20, cursor: Place = "") -> Response:
        """Items that the model or the store knows, whose id or text holds ``q``, by id."""
        found = await run_in_threadpool(_search, service, q, cursor, n)
        return JSONResponse({"items": found, "cursor": found[-1]["item_id"] if len(found) == n else ""})

    @app.get("/api/catalogue/texts", tags=["items"])
    async def texts(item_id: Annotated[list[str], Query(max_length=200)]) -> dict[str, str]:
        """The texts of some items, of those that have one."""
        return await run_in_threadpool(service.ledger.texts, item_id)

    @app.get("/api/erasures", response_model=ErasuresOut, tags=["users"])
    async def erasures(n: PageLength = 20, cursor: Number = None) -> Response:
        """Receipts of erasures, the newest first. They hold no id, only a keyed digest of it."""
        found = await run_in_threadpool(service.ledger.erasures, before=cursor, most=n)
        told = [receipt | {"at": shapes.iso(receipt["at"])} for receipt in found]
        return JSONResponse({"erasures": told, "cursor": str(found[-1]["number"]) if len(found) == n else ""})


def _search(service: Service, words: str, after: str, most: int) -> list[dict[str, Any]]:
    """Of the items known to the store and those known to the model alone, a page by id."""
    model = service.living.model
    stored = service.ledger.items(words=words, after=after, most=most)
    low, last = words.lower(), stored[-1].item_id if len(stored) == most else None
    mine = nsmallest(most, (i for i in model.items.ids if i > after and (last is None or i <= last) and low in i.lower()))
    of_store = {item.item_id for item in service.ledger.items_of(mine)}
    alone = (Item(item_id) for item_id in mine if item_id not in of_store)
    page = islice(merge(stored, alone, key=lambda item: item.item_id), most)
    return [
        {"item_id": i.item_id, "text": i.text, "categories": list(i.categories), "hidden": i.hidden}
        | {"known": model.items.code(i.item_id) >= 0}
        for i in page
    ]


def add_models(app: FastAPI, service: Service, model: FilePath | None, report: FilePath | None) -> None:
    """Add what is asked of the models: those of the folder ``model``, and the evaluation in the folder ``report``."""
    turning = threading.Lock()

    def both() -> dict[str, Any]:
        living = service.living
        serving = {"id": living.name, "settings": {}, "lineage": dict(living.lineage)} if model is None else _told(model)
        serving |= {"kind": living.model.name, "items": len(living.model.items)}
        before = None if model is None or not learning.previous(model).exists() else _told(learning.previous(model))
        return {"serving": serving, "before": before, "answering": living.name, "report": report is not None}

    def back(to: str) -> str:
        if model is None:
            raise PenchantError("this server wasn't told its model's folder, so there is nothing to go back to")
        with turning:
            before = learning.previous(model)
            if before.exists() and artifact.read_config(before)["id"] != to:
                raise PenchantError(f"{to[:80]!r} isn't the model before this one; look again which is")
            return learning.roll_back(model)

    @app.get("/api/models", response_model=ModelsOut, tags=["models"])
    async def models() -> Response:
        """The model that serves, and the one before."""
        return JSONResponse(await run_in_threadpool(both))

    @app.post("/api/models/roll-back", response_model=RolledBack, tags=["models"])
    async def roll_back(wish: RollBackIn) -> Response:
        """Put the model before in the place of the one that serves, which stays beside it. Served within seconds."""
        return JSONResponse({"model": await run_in_threadpool(back, wish.to)})

    @app.get("/api/figures/models/{picture}", tags=["models"])
    async def figure(picture: Literal["update", "report"], language: Language = "en", theme: Theme = "light") -> Response:
        """What the last update compared, or what an evaluation found, as Plotly's JSON."""
        if picture == "report":
            found = _report(report, "report.json")
            evaluated = json.loads(await run_in_threadpool(found.read_text, "utf-8"))
            return JSONResponse(charts.evaluation(evaluated, theme=theme))
        compared = service.living.lineage.get("compared")
        if not compared:
            raise UnknownError("this model wasn't made by an update, so it was compared with no other")
        return JSONResponse(charts.compared(compared, language=language, theme=theme))

    @app.get("/report", include_in_schema=False)
    async def page() -> Response:
        headers = {"Content-Security-Policy": REPORT_POLICY, "X-Content-Type-Options": "nosniff"}
        return FileResponse(_report(report, "index.html"), headers=headers)


def _report(folder: FilePath | None, name: str) -> FilePath:
    if folder is None:
        raise UnknownError("this server has no evaluation to show; name one with penchant serve --report DIR")
    if not (folder / name).exists():
        raise UnknownError(f"{folder / name}: isn't there; penchant evaluate --out writes it")
    return folder / name


def _told(folder: FilePath) -> dict[str, Any]:
    config = artifact.read_config(folder)
    lineage: Mapping[str, Any] = artifact.read_lineage(folder)
    return {
        "id": config["id"],
        "kind": config["model"],
        "items": None,
        "settings": config.get("settings", {}),
        "lineage": {name: value for name, value in lineage.items() if name != "histories"}
        | {"created": (folder / artifact.CONFIG).stat().st_mtime},
    }
