"""What can be seen of a running server: a log line and an id for each request, and figures for Prometheus."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penchant.live.service import Service
from penchant.server.hot import fresh_id

log = logging.getLogger("penchant.server")
LARGEST_BODY = 8 << 20
BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
LONGEST_REQUEST_ID = 100


Latest = Mapping[str, deque[float]]
"""Seconds that the last requests of some paths took."""


class JsonLines(logging.Formatter):
    """One JSON value a line: time, level, logger, message, and what else was given as ``extra={"fields": …}``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class ServiceFigures(Collector):
    """A service's figures, read when they are asked for."""

    def __init__(self, service: Service, started: float) -> None:
        self._service = service
        self._started = started

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        service = self._service
        figures, living = service.figures, service.living
        counters = {
            "events": (figures.events, "Events stored"),
            "event_duplicates": (figures.duplicates, "Events that were stored before"),
            "event_unknown_items": (figures.unknown_items, "Events of items the model doesn't know"),
            "recommendations": (figures.recommendations, "Lists recommended"),
            "recommendation_batches": (figures.batches, "Passes of the model that made them"),
            "attributed_events": (figures.attributed, "Events that named a list still remembered"),
            "attributed_hits": (figures.lists_clicked, "Of these, those of an item on that list"),
            "models": (figures.models, "Models that answered since the start"),
            "memory_refused": (
                living.memory.refused,
                "Changes to the model's memory that would have taken away what it never learned",
            ),
        }
        for name, (value, words) in counters.items():
            yield CounterMetricFamily(f"penchant_{name}", words, value=value)
        found = CounterMetricFamily("penchant_states_found", "Where states came from", labels=["where"])
        for where, count in living.states.found.items():
            found.add_metric([where], count)
        yield found
        waiting = GaugeMetricFamily("penchant_waiting", "Requests that wait", labels=["for"])
        for what, count in service.waiting.items():
            waiting.add_metric([what], count)
        yield waiting
        drift = GaugeMetricFamily(
            "penchant_input_drift",
            "Population stability index of recent events beside those the model was trained on: above 0.25 is a shift",
            labels=["input"],
        )
        for what, index in service.drift.items():
            drift.add_metric([what], index)
        yield drift
        gauges = {
            "states_in_memory": (len(living.states), "States kept in memory"),
            "states_bytes": (living.states.bytes, "What they take"),
            "memory_lag_events": (service.lag, "Events the model's memory hasn't learned yet"),
            "live_hit_rate": (
                figures.lists_clicked / max(1, figures.attributed),
                "Share of attributed events that hit their list",
            ),
            "coverage": (float(living.shown.mean()), "Share of the catalogue that was recommended by this model"),
            "unknown_item_share": (
                figures.unknown_items / max(1, figures.events),
                "Share of events of items the model doesn't know: how far the world has moved from the training data",
            ),
            "model_age_seconds": (time.time() - living.lineage.get("created", self._started), "Since the model was trained"),
        }
        for name, (value, words) in gauges.items():
            yield GaugeMetricFamily(f"penchant_{name}", words, value=value)


class Observed:
    """ASGI middleware: an id for each request (its own ``X-Request-Id`` if it has one), a log line, metrics, a bound on
    bodies.
    """

    def __init__(self, app: ASGIApp, registry: CollectorRegistry, latest: Latest) -> None:
        self._app = app
        self._latest = latest
        self._requests = Counter("penchant_requests", "Requests", ["method", "path", "status"], registry=registry)
        self._seconds = Histogram("penchant_request_seconds", "Seconds", ["method", "path"], registry=registry, buckets=BUCKETS)
        self._going = Gauge("penchant_requests_in_progress", "Requests being answered", registry=registry)
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def _figures(self, method: str, path: str, status: int) -> tuple[Counter, Histogram]:
        """Those of one kind of request, looked up once: there are few kinds."""
        if (method, path, status) not in self._known:
            of = self._requests.labels(method, path, status), self._seconds.labels(method, path)
            self._known[method, path, status] = of
        return self._known[method, path, status]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if given.isalnum() and given.isascii() and len(given) <= LONGEST_REQUEST_ID else fresh_id()
        asked = scope["path"]
        started, status, taken = time.perf_counter(), 499, 0  # 499: the client was gone before the answer

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > LARGEST_BODY:
                raise HTTPException(413, _TOO_LARGE)
            return message

        self._going.inc()
        try:
            length = headers.get(b"content-length", b"0")
            if length.isdigit() and int(length) > LARGEST_BODY:
                refusal = JSONResponse({"error": _TOO_LARGE}, 413, headers={"Connection": "close"})
                await refusal(scope, receive, sending)
            else:
                await self._app(scope, bounded, sending)
        finally:
            self._going.dec()
            seconds = time.perf_counter() - started
            route = scope.get("route")
            path = getattr(route, "path", "none of ours")
            requests, took = self._figures(scope["method"], path, status)
            requests.inc()
            took.observe(seconds)
            if path in self._latest and status < 400:
                self._latest[path].append(seconds)
            if log.isEnabledFor(logging.INFO):
                fields = {
                    "request_id": request_id,
                    "method": scope["method"],
                    "path": asked,
                    "status": status,
                    "ms": round(1000 * seconds, 2),
                }
                log.info("request", extra={"fields": fields})


_TOO_LARGE = f"the body is larger than {LARGEST_BODY >> 20} MB; send fewer events at a time"
