"""Top-k with masks and ties: the one way from scores to a ranking, for evaluation and service alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from penchant.types import UNKNOWN, Float, Int, PenchantError, Progress, Ranking, Recommender, UserState, quiet

LISTED = 10
"""How long lists are where nothing is said."""
BLOCK = 256
"""Columns whose maximum is taken at a time in search of the best,"""
MANY = 8
"""and so many times ``k`` candidates are a sign of equal scores."""
PEOPLE_AT_ONCE = 256
"""People who are answered at a time: few enough that what is written is still near when it is read again, and enough that a
network's product, which reads the whole catalogue, pays.
"""
ROWS_IN_CACHE = 32
"""Rows of scores whose ties are counted at a time, while they are near."""


@dataclass(frozen=True)
class Excluded:
    """Items not to recommend, ragged: user ``u``'s are ``item[offsets[u]:offsets[u + 1]]``; ``UNKNOWN`` is passed over."""

    offsets: Int
    item: Int

    def __getitem__(self, rows: slice) -> Excluded:
        """Those of some users, as if there were no others."""
        offsets = self.offsets[slice(rows.start, rows.stop + 1)]
        return Excluded(offsets - offsets[0], self.item[offsets[0] : offsets[-1]])


def recommend(
    model: Recommender,
    state: UserState,
    k: int,
    *,
    now: Int,
    exclude: Excluded | None = None,
    explain: bool = False,
) -> Ranking:
    """The ``k`` best items for each of the ``n`` people in ``state``, at ``now[n]``.

    Equal scores are broken by the order of the catalogue. With ``explain`` the ranking carries the parts of each
    score. Raises ``PenchantError`` where ``k`` isn't between 1 and the size of the catalogue.
    """
    check_k(k, len(model.items))

    def answer(some: UserState, moment: Int, exclude: Excluded | None) -> Ranking:
        return rank(model, some, masked_scores(model, some, moment, exclude), k, now=moment, explain=explain)

    if len(state) <= PEOPLE_AT_ONCE:
        return answer(state, now, exclude)
    blocks = [slice(start, start + PEOPLE_AT_ONCE) for start in range(0, len(state), PEOPLE_AT_ONCE)]
    return Ranking.concatenate([answer(state[rows], now[rows], exclude and exclude[rows]) for rows in blocks])


def rank(model: Recommender, state: UserState, scores: Float, k: int, *, now: Int, explain: bool = False) -> Ranking:
    """``recommend`` from scores that are already there."""
    item, score = top_k(scores, k)
    parts = model.parts(state, now, np.maximum(item, 0)) if explain else {}
    return Ranking(model.items, item, score, {name: np.where(item == UNKNOWN, score, part) for name, part in parts.items()})


def check_k(k: int, catalogue: int) -> None:
    """Raise ``PenchantError`` unless ``k`` items can be ranked."""
    if not 1 <= k <= catalogue:
        raise PenchantError(f"k is {k}, but must lie between 1 and {catalogue}, the number of items the model knows")


def length(k: int | None, catalogue: int, progress: Progress = quiet) -> int:
    """``k``, checked; where nothing is said ten, or all items of a small catalogue, with a remark."""
    if k is None:
        k = min(LISTED, catalogue)
        if k < LISTED:
            progress(f"the model knows {k} items, so lists have {k}", 0, 0)
    check_k(k, catalogue)
    return k


def masked_scores(model: Recommender, state: UserState, now: Int, exclude: Excluded | None) -> Float:
    """Scores ``[n, V] float32``, ``-inf`` where an item is excluded. Raises ``PenchantError`` for a state of another model."""
    if state.model_id != model.state_id:
        raise PenchantError(f"this state belongs to model {state.model_id}, not to {model.state_id}; encode the history again")
    scores = model.score(state, now)
    if exclude is not None:
        rows = np.repeat(np.arange(len(state)), np.diff(exclude.offsets))
        known = exclude.item != UNKNOWN
        scores[rows[known], exclude.item[known]] = -np.inf
    return scores


