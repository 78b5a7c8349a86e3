"""Evaluation as life goes: every event of the test period is asked about in order of time, then taken in.

It runs the code of the living service: a person's state advances by each event (``Model.advance``), the answer is ranked as
any other (``ranking``), memories learn without gradients, and what happened is known only some time after it did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from penchant import metrics
from penchant import sequences as seq
from penchant.evaluation import slices
from penchant.evaluation.evaluate import Measured, score
from penchant.evaluation.fairness import contestants, learned_from, trains_by_gradients
from penchant.evaluation.slices import TIME, Asked, Part
from penchant.models.base import Model
from penchant.models.validation import Answers, people_at_once
from penchant.ranking import Excluded, check_k, masked_scores, rank, target_ranks
from penchant.types import (
    MICROSECONDS,
    Array,
    Float,
    Int,
    Interactions,
    Kinds,
    Learning,
    PenchantError,
    Progress,
    Sequences,
    Split,
    UserState,
    quiet,
)

MINUTE, HOUR = 60 * MICROSECONDS, 3600 * MICROSECONDS
MOMENTS = 12
"""Stretches of equal length by which quality over time is shown."""


@dataclass(frozen=True)
class Live:
    """How life goes: all times in microseconds.

    An event is known to models ``delay`` after it happened; memories learn what became known every ``step``; models are
    trained anew on all that is known every ``refresh`` (0: never).
    """

    delay: int = 0
    refresh: int = 0
    step: int = HOUR

    def __post_init__(self) -> None:
        if self.delay < 0 or self.refresh < 0 or self.step <= 0:
            raise PenchantError("the delay of feedback and the time between trainings must not be negative")
        if self.refresh % self.step:
            raise PenchantError(f"models are trained anew every so many whole hours, and {self.refresh / HOUR:g} aren't")

    def __str__(self) -> str:
        words = ["progressive"]
        words += [f"feedback {self.delay / MINUTE:g} minutes late"] if self.delay else []
        words += [f"trained anew every {self.refresh / HOUR:g} hours"] if self.refresh else []
        return ", ".join(words)


@dataclass(frozen=True)
class Stream:
    """The events of a split's test part, in order of time.

    ``histories`` are the whole ones of the people who have something to be learned after the cut. Event ``e`` of ``m`` is
    place ``event[e]`` in them, of row ``person[e]``, and ``known[e]`` of that person's events are known when it is asked
    about: those more than ``delay`` microseconds old; without delay, all before it.
    """

    histories: Sequences
    event: Int
    person: Int
    known: Int
    start: int
    delay: int

    @property
    def now(self) -> Int:
        """When each event is asked about, ``[m] int64``."""
        return self.histories.timestamp[self.event]

    def known_at(self, moment: int) -> Int:
        """How many events of each person are known at a moment, ``[n] int64``."""
        owner = np.repeat(np.arange(len(self.histories)), self.histories.lengths)
        return np.bincount(owner[self.histories.timestamp < moment - self.delay], minlength=len(self.histories))


def stream(log: Interactions, split: Split, live: Live) -> Stream:
    """What happens after the cut. ``PenchantError`` where the split isn't made by time."""
    if split.cuts is None:
        raise PenchantError(f"progressive evaluation goes in order of time, and the {split.name} split isn't made by time")
    delay = live.delay
    start = split.cuts[1]
    so_far = np.ones(len(log), bool) if split.end is None else log.timestamp < split.end
    everyone = seq.histories(log, so_far)
    rows = np.unique(log.user[so_far & (log.timestamp >= start - delay)]).astype(np.int64)
    histories = seq.select(everyone, rows)
    owner = np.repeat(np.arange(len(rows)), histories.lengths)
    place = np.arange(len(owner)) - histories.offsets[owner]
    event = np.flatnonzero(histories.timestamp >= start)
    event = event[np.argsort(histories.timestamp[event], kind="stable")]
    known = place[event] if delay == 0 else _known(histories, owner, delay)[event]
    return Stream(histories, event, owner[event], known, start, delay)


def _known(histories: Sequences, owner: Int, delay: int) -> Int:
    """Of each event, how many of the same person lie more than ``delay`` before it."""
    size = len(owner)
    # Each event once as itself and once as the moment before which all is known.
    user = np.tile(owner, 2)
    moment = np.concatenate([histories.timestamp, histories.timestamp - delay])
    asks = np.repeat([False, True], size)
    order = np.lexsort((~asks, moment, user))
    passed = np.cumsum(~asks[order])
    known = np.empty(2 * size, np.int64)
    known[order] = passed
    return known[size:] - histories.offsets[owner]


