"""Top-10 for every Beauty user from stored states, and one person's next event: seconds, whatever the history's length.

    python -m benchmarks.answers

Beside the next event stands the usual way, the same model reading the whole history again for each answer, and what it
takes the transitions to learn an event. Models are trained for one epoch: their speed doesn't depend on what they learned.
Seen items are excluded. The bare matrix product of the same shape is timed in the same run. All on one thread, as a server
answers, unless OMP_NUM_THREADS says otherwise.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # NumPy reads it when it is imported

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import report
from benchmarks.quality import load
from penchant import sequences as seq
from penchant.evaluation import leave_one_out
from penchant.models import create
from penchant.models.base import Model
from penchant.models.item_to_item import Transitions
from penchant.models.validation import seen_items
from penchant.ranking import PEOPLE_AT_ONCE, recommend
from penchant.types import MICROSECONDS, Batch, Sequences, UserState, text

ROUNDS = 5
EVENTS = 300
MODELS: dict[str, dict[str, Any]] = {"lstm": {"width": 64, "epochs": 1}, "longshort": {"width": 64, "epochs": 1}}
HISTORIES = (10, 100, 1_000, 10_000)


def median_seconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def everyone(model: Model, histories: Sequences) -> dict[str, Any]:
    """Top-10 of all from stored states."""
    states = model.encode(histories)
    excluded = seen_items(histories)
    width = model.settings.width  # type: ignore[attr-defined]
    interest, output = np.ones((PEOPLE_AT_ONCE, width), np.float32), np.ones((width, len(model.items)), np.float32)

    def answer_all() -> None:
        recommend(model, states, 10, now=states.timestamp, exclude=excluded)

    def product() -> None:
        for _ in range(0, len(states), PEOPLE_AT_ONCE):
            interest @ output

    seconds, bare = median_seconds(answer_all), median_seconds(product)
    return {
        "users": len(states),
        "encode_all_seconds": median_seconds(lambda: model.encode(histories)),
        "top10_all_seconds": seconds,
        "users_per_second": round(len(states) / seconds),
        "bare_product_seconds": bare,
        "ratio_to_bare_product": seconds / bare,
    }


def next_event(model: Model, events: int) -> dict[str, float]:
    """Milliseconds to take in an event and answer with ten items, after so many events of one person."""
    chance = np.random.default_rng(0)
    state = model.initial(1)
    for start in range(0, events, 500):
        state = model.advance(state, _events(model, chance, start, min(500, events - start)))
    times = []
    for number in range(EVENTS):
        event = _events(model, chance, events + number, 1)
        started = time.perf_counter()
        state = _answered(model, state, event)
        times.append(time.perf_counter() - started)
    return {f"p{q}": float(np.percentile(times, q)) * 1e3 for q in (50, 99)}


def reading_again(model: Model, events: int) -> float:
    """Milliseconds, the median, to answer by reading a whole history again."""
    whole = _events(model, np.random.default_rng(0), 0, events)
    return median_seconds(lambda: _answered(model, model.initial(1), whole)) * 1e3


def learning(model: Transitions, histories: Sequences) -> dict[str, float]:
    """Milliseconds for the counts to learn the last event of a history."""
    times = []
    for row in range(EVENTS):
        one = seq.select(histories, np.array([row]))
        last = np.arange(len(one.item)) == len(one.item) - 1
        before, event = seq.where(one, ~last), seq.where(one, last)
        started = time.perf_counter()
        model.learn_next(before, event)
        times.append(time.perf_counter() - started)
    return {f"p{q}": float(np.percentile(times, q)) * 1e3 for q in (50, 99)}


def _events(model: Model, chance: np.random.Generator, first: int, count: int) -> Batch:
    return Batch(
        item=chance.integers(len(model.items), size=(1, count)),
        timestamp=(first + np.arange(count))[None] * MICROSECONDS,
        event_type=np.zeros((1, count), np.int16),
        event_id=text([f"e{first + place}" for place in range(count)])[None],
        lengths=np.array([count]),
    )


def _answered(model: Model, state: UserState, event: Batch) -> UserState:
    state = model.advance(state, event)
    recommend(model, state, 10, now=event.timestamp[:, -1])
    return state


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        log = load("beauty", Path(work))
    train = leave_one_out(log).train
    figures: dict[str, Any] = {}
    for name, settings in MODELS.items():
        model = create(name, **settings).fit(train)
        figures[name] = everyone(model, seq.recode(seq.histories(log), model.items)) | {
            "settings": settings,
            "items": len(model.items),
            "next_event_ms": {f"after {events} events": next_event(model, events) for events in HISTORIES},
            "reading_again_ms": {f"{events} events": reading_again(model, events) for events in HISTORIES},
        }
    counts = Transitions().fit(train)
    figures["transitions"] = {"learn_next_ms": learning(counts, seq.recode(seq.histories(log), counts.items))}
    report("answers", figures)


if __name__ == "__main__":
    main()
