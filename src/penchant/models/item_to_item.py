"""Models that remember a person's last items and know, for each item, which others go with it.

The score of an item is ``Σ_j w_j · M[h_j, item] + prior[item]`` over the last items ``h_j``, newest first; the models differ in
the matrix ``M``, the weights ``w`` by age and the prior.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import ClassVar, Self

import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array, vstack

from penchant import sequences as seq
from penchant.models.base import Model, Settings
from penchant.models.rows import Rows, add_rows, lookups
from penchant.types import (
    DAY,
    UNKNOWN,
    Array,
    Arrays,
    Batch,
    Cases,
    Float,
    Int,
    Monitor,
    PenchantError,
    Sequences,
    UserState,
    Vocabulary,
)

ENTRIES_A_ROW = 500
"""To change a row takes as long as to make so many entries again: where that is less, the matrix is made again."""
FIXED_POINT = 1 << 16
"""Counts are whole multiples of 1/65536, so that what was added can be taken away exactly."""
CHUNK_BYTES = 1 << 26
"""How large what is made piece by piece may get."""
BYTES_OF_A_PRODUCT = 8
"""Of a sparse one: the number and its place."""
MOST_HALVES = 24
"""Half-lives after the end of training from which on counts age no more: by then the next training is overdue."""


RING = "recent"


def initial_ring(n: int, window: int) -> dict[str, Array]:
    """The ring of ``n`` people without events."""
    return {RING: np.full((n, window), UNKNOWN, np.int32)}


def advanced_ring(recent: Int, batch: Batch) -> Int:
    """The ring ``recent[n, window]`` after a batch's events."""
    both = np.concatenate([recent, batch.item], axis=1, dtype=np.int32, casting="same_kind")
    window = recent.shape[1]
    after: Int = both[:, -window:]
    if (batch.lengths < batch.item.shape[1]).any():
        after = both[np.arange(len(both))[:, None], batch.lengths[:, None] + np.arange(window)]
    return after


def newcomers(recent: Int) -> Array:
    """Who has no item in a ring, ``[n] bool``."""
    return np.asarray(recent[:, -1] == UNKNOWN)


def ring_within(recent: Int, size: int) -> Int:
    """A ring without its items beyond a catalogue of ``size``."""
    kept = np.where(recent < size, recent, np.int32(UNKNOWN))
    return np.take_along_axis(kept, np.argsort(kept != UNKNOWN, axis=1, kind="stable"), axis=1)


class LastItems(Model):
    """The ring of last items; subclasses say what they make of it.

    The user state is ``recent[n, window] int32``, the newest last, ``UNKNOWN`` where there is no event yet.
    """

    @property
    @abstractmethod
    def window(self) -> int:
        """How many last items are remembered."""

    def state_weights(self) -> Arrays:
        """None: a state is a list of items, whatever is learned of them."""
        return {}

    def _initial(self, n: int) -> Arrays:
        return initial_ring(n, self.window)

    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        return {RING: advanced_ring(arrays[RING], batch)}


