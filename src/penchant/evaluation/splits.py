"""Cutting a log for an honest comparison: no model sees an event it is asked about, nor a later one of the same person.

Only splits by time (``temporal``, ``rolling_origin``) keep everybody's later events from it too; the others can't, and are
for comparing with published figures. Every split is checked for leaks before it is given out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from penchant import sequences as seq
from penchant.evaluation.leaks import check
from penchant.types import Array, Cases, Int, Interactions, PenchantError, Sequences, Split, Vocabulary

PARTS = 10
"""Of all events, a split by time validates on one of so many parts, and tests on the next."""
ROLLING = "rolling"
FOLDS = 3
MOST_ASKED = 2000
"""Events that a split event by event asks about, in each part."""


def leave_one_out(log: Interactions) -> Split:
    """Each user's last event is for test, the one before for validation, the rest for training.

    Users with fewer than three events are trained on, not asked about. The moment of a question is that of its answer.
    """
    counts = np.bincount(log.user, minlength=len(log.users))
    from_end = np.repeat(np.cumsum(counts), counts) - 1 - np.arange(len(log))
    _need((counts >= 3).any(), "leave-one-out needs users with three events or more, and this log has none")
    return _last_of_each("leave-one-out", log, from_end, counts >= 3)


def by_session(log: Interactions) -> Split:
    """Each user's last session is for test, the one before for validation, the rest for training.

    Users with fewer than three sessions are trained on, not asked about. A question is asked as the session begins, and
    its targets are the items of that session.
    """
    counts = np.bincount(log.user, minlength=len(log.users))
    last = log.session[np.maximum(np.cumsum(counts) - 1, 0)]
    sessions = np.where(counts > 0, last + 1, 0)
    _need((sessions >= 3).any(), "a split by session needs users with three sessions or more, and this log has none")
    return _last_of_each("session", log, np.repeat(last, counts) - log.session, sessions >= 3)


def temporal(log: Interactions) -> Split:
    """The last tenth of all events is for test, the tenth before for validation, cut at two moments in time.

    A question is asked at the cut, of users with events on both sides: everything they did before is their history, and
    the items they turn to after it (for validation: until the next cut) are the targets.
    """
    return _by_time("temporal", log, PARTS)


def rolling_origin(log: Interactions, folds: int = FOLDS) -> list[Split]:
    """Splits by time like ``temporal`` whose test parts are the last ``folds`` tenths of all events, the earliest first.

    Each knows nothing of what comes after its own test part (Tashman 2000).
    """
    if not 1 <= folds <= PARTS - 2:
        raise PenchantError(f"there are {folds} folds, but each tests on another tenth of all events: name 1 to {PARTS - 2}")
    return [_by_time(f"{ROLLING} {n + 1} of {folds}", log, PARTS - folds + n + 1) for n in range(folds)]


def event_by_event(log: Interactions, first_valid: int, first_test: int) -> Split:
    """Two moments cut the log in time, and each event behind one is asked about, from all its user did before it.

    It is what a live service is asked. At most ``MOST_ASKED`` events of each part are, evenly spread; a user's first event
    isn't.
    """
    train, before_test = log.timestamp < first_valid, log.timestamp < first_test
    _need(train.any(), "there are no events before the first moment to learn from")
    return Split(
        "event by event",
        train=seq.histories(log, train),
        valid=_each(log, ~train & before_test),
        before_test=seq.histories(log, before_test),
        test=_each(log, ~before_test),
    )


SPLITS: Mapping[str, Callable[[Interactions], Split]] = {
    "temporal": temporal,
    "leave-one-out": leave_one_out,
    "session": by_session,
}


def trained_on(*, refit: bool) -> str:
    """What a model has learned of a split, in words: its training part, or what lies before the test part (``refit``)."""
    return "the split's training and validation parts" if refit else "the split's training part"


def split(log: Interactions, name: str | None = None) -> Split:
    """A split by name; by default ``temporal`` where the log has times, else ``leave-one-out``."""
    name = name or ("leave-one-out" if log.clock == "index" else "temporal")
    if name not in SPLITS:
        raise PenchantError(f"there is no split {name!r}; the splits are {', '.join(SPLITS)}")
    return SPLITS[name](log)


def _last_of_each(name: str, log: Interactions, from_end: Int, asked: Array) -> Split:
    """Of the users ``asked[n]``, what is 0 ``from_end[m]`` is for test, what is 1 for validation."""
    too_few = int(np.count_nonzero(np.bincount(log.user, minlength=len(log.users))[~asked]))
    asked = asked[log.user]
    train, before_test = ~asked | (from_end >= 2), ~asked | (from_end >= 1)
    return check(
        Split(
            name,
            train=seq.histories(log, train),
            valid=replace(_cases(log, train, asked & (from_end == 1), None), too_few=too_few),
            before_test=seq.histories(log, before_test),
            test=replace(_cases(log, before_test, asked & (from_end == 0), None), too_few=too_few),
        ),
        log,
    )


def _by_time(name: str, log: Interactions, end: int) -> Split:
    """Training, a part for validation and a part for test, of the first ``end`` parts of all events."""
    if log.clock == "index":
        raise PenchantError(f"a {name.split()[0]} split needs times, and this log has order only; use --split leave-one-out")
    ascending = np.sort(log.timestamp)
    first_valid, first_test = (int(ascending[len(log) * (end - parts) // PARTS]) for parts in (2, 1))
    train, before_test = log.timestamp < first_valid, log.timestamp < first_test
    stop = None if end == PARTS else int(ascending[len(log) * end // PARTS])
    test = ~before_test if stop is None else ~before_test & (log.timestamp < stop)
    _need(
        train.any(),
        f"a {name.split()[0]} split needs events at different times: of this log's {len(log):,} none lies before the first cut",
    )
    return check(
        Split(
            name,
            train=seq.histories(log, train),
            valid=_cases(log, train, ~train & before_test, first_valid),
            before_test=seq.histories(log, before_test),
            test=_cases(log, before_test, test, first_test),
            cuts=(first_valid, first_test),
            end=stop,
        ),
        log,
    )


def _cases(log: Interactions, history: Array, answer: Array, now: int | None) -> Cases:
    """Cases of the users with events in both ``history[m]`` and ``answer[m]``; at ``now``, or their first answer's time."""
    before = np.bincount(log.user[history], minlength=len(log.users))
    after = np.bincount(log.user[answer], minlength=len(log.users))
    asked = np.flatnonzero((before > 0) & (after > 0))
    _need(len(asked) > 0, "no user has events both before and after the cut, so nobody can be asked about")
    chosen = np.zeros(len(log.users), bool)
    chosen[asked] = True
    events = np.flatnonzero(answer & chosen[log.user])
    # Of each person's item the first event.
    pair = log.user[events].astype(np.int64) * len(log.items) + log.item[events]
    first = np.zeros(len(log), bool)
    first[events[np.unique(pair, return_index=True)[1]]] = True
    targets = seq.select(seq.histories(log, first), asked)
    moments: Int = targets.timestamp[targets.offsets[:-1]] if now is None else np.full(len(asked), now, np.int64)
    newcomers = int(((before == 0) & (after > 0)).sum())
    return Cases(seq.select(seq.histories(log, history), asked), moments, targets, newcomers)


