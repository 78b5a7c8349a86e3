"""The weights of a blend: learned on validation, so that they hold on what comes after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from penchant import metrics
from penchant import sequences as seq
from penchant.models.base import Model
from penchant.models.validation import people_at_once, seen_items, select_cases, some_cases
from penchant.ranking import masked_scores, top_k
from penchant.types import UNKNOWN, Array, Cases, Float, Int, Learning, Sequences

CASES = 8192
"""Validation cases by which weights are chosen, at most: spread evenly over all;"""
TARGETS = 1 << 15
"""and so few that they have no more targets than about this."""
CANDIDATES = 30
"""Of each model, the best so many items of a case compete for its list."""
CHOICES = 8
"""How often members are chosen, each time by another half of the cases,"""
STEPS = 20
"""and how many are each time: a member's weight is its share of the choices."""
LEAST = 0.02
"""A member that weighs less than this of the loudest is left out: it would cost time and tell nothing."""


@dataclass(frozen=True)
class Contest:
    """The items that compete in some cases, as each of ``m`` members sees them.

    ``lead[m, t, C] float32`` is how far a competing item lies before the target ``t``, in the member's ``spread[m]``; ``-inf``
    for what doesn't compete. ``case[t]`` is whose each target is, of ``people``; one that isn't ``known`` can't be reached.
    """

    lead: Float
    spread: Float
    case: Int
    known: Array
    people: int

    def of(self, chosen: Array, spread: Float) -> Contest:
        """The contest of the cases ``chosen[people] bool``, measured in other spreads."""
        mine = chosen[self.case]
        case = (np.cumsum(chosen) - 1)[self.case[mine]]
        scale = (self.spread / spread).astype(np.float32)[:, None, None]
        return Contest(self.lead[:, mine] * scale, spread, case, self.known[mine], int(chosen.sum()))

    def quality(self, lead: Float, k: int) -> Array:
        """The ndcg@k of each case where items lie ``lead[t, C]`` before the targets."""
        # Of equal items all go before the target: what isn't told apart by a memory without evidence is no merit of it.
        ranks = 1 + np.count_nonzero(lead >= 0, axis=1)
        return metrics.ndcg(np.where(self.known, ranks, np.inf).astype(np.float32), self.case, self.people, k)