class ItemToItem(LastItems):
    """The sparse matrix and the score; subclasses say how they learn, weigh ages and set the prior."""

    evidence: ClassVar[str] = "memory"
    """What the part of a score is called that past items add to."""

    _events: Int
    """How often each item occurred, ``[V] int64``."""
    rows: Rows
    """``M[V, V] float32``; a blend lays its members' rows together."""
    _prior: Float | None
    """``[V] float32``; ``None`` where there is none."""

    @property
    @abstractmethod
    def age_weights(self) -> Float:
        """``w[window] float32``, the oldest first."""

    @property
    def window(self) -> int:
        """See ``LastItems``."""
        return len(self.age_weights)

    def score(self, state: UserState, now: Int) -> Float:
        """What goes with the last items; to someone who has none, what is popular. Time doesn't enter."""
        recent = state.arrays[RING]
        scores = self._memory(recent)
        scores += self._background(recent)
        return scores

    def parts(self, state: UserState, now: Int, item: Int) -> dict[str, Float]:
        """Two parts: ``evidence`` and ``popularity``."""
        recent = state.arrays[RING]
        memory = self._memory(recent)
        background = np.broadcast_to(self._background(recent), memory.shape)
        return {
            self.evidence: np.take_along_axis(memory, item, axis=1),
            "popularity": np.take_along_axis(background, item, axis=1),
        }

    def addends(self, history: Int, item: Int) -> Float:
        """What each of the last events of ``history[m]`` adds to the scores of ``item[k]``: ``[min(m, window), k]``."""
        recent = history[-self.window :]
        added = np.zeros((len(recent), len(item)), np.float32)
        for row, before in enumerate(recent.tolist()):
            columns, values = self.rows.row(before)
            there = np.isin(item, columns)
            added[row, there] = self.age_weights[row - len(recent)] * values[np.searchsorted(columns, item[there])]
        return added

    def level(self, *, newcomer: bool) -> Float:
        """What scores are beside the sum over last items, ``[V]``, or one number for all items; ``newcomer``s have no items."""
        if newcomer:
            return np.log1p(self._events).astype(np.float32)
        return np.zeros(1, np.float32) if self._prior is None else self._prior

    def _background(self, recent: Int) -> Float:
        """The ``level`` of each, ``[n, V]``, or less where it is the same for all."""
        newcomer, level = newcomers(recent), self.level(newcomer=False)
        return np.where(newcomer[:, None], self.level(newcomer=True), level) if newcomer.any() else level

    def _memory(self, recent: Int) -> Float:
        """``Σ_j w_j · M[h_j]``, ``[n, V]``."""
        memory = np.zeros((len(recent), len(self.items)), np.float32)
        add_rows(memory, recent, lookups([(self.rows, self.age_weights)]))
        return memory


@dataclass(frozen=True)
class TransitionSettings(Settings):
    """Defaults fit short histories (Amazon Beauty); long ones (MovieLens) like a larger scale, window and distance power."""

    window: int = 10
    """How many last items speak, and how far apart two events still count as following."""
    distance_power: float = 0.5
    """Items ``d`` events apart count ``d ** -distance_power``."""
    age_decay: float = 0.6
    """The item before the last weighs this much of the last, and so on."""
    scale: float = 1.0
    """Evidence is ``log(1 + scale · count)``: how soon more of the same counts less."""
    popularity: float = -0.04
    """Weight of the logarithm of an item's count in its score."""
    half_life_days: float = 0.0
    """What followed so much earlier counts half: hours or days, where items live as long. 0: it counts alike for ever."""

    def __post_init__(self) -> None:
        self.check(1 <= self.window <= 10_000, "window must lie between 1 and 10000")
        self.check(self.distance_power >= 0, "distance_power must not be negative")
        self.check(0 < self.age_decay <= 1, "age_decay must lie in (0, 1]")
        self.check(0 < self.scale <= 1e9, "scale must be above 0 and at most 1000000000")
        self.check(abs(self.popularity) <= 1e6, "popularity must lie between -1000000 and 1000000")
        self.check(self.half_life_days == 0 or self.half_life_days >= 1e-6, "half_life_days must be 0 or at least 0.000001")