def _each(log: Interactions, asked: Array) -> Cases:
    """A case for each of the events ``asked[m] bool`` that isn't its user's first, or for an even choice of them."""
    place = seq.places(log)
    events = np.flatnonzero(asked & (place > 0))
    _need(len(events) > 0, "none of the newest events is of a user with events before, so nobody can be asked about")
    events = events[np.unique(np.linspace(0, len(events) - 1, min(MOST_ASKED, len(events))).astype(np.int64))]
    lengths = place[events]
    histories = _of_cases(log, events, seq.ragged_range(events - lengths, lengths), lengths)
    targets = _of_cases(log, events, events, np.ones(len(events), np.int64))
    return Cases(histories, log.timestamp[events], targets, int(np.count_nonzero(asked & (place == 0))))


def _of_cases(log: Interactions, cases: Int, events: Int, counts: Int) -> Sequences:
    """Some ``events`` of the log, ``counts`` of each case; a user may have several cases."""
    return Sequences(
        users=Vocabulary(tuple(log.users[code] for code in log.user[cases].tolist())),
        items=log.items,
        event_types=log.event_types,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        item=log.item[events],
        timestamp=log.timestamp[events],
        event_type=log.event_type[events],
        event_id=log.event_id[events],
        clock=log.clock,
        content_hash=log.content_hash,
        content=log.content,
    )


def _need(holds: bool | np.bool_, otherwise: str) -> None:
    if not holds:
        raise PenchantError(otherwise)
