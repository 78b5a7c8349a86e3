"""The service: what a server offers, as a Python API. Events in, recommendations out, each request answered from the log's
truth.

    ledger (one writing thread)      feedback, items, erasure: committed in groups, answered once on disk
    answers (one reading thread)     states read or advanced, scored and ranked in micro-batches: all that waits at a time
    memory (one thread)              counts of models that learn without gradients follow the log

Every method that waits for one of them returns a ``Future``. Time is an argument; nothing here reads a clock.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import count
from typing import Any

import numpy as np

from penchant import sequences as seq
from penchant.evaluation.drift import drift
from penchant.interests.profiles import Profile, profile, shares_of_memories
from penchant.interests.reasons import RECENT, Reason, reasons
from penchant.live import events as checks
from penchant.live.events import Event
from penchant.live.interests import Insight, past_of
from penchant.live.ledger import Ledger
from penchant.live.memory import Memory, brought_up
from penchant.live.records import Appended, Happened, Item, User
from penchant.live.shelf import Shelf
from penchant.live.states import MEMORY, PEOPLE_AT_ONCE, States, sequences_of
from penchant.live.worker import Worker
from penchant.models.base import Model
from penchant.models.interest import Interest
from penchant.ranking import Excluded, recommend
from penchant.types import NEVER, UNKNOWN, Growing, Int, Learning, PenchantError, UnknownError, UserState

log = logging.getLogger(__name__)

MOST_RECOMMENDED = 1000
MOST_WORDS = 1000
"""Items of an exclude list, categories and session events of one request, each."""
ASKS_AT_ONCE = 32
LISTS_REMEMBERED, ITEMS_REMEMBERED = 20_000, 400_000
"""So many of the last lists, of so many items together, are kept to tell which clicks were of a recommended item."""
LATEST_LISTS = 20
"""So many lists are kept to be looked at as they are made."""
PEOPLE_WARM = 5_000
"""So many people's states, those who asked last, are ready when another model takes over; others' are made when they ask."""
MEMORY_PAUSE = 0.25
"""Seconds between two looks at the log for events to learn."""

DRIFT_EVENTS, DRIFT_SAMPLE, DRIFT_FEWEST = 100_000, 5_000, 500
"""Drift is told from so many events of so many that came last, if there are at least so few: fewer differ by chance."""


@dataclass(frozen=True)
class Ask:
    """A wish for recommendations at the moment ``now``: for a user, for someone who did ``events`` just now (which aren't
    stored), or for a user who did.
    """

    now: int
    user_id: str | None = None
    events: tuple[Event, ...] = ()
    n: int = 10
    offset: int = 0
    exclude_seen: bool = True
    exclude: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    newer_than: int | None = None
    explain: bool = False
    recommendation_id: str = ""

    def check(self) -> None:
        """Raise ``PenchantError`` where it can't be answered."""
        if not 1 <= self.n <= MOST_RECOMMENDED:
            raise PenchantError(f"n is {self.n}, but must lie between 1 and {MOST_RECOMMENDED:,}")
        if not 0 <= self.offset <= MOST_RECOMMENDED:
            raise PenchantError(f"offset is {self.offset}, but must lie between 0 and {MOST_RECOMMENDED:,}")
        for name, words in (("exclude", self.exclude), ("categories", self.categories), ("events", self.events)):
            if len(words) > MOST_WORDS:
                raise PenchantError(f"{name}: holds {len(words):,} entries; at most {MOST_WORDS:,} are taken")
        for user in () if self.user_id is None else (self.user_id,):
            checks.check_id(user, "user_id")
        checks.check(self.events, self.now)

    def happened(self) -> list[Happened]:
        """The ``events`` in order, as models read them."""
        told = (Happened(e.timestamp, e.named().event_id, e.item_id, e.event_type, 0) for e in self.events)
        return sorted(told, key=lambda e: (e.timestamp, e.event_id))


@dataclass(frozen=True)
class Recommended:
    """An answer: the best items first, each with its score and, where asked for, the parts that sum to it."""

    recommendation_id: str
    model: str
    items: tuple[str, ...]
    scores: tuple[float, ...]
    parts: Mapping[str, tuple[float, ...]]
    known: bool
    """Whether the answer rests on anything the person did."""


