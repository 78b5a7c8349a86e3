"""Evaluating every Beauty user with every metric, beside the bare score matrix product and top-k; memory of many users."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import report
from benchmarks.quality import load
from penchant import sequences as seq
from penchant.evaluation import evaluate, leave_one_out
from penchant.models import create
from penchant.models.base import Model
from penchant.models.validation import people_at_once
from penchant.ranking import top_k
from penchant.types import Cases, Split, Vocabulary

ROUNDS = 5
TIMES = 5
"""Beauty's users over and over, to see that memory doesn't grow with them."""


def seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def bare(people: int, width: int, items: int) -> None:
    """The product and the top-k that no evaluation can do without."""
    interest, output = np.ones((people, width), np.float32), np.ones((width, items), np.float32)
    output += np.random.default_rng(0).random(output.shape, np.float32)
    for rows in people_at_once(people, items):
        top_k(interest[rows] @ output, 10)


def repeated(split: Split, times: int) -> Split:
    """The split as if each person asked were so many people; it trains on what it did."""
    rows = np.tile(np.arange(len(split.test)), times)
    names = Vocabulary(tuple(f"{user} {n // len(split.test)}" for n, user in enumerate(split.test.histories.users.ids * times)))
    histories, targets = (replace(seq.select(part, rows), users=names) for part in (split.test.histories, split.test.targets))
    known = replace(histories, users=names)
    train = replace(
        split.train,
        users=names,
        offsets=np.r_[split.train.offsets, np.full(len(names) - len(split.train), split.train.offsets[-1])],
    )
    return replace(split, train=train, before_test=known, test=Cases(histories, split.test.now[rows], targets))


def peak_gib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)


def main() -> None:
    with tempfile.TemporaryDirectory() as work:
        cut = leave_one_out(load("beauty", Path(work)))
    model: Model = create("lstm", width=64, epochs=1).fit(cut.train)
    size = len(model.items)
    pairs = [
        (seconds(lambda: bare(len(cut.test), 64, size)), seconds(lambda: evaluate({"lstm": model}, cut))) for _ in range(ROUNDS)
    ]
    once = peak_gib()
    many = repeated(cut, TIMES)
    before = peak_gib()
    long = seconds(lambda: evaluate({"lstm": model}, many))
    report(
        "evaluating",
        {
            "users": len(cut.test),
            "items": size,
            "bare_seconds": [first for first, _ in pairs],
            "evaluate_seconds": [second for _, second in pairs],
            "median_ratio": float(np.median([second / first for first, second in pairs])),
            "peak_gib": once,
            "of_many": {"users": len(many.test), "seconds": long, "peak_gib_before": before, "peak_gib": peak_gib()},
        },
    )


if __name__ == "__main__":
    main()