def replay(
    model: Model,
    events: Stream,
    log: Interactions,
    live: Live,
    k: int,
    *,
    exclude_seen: bool,
    learned: Sequences | None = None,
    progress: Progress = quiet,
) -> Answers:
    """How a model ranks each event of a stream, from all that is known when it comes.

    States advance by every event. A model that learns without gradients goes on learning where ``learned`` says what it has
    learned so far. The lists are in the log's codes.
    """
    check_k(k, len(model.items))
    life = _Life(model, events, log, k, exclude_seen, learned)
    ranks = np.empty(len(events.event), np.float32)
    recommended = np.empty((len(events.event), k), np.int32)
    repeats = np.zeros(len(events.event))
    offered: set[str] = set()
    window = (events.now - events.start) // live.step
    refreshed = events.start
    for number in np.unique(window):
        begin = int(events.start + number * live.step)
        if live.refresh and begin - refreshed >= live.refresh:
            progress(f"training {model.name} again at {np.datetime64(begin, 'us').astype('datetime64[m]')}", 0, 0)
            offered.update(life.model.items.ids)
            life.refit(begin)
            refreshed = begin
        life.learn(begin)
        first, last = np.searchsorted(window, [number, number + 1])
        for some in _rounds(events.person, first, last, len(life.model.items)):
            ranks[some], recommended[some], repeats[some] = life.ask(some)
        progress(f"replaying {model.name}", int(last), len(window))
    offered.update(life.model.items.ids)
    return Answers(ranks, np.arange(len(ranks)), recommended, log.items, repeats, len(offered))


def _rounds(person: Int, first: int, last: int, items: int) -> Iterator[Int]:
    """The events ``first`` to ``last`` in batches with nobody in one twice, each person's in their order."""
    left = np.arange(first, last)
    while len(left):
        places = np.sort(np.unique(person[left], return_index=True)[1])
        for rows in people_at_once(len(places), items):
            yield left[places[rows]]
        left = np.delete(left, places)


class _Life:
    """A model and the states of people, as they are at a moment of the stream."""

    def __init__(
        self, model: Model, events: Stream, log: Interactions, k: int, exclude_seen: bool, learned: Sequences | None
    ) -> None:
        self.events, self.log, self.k, self.exclude_seen = events, log, k, exclude_seen
        self._learns = learned is not None and isinstance(model, Learning)
        if learned is not None and isinstance(model, Learning):
            known = self._all_known(events.start)
            if not _alike(known, learned):
                model.unlearn(learned)
                model.learn(known)
        self._begin(model, events.start)

    def _all_known(self, moment: int) -> Sequences:
        return seq.histories(self.log, self.log.timestamp < moment - self.events.delay)

    def _begin(self, model: Model, moment: int) -> None:
        """Encode what is known of everyone."""
        self.model = model
        self.histories = seq.recode(self.events.histories, model.items, model.event_types)
        self.known = self.events.known_at(moment)
        self.learned = self.known.copy()
        states = model.encode(seq.until(self.histories, self.known))
        self.arrays = {name: array.copy() for name, array in states.arrays.items()}
        self.timestamp, self.event_id = states.timestamp.copy(), states.event_id.copy()

    def refit(self, moment: int) -> None:
        """Train anew on what is known."""
        model = self.model.refitted(self._all_known(moment))
        check_k(self.k, len(model.items))
        self._begin(model, moment)

    def learn(self, moment: int) -> None:
        """Let the memory take in what has become known."""
        known = self.events.known_at(moment)
        rows = np.flatnonzero(known > self.learned)
        if self._learns and len(rows):
            assert isinstance(self.model, Learning)
            mine, so_far = seq.select(self.events.histories, rows), self.learned[rows]
            self.model.learn_next(seq.until(mine, so_far), seq.until(mine, known[rows], so_far))
            self.learned[rows] = known[rows]

    def ask(self, some: Int) -> tuple[Float, Int, Array]:
        """Rank some events, of different people, and what was recommended; the states take in what is known by then."""
        events = self.events
        people, now, known = events.person[some], events.now[some], events.known[some]
        mine = seq.select(self.histories, people)
        known = np.maximum(known, self.known[people])
        new = seq.pad(seq.until(mine, known, self.known[people]), np.arange(len(some)))
        state = self.model.advance(self._state(people), new)
        for name, array in state.arrays.items():
            self.arrays[name][people] = array
        self.timestamp[people], self.event_id[people], self.known[people] = state.timestamp, state.event_id, known
        had = seq.until(mine, known)
        exclude = Excluded(had.offsets, had.item) if self.exclude_seen else None
        scores = masked_scores(self.model, state, now, exclude)
        found = rank(self.model, state, scores, self.k, now=now)
        lists = found.item
        repeats = np.zeros(len(some)) if self.exclude_seen else metrics.repeat_ratio(lists, had.offsets, had.item)
        ranks = target_ranks(scores, np.arange(len(some)), self.histories.item[events.event[some]], found.score)
        return ranks, self.model.items.translation(self.log.items)[lists], repeats

    def _state(self, people: Int) -> UserState:
        arrays = {name: array[people] for name, array in self.arrays.items()}
        return UserState(self.model.state_id, arrays, self.timestamp[people], self.event_id[people])


