"""How sure one can be of a difference: bootstrap intervals, paired tests, Holm's correction.

People are the sampling unit throughout: whoever is asked several times is drawn, or turned round, as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from penchant.types import Array, Int

RESAMPLES = 1000
FLIPS = 10_000
LEVEL = 0.05
CELLS_AT_ONCE = 1 << 16
"""Random numbers drawn at a time: what fits into the processor's cache is twice as fast."""


@dataclass(frozen=True)
class Comparison:
    """Two models on the same people: the mean difference (first less second), and what chance makes of it.

    ``p`` is that of a paired randomisation test, ``adjusted`` the same after Holm's correction for all comparisons made.
    ``distinct`` says that the difference is outside the noise.
    """

    first: str
    second: str
    difference: float
    interval: tuple[float, float]
    p: float
    adjusted: float
    distinct: bool


def bootstrap(values: Mapping[str, Array], person: Int, seed: int) -> dict[str, tuple[Array, Array]]:
    """95% intervals ``(low[m], high[m])`` of the column means of each ``values[name][n, m]``.

    Percentile method (Efron 1979): people are resampled, alike for all; ``person[n]`` says whose a row is.
    """
    if not values:
        return {}
    size, rows = _people(person)
    per_person = np.bincount(rows, minlength=size).astype(np.float32)
    sums = {name: _sums(array, rows, size) for name, array in values.items()}
    means = {name: np.empty((RESAMPLES, array.shape[1])) for name, array in values.items()}
    chance = np.random.Generator(np.random.SFC64(seed))
    step = max(1, CELLS_AT_ONCE // size)
    for start in range(0, RESAMPLES, step):
        some = slice(start, min(start + step, RESAMPLES))
        count = some.stop - some.start
        drawn = chance.integers(0, size, (count, size), dtype=np.uint32)
        drawn += np.arange(0, count * size, size, dtype=np.uint32)[:, None]
        times = np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size).astype(np.float32)
        asked = (times @ per_person)[:, None]
        for name, sum_ in sums.items():
            means[name][some] = (times @ sum_) / asked
    intervals = {}
    for name, array in values.items():
        low, high = np.percentile(means[name], [2.5, 97.5], axis=0)
        mean = array.mean(axis=0)
        intervals[name] = (np.minimum(low, mean), np.maximum(high, mean))
    return intervals


def normal_interval(values: Array, person: Int) -> tuple[Array, Array]:
    """95% intervals of the column means of ``values[n, m]`` by the normal approximation; of one person, without end."""
    size, rows = _people(person)
    mean = values.mean(axis=0)
    # Linearised: a person's rows less what the mean says of them.
    off = _sums(values - mean, rows, size)
    if size == 1:
        return np.full_like(mean, -np.inf), np.full_like(mean, np.inf)
    spread = 1.96 * np.sqrt((off.astype(np.float64) ** 2).sum(axis=0) * (size / (size - 1))) / len(values)
    return mean - spread, mean + spread


def compare(
    values: Mapping[str, Array],
    person: Int,
    seed: int,
    by_seed: Mapping[str, Array] | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
) -> tuple[Comparison, ...]:
    """Pairs of models (by default every one), by their values ``[n]`` on the same rows.

    A paired randomisation test: were the models alike, the sign of each person's difference would be a coin's (Smucker,
    Allan and Carterette 2007). Holm (1979) corrects for the number of pairs. Where models were trained with several seeds,
    ``by_seed[name]`` are their means, and a difference is outside the noise only if the ranges of both don't overlap either.
    """
    names = list(values)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]] if pairs is None else pairs
    if not pairs:
        return ()
    difference = np.stack([values[a] - values[b] for a, b in pairs], axis=1)
    low, high = bootstrap({"": difference}, person, seed)[""]
    p = randomisation(difference, person, seed)
    adjusted = holm(p)
    found = []
    for n, (a, b) in enumerate(pairs):
        apart = by_seed is None or not _overlap(by_seed[a], by_seed[b])
        found.append(
            Comparison(
                a,
                b,
                float(difference[:, n].mean()),
                (float(low[n]), float(high[n])),
                float(p[n]),
                float(adjusted[n]),
                bool(adjusted[n] < LEVEL and apart),
            )
        )
    return tuple(found)


def randomisation(difference: Array, person: Int, seed: int) -> Array:
    """Two-sided p-values ``[m]`` of the column means of ``difference[n, m]``, from random signs of each person's sum."""
    size, rows = _people(person)
    sums = _sums(difference, rows, size)
    # Who has no difference tells nothing.
    sums = sums[(sums != 0).any(axis=1)]
    reached = np.abs(sums.sum(axis=0, dtype=np.float64))
    slack = 1e-6 * np.abs(sums).sum(axis=0, dtype=np.float64)  # of sums in another order
    chance = np.random.Generator(np.random.SFC64(seed))
    signs = 2 * np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).astype(np.float32) - 1
    bytes_each = -(-len(sums) // 8)
    sums = np.pad(sums, ((0, 8 * bytes_each - len(sums)), (0, 0)))
    as_far = np.zeros(difference.shape[1], np.int64)
    step = max(1, CELLS_AT_ONCE // max(len(sums), 1))
    for start in range(0, FLIPS, step):
        count = min(step, FLIPS - start)
        heads = np.frombuffer(chance.bytes(count * bytes_each), np.uint8)
        flipped = signs[heads].reshape(count, len(sums)) @ sums
        as_far += (np.abs(flipped) >= reached - slack).sum(axis=0)
    return np.asarray((as_far + 1) / (FLIPS + 1))


def holm(p: Array) -> Array:
    """P-values corrected for their number by Holm's step-down method (1979).

    >>> holm(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def _overlap(a: Array, b: Array) -> bool:
    """Whether two ranges meet; single values don't speak of a range."""
    if len(a) == 1 and len(b) == 1:
        return False
    return bool(a.min() <= b.max() and b.min() <= a.max())


def _people(person: Int) -> tuple[int, Int]:
    distinct, rows = np.unique(person, return_inverse=True)
    return len(distinct), rows


def _sums(values: Array, rows: Int, size: int) -> Array:
    """The columns of ``values[n, m]`` summed by person, ``[size, m] float32``."""
    if len(values) == size and (np.diff(rows) > 0).all():
        return values.astype(np.float32)
    columns = [np.bincount(rows, weights=values[:, m], minlength=size) for m in range(values.shape[1])]
    return np.stack(columns, axis=1).astype(np.float32)