def top_k(scores: Float, k: int) -> tuple[Int, Float]:
    """The ``k`` largest of each row, in order; ``UNKNOWN`` and ``-inf`` where fewer than ``k`` are above ``-inf``.

    Exact, ties included: equal scores keep the order of columns.
    """
    people, items = scores.shape
    k = min(k, items)
    floor = _floor(scores, k)
    reached = scores >= floor
    if np.count_nonzero(reached) > MANY * k * people:
        for tied in np.flatnonzero(np.count_nonzero(reached, axis=1) > MANY * k):  # equals behind the first k aren't the best
            level = np.flatnonzero(scores[tied] == floor[tied])[:k]
            reached[tied] = scores[tied] > floor[tied]
            reached[tied, level] = True
    place = np.flatnonzero(reached)
    value = scores.reshape(-1).take(place)
    # Stable: equal scores stay in the order of columns.
    if people == 1:
        best = np.argsort(-value, kind="stable")[None, :k]
    else:
        row = place // items
        best = np.lexsort((-value, row))[np.searchsorted(row, np.arange(people))[:, None] + np.arange(k)]
    item, value = (place % items)[best], value[best]
    return np.where(value == -np.inf, UNKNOWN, item).astype(np.int32), value


def _floor(scores: Float, k: int) -> Float:
    """A score ``[n, 1]`` that the ``k`` best of each row reach and few others do: the ``k``-th largest maximum of blocks."""
    width = max(1, min(BLOCK, scores.shape[1] // k))
    maxima = np.maximum.reduceat(scores, np.arange(0, scores.shape[1], width), axis=1)
    return np.partition(maxima, -k, axis=1)[:, -k, None]


def target_ranks(scores: Float, rows: Int, target: Int, best: Float) -> Float:
    """Rank (from 1) of each target ``target[t]`` in row ``rows[t]`` of masked scores, ``inf`` where it isn't among the first
    ``k``, or unknown, or excluded; ``best[n, k]`` are the rows' best scores, from ``top_k``.

    Among equal scores a target stands at its expected place, were ties broken at random: a model that gives every
    item the same score gains nothing by it. Of several targets of a row with one score, the first that is named stands where
    the first of them is expected, and so on: the ``j``-th of ``t`` among ``m`` equals at ``j (m + 1) / (t + 1)``, the mean
    of an order statistic.
    """
    ranks = np.full(len(target), np.inf, np.float32)
    value = np.where(target == UNKNOWN, -np.inf, scores[rows, target])
    near = np.flatnonzero((value >= best[rows, -1]) & (value > -np.inf))
    row, value = rows[near], value[near]
    ahead, level = (np.count_nonzero(compare(best[row], value[:, None]), axis=1) for compare in (np.greater, np.equal))
    # Whoever is ahead of the k-th is listed with all its equals; the equals of the k-th itself go on behind the list.
    at_edge = np.flatnonzero(value == best[row, -1])
    edges, place = np.unique(row[at_edge], return_inverse=True)
    level[at_edge] = _equals(scores, edges, best[edges, -1:])[place]
    turn, together = _turns(row, value)
    expected = ahead + turn * (level + 1) / (together + 1)
    ranks[near] = np.where(expected <= best.shape[1], expected, np.inf)
    return ranks


def _turns(row: Int, value: Float) -> tuple[Int, Int]:
    """Which of the targets with its row and score each is, from 1 in their order, and how many those are."""
    order = np.lexsort((value, row))
    row, value = row[order], value[order]
    begins = np.ones(len(row), bool)
    begins[1:] = (row[1:] != row[:-1]) | (value[1:] != value[:-1])
    starts = np.flatnonzero(begins)
    counts = np.diff(starts, append=len(row))
    turn, together = np.empty(len(row), np.int64), np.empty(len(row), np.int64)
    turn[order] = np.arange(len(row)) - np.repeat(starts, counts) + 1
    together[order] = np.repeat(counts, counts)
    return turn, together


def _equals(scores: Float, rows: Int, value: Float) -> Int:
    """How many scores of each of the rows are ``value[r, 1]``."""
    counts = np.empty(len(rows), np.int64)
    for start in range(0, len(rows), ROWS_IN_CACHE):
        some = slice(start, start + ROWS_IN_CACHE)
        counts[some] = np.count_nonzero(scores[rows[some]] == value[some], axis=1)
    return counts
