"""Ranking metrics, as functions of the ranks of the wanted items.

They stand below the models because a model stops training on the metric it is judged by. ``ranks[t]`` is the rank of
each target (from 1, ``inf`` where it can't be recommended; see ``ranking.target_ranks``), ``case[t]`` whose target it
is, ascending; every function returns one value a case, ``[n] float64``. A case has at least one target, and a target
the model doesn't know stays in every denominator: it is a miss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from penchant.types import Array, Float, Int

Metric = Callable[[Float, Int, int, int], Array]


def recall(ranks: Float, case: Int, n: int, k: int) -> Array:
    """Share of a case's targets within the first ``k``."""
    return _sum(ranks <= k, case, n) / np.bincount(case, minlength=n)


def hit(ranks: Float, case: Int, n: int, k: int) -> Array:
    """1 where any target is within the first ``k``."""
    return (_sum(ranks <= k, case, n) > 0).astype(np.float64)


def ndcg(ranks: Float, case: Int, n: int, k: int) -> Array:
    """Discounted cumulative gain, ``Σ 1 / log2(1 + rank)`` within the first ``k``, over that of the best possible list.

    Järvelin and Kekäläinen (2002), binary relevance.
    """
    gain = _sum(np.where(ranks <= k, 1 / np.log2(1 + ranks), 0.0), case, n)
    best = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    return np.asarray(gain / best[np.minimum(np.bincount(case, minlength=n), k)])


def mrr(ranks: Float, case: Int, n: int, k: int) -> Array:
    """One over the rank of the first target, 0 where it lies beyond ``k``."""
    best = np.full(n, np.inf)
    np.minimum.at(best, case, ranks)
    return np.where(best <= k, 1 / best, 0.0)


METRICS: Mapping[str, Metric] = {"recall": recall, "hit": hit, "ndcg": ndcg, "mrr": mrr}
"""Metrics with one value a case, by the name they are reported under (``ndcg@10``)."""


def coverage(recommended: Int, catalogue: int) -> float:
    """Share of the catalogue that appears in any list; ``recommended[n, k]`` holds item codes."""
    return len(np.unique(recommended[recommended >= 0])) / catalogue


def _sum(values: Array, case: Int, n: int) -> Array:
    return np.bincount(case, weights=values, minlength=n)
