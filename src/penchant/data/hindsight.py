"""Does a column of numbers know what happened later? What gives statistics of the whole period away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from penchant.data import dialects
from penchant.types import Array

FOLLOWS, ERRORS = 0.5, 4.0
"""A column computed from something has at least such a rank correlation with it; and if from later events too, it goes with
those, beyond what goes with earlier ones, by so many standard errors.
"""
IS_LATER = 0.95
"""With such a rank correlation with a statistic of the time after alone, a column is that statistic."""
NAMED_FOLLOWS, NAMED_ERRORS = 0.25, 2.0
"""The same of a column whose name says that it counts: it may count what isn't in this log, but went along with it."""
FEWEST = 20
"""A column of fewer different numbers is a kind, not a statistic; and of fewer items nothing is told."""
COUNTS = {
    *("cnt", "count", "counts", "num", "number", "rate", "ctr", "total", "sum", "avg", "mean"),
    *("click", "clicks", "view", "views", "play", "plays", "like", "likes"),
    *("share", "shares", "comment", "comments", "follow", "follows"),
}
"""Words in the name of a column that counts, or averages, what people did."""


@dataclass(frozen=True)
class Statistic:
    """What could have been computed of items, ``[V]``: before a cut, after it, and over the whole period; NaN where there is
    too little to compute it from. ``words`` name it.
    """

    words: str
    before: Array
    after: Array
    whole: Array


def counted(before: Array, after: Array) -> Statistic:
    """How often each item occurs, from counts on both sides of the cut, ``[V]``; of items that occur."""
    before, after = before.astype(np.float64), after.astype(np.float64)
    return Statistic("events", before, after, np.where(before + after > 0, before + after, np.nan))


def averaged(words: str, values: Array, item: Array, later: Array, size: int, least: int = 3) -> Statistic:
    """The mean of ``values[m]`` by ``item[m]``, of items with at least ``least`` on both sides; ``later[m]`` tells which."""

    def sums(some: Array) -> tuple[Array, Array]:
        return np.bincount(item[some], minlength=size), np.bincount(item[some], weights=values[some], minlength=size)

    (n, before), (m, after) = sums(~later), sums(later)
    enough = (n >= least) & (m >= least)
    means = (np.where(enough, s / np.maximum(c, 1), np.nan) for s, c in ((before, n), (after, m), (before + after, n + m)))
    return Statistic(words, *means)


def gives_away(column: str, values: Array, statistics: Sequence[Statistic]) -> str:
    """Why a column ``[V]`` (NaN where an item has none) must have been computed from later events too; empty where it needn't.

    By its ranks: it follows a statistic of the whole period, more closely than any of the time before, or hardly differs from
    one of the time after, and goes with that beyond what goes with the time before (partial correlation). Or by its name, and
    more weakly so. A year, a price, a duration or a statistic of the time before does neither, even where taste follows it.
    """
    seen = [_correlations(values, statistic) for statistic in statistics]
    closest = max((abs(with_before) for _, with_before, _, _ in seen), default=0.0)
    counts = COUNTS & {word.lower() for word in dialects.words(column)}
    for statistic, (with_whole, with_before, with_after, errors) in zip(statistics, seen, strict=True):
        the_same_way = errors * np.sign(with_whole)
        if abs(with_whole) > max(FOLLOWS, closest) and the_same_way > ERRORS:
            return (
                f"follows the items' {statistic.words} of the whole period (rank correlation {with_whole:.3f}) more closely "
                f"than those before the cut ({with_before:.3f})"
            )
        if abs(with_after) > max(IS_LATER, closest) and abs(errors) > ERRORS:
            return f"follows the items' {statistic.words} after the cut (rank correlation {with_after:.3f})"
        if counts and abs(with_whole) > NAMED_FOLLOWS and the_same_way > NAMED_ERRORS:
            return (
                f"counts, by its name, what people did, and goes with the items' {statistic.words} after the cut, beyond what "
                f"goes with those before, by {the_same_way:.1f} standard errors"
            )
    return ""


def _correlations(values: Array, statistic: Statistic) -> tuple[float, float, float, float]:
    """Rank correlations of a column with a statistic of the whole period (0 for a column that is a kind), of the time before
    and of the time after, and by how many standard errors it goes with the last beyond the one before; zeros where there is
    too little to tell.
    """
    known = np.isfinite(values) & np.isfinite(statistic.whole)
    if known.sum() < FEWEST:
        return 0.0, 0.0, 0.0, 0.0
    value, before, after, whole = (
        average_ranks(of[known]) for of in (values, statistic.before, statistic.after, statistic.whole)
    )
    with_whole = _correlation(value, whole) if len(np.unique(value)) >= FEWEST else 0.0
    errors = _partial(value, after, before) * float(np.sqrt(known.sum()))
    return with_whole, _correlation(value, before), _correlation(value, after), errors


def average_ranks(values: Array) -> Array:
    """Ranks ``[n] float64`` in ascending order from 1, equal values at the mean of their places.

    >>> average_ranks(np.array([5, 1, 5])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place])


def _correlation(a: Array, b: Array) -> float:
    """0 where one has no order."""
    return float(np.corrcoef(a, b)[0, 1]) if np.ptp(a) and np.ptp(b) else 0.0


def _partial(a: Array, b: Array, given: Array) -> float:
    """Correlation of ``a`` and ``b`` after what goes with ``given`` is taken from both."""
    ab, ag, bg = _correlation(a, b), _correlation(a, given), _correlation(b, given)
    left = (1 - ag**2) * (1 - bg**2)
    return (ab - ag * bg) / float(np.sqrt(left)) if left > 1e-12 else 0.0
