"""What a split must not let a model know: its answers, and what came after its questions."""

from __future__ import annotations

import numpy as np

from penchant import sequences as seq
from penchant.data.hindsight import Statistic, averaged, counted, gives_away
from penchant.types import UNKNOWN, Array, Cases, Interactions, PenchantError, Sequences, Split


def check(split: Split, log: Interactions | None = None) -> Split:
    """The split itself; ``PenchantError`` says what in it tells the answers.

    A split may hold no target inside, or before the end of, the history it follows or the events that are trained on, and no
    test target before the end of those validated by; by time, none of these at or after the cut. And no column of numbers that
    models read (``Content.measures``) may have been computed over the whole period, or the time after: how often items occur,
    the share of each kind of event in that, and (with the ``log`` the split was cut from) the mean of their values.
    ``hindsight`` says how it is told.
    """
    trained, chosen = "an event trained on", "a validation target"
    for part, cases, known in (
        ("validation", split.valid, ((trained, split.train),)),
        ("test", split.test, ((trained, split.train), (trained, split.before_test), (chosen, split.valid.targets))),
    ):
        _check_order(split.name, part, cases)
        for what, events in known:
            mine = seq.of_users(events, cases.histories.users.ids)
            if (user := _first(cases, _behind(mine, cases.targets))) is not None:
                raise PenchantError(
                    f"the {split.name} split leaks: user {user} has {what} that isn't before the {part} targets"
                )
    if split.cuts is not None:
        _check_cuts(split, split.cuts)
    _check_measures(split, log)
    return split


def held_out(log: Interactions, split: Split) -> Array:
    """Which events of the log a split keeps back for its test part, ``[m] bool``: the last ones of each user."""
    return ~within(log, split.before_test)


def within(log: Interactions, part: Sequences) -> Array:
    """Which events of the log lie in a part of it, ``[m] bool``: the first ones of each user."""
    return seq.places(log) < part.lengths[log.user]


def _check_order(name: str, part: str, cases: Cases) -> None:
    histories = cases.histories
    if (user := _first(cases, _behind(histories, cases.targets))) is not None:
        raise PenchantError(f"the {name} split leaks: a {part} target of user {user} lies inside their history")
    last = histories.timestamp[np.maximum(histories.offsets[1:] - 1, 0)] if len(histories.item) else cases.now
    if (user := _first(cases, (histories.lengths > 0) & (last > cases.now))) is not None:
        raise PenchantError(f"the {name} split leaks: the history of user {user} goes on after their {part} question")


def _check_cuts(split: Split, cuts: tuple[int, int]) -> None:
    for part, known, cases, cut in (
        ("validation", split.train, split.valid, cuts[0]),
        ("test", split.before_test, split.test, cuts[1]),
    ):
        late = int((known.timestamp >= cut).sum()) + int((cases.histories.timestamp >= cut).sum())
        late += int((split.valid.targets.timestamp >= cut).sum()) if part == "test" else 0
        early = int((cases.targets.timestamp < cut).sum())
        if late:
            raise PenchantError(f"the {split.name} split leaks: {late:,} events known to the {part} part come after its cut")
        if early:
            raise PenchantError(f"the {split.name} split leaks: {early:,} targets of the {part} part come before its cut")


def _check_measures(split: Split, log: Interactions | None) -> None:
    content = split.train.content
    if content is None or not content.measures:
        return
    codes = split.train.items.translation(content.items)[:-1]
    statistics = _statistics(split, log)
    for column, values in content.measures.items():
        if words := gives_away(column, np.where(codes == UNKNOWN, np.nan, values[codes]), statistics):
            raise PenchantError(f"the items' column {column} {words}: it knows the answers; leave it out of --content")


def _statistics(split: Split, log: Interactions | None) -> list[Statistic]:
    """What a column of numbers could have been computed from: events, the share of each kind, and their mean value."""
    size = len(split.train.items)
    if log is None:  # of the test part the targets tell
        parts = (split.before_test, split.test.targets)
        item, kind = (np.concatenate([getattr(part, name) for part in parts]) for name in ("item", "event_type"))
        later = np.repeat([False, True], [len(part.item) for part in parts])
    else:
        item, kind, later = log.item, log.event_type, held_out(log, split)
    found = [counted(*(np.bincount(item[some], minlength=size) for some in (~later, later)))]
    kinds = split.train.event_types
    found += [
        averaged(f"share of {kinds[code]}", kind == code, item, later, size) for code in range(len(kinds)) if len(kinds) > 1
    ]
    if log is not None:
        valued = np.isfinite(log.value)
        found.append(averaged("mean value", log.value[valued], item[valued], later[valued], size))
    return found


def _behind(known: Sequences, targets: Sequences) -> Array:
    """Whose last known event isn't before their first target, in the order (timestamp, event id): ``[n] bool``."""
    both = np.flatnonzero((known.lengths > 0) & (targets.lengths > 0))
    last, first = known.offsets[both + 1] - 1, targets.offsets[both]
    behind = known.timestamp[last] > targets.timestamp[first]
    level = np.flatnonzero(known.timestamp[last] == targets.timestamp[first])
    behind[level] = known.event_id[last[level]] >= targets.event_id[first[level]]
    found = np.zeros(len(known), bool)
    found[both] = behind
    return found


def _first(cases: Cases, wrong: Array) -> str | None:
    """The first user of whom something is wrong."""
    rows = np.flatnonzero(wrong)
    return cases.histories.users[int(rows[0])] if len(rows) else None
