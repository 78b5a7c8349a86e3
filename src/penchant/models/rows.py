"""Sparse matrices by rows: of several, the rows of several people, weighed and summed in one product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.sparse import csc_array, csr_array, vstack

from penchant.types import UNKNOWN, Array, Float, Int

FEW = 1 << 15
"""Entries up to which indexing is faster than sparse matrices: those of a single person."""
PEOPLE_AT_ONCE = 32
"""People whose rows are summed at a time: few enough that their scores stay in a core's cache."""


@dataclass(frozen=True)
class Rows:
    """``M[V, V] float32``: the rows from ``first`` of a matrix ``whole``, which others may share, but for those that changed.

    A row changes by being exchanged in ``changed``, so that one thread may change rows while others read them.
    """

    whole: csr_array
    size: int
    """``V``"""
    first: int = 0
    changed: dict[int, tuple[Int, Float]] = field(default_factory=dict)
    """Of a row its columns and values, in the place of those in ``whole``."""

    @classmethod
    def of(cls, matrix: csr_array) -> Rows:
        """The rows of a matrix ``[V, V] float32``, nothing changed."""
        narrow = matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32 if matrix.nnz < 1 << 31 else np.int64)
        return cls(csr_array((matrix.data, *narrow), shape=matrix.shape), matrix.shape[0])

    def row(self, number: int) -> tuple[Int, Float]:
        """The columns of a row, ascending, and their values."""
        if number in self.changed:
            return self.changed[number]
        span = slice(*self.whole.indptr[self.first + number : self.first + number + 2])
        return self.whole.indices[span], self.whole.data[span]

    def matrix(self) -> csr_array:
        """``M`` as it was made."""
        indptr = self.whole.indptr[self.first : self.first + self.size + 1]
        span = slice(indptr[0], indptr[-1])
        parts = self.whole.data[span], self.whole.indices[span], indptr - indptr[0]
        return csr_array(parts, shape=(self.size, self.size))


def stacked(some: Sequence[Rows]) -> list[Rows]:
    """The same rows, one matrix's below the other's in one, so that ``add_rows`` finds all at once."""
    whole = csr_array(vstack([rows.matrix() for rows in some], format="csr"))
    firsts = np.cumsum([0, *(rows.size for rows in some)]).tolist()
    return [Rows(whole, rows.size, first, rows.changed) for rows, first in zip(some, firsts, strict=False)]


class Wanted(NamedTuple):
    """The rows of people's last items ``recent[n, window]`` (``UNKNOWN`` where there is none), and their ``weight[window]``."""

    rows: Rows
    recent: Int
    weight: Float


def add_rows(total: Float, wanted: Sequence[Wanted]) -> None:
    """Add all that is wanted to ``total[n, V] float32``."""
    if len(total) == 1:
        _add(total, wanted)
        return
    for start in range(0, len(total), PEOPLE_AT_ONCE):
        some = slice(start, start + PEOPLE_AT_ONCE)
        _add(total[some], [each._replace(recent=each.recent[some]) for each in wanted])


def _add(total: Float, wanted: Sequence[Wanted]) -> None:
    columns, values, lengths, owner, weight = _found(wanted)
    place = columns if len(total) == 1 else columns + np.repeat((owner * total.shape[1]).astype(np.int32), lengths)
    if len(place) <= FEW:
        values *= np.repeat(weight, lengths)
        np.add.at(total.reshape(-1), place, values)
    else:  # each row as a column of a matrix whose rows are the places in ``total``: its product with the weights is the sum
        ends = np.zeros(len(lengths) + 1, np.int32)
        np.cumsum(lengths, out=ends[1:])
        summed = csc_array((values, place, ends), shape=(total.size, len(lengths))) @ weight
        total += summed.reshape(total.shape)


def _found(wanted: Sequence[Wanted]) -> list[Array]:
    """The columns and values of all wanted rows, one behind the other; the length, the owner and the weight of each."""
    pieces: list[Sequence[Array]] = []
    lying: dict[int, tuple[csr_array, list[tuple[Array, ...]]]] = {}
    for rows, recent, weights in wanted:
        owner, place = np.nonzero(recent != UNKNOWN)
        number, weight = recent[owner, place], weights.take(place)
        if rows.changed:
            new = np.array([each in rows.changed for each in number.tolist()], bool)
            if new.any():
                pieces.append((*_exchanged(rows, number[new]), owner[new], weight[new]))
                owner, number, weight = owner[~new], number[~new], weight[~new]
        lying.setdefault(id(rows.whole), (rows.whole, []))[1].append((number + rows.first, owner, weight))
    for whole, parts in lying.values():
        number, owner, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
        pieces.append((*_taken(whole, number), owner, weight))
    return list(pieces[0]) if len(pieces) == 1 else [np.concatenate(part) for part in zip(*pieces, strict=True)]


def _exchanged(rows: Rows, number: Int) -> tuple[Int, Float, Int]:
    """The columns and values of rows that changed, one behind the other, and the length of each."""
    columns, values = zip(*(rows.changed[each] for each in number.tolist()), strict=True)
    return np.concatenate(columns), np.concatenate(values), np.array([len(row) for row in columns], np.int32)


def _taken(whole: csr_array, number: Int) -> tuple[Int, Float, Int]:
    """The same of rows that didn't."""
    starts = whole.indptr.take(number)
    lengths = whole.indptr.take(number + 1) - starts
    ends = np.cumsum(lengths)
    if len(number) and ends[-1] > FEW:
        rows = whole[number]
        return rows.indices, rows.data, lengths
    entries = np.arange(ends[-1] if len(number) else 0) + np.repeat(starts - (ends - lengths), lengths)
    return whole.indices.take(entries), whole.data.take(entries), lengths
