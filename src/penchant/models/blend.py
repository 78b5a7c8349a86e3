"""Several models as one: a weighted sum of their scores, the weights learned on validation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from penchant.models.base import Model, Settings, known_events
from penchant.models.item_to_item import RING, ItemToItem, advanced_ring, initial_ring, newcomers, ring_within
from penchant.models.rows import add_rows, stacked
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


class Blend(Model):
    """Scores summed with weights, learned on validation; without one, all weigh 1. Subclasses say who the members are.

    A state is the members' states side by side; of rings of last items one is enough for all. Parts of one name are summed.
    """

    def __init__(self, settings: Settings | None = None, **overrides: object) -> None:
        super().__init__(settings, **overrides)
        self.members: dict[str, Model] = {}
        self.coefficients: Float = np.zeros(0, np.float32)
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
        self._lay_together()
        if valid is None:
            self.coefficients = np.ones(len(self.members), np.float32)
        else:
            self.coefficients = learn_weights(list(self.members.values()), valid, exclude_seen=self._exclude_seen)
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
        """Let them take away what ``learn`` added for the same histories."""
        for member in self._learning():
            member.unlearn(histories)
        self._lay_together()
        self._has_learned()

    def _lay_together(self) -> None:
        """Lay the rows of members that look things up in sparse ones together, since they are asked together."""
        sparse = [m for m in self.members.values() if isinstance(m, ItemToItem) and len(m.items) == len(self.items)]
        if len({id(member.rows.whole) for member in sparse}) > 1:
            for member, rows in zip(sparse, stacked([member.rows for member in sparse]), strict=True):
                member.rows = rows

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
        window, others = self._states
        return self._joined({name: m._initial(n) for name, m in others}) | (initial_ring(n, window) if window else {})

    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        window, others = self._states
        after = self._joined({name: m._advance(_of(arrays, name), self._known_to(m, batch)) for name, m in others})
        return after | ({RING: advanced_ring(arrays[RING], batch)} if window else {})

    @property
    def _states(self) -> tuple[int, list[tuple[str, Model]]]:
        """What is remembered of a person: a ring of last items so long, of which each member that has one reads as much as it
        would remember, and the states of the others. Members without a weight need none.
        """
        speaking = [(name, member, member.window) for name, member, _ in self._speaking()]
        window = max((window for _, _, window in speaking), default=0)
        return window, [(name, member) for name, member, window in speaking if not window]

    def _speaking(self) -> Iterator[tuple[str, Model, float]]:
        """The members whose scores count, and their weights."""
        for (name, member), weight in zip(self.members.items(), self.coefficients.tolist(), strict=True):
            if weight:
                yield name, member, weight

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
            mine = _of(state.arrays, name)
        return UserState(member.state_id, mine, state.timestamp, state.event_id)

    def score(self, state: UserState, now: Int) -> Float:
        """The weighted sum of the members' scores."""
        total = np.zeros((len(state), len(self.items)), np.float32)
        self.add_scores(total, state, now, 1)
        return total

    def add_scores(self, total: Float, state: UserState, now: Int, weight: float) -> None:
        """See ``Model``. What members look up in sparse rows is summed in one product over all of them, and nothing dense is
        made of each that needn't be.
        """
        wanted = []
        for name, member, share in self._speaking():
            share, size = weight * share, len(member.items)
            if size < len(self.items):
                scores = np.float32(share) * member.score(self._state_of(name, member, state), now)
                known, new = total[:, :size], total[:, size:]
                known += scores
                new += scores.mean(axis=1, keepdims=True)
            elif isinstance(member, ItemToItem):
                wanted.append(member.wanted(share))
                background = member.background(newcomers(state.arrays[RING]))
                if background is not None:
                    total += np.float32(share) * background
            else:
                member.add_scores(total, self._state_of(name, member, state), now, share)
        if wanted:
            add_rows(total, state.arrays[RING], wanted)

    def parts(self, state: UserState, now: Int, item: Int) -> dict[str, Float]:
        """The members' parts, weighted; those of one name summed."""
        total: dict[str, Float] = {}
        for name, member, weight in self._speaking():
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
