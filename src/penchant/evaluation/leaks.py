"""What a split must not let a model know: its answers, and what came after its questions."""

from __future__ import annotations

import numpy as np

from penchant import sequences as seq
from penchant.metrics import average_ranks
from penchant.types import Array, Cases, PenchantError, Sequences, Split

SUSPECT = 0.5
"""A measure of items whose rank correlation with their events is below this isn't one of their events."""
MARGIN = 0.01


def check(split: Split) -> Split:
    """The split itself; ``PenchantError`` says what in it tells the answers.

    A split may hold no target inside, or before the end of, the history it follows or the events that are trained on; by
    time, no training event at or after the cut. And no column of numbers that models read (``Content.measures``) may follow
    the items' events of the whole period more closely than those before the test: it would be a feature computed over the
    whole period. (This finds counts and what goes with them; a mean over the whole period it can't tell from a taste.)
    """
    for part, cases, known in (("validation", split.valid, split.train), ("test", split.test, split.before_test)):
        _check_order(split.name, part, cases)
        mine = seq.of_users(known, cases.histories.users.ids)
        if (user := _first(cases, _behind(mine, cases.targets))) is not None:
            raise PenchantError(
                f"the {split.name} split leaks: user {user} has an event trained on that isn't before the {part} targets"
            )
    if split.cuts is not None:
        _check_cuts(split, split.cuts)
    _check_measures(split)
    return split


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
        early = int((cases.targets.timestamp < cut).sum())
        if late:
            raise PenchantError(f"the {split.name} split leaks: {late:,} events known to the {part} part come after its cut")
        if early:
            raise PenchantError(f"the {split.name} split leaks: {early:,} targets of the {part} part come before its cut")


def _check_measures(split: Split) -> None:
    content = split.train.content
    if content is None or not content.measures:
        return
    codes = split.train.items.translation(content.items)[:-1]
    before = np.bincount(split.before_test.item, minlength=len(codes))
    whole = before + np.bincount(split.test.target, minlength=len(codes))
    for column, values in content.measures.items():
        measure = values[codes]
        known = (codes >= 0) & np.isfinite(measure)
        if known.sum() < 3:
            continue
        with_whole, with_before = (_rank_correlation(measure[known], counts[known]) for counts in (whole, before))
        if with_whole > max(SUSPECT, with_before + MARGIN):
            raise PenchantError(
                f"the items' column {column} follows their events of the whole period (rank correlation {with_whole:.3f}) more "
                f"closely than those before the test ({with_before:.3f}): it knows the answers; leave it out of --content"
            )


def _rank_correlation(a: Array, b: Array) -> float:
    """Spearman's, without its sign; 0 where one has no order."""
    return abs(float(np.corrcoef(average_ranks(a), average_ranks(b))[0, 1])) if np.ptp(a) and np.ptp(b) else 0.0


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