@dataclass(frozen=True)
class Candidates:
    """Whether a user will like each of some items, shown at ``now`` in this ``context``."""

    now: int
    user_id: str
    items: tuple[str, ...]
    context: Mapping[str, str] = field(default_factory=dict)

    def check(self, places: Collection[str]) -> None:
        """Raise ``PenchantError`` where it can't be answered by a model that knows these columns of context."""
        checks.check_id(self.user_id, "user_id")
        if not 1 <= len(self.items) <= MOST_RECOMMENDED:
            raise PenchantError(f"items: there are {len(self.items):,}, but 1 to {MOST_RECOMMENDED:,} are ranked at a time")
        for item in self.items:
            checks.check_id(item, "items")
        for name in self.context:
            if name not in places:
                knows = ", ".join(places) or "none"
                raise PenchantError(f"context: the model wasn't trained with {name[:80]!r}; the columns it knows: {knows}")


@dataclass(frozen=True)
class Ranked:
    """An answer: of each item, likeliest first by the first target, the probability of each target."""

    model: str
    items: tuple[str, ...]
    probabilities: Mapping[str, tuple[float, ...]]
    known: bool
    """Whether the answer rests on anything the person did."""


@dataclass(frozen=True)
class Shown:
    """A list as it was made for a user, with a number that tells later ones from earlier."""

    number: int
    user_id: str
    items: tuple[str, ...]
    known: bool


@dataclass
class Figures:
    """What happened since the start."""

    events: int = 0
    duplicates: int = 0
    unknown_items: int = 0
    """Events of items that the model doesn't know."""
    recommendations: int = 0
    batches: int = 0
    lists_clicked: int = 0
    """Events that named a recommendation, and whose item was on that list."""
    attributed: int = 0
    """Events that named a recommendation still remembered."""
    models: int = 1


@dataclass
class Living:
    """A model and all that goes with it: it is exchanged as one."""

    model: Model
    lineage: Mapping[str, Any]
    states: States
    shelf: Shelf
    memory: Memory
    shown: np.ndarray = field(init=False)
    """Which items were ever recommended, ``[V] bool``."""

    def __post_init__(self) -> None:
        self.shown = np.zeros(len(self.model.items), bool)
        self.name = self.model.id


