"""Several models as one: a weighted sum of their scores, the weights learned on validation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from penchant.models.base import Model, Settings, known_events
from penchant.models.item_to_item import RING, ItemToItem, advanced_ring, initial_ring, newcomers, ring_within
from penchant.models.popularity import Popularity
from penchant.models.rows import PEOPLE_AT_ONCE, Lookup, add_rows, lookups, stacked
from penchant.models.weighing import learn_weights
from penchant.types import (
    UNKNOWN,
    Array,
    Arrays,
    Batch,
    Cases,
    Float,
    Growing,
    Int,
    Learning,
    Monitor,
    PenchantError,
    Progress,
    Sequences,
    UserState,
    Vocabulary,
    quiet,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Speaking:
    """The members whose scores count, with their weights, and what follows from them: found once, not at every request."""

    members: list[tuple[str, Model, float]]
    size: int
    """Of the blend's catalogue, with which a member's begins."""
    changes: int
    """How often the blend had changed by then."""

    @cached_property
    def window(self) -> int:
        """So many last items of a person are remembered; of them each member that needs some reads as many as it would."""
        return max((member.window for _, member, _ in self.members), default=0)

    @cached_property
    def remembering(self) -> dict[str, tuple[Model, dict[str, str]]]:
        """The members with states of their own: by the names of arrays in the blend's state their names in the member's."""
        return {
            name: (member, {f"{name}/{array}": array for array in member._initial(0)})
            for name, member, _ in self.members
            if not member.window
        }

    @cached_property
    def lookups(self) -> list[Lookup]:
        """The rows of last items that are summed, all members' together."""
        some = [(member, weight) for _, member, weight in self.members if isinstance(member, ItemToItem)]
        return lookups([(m.rows, np.float32(weight) * m.age_weights) for m, weight in some if self._is_whole(m)])

    @cached_property
    def level(self) -> Float:
        """What is added to everybody's scores, ``[V]``."""
        return self._level(newcomer=False)

    @cached_property
    def level_of_newcomers(self) -> Float:
        """The same for people without items."""
        return self._level(newcomer=True)

    @cached_property
    def others(self) -> list[tuple[str, Model, float]]:
        """The members that say more than rows and levels."""
        return [each for each in self.members if not (isinstance(each[1], ItemToItem | Popularity) and self._is_whole(each[1]))]

    def add(self, total: Float, recent: Int | None) -> None:
        """Add to ``total[n, V]`` what all but the ``others`` say of people with the ring ``recent``, if there is one."""
        newcomer = np.zeros(1, bool) if recent is None else newcomers(recent)
        total += np.where(newcomer[:, None], self.level_of_newcomers, self.level) if newcomer.any() else self.level
        if recent is not None:
            add_rows(total, recent, self.lookups)

    def _is_whole(self, member: Model) -> bool:
        """Whether a member knows all items."""
        return len(member.items) == self.size

    def _level(self, *, newcomer: bool) -> Float:
        total = np.zeros(self.size, np.float32)
        for _, member, weight in self.members:
            if isinstance(member, ItemToItem | Popularity) and self._is_whole(member):
                total += np.float32(weight) * member.level(newcomer=newcomer)
        return total


