"""Where a model is good: the same answers, seen by kinds of people, items and moments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from penchant import sequences as seq
from penchant.models.base import Model
from penchant.models.validation import people_at_once
from penchant.types import DAY, MICROSECONDS, Array, Cases, Float, Int, Sequences

LENGTHS = (0, 1, 5, 10, 20, 50, 100)
HOUR = 3600 * MICROSECONDS
SINCE = (
    (0, "under an hour"),
    (HOUR, "an hour to a day"),
    (DAY, "a day to a week"),
    (7 * DAY, "a week to 30 days"),
    (30 * DAY, "over 30 days"),
)
TIME = "time"
"""The family of slices that are stretches of the test period: see ``progressive.moments``."""
ITEMS_COMPARED = 256
"""Items, spread over the catalogue, by which long- and short-term interest are compared."""


@dataclass(frozen=True)
class Asked:
    """What is known of ``n`` questions and their ``t`` targets, whoever answers them.

    ``person[n]`` are codes of users; ``length[n]`` tells how many events the history has, ``last[n]`` when its last was (any
    time where it has none), ``trained[n]`` whether the person has an event in the training part. ``case[t]`` (ascending),
    ``target[t]`` and ``event_type[t]`` are of the targets, coded as the training part is. ``past(rows)`` are the histories of
    some questions.
    """

    person: Int
    length: Int
    last: Int
    now: Int
    trained: Array
    case: Int
    target: Int
    event_type: Int
    past: Callable[[Int], Sequences]

    def __len__(self) -> int:
        return len(self.person)


@dataclass(frozen=True)
class Part:
    """Some of the targets: ``of[t]`` is true for those, ``family`` says by what they are told apart."""

    family: str
    name: str
    of: Array


def asked(cases: Cases, train: Sequences) -> Asked:
    """What is known of the questions of a split."""
    histories = cases.histories
    person = train.users.codes(histories.users.ids)
    last = histories.timestamp[histories.offsets[1:] - 1]  # who has no history isn't asked
    return Asked(
        person,
        histories.lengths,
        last,
        cases.now,
        train.lengths[person] > 0,
        cases.case,
        cases.target,
        cases.targets.event_type,
        lambda rows: seq.select(histories, rows),
    )


def parts(questions: Asked, train: Sequences, agreement: Array | None = None) -> list[Part]:
    """All slices that have targets.

    - history: events in the history;
    - item: head, middle and tail are the items that have the first, second and last third of all training events, in order
      of their number; new ones have none;
    - person: whether they had events in the training part;
    - kind: the type of the wanted event;
    - pause: time since the last event, where the log has times;
    - interests: thirds of the people by ``agreement[n]`` (see below), where a model has both.
    """
    of_case = questions.case
    found = list(_lengths(questions.length[of_case]))
    found += _items(questions.target, train)
    known = questions.trained[of_case]
    found += [Part("person", "in training", known), Part("person", "new since training", ~known)]
    kinds = enumerate(train.event_types)
    found += [Part("kind of event", name, questions.event_type == code) for code, name in kinds]
    if train.clock == "real":
        found += _pauses(questions)
    if agreement is not None:
        found += _agreement(agreement[of_case])
    return [part for part in found if part.of.any()]


def _lengths(length: Int) -> Iterator[Part]:
    for low, high in zip(LENGTHS, (*LENGTHS[1:], None), strict=True):
        name = "none" if high == 1 else f"{low}-{high - 1} events" if high else f"{low} events or more"
        yield Part("history", name, (length >= low) & ((length < high) if high else True))


def _items(target: Int, train: Sequences) -> list[Part]:
    counts = np.bincount(train.item, minlength=len(train.items))
    order = np.argsort(-counts, kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    third = np.empty(len(counts), np.int64)
    third[order] = 3 * before // max(int(counts.sum()), 1)
    third[counts == 0] = 3
    names = ("head", "middle", "tail", "new")
    return [Part("item", name, third[target] == n) for n, name in enumerate(names)]


def _pauses(questions: Asked) -> list[Part]:
    """Who has no event yet isn't in any."""
    pause = np.where(questions.length > 0, questions.now - questions.last, -1)
    place = (np.searchsorted([start for start, _ in SINCE], pause, side="right") - 1)[questions.case]
    return [Part("pause", name, place == n) for n, (_, name) in enumerate(SINCE)]


def _agreement(agreement: Array) -> list[Part]:
    low, high = np.quantile(agreement, [1 / 3, 2 / 3])
    return [
        Part("interests", "disagree", agreement <= low),
        Part("interests", "between", (agreement > low) & (agreement <= high)),
        Part("interests", "agree", agreement > high),
    ]


def agreement(models: Sequence[Model], cases: Cases) -> Float | None:
    """How far long- and short-term interest of each person agree, by the first model that has both; else ``None``.

    ``[n] float32``: the correlation of the two parts of the scores over items spread evenly over the catalogue.
    """
    if len(cases) == 0:
        return None
    for model in models:
        one = model.parts(model.initial(1), cases.now[:1], np.zeros((1, 1), np.int32))
        if {"long_term", "short_term"} <= one.keys():
            return _correlations(model, cases)
    return None


def _correlations(model: Model, cases: Cases) -> Float:
    count = min(ITEMS_COMPARED, len(model.items))
    items = np.linspace(0, len(model.items) - 1, count).astype(np.int32)
    found = np.empty(len(cases), np.float32)
    for rows in people_at_once(len(cases), count * 64):
        states = model.encode(seq.select(cases.histories, rows))
        both = model.parts(states, cases.now[rows], np.tile(items, (len(rows), 1)))
        long, short = (both[name] - both[name].mean(axis=1, keepdims=True) for name in ("long_term", "short_term"))
        scale = np.sqrt((long**2).sum(axis=1) * (short**2).sum(axis=1))
        found[rows] = (long * short).sum(axis=1) / np.maximum(scale, 1e-12)
    return found
