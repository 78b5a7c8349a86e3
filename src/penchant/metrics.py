"""What a ranking, or a list, is worth: metrics as plain functions, one each (of yes/no answers: ``binary``).

They stand below the models because a model stops training on the metric it is judged by. The docstrings are the
definitions that a report prints.

- Metrics of ranks (``METRICS``): ``ranks[t]`` is the rank of each target (from 1, ``inf`` where it isn't recommended;
  see ``ranking.target_ranks``; those of one case lie at least 1 apart), ``case[t]`` whose target it is, ascending; one
  value a case, ``[n] float64``. A case has at least one target, and a target the model doesn't know stays in every
  denominator: it is a miss.
- Metrics of lists (``LISTS``): ``recommended[n, k]`` are item codes, ``UNKNOWN`` where a list is shorter.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from penchant.types import UNKNOWN, Array, Float, Int

Metric = Callable[[Float, Int, int, int], Array]
ALPHA = 0.01
"""How much of the history's mixture is mixed into the list's, so that a kind the list lacks costs much but not everything."""
CELLS_AT_ONCE = 1 << 21
"""Numbers multiplied at a time, to compare items."""


# Of ranks.


def recall(ranks: Float, case: Int, n: int, k: int) -> Array:
    """Share of a person's targets within the first ``k``; the denominator counts all targets, unknown ones too."""
    return _sum(ranks <= k, case, n) / np.bincount(case, minlength=n)


def hit(ranks: Float, case: Int, n: int, k: int) -> Array:
    """1 where any target is within the first ``k``, else 0."""
    return (_sum(ranks <= k, case, n) > 0).astype(np.float64)


def ndcg(ranks: Float, case: Int, n: int, k: int) -> Array:
    """Discounted cumulative gain, ``Σ 1 / log2(1 + rank)`` within the first ``k``, over that of the best possible list, which
    has all targets first, unknown ones too. Järvelin and Kekäläinen (2002), binary relevance.
    """
    gain = _sum(np.where(ranks <= k, 1 / np.log2(1 + ranks), 0.0), case, n)
    best = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    return np.asarray(gain / best[np.minimum(np.bincount(case, minlength=n), k)])


def mrr(ranks: Float, case: Int, n: int, k: int) -> Array:
    """One over the rank of the first target, 0 where it lies beyond ``k``."""
    best = np.full(n, np.inf)
    np.minimum.at(best, case, ranks)
    return np.where(best <= k, 1 / best, 0.0)


def precision(ranks: Float, case: Int, n: int, k: int) -> Array:
    """Targets within the first ``k``, over ``k``, however short the list."""
    return _sum(ranks <= k, case, n) / k


def average_precision(ranks: Float, case: Int, n: int, k: int) -> Array:
    """Mean, over all targets, of the precision at each one's rank, 0 for those beyond ``k`` (as in trec_eval)."""
    order = np.lexsort((ranks, case))
    counts = np.bincount(case, minlength=n)
    place = np.arange(len(ranks)) - np.repeat(np.cumsum(counts) - counts, counts) + 1
    gain = np.where(ranks[order] <= k, place / ranks[order], 0.0)
    return np.asarray(_sum(gain, case, n) / counts)


METRICS: Mapping[str, Metric] = {
    "recall": recall,
    "hit": hit,
    "ndcg": ndcg,
    "mrr": mrr,
    "precision": precision,
    "map": average_precision,
}
"""Metrics with one value a case, by the name they are reported under (``ndcg@10``)."""


# Of lists.


def novelty(recommended: Int, share: Array) -> Array:
    """Mean self-information of the items in a list, ``-log2(share of the people trained on who had the item)``, in bits; an
    empty list has 0. Zhou et al. (2010).

    ``share[V]`` is above 0.
    """
    there = recommended != UNKNOWN
    bits = np.where(there, -np.log2(share)[np.maximum(recommended, 0)], 0.0)
    return np.asarray(bits.sum(axis=1) / np.maximum(there.sum(axis=1), 1))


def diversity(recommended: Int, vectors: csr_array) -> Array:
    """One minus the mean cosine of all pairs of items in a list (Ziegler et al. 2005), by their words, or by who had them where
    there are none; a list of fewer than two items has 0.

    ``vectors[V, d]`` have the length 1, or 0 where nothing is known of an item.
    """
    there = recommended != UNKNOWN
    pairs = there.sum(axis=1) * (there.sum(axis=1) - 1) / 2
    return np.asarray(np.where(pairs > 0, 1 - _cosines(recommended, vectors) / np.maximum(pairs, 1), 0.0))


def repeat_ratio(recommended: Int, offsets: Int, had: Int) -> Array:
    """Share of a list that the person had before; 0 where seen items are excluded, and for an empty list.

    Person ``u`` had the items ``had[offsets[u]:offsets[u + 1]]``.
    """
    size = int(max(recommended.max(initial=0), had.max(initial=0))) + 1
    person = np.arange(len(recommended))[:, None]
    there = recommended != UNKNOWN
    owner = np.repeat(np.arange(len(recommended)), np.diff(offsets))[had != UNKNOWN]
    again = np.isin(person * size + recommended, owner * size + had[had != UNKNOWN]) & there
    return np.asarray(again.sum(axis=1) / np.maximum(there.sum(axis=1), 1))