class Blend(Model):
    """Scores summed with weights, learned on validation; without one, all weigh 1. Subclasses say who the members are.

    A state is the members' states side by side; of rings of last items one is enough for all. Parts of one name are summed.
    """

    def __init__(self, settings: Settings | None = None, **overrides: object) -> None:
        super().__init__(settings, **overrides)
        self.members: dict[str, Model] = {}
        self._changes = 0
        self._found = Speaking([], 0, -1)
        self.coefficients = np.zeros(0, np.float32)
        self._given: Mapping[str, Model] = {}
        self._earlier: tuple[Mapping[str, Model], Sequences] | None = None

    @abstractmethod
    def _make_members(self) -> dict[str, Model]:
        """The members, untrained, by the names their weights and parts of states get."""

    @property
    def _exclude_seen(self) -> bool:
        """Whether the weights are for lists without the items a person already has."""
        return True

    def _usable(self, name: str, train: Sequences) -> bool:
        """Whether a member can learn from this data."""
        return True

    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        self.members = {}
        for name, member in self._make_members().items():
            given = self._given.get(name)
            if given is not None and given.made_with == member.settings:
                self.members[name] = deepcopy(given)
            elif self._usable(name, train):
                monitor.progress(f"training {name}", 0, 0)
                self.members[name] = self._trained(name, member, train, valid, monitor)
        self.set_histories(self.histories())
        if valid is None:
            self.coefficients = np.ones(len(self.members), np.float32)
        else:
            self.coefficients = learn_weights(list(self.members.values()), valid, exclude_seen=self._exclude_seen)
        self._lay_together()
        chosen = zip(self.members, self.coefficients, strict=True)
        monitor.progress("weights: " + ", ".join(f"{name} {weight:.3g}" for name, weight in chosen), 0, 0)

    def _trained(self, name: str, member: Model, train: Sequences, valid: Cases | None, monitor: Monitor) -> Model:
        """A member, trained: from what one of its name learned earlier, where there is one."""
        if self._earlier is not None and name in self._earlier[0]:
            members, learned = self._earlier
            return members[name].updated(train, valid, learned, progress=monitor.progress)
        return member.fit(
            train,
            valid,
            progress=monitor.progress,
            checkpoint=monitor.checkpoint and monitor.checkpoint / name,
            observe=monitor.observe,
            profile=monitor.profile,
        )

    def varied(self, train: Sequences, valid: Cases | None, *, progress: Progress = quiet, **settings: object) -> Self:
        """A model like this one, fit to the same data, of which some settings differ; the weights are chosen anew.

        Members that these settings don't touch aren't trained again.
        """
        again = type(self)(self.settings, **settings)
        again._given = self.members
        again.fit(train, valid, progress=progress)
        again._given = {}
        return again

    def updated(self, train: Sequences, valid: Cases | None, learned: Sequences, *, progress: Progress = quiet) -> Self:
        """See ``Model``: each member goes on from what it learned; the weights are chosen anew."""
        again = type(self)(self.settings)
        again._earlier = self.members, learned
        again.fit(train, valid, progress=progress)
        again._earlier = None
        return again

    def refitted(self, train: Sequences, *, progress: Progress = quiet, checkpoint: Path | None = None) -> Self:
        """See ``Model``: the weights stay."""
        again = type(self)(self.settings)
        again.members = {
            name: member.refitted(train, progress=progress, checkpoint=checkpoint and checkpoint / name)
            for name, member in self.members.items()
        }
        first = next(iter(again.members.values()))
        again.items, again.event_types, again.coefficients = first.items, first.event_types, self.coefficients
        again.learned_from = first.learned_from
        again.set_histories(again.histories())
        again._lay_together()
        return again

    def histories(self) -> dict[str, list[dict[str, float]]]:
        """The members', after their names."""
        members = self.members.items()
        return {f"{name}/{part}": history for name, member in members for part, history in member.histories().items()}

    def set_histories(self, histories: Mapping[str, list[dict[str, float]]]) -> None:
        """The members take theirs back; the longest is the blend's ``history`` too."""
        for name, member in self.members.items():
            member.set_histories(_of(histories, name))
        self.history = max((member.history for member in self.members.values()), key=len)

    @property
    def reach(self) -> int:
        """That of the member that reaches furthest."""
        return max((member.reach for member in self._learning()), default=0)

    def learn(self, histories: Sequences) -> None:
        """Let the members that learn without gradients add some histories; states stay valid."""
        for member in self._learning():
            member.learn(histories)
        self._lay_together()
        self._has_learned()

    def learn_next(self, before: Sequences, events: Sequences) -> None:
        """Let them add what ``events`` add behind ``before``."""
        for member in self._learning():
            member.learn_next(before, events)
        self._lay_together()
        self._has_learned()

    def unlearn(self, histories: Sequences) -> None:
        """Let them take away what ``learn`` added for the same histories: all of them, or none."""
        done: list[Learning] = []
        try:
            for member in self._learning():
                member.unlearn(histories)
                done.append(member)
        except PenchantError:
            for member in done:
                member.learn(histories)
            raise
        self._lay_together()
        self._has_learned()

    @property
    def coefficients(self) -> Float:
        """The weights of the members, ``[members] float32``."""
        return self._coefficients

    @coefficients.setter
    def coefficients(self, weights: Float) -> None:
        self._coefficients = weights
        self._changes += 1

    def _lay_together(self) -> None:
        """After a change, lay the rows of members that look things up in sparse ones together: they are asked together."""
        sparse = [m for m in self.members.values() if isinstance(m, ItemToItem) and len(m.items) == len(self.items)]
        if len({id(member.rows.whole) for member in sparse}) > 1:
            for member, rows in zip(sparse, stacked([member.rows for member in sparse]), strict=True):
                member.rows = rows
        self._changes += 1

    @property
    def growable(self) -> bool:
        """Whether one of the members is."""
        return any(isinstance(member, Growing) and member.growable for member in self.members.values())

    def grown(self, items: Sequence[str]) -> Self:
        """A copy with more items at the end of the catalogue, for a service: the next training makes a model that is saved.

        Members that can grow do; the others keep their catalogue, and say of a new item what they say of items on average, so
        that it is recommended for what the others have seen of it.
        """
        larger = type(self)(self.settings)
        larger.items, larger.event_types = Vocabulary((*self.items.ids, *items)), self.event_types
        larger.history, larger.coefficients = self.history, self.coefficients
        for name, member in self.members.items():
            grows = isinstance(member, Growing) and member.growable
            larger.members[name] = member.grown(items) if grows else member  # type: ignore[attr-defined]
        larger._lay_together()
        return larger

    def _learning(self) -> list[Learning]:
        return [member for member in self.members.values() if isinstance(member, Learning)]

    def weights(self) -> Arrays:
        """The members' weights, after their names, and the ``coefficients``."""
        return self._joined({name: member.weights() for name, member in self.members.items()}) | {
            "coefficients": self.coefficients
        }

    def state_weights(self) -> Arrays:
        """The members', and which of them are in a state: those with a weight."""
        theirs = self._joined({name: member.state_weights() for name, member in self.members.items()})
        return theirs | {"speaking": self.coefficients != 0}

    def _joined(self, arrays: Mapping[str, Arrays]) -> dict[str, Array]:
        return {f"{name}/{key}": array for name, mine in arrays.items() for key, array in mine.items()}

    def _set_weights(self, weights: Arrays) -> None:
        groups: dict[str, dict[str, Array]] = {}
        for key, array in weights.items():
            name, _, rest = key.partition("/")
            groups.setdefault(name, {})[rest] = array
        coefficients = groups.pop("coefficients", {}).get("")
        # A member that couldn't learn from the data has no weights.
        members = {name: member for name, member in self._make_members().items() if name in groups}
        if coefficients is None or coefficients.shape != (len(members),) or groups.keys() - members.keys():
            raise PenchantError("the weights don't fit the configuration: coefficients or members")
        for name, member in members.items():
            member.items, member.event_types = self.items, self.event_types
            member.set_weights(groups[name])
        self.members, self.coefficients = members, coefficients
        self._lay_together()

    def _initial(self, n: int) -> Arrays:
        speaking = self._speaking
        state: dict[str, Array] = dict(initial_ring(n, speaking.window) if speaking.window else {})
        for member, arrays in speaking.remembering.values():
            first = member._initial(n)
            state |= {whole: first[own] for whole, own in arrays.items()}
        return state

    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        speaking = self._speaking
        state: dict[str, Array] = {RING: advanced_ring(arrays[RING], batch)} if speaking.window else {}
        for member, names in speaking.remembering.values():
            after = member._advance({own: arrays[whole] for whole, own in names.items()}, self._known_to(member, batch))
            state |= {whole: after[own] for whole, own in names.items()}
        return state

    @property
    def _speaking(self) -> Speaking:
        """The members with a weight, as they are now."""
        if self._found.changes != self._changes:
            changes = self._changes  # read first, since a thread may let the members learn while another asks
            weighed = zip(self.members.items(), self.coefficients.tolist(), strict=True)
            members = [(name, member, weight) for (name, member), weight in weighed if weight]
            self._found = Speaking(members, len(self.items), changes)
        return self._found

    def _known_to(self, member: Model, batch: Batch) -> Batch:
        """The events of items in a member's catalogue, which is the beginning of the blend's."""
        size = len(member.items)
        if size == len(self.items):
            return batch
        return known_events(replace(batch, item=np.where(batch.item < size, batch.item, np.int32(UNKNOWN))))

    def _state_of(self, name: str, member: Model, state: UserState) -> UserState:
        """A member's own state, out of what is remembered."""
        if member.window:
            recent = state.arrays[RING]
            if len(member.items) < len(self.items):
                recent = ring_within(recent, len(member.items))
            mine: Arrays = {RING: recent[:, -member.window :]}
        else:
            mine = {own: state.arrays[whole] for whole, own in self._speaking.remembering[name][1].items()}
        return UserState(member.state_id, mine, state.timestamp, state.event_id)

    def score(self, state: UserState, now: Int) -> Float:
        """The weighted sum of the members' scores."""
        speaking = self._speaking
        total: Float | None = None
        for name, member, weight in speaking.others:
            scores = member.weighed_scores(self._state_of(name, member, state), now, weight)
            new = len(self.items) - len(member.items)
            if new:
                scores = np.concatenate([scores, np.repeat(scores.mean(axis=1, keepdims=True), new, axis=1)], axis=1)
            total = scores if total is None else np.add(total, scores, out=total)
        if total is None:
            total = np.zeros((len(state), len(self.items)), np.float32)
        recent = state.arrays.get(RING)
        for start in range(0, len(total), PEOPLE_AT_ONCE):
            some = slice(start, start + PEOPLE_AT_ONCE)
            speaking.add(total[some], None if recent is None else recent[some])
        return total

    def parts(self, state: UserState, now: Int, item: Int) -> dict[str, Float]:
        """The members' parts, weighted; those of one name summed."""
        total: dict[str, Float] = {}
        for name, member, weight in self._speaking.members:
            mine = self._state_of(name, member, state)
            new = item >= len(member.items)
            said = member.parts(mine, now, np.where(new, 0, item))
            if new.any():
                average = member.score(mine, now).mean(axis=1, keepdims=True)
                said = {name: np.where(new, np.float32(0), part) for name, part in said.items()}
                said["new_item"] = np.where(new, average, np.float32(0))
            for part, values in said.items():
                total[part] = total.get(part, np.float32(0)) + np.float32(weight) * values
        return total


def _of(named: Mapping[str, T], name: str) -> dict[str, T]:
    return {key.removeprefix(f"{name}/"): value for key, value in named.items() if key.startswith(f"{name}/")}
