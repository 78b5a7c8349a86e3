"""Asking a model questions with known answers: the one path for early stopping and for evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from penchant import metrics
from penchant import sequences as seq
from penchant.models.base import Model
from penchant.ranking import Excluded, check_k, masked_scores, rank, target_ranks
from penchant.types import Array, Cases, Float, Int, Progress, Sequences, Vocabulary, quiet

SCORES_AT_ONCE = 1 << 22
"""Scores computed at a time (16 MB): several passes go over them."""
STATES_AT_ONCE = 1 << 15
"""People whose states are held at a time: enough for batches of similar length."""


@dataclass(frozen=True)
class Answers:
    """How a model ranked the targets of ``n`` cases.

    ``ranks[t]`` (``inf`` beyond ``k``) and ``case[t]`` (ascending) go with the targets of all cases in order;
    ``recommended[n, k] int32`` are the lists it would have shown, in the codes of ``items``; ``repeats[n]`` is the share of
    each that the person had. It had ``catalogue`` items to choose from.
    """

    ranks: Float
    case: Int
    recommended: Int
    items: Vocabulary
    repeats: Array
    catalogue: int

    def per_case(self, metric: metrics.Metric, k: int) -> Float:
        """A metric's value for each case, ``[n] float64``; ``k`` as long as the lists, or longer where these hold all items."""
        return metric(self.ranks, self.case, len(self.recommended), k)


def seen_items(histories: Sequences) -> Excluded:
    """Everything in people's histories, to be excluded from what they are recommended."""
    return Excluded(histories.offsets, histories.item)


def people_at_once(people: int, items: int) -> Iterator[Int]:
    """Rows ``0 … people - 1``, as many at a time as can have all ``items`` scored in a fixed memory."""
    return _some_at_once(people, max(1, SCORES_AT_ONCE // items))


def _some_at_once(people: int, step: int) -> Iterator[Int]:
    for start in range(0, people, step):
        yield np.arange(start, min(start + step, people))


def some_cases(cases: Cases, most: int) -> Cases:
    """Cases spread evenly over all, at most so many."""
    rows = np.linspace(0, len(cases) - 1, min(len(cases), most)).astype(np.int64)
    return cases if len(rows) == len(cases) else select_cases(cases, rows)


def select_cases(cases: Cases, rows: Int) -> Cases:
    """The cases in some ascending ``rows``."""
    return Cases(seq.select(cases.histories, rows), cases.now[rows], seq.select(cases.targets, rows))


def ask(model: Model, cases: Cases, k: int, *, exclude_seen: bool, progress: Progress = quiet) -> Answers:
    """Rank the whole catalogue for every case. Memory doesn't grow with the number of cases, save by what is returned."""
    check_k(k, len(model.items))
    histories = seq.recode(cases.histories, model.items)
    target, ends = seq.recode(cases.targets, model.items).item, cases.targets.offsets
    ranks = np.empty(len(target), np.float32)
    recommended = np.empty((len(cases), k), np.int32)
    repeats = np.zeros(len(cases))
    for people in _some_at_once(len(cases), STATES_AT_ONCE):
        theirs = seq.select(histories, people)
        states, had = model.encode(theirs, progress=progress), seen_items(theirs)
        for places in people_at_once(len(people), len(model.items)):
            rows, block = people[places], slice(places[0], places[-1] + 1)
            some = slice(ends[rows[0]], ends[rows[-1] + 1])
            state, now = states[block], cases.now[rows]
            scores = masked_scores(model, state, now, had[block] if exclude_seen else None)
            ranking = rank(model, state, scores, k, now=now)
            recommended[rows] = ranking.item
            ranks[some] = target_ranks(scores, cases.case[some] - rows[0], target[some], ranking.score)
            if not exclude_seen:
                repeats[rows] = metrics.repeat_ratio(ranking.item, had[block].offsets, had[block].item)
            progress("ranking", int(rows[-1]) + 1, len(cases))
    return Answers(ranks, cases.case, recommended, model.items, repeats, len(model.items))


def validate(model: Model, cases: Cases, k: int = 10) -> dict[str, float]:
    """The metrics by which training stops, seen items excluded: ``{"ndcg@10": …, "recall@10": …}``."""
    answers = ask(model, cases, min(k, len(model.items)), exclude_seen=True)
    chosen = {"ndcg": metrics.ndcg, "recall": metrics.recall}
    return {f"{name}@{k}": float(answers.per_case(metric, k).mean()) for name, metric in chosen.items()}
