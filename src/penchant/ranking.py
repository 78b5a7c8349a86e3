"""Top-k with masks and ties: the one way from scores to a ranking, for evaluation and service alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from penchant.types import UNKNOWN, Float, Int, PenchantError, Ranking, Recommender, UserState

BLOCK = 128


@dataclass(frozen=True)
class Excluded:
    """Items not to recommend, ragged: user ``u``'s are ``item[offsets[u]:offsets[u + 1]]``; ``UNKNOWN`` is passed over."""

    offsets: Int
    item: Int


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
    return rank(model, state, masked_scores(model, state, now, exclude), k, now=now, explain=explain)


def rank(model: Recommender, state: UserState, scores: Float, k: int, *, now: Int, explain: bool = False) -> Ranking:
    """``recommend`` from scores that are already there."""
    item, score = top_k(scores, k)
    parts = model.parts(state, now, np.maximum(item, 0)) if explain else {}
    return Ranking(model.items, item, score, parts)


def check_k(k: int, catalogue: int) -> None:
    """Raise ``PenchantError`` unless ``k`` items can be ranked."""
    if not 1 <= k <= catalogue:
        raise PenchantError(f"k is {k}, but must lie between 1 and {catalogue}, the number of items the model knows")


def masked_scores(model: Recommender, state: UserState, now: Int, exclude: Excluded | None) -> Float:
    """Scores ``[n, V] float32``, ``-inf`` where an item is excluded."""
    scores = model.score(state, now)
    if exclude is not None:
        rows = np.repeat(np.arange(len(state)), np.diff(exclude.offsets))
        known = exclude.item != UNKNOWN
        scores[rows[known], exclude.item[known]] = -np.inf
    return scores


def top_k(scores: Float, k: int) -> tuple[Int, Float]:
    """The ``k`` largest of each row, in order; ``UNKNOWN`` and ``-inf`` where fewer than ``k`` are above ``-inf``.

    Exact, ties included. Only the ``k`` blocks of columns with the largest maxima are looked into: every item that
    belongs in the answer lies there, since each block left out has a maximum below, or equal and later than, ``k`` others.
    """
    n, width = scores.shape
    columns: Int
    blocks = -(-width // BLOCK)
    if blocks > 2 * k:
        whole = np.full((n, blocks * BLOCK), -np.inf, np.float32)
        whole[:, :width] = scores
        maxima = whole.reshape(n, blocks, BLOCK).max(axis=2)
        chosen = np.sort(np.argsort(-maxima, axis=1, kind="stable")[:, :k], axis=1)
        columns = (chosen[:, :, None] * BLOCK + np.arange(BLOCK)).reshape(n, k * BLOCK)
        candidates = np.take_along_axis(whole, columns, axis=1)
    else:
        columns, candidates = np.broadcast_to(np.arange(width), (n, width)), scores
    if candidates.shape[1] > 8 * k:
        columns, candidates = _at_least_kth(columns, candidates, k)
    order = np.argsort(-candidates, axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(candidates, order, axis=1)
    items = np.take_along_axis(columns, order, axis=1).astype(np.int32)
    return np.where(best == -np.inf, np.int32(UNKNOWN), items), best


def _at_least_kth(columns: Int, candidates: Float, k: int) -> tuple[Int, Float]:
    """Keep the ``k`` best of each row, ties at the ``k``-th going to the first; the order of columns stays."""
    kth = -np.partition(-candidates, k - 1, axis=1)[:, k - 1 : k]
    above = candidates > kth
    level = candidates == kth
    spare = k - above.sum(axis=1, keepdims=True)
    keep = above | (level & (np.cumsum(level, axis=1, dtype=np.int32) <= spare))
    shape = (len(candidates), k)
    return columns[keep].reshape(shape), candidates[keep].reshape(shape)


def target_ranks(scores: Float, rows: Int, target: Int) -> Float:
    """Rank (from 1) of each target ``target[t]`` in row ``rows[t]`` of masked scores; ``inf`` if unknown or excluded.

    Among equal scores a target stands at its expected place, were ties broken at random: a model that gives every
    item the same score gains nothing by it.
    """
    ranks = np.full(len(target), np.inf, np.float32)
    known = np.flatnonzero(target != UNKNOWN)
    own = scores[rows[known], target[known]]
    known, own = known[own > -np.inf], own[own > -np.inf]
    step = max(1, (1 << 25) // max(scores.shape[1], 1))
    for start in range(0, len(known), step):
        some = known[start : start + step]
        value = own[start : start + step, None]
        row = scores[rows[some]]
        ranks[some] = 1 + (row > value).sum(axis=1) + ((row == value).sum(axis=1) - 1) / 2
    return ranks
