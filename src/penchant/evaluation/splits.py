"""Cutting a log for an honest comparison: no model sees an event it is asked about, nor a later one of the same person.

Only the temporal split keeps everybody's later events from it too; leave-one-out can't, and is for comparing with published
figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from penchant import sequences as seq
from penchant.types import Array, Cases, Int, Interactions, PenchantError, Sequences, Split, Vocabulary

VALID_SHARE = TEST_SHARE = 0.1
MOST_ASKED = 2000
"""Events that a progressive split asks about, in each part."""


def leave_one_out(log: Interactions) -> Split:
    """Each user's last event is for test, the one before for validation, the rest for training.

    Users with fewer than three events are trained on, not asked about. The moment of a question is that of its answer.
    """
    counts = np.bincount(log.user, minlength=len(log.users))
    from_end = np.repeat(np.cumsum(counts), counts) - 1 - np.arange(len(log))
    asked = np.repeat(counts >= 3, counts)
    _need(asked.any(), "leave-one-out needs users with three events or more, and this log has none")
    return Split(
        "leave-one-out",
        train=seq.histories(log, ~asked | (from_end >= 2)),
        valid=_cases(log, ~asked | (from_end >= 2), asked & (from_end == 1), None),
        before_test=seq.histories(log, ~asked | (from_end >= 1)),
        test=_cases(log, ~asked | (from_end >= 1), asked & (from_end == 0), None),
    )


def temporal(log: Interactions) -> Split:
    """The last tenth of all events is for test, the tenth before for validation, cut at two moments in time.

    A question is asked at the cut, of users with events on both sides: everything they did before is their history, and
    the items they turn to after it (for validation: until the next cut) are the targets.
    """
    if log.clock == "index":
        raise PenchantError("a temporal split needs times, and this log has order only; use --split leave-one-out")
    ascending = np.sort(log.timestamp)
    first_valid = ascending[int(len(log) * (1 - VALID_SHARE - TEST_SHARE))]
    first_test = ascending[int(len(log) * (1 - TEST_SHARE))]
    train, before_test = log.timestamp < first_valid, log.timestamp < first_test
    _need(
        train.any(),
        f"a temporal split needs events at different times: of this log's {len(log):,} none lies before the first cut",
    )
    return Split(
        "temporal",
        train=seq.histories(log, train),
        valid=_cases(log, train, ~train & before_test, int(first_valid)),
        before_test=seq.histories(log, before_test),
        test=_cases(log, before_test, ~before_test, int(first_test)),
    )


def progressive(log: Interactions, first_valid: int, first_test: int) -> Split:
    """Two moments cut the log in time, and each event behind one is asked about, from all its user did before it.

    It is what a live service is asked. At most ``MOST_ASKED`` events of each part are, evenly spread; a user's first event
    isn't.
    """
    train, before_test = log.timestamp < first_valid, log.timestamp < first_test
    _need(train.any(), "there are no events before the first moment to learn from")
    return Split(
        "progressive",
        train=seq.histories(log, train),
        valid=_each(log, ~train & before_test),
        before_test=seq.histories(log, before_test),
        test=_each(log, ~before_test),
    )


def held_out(log: Interactions, split: Split) -> Array:
    """Which events of the log a split keeps back for its test part, ``[m] bool``: the last ones of each user."""
    return np.asarray(_places(log) >= split.before_test.lengths[log.user])


SPLITS: Mapping[str, Callable[[Interactions], Split]] = {"temporal": temporal, "leave-one-out": leave_one_out}


def split(log: Interactions, name: str | None = None) -> Split:
    """A split by name; by default ``temporal`` where the log has times, else ``leave-one-out``."""
    name = name or ("leave-one-out" if log.clock == "index" else "temporal")
    if name not in SPLITS:
        raise PenchantError(f"there is no split {name!r}; the splits are {', '.join(SPLITS)}")
    return SPLITS[name](log)


def _cases(log: Interactions, history: Array, answer: Array, now: int | None) -> Cases:
    """Cases of the users with events in both ``history[m]`` and ``answer[m]``; at ``now``, or their first answer's time."""
    before = np.bincount(log.user[history], minlength=len(log.users))
    after = np.bincount(log.user[answer], minlength=len(log.users))
    asked = np.flatnonzero((before > 0) & (after > 0))
    _need(len(asked) > 0, "no user has events both before and after the cut, so nobody can be asked about")
    place = np.full(len(log.users), -1, np.int64)
    place[asked] = np.arange(len(asked))
    events = np.flatnonzero(answer & (place[log.user] >= 0))
    # Distinct targets, by user and then by first occurrence.
    pair = place[log.user[events]] * len(log.items) + log.item[events]
    events = events[np.sort(np.unique(pair, return_index=True)[1])]
    case = place[log.user[events]]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(case, minlength=len(asked)))]).astype(np.int64)
    moments: Int = log.timestamp[events[offsets[:-1]]] if now is None else np.full(len(asked), now, np.int64)
    newcomers = int(((before == 0) & (after > 0)).sum())
    return Cases(seq.select(seq.histories(log, history), asked), moments, offsets, log.item[events], newcomers)


def _each(log: Interactions, asked: Array) -> Cases:
    """A case for each of the events ``asked[m] bool`` that isn't its user's first, or for an even choice of them."""
    place = _places(log)
    events = np.flatnonzero(asked & (place > 0))
    _need(len(events) > 0, "none of the newest events is of a user with events before, so nobody can be asked about")
    events = events[np.unique(np.linspace(0, len(events) - 1, min(MOST_ASKED, len(events))).astype(np.int64))]
    lengths = place[events]
    before = seq.ragged_range(events - lengths, lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    histories = Sequences(
        users=Vocabulary(tuple(log.users[code] for code in log.user[events].tolist())),
        items=log.items,
        event_types=log.event_types,
        offsets=offsets,
        item=log.item[before],
        timestamp=log.timestamp[before],
        event_type=log.event_type[before],
        event_id=log.event_id[before],
        clock=log.clock,
        content_hash=log.content_hash,
        content=log.content,
    )
    newcomers = int(np.count_nonzero(asked & (place == 0)))
    return Cases(histories, log.timestamp[events], np.arange(len(events) + 1), log.item[events], newcomers)


def _places(log: Interactions) -> Int:
    """Each event's place in its user's history, from 0, ``[m] int64``."""
    counts = np.bincount(log.user, minlength=len(log.users))
    return np.asarray(np.arange(len(log)) - np.repeat(np.cumsum(counts) - counts, counts))


def _need(holds: bool | np.bool_, otherwise: str) -> None:
    if not holds:
        raise PenchantError(otherwise)
