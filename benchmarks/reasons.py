"""Are reasons true, and are profiles quick? Scores without the events that reasons name, and without others; milliseconds.

    python -m benchmarks.reasons

Models learn the training part of leave-one-out and are asked about 200 people drawn (seed 0) with their histories before the
test part: the three best items of each, up to three past items named for each. Drops are in spreads of a person's scores.
Networks are small and trained for two epochs: whether reasons are the model's own is measured, not how good it is.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import DATA, report
from benchmarks.quality import load
from penchant.data import catalog, dataset
from penchant.evaluation import leave_one_out
from penchant.interests.finding import find_topics
from penchant.interests.profiles import Past, profile, shares_of_memories
from penchant.interests.reasons import faithfulness, reasons
from penchant.interests.topics import Topics
from penchant.models import create
from penchant.models.base import Model
from penchant.types import DAY, MICROSECONDS, Interactions, Sequences, Vocabulary, text

SMALL = {"width": 32, "epochs": 2, "batch_events": 2048, "learning_rate": 0.003}
MODELS: dict[str, dict[str, Any]] = {"transitions": {}, "item_knn": {}, "longshort_network": SMALL}
HISTORIES = (10, 10_000)
ROUNDS = 11


def read(name: str, work: Path) -> Interactions:
    if name != "ml-100k":
        return load(name, work)
    folder = DATA / "ml-100k"
    log = dataset.read(folder / "ml-100k.inter", items=folder / "ml-100k.item")
    return dataset.prepare(log, work / name)


def milliseconds(model: Model, topics: Topics, events: int) -> dict[str, float]:
    """The median time of a profile, of reading the memories in a state, and of the reasons of ten items."""
    chance = np.random.default_rng(0)
    times = 1_500_000_000 * MICROSECONDS + np.sort(chance.integers(0, 1000 * DAY, events))
    item, now = chance.integers(0, len(topics.items), events).astype(np.int32), int(times[-1])
    past = Past(item, times, np.arange(events) // 10)
    history = Sequences(
        users=Vocabulary(("someone",)),
        items=model.items,
        event_types=model.event_types,
        offsets=np.array([0, events]),
        item=item,
        timestamp=times,
        event_type=np.zeros(events, np.int16),
        event_id=text([str(number) for number in range(events)]),
        clock="real",
        content_hash="",
    )
    state = model.encode(history)
    both = shares_of_memories(model, state, topics)
    memories = None if both is None else (both[0][0], both[1][0])
    return {
        "profile": median(lambda: profile(topics, past, "someone", now, memories)),
        "memories": median(lambda: shares_of_memories(model, state, topics)),
        "reasons_of_ten": median(lambda: reasons(model, history, np.arange(10), now, state=state)),
    }


def median(work: Callable[[], object]) -> float:
    took = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return 1000 * float(np.median(took))


def main() -> None:
    measured: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as work:
        for name in ("ml-100k", "beauty"):
            log = read(name, Path(work))
            cut = leave_one_out(log)
            measured[name] = {}
            for kind, settings in MODELS.items():
                model = create(kind, **settings).fit(cut.train, cut.valid)
                started = time.perf_counter()
                found = asdict(faithfulness(model, cut.test.histories, cut.test.now))
                measured[name][kind] = found | {"seconds": time.perf_counter() - started}
                print(name, kind, measured[name][kind], file=sys.stderr, flush=True)
            described = catalog.describe_items(Path(work) / name / dataset.ITEMS)
            started = time.perf_counter()
            topics = find_topics(model, log, described)
            measured[name]["topics"] = {"seconds": time.perf_counter() - started, "criterion": topics.criterion}
            measured[name]["milliseconds"] = {events: milliseconds(model, topics, events) for events in HISTORIES}
    report("reasons", measured)


if __name__ == "__main__":
    main()