def _alike(first: Sequences, second: Sequences) -> bool:
    """Whether two parts of one log hold the same events."""
    return np.array_equal(first.offsets, second.offsets) and np.array_equal(first.event_id, second.event_id)


def asked(events: Stream, train: Sequences) -> Asked:
    """What is known of the events of a stream, as of the questions of a split."""
    histories = events.histories
    person = train.users.codes([histories.users[int(row)] for row in events.person])
    last = histories.timestamp[histories.offsets[events.person] + np.maximum(events.known - 1, 0)]
    return Asked(
        person,
        events.known,
        last,
        events.now,
        train.lengths[person] > 0,
        np.arange(len(person)),
        histories.item[events.event],
        histories.event_type[events.event],
        lambda rows: seq.until(seq.select(histories, events.person[rows]), events.known[rows]),
    )


def moments(events: Stream) -> list[Part]:
    """The stream in stretches of equal length, named by when they begin, as precisely as tells them apart."""
    now = events.now
    edges = np.unique(np.linspace(now.min(), now.max() + 1, MOMENTS + 1)[:-1].astype(np.int64))
    place = np.searchsorted(edges, now, side="right") - 1
    spellings = (np.datetime_as_string(edges.astype("datetime64[us]"), unit=unit) for unit in ("m", "s", "us"))
    names = next(names for names in spellings if len(np.unique(names)) == len(edges))
    stretches = [Part(TIME, str(name).replace("T", " "), place == n) for n, name in enumerate(names)]
    return [part for part in stretches if part.of.any()]


def measure_live(
    models: Mapping[str, Model | Sequence[Model]],
    log: Interactions,
    split: Split,
    live: Live,
    *,
    k: int = 10,
    seen: str = "exclude",
    controls: Mapping[str, Model] | None = None,
    reading: str = "online",
    own_items: bool = False,
    kinds: Kinds | None = None,
    progress: Progress = quiet,
) -> Measured:
    """The answers of models to every event of the test part, scored one by one: see ``replay`` and ``evaluate``.

    Unless by the ``reading`` ``train-only``, models that learn without gradients have learned all before the test part and go
    on learning: they know its events afterwards.
    """
    everyone = contestants(models, controls, split, seen=seen, reading=reading, own_items=own_items)
    events = stream(log, split, live)
    learned = None if reading == "train-only" else split.before_test

    def replayed(model: Model) -> Answers:
        return replay(model, events, log, live, k, exclude_seen=seen == "exclude", learned=learned, progress=progress)

    answers = {name: [replayed(model) for model in same] for name, same in everyone.items()}
    known = learned_from(split, reading)
    questions = asked(events, known)
    parts = [*slices.parts(questions, known), *moments(events)]
    simple = [name for name, same in everyone.items() if not trains_by_gradients(same[0])]
    measured = score(split.name, answers, questions, parts, known, k, simple, kinds)
    had = {"newcomers_not_asked": 0, "too_few_events_not_asked": 0, "targets_already_seen": float(_had_before(events).mean())}
    return replace(measured, facts={**measured.facts, **had})


def _had_before(events: Stream) -> Array:
    """Whether the person had the item of each event before, ``[m] bool``."""
    owner = np.repeat(np.arange(len(events.histories)), events.histories.lengths)
    pair = owner * len(events.histories.items) + events.histories.item
    first = np.zeros(len(pair), bool)
    first[np.unique(pair, return_index=True)[1]] = True
    return ~first[events.event]
