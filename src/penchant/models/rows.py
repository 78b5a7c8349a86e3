"""Sparse matrices by rows: of several, the rows of several people, weighed and summed in one product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csc_array, csr_array, vstack

from penchant.types import UNKNOWN, Float, Int

FEW = 1 << 15
"""Entries up to which indexing is faster than sparse matrices: those of a single person."""
COUNTING = np.arange(FEW)
"""From 0: made once."""
PEOPLE_AT_ONCE = 32
"""People whose rows are summed at a time: few enough that their scores stay in a core's cache."""


@dataclass(frozen=True)
class Rows:
    """``M[V, V] float32``: the rows from ``first`` of a matrix ``whole`` that others may share, but for those that changed.

    A row changes by being exchanged, so that one thread may change rows while others read them.
    """

    whole: csr_array
    size: int
    """``V``"""
    first: int = 0
    changed: dict[int, tuple[Int, Float]] = field(default_factory=dict)
    """The columns and values of rows, by their number in ``whole``, in the place of those there; shared like it."""

    @classmethod
    def of(cls, matrix: csr_array) -> Rows:
        """The rows of a matrix ``[V, V] float32``, nothing changed."""
        narrow = matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32 if matrix.nnz < 1 << 31 else np.int64)
        return cls(csr_array((matrix.data, *narrow), shape=matrix.shape), matrix.shape[0])

    def row(self, number: int) -> tuple[Int, Float]:
        """The columns of a row, ascending, and their values."""
        place = self.first + number
        if place in self.changed:
            return self.changed[place]
        span = slice(*self.whole.indptr[place : place + 2])
        return self.whole.indices[span], self.whole.data[span]

    def exchange(self, number: int, columns: Int, values: Float) -> None:
        """Let a row have other columns (ascending) and values."""
        self.changed[self.first + number] = columns.astype(np.int32), values

    def matrix(self) -> csr_array:
        """``M`` without what changed."""
        indptr = self.whole.indptr[self.first : self.first + self.size + 1]
        span = slice(indptr[0], indptr[-1])
        parts = self.whole.data[span], self.whole.indices[span], indptr - indptr[0]
        return csr_array(parts, shape=(self.size, self.size))


def stacked(some: Sequence[Rows]) -> list[Rows]:
    """The same rows, one matrix's below the other's in one, so that ``add_rows`` finds all at once."""
    whole = csr_array(vstack([rows.matrix() for rows in some], format="csr"))
    firsts = np.cumsum([0, *(rows.size for rows in some)]).tolist()[:-1]
    changed = {
        first + place - rows.first: row
        for rows, first in zip(some, firsts, strict=True)
        for place, row in rows.changed.items()
        if rows.first <= place < rows.first + rows.size
    }
    return [Rows(whole, rows.size, first, changed) for rows, first in zip(some, firsts, strict=True)]


@dataclass(frozen=True)
class Lookup:
    """What is summed over the last items: of the ring's ``place[m]``, counted from its end, the rows from ``first[m]`` of one
    ``rows.whole``, with the ``weight[m] float32``.
    """

    rows: Rows
    place: Int
    first: Int
    weight: Float


def lookups(wanted: Sequence[tuple[Rows, Float]]) -> list[Lookup]:
    """How to find the rows that are wanted: one way for each matrix they lie in.

    Of what is wanted each has as many weights as last items speak, the newest item's last.
    """
    together: dict[int, list[tuple[Rows, Float]]] = {}
    for each in wanted:
        together.setdefault(id(each[0].whole), []).append(each)
    return [
        Lookup(
            some[0][0],
            np.concatenate([np.arange(-len(weights), 0) for _, weights in some]),
            np.repeat([rows.first for rows, _ in some], [len(weights) for _, weights in some]),
            np.concatenate([weights for _, weights in some]),
        )
        for some in together.values()
    ]


def add_rows(total: Float, recent: Int, wanted: Sequence[Lookup]) -> None:
    """Add to ``total[n, V] float32`` rows of last items ``recent[n, window]`` (``UNKNOWN`` where there is none), weighed."""
    for start in range(0, len(total), PEOPLE_AT_ONCE):
        some = slice(start, start + PEOPLE_AT_ONCE)
        for lookup in wanted:
            _add(total[some], recent[some], lookup)


def _add(total: Float, recent: Int, wanted: Lookup) -> None:
    items = recent[:, wanted.place]
    known = items != UNKNOWN
    number = items + wanted.first
    if len(total) == 1 and known.all():  # quicker for the most frequent question
        owner, number, weight = np.zeros(number.size, np.int64), number[0], wanted.weight
    else:
        owner, place = np.nonzero(known)
        number, weight = number[known], wanted.weight[place]
    columns, values, lengths, order = _found(wanted.rows, number)
    _sum(total, columns, values, lengths, owner[order], weight[order])


def _found(rows: Rows, number: Int) -> tuple[Int, Float, Int, Int | slice]:
    """The columns and values of rows by their number in ``whole``, one behind the other, and the length of each; and the order
    they are in: those that changed come first.
    """
    if rows.changed:
        new = np.array([each in rows.changed for each in number.tolist()], bool)
        if new.any():
            mine = [rows.changed[each] for each in number[new].tolist()]
            columns, values, lengths = _taken(rows.whole, number[~new])
            return (
                np.concatenate([*(row[0] for row in mine), columns]),
                np.concatenate([*(row[1] for row in mine), values]),
                np.concatenate([np.array([len(row[0]) for row in mine], lengths.dtype), lengths]),
                np.concatenate([np.flatnonzero(new), np.flatnonzero(~new)]),
            )
    return (*_taken(rows.whole, number), slice(None))


def _taken(whole: csr_array, number: Int) -> tuple[Int, Float, Int]:
    starts = whole.indptr.take(number)
    lengths = whole.indptr.take(number + 1) - starts
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    if total > FEW:
        rows = whole[number]
        return rows.indices, rows.data, lengths
    entries = np.repeat(starts - (ends - lengths), lengths)
    entries += COUNTING[:total]
    # All are there: to wrap is the quickest thing to do about those that aren't.
    return whole.indices.take(entries, mode="wrap"), whole.data.take(entries, mode="wrap"), lengths


def _sum(total: Float, columns: Int, values: Float, lengths: Int, owner: Int, weight: Float) -> None:
    """Add rows, one behind the other, to their owners'."""
    place = columns if len(total) == 1 else columns + np.repeat((owner * total.shape[1]).astype(np.int32), lengths)
    if len(place) <= FEW:
        values *= np.repeat(weight, lengths)
        np.add.at(total.reshape(-1), place, values)
        return
    # Each row as a column of a matrix whose rows are the places in ``total``: its product with the weights is the sum.
    ends = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=ends[1:])
    summed = csc_array((values, place, ends), shape=(total.size, len(lengths))) @ weight
    total += summed.reshape(total.shape)