class Transitions(ItemToItem):
    """What followed what: smoothed, distance-discounted counts over a short window, log evidence, weights by age.

    Learns without gradients, from any number of new histories (``learn``), and takes back exactly what it learned
    (``unlearn``). The form is that of the count models in "sequential capacity probes" (RecSys 2026).

    With a half-life, events count by their time, in whole multiples all the same, and evidence is told by what counts are worth
    in the half-life of the newest event: as one begins, all of it is told anew.
    """

    name = "transitions"
    settings_type = TransitionSettings
    settings: TransitionSettings

    _prior: Float
    _counts: csr_array
    """Multiples of 1 / ``FIXED_POINT``, ``[V, V] int64``, but for the rows that changed since it was made:"""
    _counted: dict[int, tuple[Int, Int]]
    """item → the columns and counts of its row."""
    _reference: int
    """The time of the last event that was fitted, in microseconds: there, an event counts whole."""
    _halves: Counter[int]
    """How many events were learned in each half-life from there; empty where there is none."""

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        size = len(train.items)
        if self.settings.half_life_days and train.clock == "index":
            raise PenchantError(f"half_life_days of {self.name} needs times, and this log has order only; leave it at 0")
        self._reference, self._halves = int(train.timestamp.max()), Counter()
        self._set_counts(csr_array((size, size), dtype=np.int64), np.zeros(size, np.int64))
        self.learn(train)

    def _set_counts(self, counts: csr_array, events: Int) -> None:
        self._counts, self._events, self._counted = counts, events, {}
        self._prior = self._prior_of(events)
        self.rows = Rows.of(csr_array((self._evidence(counts.data), counts.indices, counts.indptr), shape=counts.shape))

    @property
    def reach(self) -> int:
        """The window."""
        return self.settings.window

    @property
    def growable(self) -> bool:
        """Always."""
        return True

    def grown(self, items: Sequence[str]) -> Self:
        """A copy with more items at the end of the catalogue, which nothing followed yet."""
        larger, weights = type(self)(self.settings), dict(self.weights())
        larger.items, larger.event_types, larger.history = Vocabulary((*self.items.ids, *items)), self.event_types, self.history
        weights["counts.indptr"] = np.pad(weights["counts.indptr"], (0, len(items)), mode="edge")
        weights["events"] = np.pad(weights["events"], (0, len(items)))
        larger.set_weights(weights)
        return larger

    def learn(self, histories: Sequences) -> None:
        """Add what follows what in some histories; items outside the catalogue are passed over."""
        self._add(histories, 1)

    def unlearn(self, histories: Sequences) -> None:
        """Take away what ``learn`` added for the same histories, exactly; ``PenchantError`` if that is more than was added."""
        self._add(histories, -1)

    def learn_next(self, before: Sequences, events: Sequences) -> None:
        """Add what ``events`` add behind ``before``, in time that depends on the window alone; of many events together in much
        less than of one after another.
        """
        before, events = (seq.known_only(seq.recode(part, self.items)) for part in (before, events))
        newest = self._newest
        self._halves.update(self._halves_of(events))
        self._count(*self._pairs_behind(before, events), anew=self._newest != newest)
        self._events += np.bincount(events.item, minlength=len(self.items))
        self._prior[events.item] = self._prior_of(self._events[events.item])
        self._has_learned()

    def _pairs_behind(self, before: Sequences, events: Sequences) -> tuple[Int, Int]:
        """What ``events`` follow, as ``row * V + column`` of the counts, ascending, and how much is to be added to each."""
        window, size = self.settings.window, len(self.items)
        last = np.minimum(before.lengths, window)
        ends = np.cumsum(last + events.lengths)
        new = seq.ragged_range(ends - events.lengths, events.lengths)
        item = np.empty(len(events.item) + last.sum(), np.int64)
        item[new] = events.item
        item[seq.ragged_range(ends - events.lengths - last, last)] = before.item[
            seq.ragged_range(before.offsets[1:] - last, last)
        ]
        time = np.empty(len(item), np.int64)
        time[new] = events.timestamp
        room = new - np.repeat(ends - events.lengths - last, events.lengths)
        places, weights = [new[:0]], [new[:0]]
        for distance in range(1, min(window, int(room.max(initial=0))) + 1):
            after = new[room >= distance]
            places.append(item[after - distance] * size + item[after])
            weights.append(self._worth(distance, time[after]))
        place, weight = _summed(np.concatenate(places), np.concatenate(weights))
        return place[weight > 0], weight[weight > 0]

    def _count(self, place: Int, weight: Int, *, anew: bool = False) -> None:
        """Add to the counts at ``row * V + column``, ascending: in the rows concerned, or in a matrix made ``anew``, as it is
        where those are many.
        """
        size = len(self.items)
        rows, first = np.unique(place // size, return_index=True)
        if anew or ENTRIES_A_ROW * len(rows) > self._counts.nnz:
            more = csr_array((weight, place % size, np.searchsorted(place, size * np.arange(size + 1))), shape=(size, size))
            self._set_counts(csr_array(self._settled() + more), self._events)
            return
        old = [self._counted.get(row) or _row(self._counts, row) for row in rows.tolist()]
        lengths = np.array([len(columns) for columns, _ in old], np.int64)
        columns, counts = (np.concatenate(parts) for parts in zip(*old, strict=True)) if old else (place, weight)
        there = np.repeat(rows, lengths) * size + columns
        at = np.searchsorted(there, place)
        found = np.append(there, -1)[at] == place
        counts[at[found]] += weight[found]
        columns = np.insert(columns, at[~found], place[~found] % size)
        counts = np.insert(counts, at[~found], weight[~found])
        values = self._evidence(counts)
        ends = np.cumsum(lengths + np.add.reduceat((~found).astype(np.int64), first)) if old else lengths
        start = 0
        for row, end in zip(rows.tolist(), ends.tolist(), strict=True):
            # Copies: as a view, each would keep all of them in memory.
            self._counted[row] = columns[start:end].copy(), counts[start:end].copy()
            self.rows.exchange(row, columns[start:end], values[start:end].copy())
            start = end

    def _worth(self, distance: int, time: Int) -> Int:
        """What pairs ``distance`` events apart count whose second is of ``time[m]``."""
        weight = FIXED_POINT * distance**-self.settings.distance_power
        return np.asarray(np.rint(weight * 2.0 ** self._age(time)), np.int64)

    def _age(self, time: Int) -> Array:
        """Half-lives from the reference to some times, below 0 before it; 0 where there is no half-life."""
        if not self.settings.half_life_days:
            return np.zeros(len(time))
        return np.minimum((time - self._reference) / (DAY * self.settings.half_life_days), MOST_HALVES)

    def _halves_of(self, events: Sequences) -> Counter[int]:
        if not self.settings.half_life_days:
            return Counter()
        half, count = np.unique(np.floor(self._age(events.timestamp)).astype(np.int64), return_counts=True)
        return Counter(dict(zip(half.tolist(), count.tolist(), strict=True)))

    @property
    def _newest(self) -> int:
        """The half-life of the newest event."""
        return max(self._halves, default=0)

    def _add(self, histories: Sequences, sign: int) -> None:
        known = seq.known_only(seq.recode(histories, self.items))
        size = len(self.items)
        counts = self._settled()
        for distance, before, after in pairs(known, self.settings.window):
            values = sign * self._worth(distance, known.timestamp[after])
            places = known.item[before], known.item[after]
            counts = counts + csr_array(coo_array((values, places), shape=(size, size)))
        counts.eliminate_zeros()
        events = self._events + sign * np.bincount(known.item, minlength=size)
        if (counts.nnz and counts.data.min() < 0) or events.min() < 0:
            raise PenchantError("these histories were never learned, so they can't be unlearned")
        halves = self._halves_of(known)
        self._halves = self._halves + halves if sign > 0 else self._halves - halves
        self._set_counts(counts, events)
        self._has_learned()

    def _settled(self) -> csr_array:
        """The counts as one matrix."""
        if self._counted:
            self._counts = _with_rows(self._counts, self._counted)
            self._counted = {}
        return self._counts

    @cached_property
    def age_weights(self) -> Float:
        """See ``ItemToItem``."""
        return fading(self.settings.age_decay, self.settings.window)

    def _evidence(self, counts: Int) -> Float:
        scale = self.settings.scale / FIXED_POINT * 2.0**-self._newest
        return np.asarray(np.log1p(np.float32(scale) * counts.astype(np.float32)))

    def _prior_of(self, events: Int) -> Float:
        return np.asarray(self.settings.popularity * np.log1p(events), np.float32)

    def weights(self) -> Arrays:
        """The counts, sparse by rows, and the events of each item; with a half-life the ``reference`` in microseconds, and how
        many events (``half_counts``) were learned in each half-life from there (``halves``).
        """
        arrays = _csr_arrays("counts", self._settled()) | {"events": self._events}
        if self.settings.half_life_days:
            halves = np.array(sorted(self._halves.items()), np.int64).reshape(-1, 2)
            arrays |= {"reference": np.array([self._reference]), "halves": halves[:, 0], "half_counts": halves[:, 1]}
        return arrays

    def _set_weights(self, weights: Arrays) -> None:
        size = len(self.items)
        self._reference, self._halves = 0, Counter()
        if self.settings.half_life_days:
            try:
                (self._reference,) = weights["reference"].tolist()
                self._halves = Counter(dict(zip(weights["halves"].tolist(), weights["half_counts"].tolist(), strict=True)))
            except (KeyError, ValueError) as error:
                raise PenchantError(f"the weights don't fit the configuration: half_life_days: {error}") from error
        self._set_counts(_csr_from(weights, "counts", size), np.array(_events_from(weights, size)))


@dataclass(frozen=True)
class MarkovSettings(TransitionSettings):
    """A window of one; the other settings are those of ``transitions``."""

    window: int = 1
    popularity: float = 0.0


class Markov(Transitions):
    """What followed the last item, and nothing else: a first-order Markov chain."""

    name = "markov"
    settings_type = MarkovSettings


@dataclass(frozen=True)
class NeighbourSettings(Settings):
    """How much of a history speaks, and how many neighbours an item keeps."""

    window: int = 100
    neighbours: int = 500

    def __post_init__(self) -> None:
        self.check(1 <= self.window <= 10_000, "window must lie between 1 and 10000")
        self.check(self.neighbours >= 1, "neighbours must be at least 1")


class SimilarItems(ItemToItem):
    """Items like the last ones, the nearest of each; subclasses say in what they are alike, and weigh ages."""

    def _keep(self, similar: csr_array, train: Sequences) -> None:
        """Take ``similar[V, V]`` as what was learned from ``train``."""
        self._set(similar, np.bincount(train.item, minlength=len(train.items)))

    def _set(self, similar: csr_array, events: Int) -> None:
        self.rows, self._events, self._prior = Rows.of(similar), events, None

    def weights(self) -> Arrays:
        """The similarities, sparse by rows, and the events of each item."""
        return _csr_arrays("similar", self.rows.matrix()) | {"events": self._events}

    def _set_weights(self, weights: Arrays) -> None:
        size = len(self.items)
        self._set(_csr_from(weights, "similar", size), _events_from(weights, size))


class ItemKNN(SimilarItems):
    """Items liked by the same people (cosine of who had them), the nearest ones (Sarwar et al. 2001)."""

    name = "item_knn"
    evidence = "neighbours"
    settings_type = NeighbourSettings
    settings: NeighbourSettings

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        had = counts_by_user(train)
        had.data[:] = 1
        norm = np.sqrt(np.asarray(had.sum(axis=0)).ravel())
        unit = csr_array(had @ diags_array(np.float32(1) / norm))
        self._keep(nearest(unit, self.settings.neighbours), train)

    @cached_property
    def age_weights(self) -> Float:
        """See ``ItemToItem``."""
        return np.ones(self.settings.window, np.float32)


def counts_by_user(train: Sequences) -> csr_array:
    """How often each person had each item, ``[users, V] float32``."""
    user = np.repeat(np.arange(len(train)), train.lengths)
    return csr_array(coo_array((np.ones(len(user), np.float32), (user, train.item)), shape=(len(train), len(train.items))))


def nearest(unit: csr_array, neighbours: int, chunk_bytes: int = CHUNK_BYTES) -> csr_array:
    """The largest ``neighbours`` products of each column of ``unit[users, V]`` with the others, as ``[V, V]``.

    Of equal ones at the edge the first in the order of items stay. Products are made for some rows at a time, of about
    ``chunk_bytes``.
    """
    columns = csr_array(unit.T)
    size = len(columns.indptr) - 1
    # Each person who had an item adds at most what else they had to the items that have something in common with it.
    most = np.minimum(csr_array(columns != 0, dtype=np.float32) @ np.diff(unit.indptr).astype(np.float32), size)
    chunk = np.cumsum(most, dtype=np.float64) // (chunk_bytes / BYTES_OF_A_PRODUCT)
    cuts = [0, *(np.flatnonzero(np.diff(chunk)) + 1).tolist(), size]
    kept = [_largest(csr_array(columns[start:stop] @ unit), start, neighbours) for start, stop in pairwise(cuts)]
    return csr_array(vstack(kept))


def _largest(products: csr_array, start: int, count: int) -> csr_array:
    """Of each row the ``count`` largest, without those on the diagonal, which begins at column ``start``."""
    products.sort_indices()
    row = np.repeat(np.arange(products.shape[0]), np.diff(products.indptr))
    products.data[products.indices == row + start] = 0
    for begin, end in pairwise(products.indptr.tolist()):
        if end - begin > count:
            values = products.data[begin:end]
            edge = np.partition(values, -count)[-count]
            level = np.flatnonzero(values == edge)
            room = count - np.count_nonzero(values > edge)
            values[values < edge] = 0
            values[level[room:]] = 0
    products.eliminate_zeros()
    return products


def pairs(histories: Sequences, window: int) -> Iterator[tuple[int, Int, Int]]:
    """For each distance up to ``window``: the places of all pairs of events of one user so far apart."""
    user = np.repeat(np.arange(len(histories)), histories.lengths)
    for distance in range(1, window + 1):
        same = user[distance:] == user[:-distance]
        if not same.any():
            return
        first = np.flatnonzero(same)
        yield distance, first, first + distance


def _summed(place: Int, weight: Int) -> tuple[Int, Int]:
    """The distinct places, ascending, and the sum of the weights at each."""
    order = np.argsort(place, kind="stable")
    place, weight = place[order], weight[order]
    first = np.flatnonzero(np.diff(place, prepend=-1))
    return place[first], np.add.reduceat(weight, first) if len(first) else weight


def fading(decay: float, window: int) -> Float:
    """What the items of a ring weigh, ``[window] float32``: the last 1, and each ``decay`` of the one behind it."""
    return np.asarray(decay ** np.arange(window)[::-1], np.float32)


def _row(matrix: csr_array, row: int) -> tuple[Array, Array]:
    """The columns of a row, ascending, and their values."""
    span = slice(matrix.indptr[row], matrix.indptr[row + 1])
    return matrix.indices[span], matrix.data[span]


def _with_rows(matrix: csr_array, rows: Mapping[int, tuple[Int, Int]]) -> csr_array:
    """The matrix with other rows in the place of some of its own."""
    lengths = np.diff(matrix.indptr)
    lengths[list(rows)] = [len(columns) for columns, _ in rows.values()]
    kept = np.ones(matrix.shape[0], bool)
    kept[list(rows)] = False
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    indices, data = np.empty(indptr[-1], matrix.indices.dtype), np.empty(indptr[-1], matrix.data.dtype)
    old = np.repeat(kept, np.diff(matrix.indptr))
    new = np.repeat(kept, lengths)
    indices[new], data[new] = matrix.indices[old], matrix.data[old]
    for row, (columns, values) in rows.items():
        indices[indptr[row] : indptr[row + 1]], data[indptr[row] : indptr[row + 1]] = columns, values
    return csr_array((data, indices, indptr), shape=matrix.shape)


def _csr_arrays(name: str, matrix: csr_array) -> dict[str, Array]:
    """A sparse matrix as named arrays."""
    return {
        f"{name}.data": matrix.data,
        f"{name}.indices": matrix.indices.astype(np.int32),
        f"{name}.indptr": matrix.indptr.astype(np.int64),
    }


def _events_from(weights: Arrays, size: int) -> Int:
    """The array ``events[size]``. ``PenchantError`` where it isn't there."""
    events = weights.get("events")
    if events is None or events.shape != (size,):
        raise PenchantError("the weights don't fit the configuration: events")
    return events


def _csr_from(weights: Arrays, name: str, size: int) -> csr_array:
    """The inverse of ``_csr_arrays``, ``[size, size]``. ``PenchantError`` where the arrays make no such matrix."""
    try:
        parts = (weights[f"{name}.data"], weights[f"{name}.indices"], weights[f"{name}.indptr"])
        matrix = csr_array(parts, shape=(size, size))
        matrix.check_format()
    except (KeyError, ValueError) as error:
        raise PenchantError(f"the weights don't fit the configuration: {name}: {error}") from error
    return matrix
