"""From histories to training steps: length-bucketed pieces, augmented, with the negatives of each step. NumPy only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from penchant.models.neural.settings import NeuralSettings
from penchant.sequences import ragged_range, select, until
from penchant.types import MICROSECONDS, Array, Float, Int, Sequences

LEFT_OUT = -1
"""Code of an input event that is masked in training."""
PEOPLE_AT_ONCE = 10_000
"""Whose histories are searched for repeats together."""


@dataclass(frozen=True)
class Piece:
    """Some stretches of histories, right-padded: ``L`` input events and what followed each.

    ``item[n, L] int64`` (``LEFT_OUT`` where masked), ``kind[n, L] int64``, ``gap[n, L]`` and ``until[n, L] float32`` seconds
    since the event before (-1 for none) and until the target, ``target[N] int64`` for the places where ``inside[n, L]``.
    ``first`` says that no piece of these histories came before. ``log`` are the items of the whole histories, one behind the
    other: before a target came ``count[N]`` of them, from ``began[N]`` on. ``worth[N] float32`` is how much a target counts.
    """

    item: Int
    kind: Int
    gap: Float
    until: Float
    inside: Array
    target: Int
    first: bool
    log: Int
    began: Int
    count: Int
    worth: Float

    def had(self, some: slice) -> tuple[Int, Int]:
        """What came before some of the targets: ``row`` (among these) and ``item`` of each, by row."""
        count = self.count[some]
        return np.repeat(np.arange(len(count)), count), self.log[ragged_range(self.began[some], count)]

    def among(self, items: Int, table: Int) -> Piece:
        """With a ``log`` of only these items, by their places in an ascending ``table`` of items."""
        kept = np.isin(self.log, items)
        before = np.concatenate([[0], np.cumsum(kept)])
        began = before[self.began]
        count = before[self.began + self.count] - began
        return replace(self, log=np.searchsorted(table, self.log[kept]), began=began, count=count)


@dataclass(frozen=True)
class Ragged:
    """Histories to train on: ``row`` (ascending), ``item``, ``kind`` and ``time`` of each event, ``offsets`` of each row."""

    offsets: Int
    item: Int
    kind: Int
    time: Int

    @property
    def lengths(self) -> Int:
        """Events of each row."""
        return np.diff(self.offsets)

    def take(self, events: Int, counts: Int) -> Ragged:
        """Other events in the place of these, ``counts`` of each row."""
        offsets = np.concatenate([[0], np.cumsum(counts)])
        return Ragged(offsets, self.item[events], self.kind[events], self.time[events])


def with_replay(train: Sequences, learned: Int, longest: int, chance: np.random.Generator) -> Sequences:
    """What is new in some histories, behind up to ``longest`` events before it, and as many events that aren't, of people drawn
    at random, a random stretch of up to ``longest`` of each: what is learned anew shouldn't be all that is remembered.

    ``learned[n]`` events at the beginning of each history are known.
    """
    lengths = train.lengths
    fresh = lengths > learned
    begin = np.where(fresh, np.maximum(learned - longest, 0), _below(lengths - longest + 1, chance))
    end = np.where(fresh, lengths, np.minimum(begin + longest, lengths))
    others = chance.permutation(np.flatnonzero(~fresh & (lengths > 1)))
    wanted = (lengths - learned)[fresh].sum() - (learned - begin)[fresh].sum()
    enough = np.searchsorted(np.cumsum((end - begin)[others]), wanted) + 1
    rows = np.sort(np.concatenate([np.flatnonzero(fresh), others[:enough]]))
    return until(select(train, rows), end[rows], begin[rows])


def steps(train: Sequences, settings: NeuralSettings, chance: np.random.Generator) -> list[Int]:
    """Users of like history length together, about ``batch_events`` targets a step (``batch_histories`` users if those are
    more), in random order.

    Which users meet in a step is random too. Users without two events are left out.
    """
    order = chance.permutation(np.flatnonzero(train.lengths > 1))
    order = order[np.argsort(train.lengths[order], kind="stable")]
    targets = np.minimum(train.lengths[order] - 1, settings.max_length)
    share = np.minimum(targets / settings.batch_events, 1 / settings.batch_histories)
    cuts = np.flatnonzero(np.diff(np.ceil(np.cumsum(share) - 1e-9))) + 1
    groups = np.split(order, cuts)
    return [groups[index] for index in chance.permutation(len(groups))]


def pieces(train: Sequences, users: Int, settings: NeuralSettings, chance: np.random.Generator) -> Iterator[Piece]:
    """The histories of some users, cut after every ``max_length`` inputs; what was left of a piece is in the next."""
    log = _augmented(_ragged(train, users), settings, chance)
    inputs = log.lengths - 1
    gap = np.diff(log.time, prepend=log.time[:1]) / MICROSECONDS
    gap[log.offsets[:-1]] = -1
    dropped = chance.random(len(log.item)) < settings.mask if settings.mask else None
    for start in range(0, int(inputs.max(initial=0)), settings.max_length):
        rows = np.arange(len(inputs)) if settings.carry else np.flatnonzero(inputs > start)
        lengths = np.clip(inputs[rows] - start, 0, settings.max_length)
        inside = np.arange(int(lengths.max())) < lengths[:, None]
        history, place = np.nonzero(inside)
        events = ragged_range(log.offsets[rows] + start, lengths)

        def padded(values: Array, dtype: type, inside: Array = inside) -> Array:
            out: Array = np.zeros(inside.shape, dtype)
            out[inside] = values
            return out

        item = log.item[events]
        if dropped is not None:
            item = np.where(dropped[events], LEFT_OUT, item)
        yield Piece(
            padded(item, np.int64),
            padded(log.kind[events], np.int64),
            padded(gap[events], np.float32),
            padded(gap[events + 1], np.float32),
            inside,
            log.item[events + 1].astype(np.int64),
            first=start == 0 or not settings.carry,
            log=log.item,
            began=log.offsets[rows[history]],
            count=place + start + 1,
            worth=worth_of(inputs[rows[history]], settings).astype(np.float32),
        )


def worth_of(targets: Int, settings: NeuralSettings) -> Float:
    """How much one of so many targets of a history counts beside those of others."""
    worth: Float = np.power(np.maximum(targets, 1), -settings.length_power, dtype=np.float64)
    return worth


def _ragged(train: Sequences, users: Int) -> Ragged:
    lengths = train.lengths[users]
    events = ragged_range(train.offsets[users], lengths)
    log = Ragged(train.offsets, train.item, train.event_type, train.timestamp)
    return log.take(events, lengths)


def _augmented(log: Ragged, settings: NeuralSettings, chance: np.random.Generator) -> Ragged:
    """Crops, repeats and reorders histories as often as the settings say."""
    if settings.crop:
        lengths = np.where(chance.random(len(log.lengths)) < settings.crop, 2 + _below(log.lengths - 1, chance), log.lengths)
        lengths = np.minimum(lengths, log.lengths)
        log = log.take(ragged_range(log.offsets[:-1] + _below(log.lengths - lengths + 1, chance), lengths), lengths)
    if settings.repeat:
        times = 1 + (chance.random(len(log.item)) < settings.repeat)
        log = log.take(np.repeat(np.arange(len(times)), times), np.add.reduceat(times, log.offsets[:-1]))
    if settings.reorder:
        row = np.repeat(np.arange(len(log.lengths)), log.lengths)
        shuffled = np.repeat(chance.random(len(log.lengths)) < settings.reorder, log.lengths)
        key = np.where(shuffled, chance.random(len(row)), np.arange(len(row)))
        log = log.take(np.lexsort((key, log.time, row)), log.lengths)
    return log


def _below(bound: Int, chance: np.random.Generator) -> Int:
    """A random whole number from 0 to below each bound."""
    return np.asarray(chance.random(len(bound)) * np.maximum(bound, 1), np.int64)


def repeats(train: Sequences) -> bool:
    """Whether some history has an item twice."""
    row = np.repeat(np.arange(len(train)), train.lengths)
    for start in range(0, len(train), PEOPLE_AT_ONCE):
        events = slice(*train.offsets[[start, min(start + PEOPLE_AT_ONCE, len(train))]])
        both = row[events] * len(train.items) + train.item[events]
        if len(np.unique(both)) < len(both):
            return True
    return False


class Negatives:
    """Items drawn in proportion to ``popularity ** power``, with replacement."""

    def __init__(self, events: Int, power: float) -> None:
        weight = np.power(events, power, dtype=np.float64)
        self.share = weight / weight.sum()
        self._cumulated = np.cumsum(self.share)

    def draw(self, count: int, chance: np.random.Generator) -> Int:
        """``[count] int64``."""
        places = np.searchsorted(self._cumulated, chance.random(count) * self._cumulated[-1], side="right")
        return np.asarray(np.minimum(places, len(self.share) - 1), np.int64)
