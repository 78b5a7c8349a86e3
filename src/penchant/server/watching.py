"""A running service as it is watched: figures of the moment, and a stream of what happens (server-sent events).

    GET    /api/overview               figures of the moment
    GET    /api/stream                 the same every two seconds, and events and lists as they come
    GET    /api/figures/activity       events over time, as Plotly's JSON

However many events come, a message holds the last few of a second and says how many it leaves out.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from penchant.live.service import Service
from penchant.live.worker import OverloadedError
from penchant.server import charts, shapes

LATEST_REQUESTS = 1000
TIMED = {"recommend": "/api/recommend/{user_id}", "feedback": "/api/feedback"}
"""Requests whose times are shown: the last ``LATEST_REQUESTS`` of each."""
MOST_STREAMS = 100
MOST_NEWS = 20
"""Events of one message."""
LOOK_SECONDS = 0.5
LOOKS_TO_OVERVIEW = 4
COUNT_SECONDS = 30.0
"""Counting rows of a large store takes a while, so it is done so often."""
ACTIVE = 50_000
"""Events from which the picture of activity is made: the last that arrived."""


class OverviewOut(BaseModel):
    """Figures of the moment."""

    model: dict[str, Any] = Field(description="id, kind, items, and age in seconds")
    counts: dict[str, int] = Field(description="rows of the store, counted anew every half minute")
    since_start: dict[str, int]
    hit_rate: float | None = Field(description="share of attributed events that hit their list; null before the first")
    coverage: float
    latency_ms: dict[str, dict[str, float]] = Field(description="of the last 1,000 requests of a kind")
    memory_lag_events: int
    quality: dict[str, int]


class Watch:
    """What is seen of a service. Counts are made once for all who look."""

    def __init__(self, service: Service, clock: Callable[[], int], latest: Mapping[str, deque[float]]) -> None:
        self._service, self._clock, self._latest = service, clock, latest
        self._started = time.time()
        self._counted: tuple[float, dict[str, int], dict[str, int]] | None = None
        self._lock = threading.Lock()

    def overview(self) -> dict[str, Any]:
        """Figures of the moment: see ``OverviewOut``."""
        service, (counts, described) = self._service, self._counts()
        figures, living = service.figures, service.living
        return {
            "model": {
                "id": living.name,
                "kind": living.model.name,
                "items": len(living.model.items),
                "age_seconds": max(0.0, time.time() - living.lineage.get("created", self._started)),
            },
            "counts": counts,
            "since_start": {
                "events": figures.events,
                "recommendations": figures.recommendations,
                "attributed": figures.attributed,
                "hits": figures.lists_clicked,
                "models": figures.models,
            },
            "hit_rate": figures.lists_clicked / figures.attributed if figures.attributed else None,
            "coverage": float(living.shown.mean()) if len(living.shown) else 0.0,
            "latency_ms": {name: _quantiles(self._latest[path]) for name, path in TIMED.items()},
            "memory_lag_events": service.lag,
            "quality": described | {"duplicates": figures.duplicates, "unknown_items": figures.unknown_items},
        }

    def _counts(self) -> tuple[dict[str, int], dict[str, int]]:
        with self._lock:
            if self._counted is None or time.monotonic() - self._counted[0] > COUNT_SECONDS:
                ledger = self._service.ledger
                self._counted = (time.monotonic(), ledger.counts(), ledger.described())
            return self._counted[1:]

    def last_place(self) -> tuple[int, int]:
        """Where to begin, so that the last few events and lists are seen."""
        return max(0, self._service.ledger.last_number() - MOST_NEWS), 0

    def news(self, event: int, shown: int) -> tuple[dict[str, Any], tuple[int, int]]:
        """What happened after some event and list, by number, and the numbers of the last of them."""
        ledger = self._service.ledger
        last = ledger.last_number()
        skipped = max(0, last - event - MOST_NEWS)
        events = ledger.since(event + skipped, MOST_NEWS) if last > event else []
        lists = [one for one in list(self._service.latest) if one.number > shown]
        texts = ledger.texts([happened.item_id for _, happened in events] + [item for one in lists for item in one.items])
        told = {
            "events": [
                {"number": one.seq, "user_id": user, "item_id": one.item_id, "text": texts.get(one.item_id, "")}
                | {"event_type": one.event_type, "timestamp": shapes.iso(one.timestamp)}
                for user, one in events
            ],
            "left_out": skipped,
            "lists": [
                {"number": one.number, "user_id": one.user_id, "known": one.known}
                | {"items": [{"item_id": item, "text": texts.get(item, "")} for item in one.items]}
                for one in lists
            ],
        }
        seen = events[-1][1].seq if events else event
        return told, (max(seen, event + skipped), lists[-1].number if lists else shown)

    def times(self) -> list[int]:
        """The times of the events that arrived last."""
        return self._service.ledger.last_times(ACTIVE)


def _quantiles(seconds: deque[float]) -> dict[str, float]:
    taken = 1000 * np.array(list(seconds) or [0.0])
    p50, p99 = np.percentile(taken, [50, 99])
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2), "requests": len(seconds)}


def add_watching(app: FastAPI, watch: Watch) -> None:
    """Add the figures and the stream."""
    app.state.stopping = lambda: False
    open_streams = [0]

    @app.get("/api/overview", response_model=OverviewOut, tags=["health"])
    async def overview() -> Response:
        """Figures of the moment."""
        return JSONResponse(await run_in_threadpool(watch.overview))

    # Not in the schema, which can't describe what doesn't end.
    @app.get("/api/stream", include_in_schema=False)
    async def stream(request: Request) -> Response:
        """Server-sent events: ``overview`` as from ``/api/overview``, and ``news`` with the last events and lists, until the
        server stops.
        """
        if open_streams[0] >= MOST_STREAMS:
            raise OverloadedError(f"{MOST_STREAMS} pages are being kept up to date; close one")
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_messages(request, watch, open_streams), media_type="text/event-stream", headers=headers)

    @app.get("/api/figures/activity", tags=["health"])
    async def activity(
        language: Annotated[Literal["en", "zh"], Query()] = "en", theme: Annotated[Literal["light", "dark"], Query()] = "light"
    ) -> Response:
        """Events over time, of the last 50,000 that arrived, as Plotly's JSON."""
        times = await run_in_threadpool(watch.times)
        return JSONResponse(charts.activity(times, language=language, theme=theme))


async def _messages(request: Request, watch: Watch, open_streams: list[int]) -> AsyncIterator[str]:
    open_streams[0] += 1
    try:
        place = await run_in_threadpool(watch.last_place)
        looks = 0
        while not request.app.state.stopping():
            if looks % LOOKS_TO_OVERVIEW == 0:
                yield _message("overview", await run_in_threadpool(watch.overview))
            news, place = await run_in_threadpool(watch.news, *place)
            if news["events"] or news["lists"]:
                yield _message("news", news)
            looks += 1
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        open_streams[0] -= 1


def _message(kind: str, value: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n"
