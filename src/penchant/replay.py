"""What a server's recommendations are worth on a real log: its last events sent one by one, asked about before each is sent."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np

from penchant import evaluation
from penchant.ranking import top_k
from penchant.types import MICROSECONDS, Array, Float, Int, Interactions, PenchantError, Progress, quiet

PATIENCE = 30.0
"""Seconds that an answer may take."""
LONGEST_PAUSE = 2.0
"""Seconds between two events, at most, whatever the log says."""


def replay(
    log: Interactions,
    url: str,
    *,
    split: str | None = None,
    speed: float = 0.0,
    most: int | None = None,
    k: int = 10,
    progress: Progress = quiet,
) -> dict[str, Any]:
    """Send the events that a split keeps for its test part to a server, in the order of time; ask for a list before each.

    The server should know what lies before the test part and no more (``penchant serve … --dataset DIR --split NAME``). An
    event is a hit if its item is on the list of ``k`` asked for at its moment. Beside it, popularity: the ``k`` items with the
    most events so far that the user hasn't had. ``speed`` is how much faster than the log time passes (0: as fast as it goes);
    ``most`` bounds the events, at least 1. Raises ``PenchantError`` where the server can't be reached, refuses, or has the
    events already.
    """
    if most is not None and most < 1:
        raise PenchantError(f"the number of events to replay is {most}, but must be at least 1")
    cut = evaluation.split(log, split)
    held = evaluation.held_out(log, cut)
    order = np.flatnonzero(held)
    order = order[np.argsort(log.timestamp[order], kind="stable")][:most]
    beside = _Popularity(log, ~held)
    hits = np.zeros(2)
    newcomers, milliseconds = 0, _Milliseconds()
    begun = time.perf_counter()
    with _connected(url) as server:
        for number, row in enumerate(order.tolist()):
            _wait(begun, (log.timestamp[row] - log.timestamp[order[0]]) / MICROSECONDS, speed)
            user, item = log.users[log.user[row]], log.items[log.item[row]]
            moment = int(log.timestamp[row])
            with milliseconds.measured("recommend_ms"):
                answer = server.ask("GET", f"/api/recommend/{quote(user, safe='')}?n={k}&at={moment}")
            shown = [entry["item_id"] for entry in answer["items"]]
            newcomers += not answer["known"]
            hits += [item in shown, log.item[row] in beside.recommended(int(log.user[row]), k)]
            event = _event(log, row) | {"recommendation_id": answer["recommendation_id"]}
            with milliseconds.measured("feedback_ms"):
                stored = server.ask("POST", "/api/feedback", [event])
            if not stored["accepted"]:
                raise PenchantError(
                    f"{url}: has event {event['event_id']!r} of user {user!r} already, so nothing is shown by asking about it; "
                    "serve a new store with --dataset and --split"
                )
            beside.add(row)
            progress("replaying", number + 1, len(order))
    rates = hits / max(1, len(order))
    return {
        "split": cut.name,
        "k": k,
        "events": len(order),
        "of_newcomers": newcomers,
        "hit_rate": float(rates[0]),
        "popularity_hit_rate": float(rates[1]),
        "seconds": time.perf_counter() - begun,
        **milliseconds.quantiles(),
    }


def in_words(result: Mapping[str, Any]) -> str:
    """What ``replay`` found, in a sentence."""
    times = ", ".join(
        f"{what} {result[name]['p50']} ms at the median, {result[name]['p99']} at the 99th percentile"
        for name, what in (("recommend_ms", "a list took"), ("feedback_ms", "an event"))
        if name in result
    )
    return (
        f"{result['events']:,} events of the {result['split']} split: {result['hit_rate']:.1%} were on the list of "
        f"{result['k']} asked for just before, {result['popularity_hit_rate']:.1%} on that of popularity; {times}"
    )


def _event(log: Interactions, row: int) -> dict[str, Any]:
    value = float(log.value[row])
    return {
        "user_id": log.users[log.user[row]],
        "item_id": log.items[log.item[row]],
        "timestamp": str(np.datetime64(int(log.timestamp[row]), "us")) + "Z",
        "event_type": log.event_types[log.event_type[row]],
        "value": value if np.isfinite(value) else 0.0,
        "event_id": str(log.event_id[row]),
    }


def _wait(begun: float, seconds: float, speed: float) -> None:
    if speed > 0:
        time.sleep(min(LONGEST_PAUSE, max(0.0, begun + seconds / speed - time.perf_counter())))


class _Popularity:
    """Counts that follow the log, and what each user has had."""

    def __init__(self, log: Interactions, known: Array) -> None:
        self._log = log
        self._counts: Float = np.bincount(log.item[known], minlength=len(log.items)).astype(np.float32)
        self._had: dict[int, list[int]] = {}
        for user, item in zip(log.user[known].tolist(), log.item[known].tolist(), strict=True):
            self._had.setdefault(user, []).append(item)

    def recommended(self, user: int, k: int) -> Int:
        scores = self._counts.copy()
        scores[self._had.get(user, [])] = -np.inf
        best: Int = top_k(scores[None], min(k, len(scores)))[0][0]
        return best

    def add(self, row: int) -> None:
        self._counts[self._log.item[row]] += 1
        self._had.setdefault(int(self._log.user[row]), []).append(int(self._log.item[row]))


class _Milliseconds:
    """How long things took, by name."""

    def __init__(self) -> None:
        self._taken: dict[str, list[float]] = {}

    @contextmanager
    def measured(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._taken.setdefault(name, []).append(1000 * (time.perf_counter() - started))

    def quantiles(self) -> dict[str, dict[str, float]]:
        return {
            name: {f"p{q}": round(float(np.percentile(taken, q)), 2) for q in (50, 90, 99)}
            for name, taken in self._taken.items()
        }


class _Server:
    """One kept-alive connection; made anew, once, where it broke, which does no harm: an event is stored once."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PenchantError(f"{url}: is no address of a server; write it as http://127.0.0.1:8080")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._url = url
        self.connection = kind(parts.hostname, parts.port, timeout=PATIENCE)
        self._before = parts.path.rstrip("/")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        for last in (False, True):
            try:
                content = None if body is None else json.dumps(body)
                self.connection.request(method, self._before + path, content, {"Content-Type": "application/json"})
                answer = self.connection.getresponse()
                found = json.loads(answer.read())
                break
            except (OSError, http.client.HTTPException) as error:
                self.connection.close()
                if last:
                    why = getattr(error, "strerror", None) or error
                    raise PenchantError(f"{self._url}: doesn't answer ({why}); start it with penchant serve") from error
            except ValueError as error:
                raise PenchantError(f"{self._url}: answers with no JSON, so it is no server of Penchant") from error
        if answer.status != 200:
            said = found.get("error", found) if isinstance(found, Mapping) else found
            raise PenchantError(f"{self._url}: refused {method} {path.partition('?')[0]}: {said}")
        return found


@contextmanager
def _connected(url: str) -> Iterator[_Server]:
    server = _Server(url)
    try:
        yield server
    finally:
        server.connection.close()