def learn_weights(members: Sequence[Model], valid: Cases, k: int = 10, *, exclude_seen: bool = True) -> Float:
    """Weights ``[members] float32`` of the blend with the best validation ndcg@k, by default with seen items excluded.

    Members are chosen one after another, each as often as it helps, and the choices of several halves of the cases are
    averaged (ensemble selection with bagging, Caruana et al. 2004): with few cases, the best weights of all of them would fit
    their chance. Where the best member alone is better than that, it stays alone. The loudest member's weight is 1.

    Each case is asked as of the end of training; those of the later half of the validation period are asked again in its
    middle, when members that learn without gradients know what happened meanwhile and the others don't, as it is live.
    """
    asked = some_cases(valid, min(CASES, max(1, len(valid) * TARGETS // len(valid.targets.item))))
    contests = [_contest(members, asked, exclude_seen)]
    early, later = _halves(asked)
    if later is not None and any(isinstance(member, Learning) for member in members):
        with _having_learned(members, asked.histories, early):
            contests.append(_contest(members, later, exclude_seen))
    spread = contests[0].spread
    chance = np.random.default_rng(0)
    choices = CHOICES if len(asked) > 1 else 1
    halves = ([each.of(_half(each.people, chance), spread) for each in contests] for _ in range(choices))
    share = np.mean([_chosen(half, k) for half in halves], axis=0)
    share[share < LEAST * share.max()] = 0
    whole = [each.of(np.ones(each.people, bool), spread) for each in contests]
    alone = np.eye(len(members))
    single = [_quality(whole, one, k) for one in alone]
    if _quality(whole, share, k) <= max(single):
        share = alone[int(np.argmax(single))]
    weights = share / spread
    return np.asarray(weights / weights[np.argmax(share)], np.float32)


def _chosen(contests: Sequence[Contest], k: int) -> Array:
    """How often each member is chosen, as shares ``[m]``, up to where more choices don't help."""
    counts = np.zeros(len(contests[0].lead))
    lead = [np.zeros(each.lead.shape[1:], np.float32) for each in contests]
    best, share = -1.0, counts
    for _ in range(STEPS):
        found = [
            _mean([each.quality(sofar + one, k) for each, sofar, one in zip(contests, lead, ones, strict=True)])
            for ones in zip(*(each.lead for each in contests), strict=True)
        ]
        member = int(np.argmax(found))
        counts[member] += 1
        for sofar, each in zip(lead, contests, strict=True):
            sofar += each.lead[member]
        if found[member] > best:
            best, share = found[member], counts / counts.sum()
    return share


def _quality(contests: Sequence[Contest], share: Array, k: int) -> float:
    # Members without a share don't enter: nothing times what doesn't compete is no number.
    told = share > 0
    return _mean([each.quality(np.tensordot(share[told].astype(np.float32), each.lead[told], 1), k) for each in contests])


def _mean(qualities: Sequence[Array]) -> float:
    return float(np.concatenate(qualities).mean())


def _half(people: int, chance: np.random.Generator) -> Array:
    chosen = np.zeros(people, bool)
    chosen[chance.permutation(people)[: (people + 1) // 2]] = True
    return chosen


def _halves(cases: Cases) -> tuple[Sequences, Cases | None]:
    """The answers before the middle of their period, and the cases that are left then: asked anew, after those answers.

    None are where a log has no times, or nobody's answer comes later.
    """
    times = cases.targets.timestamp
    middle = int(np.median(times))
    early = seq.where(cases.targets, times < middle)
    late = seq.where(cases.targets, times >= middle)
    if cases.histories.clock != "real" or not len(early.item) or not len(late.item):
        return early, None
    left = Cases(seq.followed(cases.histories, early), np.maximum(cases.now, middle), late)
    return early, select_cases(left, np.flatnonzero(late.lengths))


@contextmanager
def _having_learned(members: Sequence[Model], histories: Sequences, events: Sequences) -> Iterator[None]:
    """Let members that learn without gradients know ``events`` behind ``histories`` for a while."""
    learning = [member for member in members if isinstance(member, Learning)]
    for member in learning:
        member.learn_next(histories, events)
    try:
        yield
    finally:
        whole = seq.followed(histories, events)
        for member in learning:
            # Nothing is unlearned event by event: first learned anew, since of overlapping histories each was learned once.
            member.learn(histories)
            member.unlearn(whole)


def _contest(members: Sequence[Model], cases: Cases, exclude_seen: bool) -> Contest:
    scores, target, case, own, known = _candidates(members, cases, exclude_seen)
    there = scores[:, :, 0] > -1e29
    spread = np.array([float(np.std(scores[:, :, m][there])) if there.any() else 0 for m in range(len(members))], np.float32)
    spread[spread == 0] = 1
    lead = np.empty((len(members), len(target), scores.shape[1]), np.float32)
    dead = own | ~there[case]
    for m in range(len(members)):
        lead[m] = (scores[:, :, m][case] - target[:, m, None]) / spread[m]
        lead[m][dead] = -np.inf
    return Contest(lead, spread, case, known, len(cases))


def _candidates(members: Sequence[Model], cases: Cases, exclude_seen: bool = True) -> tuple[Float, Float, Int, Array, Array]:
    """Scores ``[n, C, members]`` of the items that compete in each case (-1e30 for one that is there twice), scores of the
    targets ``[t, members]``, the case of each, which of the competing items it is itself (``[t, C]``), and which targets can
    be recommended at all.
    """
    items = members[0].items
    histories = seq.recode(cases.histories, items)
    target, case = seq.recode(cases.targets, items).item, cases.case
    states = [member.encode(histories) for member in members]
    width = min(CANDIDATES, len(items)) * len(members)
    rivals = np.empty((len(cases), width, len(members)), np.float32)
    mine = np.zeros((len(target), len(members)), np.float32)
    own = np.zeros((len(target), width), bool)
    known = target != UNKNOWN
    for rows in people_at_once(len(cases), len(items) * len(members)):
        exclude = seen_items(seq.select(histories, rows)) if exclude_seen else None
        now = cases.now[rows]
        scores = [masked_scores(m, s[rows], now, exclude) for m, s in zip(members, states, strict=True)]
        chosen = np.concatenate([top_k(s, width // len(members))[0] for s in scores], axis=1)
        chosen.sort(axis=1)
        again = np.zeros(chosen.shape, bool)
        again[:, 1:] = chosen[:, 1:] == chosen[:, :-1]
        again |= chosen == UNKNOWN
        asked = np.flatnonzero((case >= rows[0]) & (case <= rows[-1]) & known)
        own[asked] = chosen[case[asked] - rows[0]] == target[asked, None]
        for m, all_scores in enumerate(scores):
            rivals[rows, :, m] = np.where(again, 0, np.take_along_axis(all_scores, np.maximum(chosen, 0), axis=1))
            mine[asked, m] = all_scores[case[asked] - rows[0], target[asked]]
        rivals[rows] = np.where(again[:, :, None], np.float32(-1e30), rivals[rows])
    known &= np.isfinite(mine).all(axis=1)
    return rivals, np.where(known[:, None], mine, 0), case, own, known