def miscalibration(recommended: Int, mixture: csr_array, membership: csr_array) -> Array:
    """How far the kinds of items in a list (genres, categories, topics) are from those in the person's history: the
    Kullback-Leibler divergence of their shares in nats, with 1% of the history's mixed into the list's. 0 where they are the
    same, or where nothing is known of the history; 4.61, the most, where they share no kind, and for an empty list. Steck
    (2018), section 3, all events and all places alike.

    ``mixture[n, T]`` are the histories' shares (see ``mixtures``), ``membership[V, T]`` the items'.
    """
    found = np.zeros(len(recommended))
    for some in _chunks(np.full(len(recommended), membership.shape[1])):
        lists = recommended[some]
        ends = lists.shape[1] * np.arange(len(lists) + 1)
        p, q = mixture[some].tocoo(), mixtures(ends, lists.ravel(), membership).toarray()
        mixed = (1 - ALPHA) * q[p.coords] + ALPHA * p.data
        found[some] = np.bincount(p.coords[0], weights=p.data * np.log(p.data / mixed), minlength=len(lists))
    return found


def mixtures(offsets: Int, item: Int, membership: csr_array) -> csr_array:
    """Mean memberships ``[n, T]`` of the items ``item[offsets[u]:offsets[u + 1]]`` of which something is known: rows sum to 1,
    or 0.
    """
    known = item != UNKNOWN
    ends = np.concatenate([[0], np.cumsum(known)])[offsets]
    had = csr_array((np.ones(known.sum()), item[known], ends), shape=(len(offsets) - 1, membership.shape[0]))
    sums = csr_array(had @ membership.astype(np.float64))
    total = np.asarray(sums.sum(axis=1)).ravel()
    sums.data /= np.repeat(total, np.diff(sums.indptr))
    return sums


def coverage(recommended: Int, catalogue: int) -> float:
    """Share of the catalogue that appears in any list."""
    return len(np.unique(recommended[recommended != UNKNOWN])) / catalogue


def gini(recommended: Int, catalogue: int) -> float:
    """Gini index of how often each item of the catalogue is recommended: 0 all alike, near 1 a few take all."""
    counts = np.sort(np.unique(recommended[recommended != UNKNOWN], return_counts=True)[1])
    if not len(counts):
        return 0.0
    place = np.arange(catalogue - len(counts), catalogue) + 1  # those never recommended come first
    return float((2 * place - catalogue - 1) @ counts / (catalogue * counts.sum()))


LISTS: Mapping[str, Callable[..., Any]] = {
    "novelty": novelty,
    "diversity": diversity,
    "repeat_ratio": repeat_ratio,
    "miscalibration": miscalibration,
    "coverage": coverage,
    "gini": gini,
}
"""Metrics of the lists shown, whoever was right."""


def definition(name: str) -> str:
    """What a metric is, in words: its docstring's first paragraph. ``name`` as it is reported, with or without ``@k``."""
    every: dict[str, Callable[..., Any]] = {**METRICS, **LISTS}
    metric = every[name.partition("@")[0]]
    return " ".join((inspect.getdoc(metric) or "").split("\n\n")[0].replace("``", "").split())


def _sum(values: Array, case: Int, n: int) -> Array:
    return np.bincount(case, weights=values, minlength=n)


def _cosines(recommended: Int, vectors: csr_array) -> Array:
    """The cosines of all pairs of items in each list, summed, ``[n]``.

    Either from sums of lists or from products of items, whichever takes fewer multiplications: what items are called is
    short as a row, and lists of many people share most pairs of items that many had.
    """
    there = recommended != UNKNOWN
    lengths = np.diff(vectors.indptr).astype(np.int64)
    each = (lengths[recommended] * there).sum(axis=1)
    listed = vectors[np.unique(recommended[there])]
    if each.sum() <= np.bincount(vectors.indices, minlength=vectors.shape[1])[listed.indices].sum():
        return _from_sums(recommended, there, each, vectors)
    return _from_products(recommended, there, vectors)


def _from_sums(recommended: Int, there: Array, each: Int, vectors: csr_array) -> Array:
    """A sum's square is the squares of its vectors and twice their products."""
    squares = _squares(vectors)
    found = np.zeros(len(recommended))
    for some in _chunks(each):
        ends = np.concatenate([[0], np.cumsum(there[some].sum(axis=1))])
        item = recommended[some][there[some]]
        lists = csr_array((np.ones(len(item), np.float32), item, ends), shape=(len(ends) - 1, vectors.shape[0]))
        found[some] = (_squares(csr_array(lists @ vectors)) - lists @ squares) / 2
    return found


def _squares(rows: csr_array) -> Array:
    """The squared length of each row, ``[n] float64``."""
    row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    return np.bincount(row, rows.data.astype(np.float64) ** 2, rows.shape[0])


def _from_products(recommended: Int, there: Array, vectors: csr_array) -> Array:
    first, second = np.triu_indices(recommended.shape[1], 1)
    both = there[:, first] & there[:, second]
    left, right = recommended[:, first][both], recommended[:, second][both]
    pair = np.minimum(left, right).astype(np.int64) * vectors.shape[0] + np.maximum(left, right)
    pairs, place = np.unique(pair, return_inverse=True)
    rows, row = np.unique(pairs // vectors.shape[0], return_inverse=True)
    columns, other = csr_array(vectors.T), pairs % vectors.shape[0]
    cosine = np.empty(len(pairs))
    for some in _chunks(np.full(len(rows), vectors.shape[0])):
        mine = slice(*np.searchsorted(row, [some.start, some.stop]))
        block = (vectors[rows[some]] @ columns).toarray()
        cosine[mine] = block[row[mine] - some.start, other[mine]]
    return np.bincount(np.nonzero(both)[0], cosine[place], len(recommended))


def _chunks(sizes: Int) -> Iterator[slice]:
    """Stretches whose sizes sum to about ``CELLS_AT_ONCE``."""
    ends = np.flatnonzero(np.diff(np.cumsum(sizes) // CELLS_AT_ONCE, append=-1)) + 1
    for start, stop in pairwise([0, *ends.tolist()]):
        yield slice(start, stop)
