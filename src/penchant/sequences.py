"""Interactions → Sequences → Batch: from the cleaned log to what models read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from penchant.types import UNKNOWN, Array, Batch, Int, Interactions, Sequences, Vocabulary

CELLS_AT_ONCE = 1 << 21
"""Events and padding of a batch, at most, unless a single history is longer (80 MB)."""


def histories(log: Interactions, keep: npt.NDArray[np.bool_] | None = None) -> Sequences:
    """Every user's history, or of it the events to ``keep[m]``; users left without events stay, with empty histories."""
    chosen = slice(None) if keep is None else keep
    counts = np.bincount(log.user[chosen], minlength=len(log.users))
    return Sequences(
        users=log.users,
        items=log.items,
        event_types=log.event_types,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        item=log.item[chosen],
        timestamp=log.timestamp[chosen],
        event_type=log.event_type[chosen],
        event_id=log.event_id[chosen],
        clock=log.clock,
        content_hash=log.content_hash,
        content=log.content,
    )


def places(log: Interactions) -> Int:
    """Each event's place in its user's history, from 0, ``[m] int64``."""
    counts = np.bincount(log.user, minlength=len(log.users))
    return np.asarray(np.arange(len(log)) - np.repeat(np.cumsum(counts) - counts, counts))


def select(sequences: Sequences, rows: Int) -> Sequences:
    """The histories of some users, in the order of ``rows``."""
    return replace(_rows(sequences, rows), users=Vocabulary(tuple(map(sequences.users.ids.__getitem__, rows.tolist()))))


def _rows(sequences: Sequences, rows: Int) -> Sequences:
    return _cut(sequences, sequences.offsets[rows], sequences.lengths[rows])


def _cut(sequences: Sequences, starts: Int, lengths: Int) -> Sequences:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    events: Int | slice = slice(int(starts[0]), int(starts[0] + offsets[-1])) if len(starts) else slice(0)
    if (starts[1:] != starts[:-1] + lengths[:-1]).any():  # they don't lie together already
        events = ragged_range(starts, lengths)
    return replace(
        sequences,
        offsets=offsets,
        item=sequences.item[events],
        timestamp=sequences.timestamp[events],
        event_type=sequences.event_type[events],
        event_id=sequences.event_id[events],
    )


def until(sequences: Sequences, stop: Int, start: Int | None = None) -> Sequences:
    """Of each history the events before place ``stop[n]``, and not before ``start[n]``."""
    first = sequences.offsets[:-1] if start is None else sequences.offsets[:-1] + start
    return _cut(sequences, first, sequences.offsets[:-1] + stop - first)


def followed(before: Sequences, events: Sequences) -> Sequences:
    """The histories ``before``, each with the ``events`` of the same user behind it; both coded alike."""
    offsets = before.offsets + events.offsets
    old = ragged_range(offsets[:-1], before.lengths)
    new = ragged_range(offsets[:-1] + before.lengths, events.lengths)

    def joined(first: Array, more: Array) -> Array:
        both = np.empty(len(first) + len(more), np.result_type(first, more))
        both[old], both[new] = first, more
        return both

    return replace(
        before,
        offsets=offsets,
        item=joined(before.item, events.item),
        timestamp=joined(before.timestamp, events.timestamp),
        event_type=joined(before.event_type, events.event_type),
        event_id=joined(before.event_id, events.event_id),
    )


def digest(sequences: Sequences) -> str:
    """A digest of which events of a log these are, told by how many each person has and when they were, in whatever codes; who
    has none doesn't count.
    """
    told = hashlib.sha256()
    for array in (sequences.lengths[sequences.lengths > 0], sequences.timestamp):
        told.update(np.ascontiguousarray(array, np.int64).tobytes())
    return told.hexdigest()[:32]


def of_users(sequences: Sequences, ids: Collection[str]) -> Sequences:
    """The histories of the users with these ids, in this order; an id that isn't known has an empty one."""
    rows = sequences.users.codes(list(ids)).astype(np.int64)
    # One more row, empty, for whom the log doesn't know.
    extended = replace(sequences, offsets=np.append(sequences.offsets, sequences.offsets[-1]))
    return replace(_rows(extended, np.where(rows == UNKNOWN, len(sequences), rows)), users=Vocabulary(tuple(ids)))


def recode(sequences: Sequences, items: Vocabulary, event_types: tuple[str, ...] | None = None) -> Sequences:
    """The same histories in the codes of other items, and of other event types; what these don't hold becomes ``UNKNOWN``."""
    if items != sequences.items:
        sequences = replace(sequences, items=items, item=sequences.items.translation(items)[sequences.item])
    if event_types is not None and event_types != sequences.event_types:
        codes = Vocabulary(event_types).codes(sequences.event_types).astype(np.int16)
        sequences = replace(sequences, event_types=event_types, event_type=codes[sequences.event_type])
    return sequences


def where(sequences: Sequences, keep: Array) -> Sequences:
    """The same histories with only the events to ``keep[m] bool``."""
    return replace(
        sequences,
        offsets=np.concatenate([[0], np.cumsum(keep)])[sequences.offsets],
        item=sequences.item[keep],
        timestamp=sequences.timestamp[keep],
        event_type=sequences.event_type[keep],
        event_id=sequences.event_id[keep],
    )


def known_only(sequences: Sequences) -> Sequences:
    """The same histories without their ``UNKNOWN`` items."""
    return where(sequences, sequences.item != UNKNOWN)


def occurring(sequences: Sequences) -> Sequences:
    """The same histories over a vocabulary of just the items that occur in them: a model's catalogue."""
    codes = np.unique(sequences.item[sequences.item >= 0])
    return recode(sequences, Vocabulary(tuple(sequences.items[int(code)] for code in codes)))


def batches(sequences: Sequences, rows: int) -> Iterator[tuple[Int, Batch]]:
    """All histories in batches of at most ``rows`` of similar length, the longest first, each with its rows' places.

    A batch has fewer rows where histories are so long that padding others to their length would fill the memory.
    """
    order = np.argsort(-sequences.lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = max(1, int(sequences.lengths[order[start]]))
        places = order[start : start + max(1, min(rows, CELLS_AT_ONCE // longest))]
        yield places, pad(sequences, places)
        start += len(places)


def pad(sequences: Sequences, rows: Int) -> Batch:
    """Some histories as a right-padded batch as long as the longest of them."""
    lengths = sequences.lengths[rows]
    width = int(lengths.max(initial=0))
    inside = np.arange(width) < lengths[:, None]
    events = ragged_range(sequences.offsets[rows], lengths)

    def padded(values: Array) -> Array:
        out = np.zeros(inside.shape, values.dtype)
        out[inside] = values[events]
        return out

    return Batch(
        item=padded(sequences.item),
        timestamp=padded(sequences.timestamp),
        event_type=padded(sequences.event_type),
        event_id=padded(sequences.event_id),
        lengths=lengths,
    )


def ragged_range(starts: Int, lengths: Int) -> Int:
    """``starts[0], starts[0] + 1, …`` for ``lengths[0]`` steps, then from ``starts[1]``, and so on.

    >>> ragged_range(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    places: Int = np.arange(total) + np.repeat(starts - (ends - lengths), lengths)
    return places
