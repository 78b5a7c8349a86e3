"""Penchant's neural models: training, one new event, everyone."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.machine import DATA
from benchmarks.peers import common

EPOCH = {"epochs": 1, "batch_events": 2048, "start": "random"}
"""One epoch, no more: in batches of as many targets as RecBole's, without the factors that embeddings otherwise begin as."""
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm 64, full softmax": ("lstm", EPOCH | {"width": 64, "loss": "softmax"}),
    "gru 100, 2048 negatives": ("gru", EPOCH | {"width": 100, "loss": "sampled", "negatives": 2048}),
}
"""The model and its settings, by the name a run is reported under."""


def measure(name: str) -> dict[str, Any]:
    import torch

    import penchant

    torch.set_num_threads(1)
    kind, settings = MODELS[name]
    train = penchant.leave_one_out(penchant.prepare(penchant.read(DATA / "amazon" / "Beauty.txt"))).train
    meter = common.Meter()
    meter.targets = int((train.lengths - 1).sum())
    meter.start()
    model = penchant.create(kind, **settings).fit(train)
    meter.stop()
    return {"settings": settings, "training": meter.figures(), "answers": answers(model, train)}


def answers(model: Any, train: Any) -> dict[str, Any]:
    """One event into a stored state, then ten items; everyone from their histories on."""
    from penchant import Batch, recommend
    from penchant import sequences as seq
    from penchant.models.validation import people_at_once, seen_items

    histories = seq.recode(train, model.items)
    states = model.encode(histories)

    def listed(state: Any, rows: Any) -> object:
        exclude = seen_items(seq.select(histories, rows))
        return recommend(model, state, common.K, now=np.zeros(len(rows), np.int64), exclude=exclude)

    def one(user: int) -> object:
        rows, nothing = np.array([user]), np.zeros((1, 1), np.int64)
        event = Batch(nothing, nothing, nothing, np.array([["event"]]), np.array([1]))
        return listed(model.advance(states[rows], event), rows)

    def all_users() -> None:
        states = model.encode(histories)
        for rows in people_at_once(len(states), len(model.items)):
            listed(states[rows], rows)

    return common.answers(one, all_users)


if __name__ == "__main__":
    common.main(measure)
