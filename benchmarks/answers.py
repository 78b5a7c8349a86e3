"""Top-10 for every Beauty user from stored states: seconds and users per second.

    python -m benchmarks.answers

The LSTM is trained for one epoch: its speed doesn't depend on what it learned. Seen items are excluded. The bare
matrix product of the same shape is timed in the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from benchmarks.machine import DATA, report
from penchant import prepare, read
from penchant import sequences as seq
from penchant.evaluation import leave_one_out
from penchant.models import create
from penchant.models.validation import people_at_once, seen_items
from penchant.ranking import recommend

ROUNDS = 5


def median_seconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main() -> None:
    log = prepare(read(DATA / "amazon" / "Beauty.txt"))
    model = create("lstm", epochs=1).fit(leave_one_out(log).train)
    histories = seq.recode(seq.histories(log), model.items)
    states = model.encode(histories)
    chunks = list(people_at_once(len(states), len(model.items)))
    excluded = [seen_items(seq.select(histories, rows)) for rows in chunks]
    interest, output = states.arrays["interest"], np.ascontiguousarray(model.weights()["embedding"].T)

    def answer_all() -> None:
        for rows, exclude in zip(chunks, excluded, strict=True):
            recommend(model, states[rows], 10, now=np.zeros(len(rows), np.int64), exclude=exclude)

    def product() -> None:
        for rows in chunks:
            interest[rows] @ output

    one = states[np.array([0])]
    single = []
    for _ in range(300):
        start = time.perf_counter()
        recommend(model, one, 10, now=np.zeros(1, np.int64))
        single.append(time.perf_counter() - start)
    seconds, bare = median_seconds(answer_all), median_seconds(product)
    report(
        "answers",
        {
            "users": len(states),
            "items": len(model.items),
            "width": model.weights()["embedding"].shape[1],
            "encode_all_seconds": median_seconds(lambda: model.encode(histories)),
            "top10_all_seconds": seconds,
            "users_per_second": round(len(states) / seconds),
            "bare_product_seconds": bare,
            "ratio_to_bare_product": seconds / bare,
            "one_user_ms": {"p50": float(np.percentile(single, 50)) * 1e3, "p99": float(np.percentile(single, 99)) * 1e3},
        },
    )


if __name__ == "__main__":
    main()
