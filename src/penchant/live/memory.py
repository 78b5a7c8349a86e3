"""What a model that learns without gradients has learned of the log: kept up with it, a little at a time, and taken back
exactly.

The model learned its training data; what the store got after that is learned here, in the order it arrived, from the log
itself: at the start, after each request, and what other processes wrote. Learning only ever changes counts, never a state.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from penchant.live.ledger import Ledger
from penchant.live.records import Happened
from penchant.live.states import sequences_of
from penchant.models.base import Model
from penchant.types import NEVER, UNKNOWN, Growing, Learning, PenchantError, Sequences, Vocabulary

AT_ONCE, AT_ONCE_AT_FIRST = 5_000, 20_000
"""Events learned in one go, at most: reading them keeps other threads waiting. Many at once take a half of the time each."""


def learned_before(ledger: Ledger, lineage: Mapping[str, Any]) -> int:
    """The number up to which a model has learned a store: where it was updated from it, or was trained on what it was loaded
    with, or a part of that.
    """
    meta = ledger.meta()
    if lineage.get("store") == meta["store"]:
        return int(lineage["learned_to"])
    if "loaded" not in meta or lineage.get("dataset") != meta["dataset"]:
        return 0
    return int(json.loads(meta.get("parts", "{}")).get(part_learned(lineage), meta["loaded"]))


def part_learned(lineage: Mapping[str, Any]) -> str:
    """The name of the part of its dataset that a model was trained on."""
    return f"{lineage.get('split')}: {lineage.get('trained_on')}"


def brought_up(ledger: Ledger, model: Model, lineage: Mapping[str, Any]) -> Memory:
    """The memory of a model that comes to a ledger, once it has learned all that is new; its ``model`` knows new items too."""
    memory = Memory(ledger, model, learned_before(ledger, lineage))
    memory.begin()
    if isinstance(model, Growing) and model.growable and memory.new_items():
        _, memory = memory.grown()
    return memory


class Memory:
    """Keeps one model up with one ledger. Used by one thread; others may score with the model meanwhile.

    ``learned`` is the number of the last event learned, ``since`` that of the first this memory had to learn: what came before
    is the model's own.
    """

    def __init__(self, ledger: Ledger, model: Model, since: int) -> None:
        self._ledger = ledger
        self.model = model
        self.since = self.learned = since
        self.unknown: Counter[str] = Counter()
        """Events learned of each item that the model doesn't know, but can come to know: see ``grown``."""
        self.refused = 0
        """How often what should be taken back had never been learned."""

    def begin(self) -> None:
        """Learn all that the log has and the model hasn't, in big bites: nobody waits for this memory yet."""
        if not isinstance(self.model, Learning):
            self.learned = self._ledger.clock()
        while self.catch_up(AT_ONCE_AT_FIRST):
            pass

    def catch_up(self, most: int = AT_ONCE) -> int:
        """Learn the next events of the log, up to ``most``; returns how many there were. A model that doesn't learn lets them
        pass.
        """
        arrived = self._ledger.since(self.learned, most)
        if arrived and isinstance(self.model, Learning):
            new: dict[str, list[Happened]] = {}
            for user, event in arrived:
                new.setdefault(user, []).append(event)
            last, clear = self._last(new)
            if clear:
                self.model.learn_next(last, self._sequences({user: _in_order(new[user]) for user in clear}))
            for user in clear:
                del new[user]
            self._learn_behind_whole({user: _in_order(events) for user, events in new.items()})
        if arrived:
            self._note(event for _, event in arrived)
            self.learned = arrived[-1][1].seq
        return len(arrived)

    def _last(self, new: Mapping[str, Sequence[Happened]]) -> tuple[Sequences, list[str]]:
        """The last learned events of those users to whom no more of the history matters, and who these are: those whose new
        events all came after, and whose last items the model knows, so that it needn't look further back. Without event ids.
        """
        assert isinstance(self.model, Learning)
        users = list(new)
        found = self._ledger.last_events(users, self.learned, self.model.reach)
        order = np.lexsort((-np.array(found.back, np.int64), np.array(found.place, np.int64)))
        place = np.array(found.place, np.int64)[order]
        moment = np.array(found.timestamp, np.int64)[order]
        item = self.model.items.codes(found.item_id)[order]
        kind = Vocabulary(self.model.event_types).codes(found.event_type)[order]
        first = np.array([min(event.timestamp for event in events) for events in new.values()], np.int64)
        unclear = np.zeros(len(users), bool)
        unclear[place[(item == UNKNOWN) | (moment >= first[place])]] = True  # of one moment, ids would have to tell
        keep = ~unclear[place]
        clear = [user for user, doubt in zip(users, unclear.tolist(), strict=True) if not doubt]
        counts = np.bincount(place, minlength=len(users))[~unclear]
        return Sequences(
            users=Vocabulary(tuple(clear)),
            items=self.model.items,
            event_types=self.model.event_types,
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            item=item[keep],
            timestamp=moment[keep],
            event_type=kind[keep].astype(np.int16),
            event_id=np.full(int(counts.sum()), "", np.dtypes.StringDType()),
            clock="real",
            content_hash="ledger",
        ), clear

    def _learn_behind_whole(self, new: Mapping[str, list[Happened]]) -> None:
        """Learn new events of users of whom the whole history has to be looked at."""
        assert isinstance(self.model, Learning)
        whole = self._ledger.histories([(user, NEVER, "") for user in new])
        before = {user: [e for e in history if e.seq <= self.learned] for user, history in zip(new, whole, strict=True)}
        late = {user for user in new if before[user] and _place(before[user][-1]) > _place(new[user][0])}
        timely = {user: events for user, events in new.items() if user not in late}
        if timely:
            self.model.learn_next(self._sequences({user: before[user] for user in timely}), self._sequences(timely))
        if late:
            now = {user: _in_order([*before[user], *new[user]]) for user in late}
            self._learn_people(now, {user: before[user] for user in now})

    def _note(self, events: Iterable[Happened], times: int = 1) -> None:
        """Count events of unknown items, or take them back. Of no use to a model that can't grow, and they'd never leave."""
        if not (isinstance(self.model, Growing) and self.model.growable):
            return
        for event in events:
            if self.model.items.code(event.item_id) == UNKNOWN:
                self.unknown[event.item_id] += times
                if self.unknown[event.item_id] <= 0:
                    del self.unknown[event.item_id]

    def new_items(self) -> tuple[str, ...]:
        """The unknown items that are still in the log (whoever met them may have been erased), in the order they came."""
        return tuple(self._ledger.in_order_of_arrival(list(self.unknown), self.since))

    def grown(self) -> tuple[Model, Memory]:
        """The model with the unknown items in its catalogue, and its memory: what it would have learned, had it known them.

        Raises ``PenchantError`` where a model can't grow.
        """
        if not (isinstance(self.model, Growing) and self.model.growable):
            raise PenchantError("the model can't grow without training")
        items = self.new_items()
        model = self.model.grown(items)
        assert isinstance(model, Model)
        memory = Memory(self._ledger, model, self.since)
        memory.learned = self.learned
        # Who met the new items passed over them when learned; now they are told again, with them.
        people = self._ledger.who_met(items, self.since)
        whole = self._ledger.histories([(user, NEVER, "") for user in people])
        learned = {
            user: [event for event in history if event.seq <= self.learned] for user, history in zip(people, whole, strict=True)
        }
        memory.refused += not memory._learn(memory._sequences(learned), self._sequences(learned))
        return model, memory

    def revise(self, before: Sequence[Sequence[Happened]], after: Sequence[Sequence[Happened]]) -> None:
        """Some histories were changed other than by new events: take back what was learned of them, learn what they are now.

        What the model was trained on stays in it: that can't be told apart any more, until it is trained again.
        """
        if isinstance(self.model, Learning):
            old = {str(place): [e for e in history if e.seq <= self.learned] for place, history in enumerate(before)}
            now = {str(place): [e for e in history if e.seq <= self.learned] for place, history in enumerate(after)}
            trained = {f"trained {place}": [e for e in history if e.seq <= self.since] for place, history in old.items()}
            kept = {f"trained {place}": [e for e in history if e.seq <= self.since] for place, history in now.items()}
            self.refused += not self._learn(self._sequences(now | trained), self._sequences(old | kept))
        for histories, times in ((after, 1), (before, -1)):
            for history in histories:
                self._note((e for e in history if self.since < e.seq <= self.learned), times)

    def _sequences(self, histories: Mapping[str, Sequence[Happened]]) -> Sequences:
        return sequences_of(self.model, list(histories), list(histories.values()))

    def _learn_people(self, now: Mapping[str, Sequence[Happened]], before: Mapping[str, Sequence[Happened]]) -> None:
        """Learn people's histories in the place of earlier ones; where that can't be done for all at once, one by one."""
        if self._learn(self._sequences(now), self._sequences(before)):
            return
        for user in now if len(now) > 1 else ():
            self._learn_people({user: now[user]}, {user: before[user]})
        self.refused += len(now) == 1

    def _learn(self, new: Sequences, old: Sequences) -> bool:
        """Learn ``new`` in the place of ``old``; false where the model was trained on less than the store was loaded with, and
        has not learned what it should take back: then its counts stay as they were.
        """
        assert isinstance(self.model, Learning)
        self.model.learn(new)
        try:
            self.model.unlearn(old)
        except PenchantError:
            self.model.unlearn(new)
            return False
        return True


def _place(event: Happened) -> tuple[int, str]:
    return event.timestamp, event.event_id


def _in_order(events: list[Happened]) -> list[Happened]:
    return sorted(events, key=_place) if len(events) > 1 else events
