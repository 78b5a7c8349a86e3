"""implicit's nearest neighbours (TF-IDF, K = 500): fitting, one new event, everyone."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.peers import common

MODELS = {"TFIDF-500": 500}
"""Neighbours of an item."""


def measure(name: str) -> dict[str, Any]:
    from implicit.nearest_neighbours import TFIDFRecommender

    histories = common.histories()
    n_items = 1 + max(map(max, histories))
    everyone = matrix(histories, n_items)
    model = TFIDFRecommender(K=MODELS[name], num_threads=1)
    product, start = common.gflop_per_cpu_second(), time.process_time()
    model.fit(everyone, show_progress=False)
    fit = {"cpu_seconds": time.process_time() - start, "product_gflop_per_cpu_second": [product, common.gflop_per_cpu_second()]}

    def one(user: int) -> object:
        return model.recommend(0, matrix(histories[user : user + 1], n_items), N=common.K)

    def all_users() -> object:
        return model.recommend(np.arange(len(histories)), everyone, N=common.K)

    return {"fit": fit, "answers": common.answers(one, all_users)}


def matrix(histories: list[list[int]], n_items: int) -> Any:
    """Users by items, ones where a user has an item."""
    ends = np.cumsum([0, *map(len, histories)])
    items = np.concatenate(histories)
    return csr_matrix((np.ones(len(items), np.float32), items, ends), shape=(len(histories), n_items))


if __name__ == "__main__":
    common.main(measure)