class Service:
    """One model over one ledger. Close it when done; the ledger is closed with it.

    A ``ranker`` beside it tells what people will like among given items; the model itself does, if it is one.
    """

    def __init__(
        self,
        ledger: Ledger,
        model: Model,
        lineage: Mapping[str, Any],
        *,
        memory: int = MEMORY,
        ranker: Interest | None = None,
        value: str | None = None,
    ) -> None:
        self.ledger = ledger
        self.figures = Figures()
        self.insight = Insight(ledger, value)
        self._most_memory = memory
        self._lists: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._listed = 0
        self._lists_lock = threading.Lock()
        self._ranking = None if ranker is None else States(ledger, ranker, memory=memory, kept=False)
        self.latest: deque[Shown] = deque(maxlen=LATEST_LISTS)
        self._numbers = count(1)
        self.living = self._bring_to_life(model, lineage)
        self._answers: Worker[Ask | Callable[[], Any], Any] = Worker("answers", self._answer, at_once=ASKS_AT_ONCE)
        self._stopping = threading.Event()
        self._exchanging = threading.Lock()
        self._memory_lock = threading.Lock()
        self._remembering = threading.Thread(target=self._remember, name="memory", daemon=True)
        self._remembering.start()

    def _bring_to_life(self, model: Model, lineage: Mapping[str, Any]) -> Living:
        return self._living(lineage, brought_up(self.ledger, model, lineage))

    def _living(self, lineage: Mapping[str, Any], memory: Memory) -> Living:
        states = States(self.ledger, memory.model, memory=self._most_memory)
        return Living(memory.model, lineage, states, Shelf(self.ledger, memory.model.items), memory)

    def close(self) -> None:
        """Answer all that waits, keep the states, then stop."""
        self._stopping.set()
        self.insight.close()
        self._answers.close()
        self._remembering.join()
        try:
            written = self.living.states.write_changed()
            if written is not None:
                written.result()
        except PenchantError as error:
            log.warning("states weren't kept, and will be made from the log: %s", error)
        self.ledger.close()

    @property
    def waiting(self) -> dict[str, int]:
        """How many requests wait for each of the two threads."""
        return {"answers": self._answers.waiting, "ledger": self.ledger.database.waiting}

    # Events.

    def feedback(self, events: Sequence[Event], now: int) -> Future[Appended]:
        """Store events. Once the future is done they are on disk, and the next recommendation knows them.

        Raises ``PenchantError`` where one of them can't be stored; none is then.
        """
        checks.check(events, now)
        named = [event.named() for event in events]
        stored = self.ledger.append(named)
        stored.add_done_callback(self._count)
        return stored

    def _count(self, stored: Future[Appended]) -> None:
        """What came; an event that is sent once more says nothing new."""
        if stored.cancelled() or stored.exception():
            return
        figures, items, events = self.figures, self.living.model.items, stored.result().new
        figures.events += stored.result().accepted
        figures.duplicates += stored.result().duplicates
        figures.unknown_items += int((items.codes([event.item_id for event in events]) == UNKNOWN).sum())
        for event in events:
            if event.recommendation_id:
                with self._lists_lock:
                    shown = self._lists.get(event.recommendation_id)
                if shown is not None:
                    figures.attributed += 1
                    figures.lists_clicked += event.item_id in shown

    # Recommendations.

    def recommend(self, ask: Ask) -> Future[Recommended]:
        """The best items for an ``Ask``. Raises ``PenchantError`` where it can't be answered."""
        ask.check()
        return self._answers.submit(ask)

    def similar(self, item_id: str, now: int, n: int = 10, offset: int = 0, recommendation_id: str = "") -> Future[Recommended]:
        """What the model recommends to someone who had just this item. ``PenchantError`` where it doesn't know the item."""
        checks.check_id(item_id, "item_id")
        if self.living.model.items.code(item_id) == UNKNOWN:
            raise UnknownError(f"the model doesn't know the item {item_id[:80]!r}")
        only = Event("someone", item_id, now, event_id="similar")
        return self.recommend(
            Ask(now, events=(only,), n=n, offset=offset, exclude=(item_id,), recommendation_id=recommendation_id)
        )

    def reasons(self, ask: Ask, items: Sequence[str]) -> list[Reason]:
        """Why these items are recommended for an ``Ask``: as many reasons as items the model knows, in order. Takes longer than
        the list itself, so it is done in the caller's thread.
        """
        model, state = self._answers.submit(lambda: (self.living.model, self._states(self.living, [ask])[0])).result()
        past = [] if ask.user_id is None else self.ledger.histories([(ask.user_id, NEVER, "")])[0]
        history = sequences_of(model, ["someone"], [[*past, *ask.happened()]])
        codes = model.items.codes(items)
        titles = self.ledger.texts([model.items[code] for code in seq.known_only(history).item[-RECENT:].tolist()])
        return reasons(model, history, codes[codes != UNKNOWN], ask.now, lambda item: titles.get(item) or item, state)

    def interests(self, user_id: str, now: int) -> Profile:
        """A user's profile; somebody never seen has one too. ``NotYetError`` while topics are made, ``UnknownError`` where
        there are none.
        """
        checks.check_id(user_id, "user_id")
        topics = self.insight.found()

        def memories() -> tuple[Any, Any] | None:
            living = self.living
            states, _ = living.states.of([user_id])
            return shares_of_memories(living.model, states, topics)

        both = self._answers.submit(memories).result()
        past = past_of(*self.ledger.past(user_id), topics, self.insight.value)
        return profile(topics, past, user_id, now, None if both is None else (both[0][0], both[1][0]))

    def rank(self, candidates: Candidates) -> Future[Ranked]:
        """How likely a user is to like each of some items. ``PenchantError`` where it can't be answered, or no model here can.

        Of an item the model doesn't know, and of somebody new, it says what it says of such.
        """
        model = self._ranker().model
        candidates.check(model.form.places if isinstance(model, Interest) else ())
        return self._answers.submit(lambda: self._probabilities(candidates))

    def _ranker(self) -> States:
        if self._ranking is not None:
            return self._ranking
        if isinstance(self.living.model, Interest):
            return self.living.states
        raise PenchantError(
            "no model here ranks candidates; start the server with --ranker MODEL, a folder of --model interest"
        )

    def _probabilities(self, asked: Candidates) -> Ranked:
        states = self._ranker()
        model = states.model
        assert isinstance(model, Interest)
        state, (seen,) = states.of([asked.user_id])
        where = model.codes({name: [asked.context.get(name, "")] for name in model.form.places})
        context = {name: np.repeat(code[None], len(asked.items), axis=1) for name, code in where.items()}
        said = model.probabilities(state, np.array([asked.now], np.int64), model.items.codes(asked.items)[None], context)
        order = np.argsort(-next(iter(said.values()))[0], kind="stable")
        return Ranked(
            model.id,
            tuple(asked.items[place] for place in order),
            {target: tuple(p[0, order].tolist()) for target, p in said.items()},
            len(seen) > 0,
        )

    def _answer(self, jobs: Sequence[Ask | Callable[[], Any]]) -> list[Any]:
        """All that waits, in one pass of the model: one for those who want explanations, one for the others."""
        answers: dict[int, Any] = {place: job() for place, job in enumerate(jobs) if not isinstance(job, Ask)}
        living = self.living
        living.shelf.refresh()
        for explain in (False, True):
            asks = {place: job for place, job in enumerate(jobs) if isinstance(job, Ask) and job.explain == explain}
            if asks:
                answers |= zip(asks, self._rank(living, list(asks.values()), explain=explain), strict=True)
        return [answers[place] for place in range(len(jobs))]

    def _rank(self, living: Living, asks: Sequence[Ask], *, explain: bool) -> list[Recommended]:
        model = living.model
        states, seen = self._states(living, asks)
        excluded = [self._excluded(living, ask, mine) for ask, mine in zip(asks, seen, strict=True)]
        offsets = np.concatenate([[0], np.cumsum([len(codes) for codes in excluded])]).astype(np.int64)
        longest = min(max(ask.offset + ask.n for ask in asks), len(model.items))
        now = np.array([ask.now for ask in asks], np.int64)
        exclude = Excluded(offsets, np.concatenate(excluded))
        ranking = recommend(model, states, longest, now=now, exclude=exclude, explain=explain)
        self.figures.recommendations += len(asks)
        self.figures.batches += 1
        answers = []
        for row, (ask, mine) in enumerate(zip(asks, seen, strict=True)):
            window = slice(ask.offset, min(ask.offset + ask.n, int((ranking.item[row] != UNKNOWN).sum())))
            codes = ranking.item[row, window]
            living.shown[codes] = True
            items = tuple(model.items[code] for code in codes.tolist())
            self._remember_list(ask.recommendation_id, items)
            parts = {name: tuple(part[row, window].tolist()) for name, part in ranking.parts.items()}
            scores = tuple(ranking.score[row, window].tolist())
            answers.append(Recommended(ask.recommendation_id, living.name, items, scores, parts, len(mine) > 0))
            if ask.user_id is not None:
                self.latest.append(Shown(next(self._numbers), ask.user_id, items[:5], len(mine) > 0))
        return answers

    def _states(self, living: Living, asks: Sequence[Ask]) -> tuple[UserState, list[Int]]:
        """The state behind each ask and what its person has seen: from the ledger, then what the ask itself brings."""
        model = living.model
        users = [ask.user_id for ask in asks if ask.user_id is not None]
        if len(users) == len(asks) and not any(ask.events for ask in asks):
            return living.states.of(users)
        known, seen_by = living.states.of(users) if users else (model.initial(0), [])
        stored, strangers = iter(range(len(users))), len(users)
        places = np.array([strangers if ask.user_id is None else next(stored) for ask in asks])
        states = UserState.concatenate([known, model.initial(1)])[places]
        seen = [seen_by[place] if place < strangers else np.zeros(0, np.int32) for place in places.tolist()]
        rows = [row for row, ask in enumerate(asks) if ask.events]
        if rows:
            told = [asks[row].happened() for row in rows]
            batch = seq.pad(sequences_of(model, [str(row) for row in rows], told), np.arange(len(rows)))
            after = model.advance(states[np.array(rows)], batch)
            order = np.arange(len(asks))
            order[rows] = len(asks) + np.arange(len(rows))
            states = UserState.concatenate([states, after])[order]
            for row, happened in zip(rows, told, strict=True):
                codes = model.items.codes([event.item_id for event in happened])
                seen[row] = np.union1d(seen[row], codes[codes != UNKNOWN])
        return states, seen

    def _excluded(self, living: Living, ask: Ask, seen: Int) -> Int:
        away = living.shelf.excluded(ask.categories, ask.newer_than)
        named = living.model.items.codes(ask.exclude)
        return np.concatenate([away, named, seen] if ask.exclude_seen else [away, named]).astype(np.int64)

    def _remember_list(self, recommendation_id: str, items: Sequence[str]) -> None:
        if recommendation_id:
            with self._lists_lock:
                self._listed += len(items) - len(self._lists.pop(recommendation_id, ()))
                self._lists[recommendation_id] = frozenset(items)
                while len(self._lists) > LISTS_REMEMBERED or (self._listed > ITEMS_REMEMBERED and len(self._lists) > 1):
                    self._listed -= len(self._lists.popitem(last=False)[1])

    # Another model.

    def exchange(self, model: Model, lineage: Mapping[str, Any]) -> None:
        """Answer from another model from now on. Before, in this thread, it catches up with the log and reads the histories of
        those who asked last; no request waits for that, and none is dropped.
        """
        with self._exchanging:
            self._change_to(self._bring_to_life(model, lineage))

    def grow(self) -> int:
        """Let items that came up in the log, but not in training, join the catalogue; returns how many.

        None do where the model can't grow without training. States are made anew, so do it now and then, not with every item.
        """
        with self._exchanging:
            old = self.living
            if not (old.memory.unknown and isinstance(old.model, Growing) and old.model.growable):
                return 0
            with self._memory_lock:
                new = len(old.memory.new_items())
                if new == 0:
                    return 0
                _, memory = old.memory.grown()
            self._change_to(self._living(old.lineage, memory))
            return new

    def _change_to(self, living: Living) -> None:
        people = self._answers.submit(lambda: self.living.states.people()[-PEOPLE_WARM:]).result()
        for start in range(0, len(people), PEOPLE_AT_ONCE):
            living.states.of(people[start : start + PEOPLE_AT_ONCE])
        self._answers.submit(lambda: setattr(self, "living", living)).result()
        self.figures.models += 1

    # Learning without gradients.

    def _remember(self) -> None:
        while not self._stopping.wait(MEMORY_PAUSE):
            try:
                with self._memory_lock:
                    self.living.memory.catch_up()
                self.ledger.database.checkpoint()
            except Exception:
                log.exception("the model's memory doesn't follow the log; it is tried again")

    @contextmanager
    def _revising(self) -> Iterator[Memory]:
        """While histories are changed other than by new events, the memory stands still, and so does an exchange of models."""
        with self._exchanging, self._memory_lock:
            yield self.living.memory

    @property
    def lag(self) -> int:
        """How many events of the log the model's memory is behind."""
        return self.ledger.count_since(self.living.memory.learned)

    @property
    def drift(self) -> dict[str, float]:
        """How far what came since the model was trained is from what it was trained on, by input: see ``evaluation.drift``.

        Nothing where too little came, or the model doesn't say what it was trained on.
        """
        living = self.living
        known = living.lineage.get("inputs")
        sample = self.ledger.sample(living.memory.since, DRIFT_SAMPLE, DRIFT_EVENTS) if known else ((), (), ())
        if known is None or len(sample[0]) < DRIFT_FEWEST:
            return {}
        return drift(known, living.model.items, *sample)

    # People and items.

    def erase(self, user_id: str, now: int | None = None) -> dict[str, Any]:
        """Delete a user with all events and the state, and take what they taught the model's memory out of it, exactly.

        Returns a receipt, which the store keeps without the id: in its place stands ``fingerprint``, a keyed digest of it, by
        which whoever knows the id finds the receipt. What the model's weights learned of them in training leaves with the next
        training.
        """
        digest = blake2b(user_id.encode(errors="replace"), key=self.ledger.meta()["store"].encode(), digest_size=12)
        with self._revising() as memory:
            told = {"at": now, "fingerprint": digest.hexdigest(), "model": self.living.name}

            def receipt(gone: Sequence[Happened]) -> dict[str, Any]:
                learns = isinstance(memory.model, Learning)
                taken = sum(learns and memory.since < event.seq <= memory.learned for event in gone)
                before = sum(event.seq <= memory.since for event in gone)
                return {"events": len(gone), "taken_from_memory": taken, "in_training_data": before} | told

            gone = self.ledger.erase_user(user_id, receipt).result()
            if gone is None:
                raise UnknownError(f"there is no user {user_id[:80]!r}")
            made = receipt(gone)
            memory.revise([gone], [[]])
            self._answers.submit(lambda: self._forget(user_id)).result()
        if not self.ledger.database.empty_log():
            log.warning("what was erased stays in the write-ahead log until nobody reads what was before")
        return {"user_id": user_id} | made

    def _forget(self, user_id: str) -> None:
        """Let go of what is kept of somebody beside the ledger."""
        kept = [shown for shown in self.latest if shown.user_id != user_id]
        self.latest = deque(kept, LATEST_LISTS)
        self.living.states.forget(user_id)
        if self._ranking is not None:
            self._ranking.forget(user_id)

    def erase_events(self, user_id: str, item_id: str, event_type: str | None = None) -> int:
        """Delete a user's events of an item (of one type, or all); returns how many."""
        with self._revising() as memory:
            before, after = self.ledger.erase_events(user_id, item_id, event_type).result()
            memory.revise([before], [after])
        return len(before) - len(after)

    def merge(self, target: str, source: str) -> int:
        """Make an anonymous session (``source``) part of an account (``target``), and forget it; returns how many events
        moved.
        """
        for user in (target, source):
            checks.check_id(user, "user_id")
        if target == source:
            raise PenchantError("a user can't be merged with themselves")
        if not self.ledger.users(user_id=source):
            raise UnknownError(f"there is no user {source[:80]!r}")
        with self._revising() as memory:
            theirs, mine, after = self.ledger.merge(target, source).result()
            memory.revise([theirs, mine], [after])
            self._answers.submit(lambda: self._forget(source)).result()
        return len(after) - len(theirs)

    def put_users(self, users: Sequence[User]) -> Future[int]:
        """Add users, or replace what is known of them."""
        for user in users:
            checks.check_id(user.user_id, "user_id")
        return self.ledger.put_users(users)

    def patch_user(self, user_id: str, fields: Mapping[str, Any]) -> Future[bool]:
        """Change some of what is known of a user, for example ``{"comment": "a friend"}``; whether there was such a user."""
        checks.check_id(user_id, "user_id")
        return self.ledger.patch_user(user_id, fields)

    def put_items(self, items: Sequence[Item]) -> Future[int]:
        """Add items, or replace what is known of them."""
        for item in items:
            checks.check_id(item.item_id, "item_id")
        return self.ledger.put_items(items)

    def patch_item(self, item_id: str, fields: Mapping[str, Any]) -> Future[bool]:
        """Change some of what is known of an item, for example ``{"hidden": True}``."""
        checks.check_id(item_id, "item_id")
        replace(Item(item_id), **fields)
        return self.ledger.patch_item(item_id, fields)

    def delete_item(self, item_id: str) -> Future[bool]:
        """Recommend an item no more, and forget what is known of it."""
        checks.check_id(item_id, "item_id")
        return self.ledger.delete_item(item_id)
