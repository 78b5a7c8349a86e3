"""What every model shares: the catalogue, the cursor, unknown items, settings, a name for what was learned."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from penchant import sequences as seq
from penchant.types import (
    NEVER,
    UNKNOWN,
    Arrays,
    Batch,
    Cases,
    Float,
    Int,
    Monitor,
    Observer,
    PenchantError,
    Progress,
    Sequences,
    UserState,
    Vocabulary,
    quiet,
    text,
)

STEPS_AT_ONCE = 512
ROWS_AT_ONCE = 256
"""People read together: of more, what networks remember of each falls out of the cache."""


@dataclass(frozen=True)
class Settings:
    """A model's hyperparameters, typed and with defaults. Subclasses check their ranges in ``__post_init__``."""

    @classmethod
    def parse(cls, words: Mapping[str, Any]) -> Self:
        """Settings from a configuration file or ``--set key=value`` words. ``PenchantError`` names what doesn't fit."""
        kinds: dict[str, Any] = {f.name: type(f.default) for f in fields(cls)}
        values: dict[str, Any] = {}
        for name, word in words.items():
            if name not in kinds:
                near = get_close_matches(name.lower(), kinds, n=1)
                hint = f"did you mean {near[0]}? " if near else ""
                has = f"the settings are {', '.join(kinds)}" if kinds else "this model has none"
                raise PenchantError(f"there is no setting {name!r}; {hint}{has}")
            try:
                values[name] = _truth(word) if kinds[name] is bool else kinds[name](word)
                if isinstance(values[name], float) and not isfinite(values[name]):
                    raise ValueError("not finite")
                if not isinstance(word, str) and values[name] != word:
                    raise ValueError("part of the value would be lost")
            except (ValueError, TypeError, OverflowError) as error:
                raise PenchantError(f"setting {name}: {word!r} is not {_KINDS[kinds[name]]}") from error
        return cls(**values)

    def check(self, holds: bool, rule: str) -> None:
        """Raise ``PenchantError`` with the rule that a setting breaks."""
        if not holds:
            raise PenchantError(f"setting {rule}")


_KINDS = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}


def _truth(word: Any) -> bool:
    truths = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if str(word).lower() not in truths:
        raise ValueError("neither true nor false")
    return truths[str(word).lower()]


class Model(ABC):
    """A recommender. Subclasses learn in ``_fit``, remember in ``_advance`` and answer in ``score`` and ``parts``.

    The base class keeps the law's bookkeeping in one place: unknown items never reach ``_advance``, the cursor moves
    with every event, and a state of another model is refused.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type[Settings]] = Settings
    items: Vocabulary

    def __init__(self, settings: Settings | None = None, **overrides: Any) -> None:
        base = settings or self.settings_type()
        self.settings = self.settings_type.parse(asdict(base) | overrides)
        self.items = Vocabulary(())
        self.event_types: tuple[str, ...] = ()
        self.history: list[dict[str, float]] = []
        """What training measured, one entry an epoch."""
        self.learned_from = ""
        """The ``sequences.digest`` of the histories it was fit to; empty where it wasn't fit, but put together."""

    # What a model implements.

    @abstractmethod
    def _fit(self, train: Sequences, valid: Cases | None, monitor: Monitor) -> None:
        """Learn from histories coded in ``self.items``."""

    @abstractmethod
    def _initial(self, n: int) -> Arrays:
        """The arrays of ``n`` empty states."""

    @abstractmethod
    def _advance(self, arrays: Arrays, batch: Batch) -> Arrays:
        """The arrays after the events of ``batch``, all of known items."""

    @abstractmethod
    def weights(self) -> Arrays:
        """All that was learned, by name."""

    @abstractmethod
    def _set_weights(self, weights: Arrays) -> None:
        """Take back what ``weights`` gave. ``PenchantError`` where arrays are missing or of another shape (see ``expect``)."""

    @abstractmethod
    def score(self, state: UserState, now: Int) -> Float:
        """How much each person would like each item at ``now[n]``: ``[n, V] float32``."""

    @abstractmethod
    def parts(self, state: UserState, now: Int, item: Int) -> dict[str, Float]:
        """The addends of the scores of ``item[n, k]``, by name, each ``[n, k]``; they sum to the score."""

    # What all models do alike.

    @property
    def made_with(self) -> Settings:
        """The settings it was made with, of which validation may have changed some."""
        return self.settings

    @property
    def window(self) -> int:
        """How many last items a state holds, where it is a ring of them and nothing else; 0 where it isn't."""
        return 0

    def weighed_scores(self, state: UserState, now: Int, weight: float) -> Float:
        """``weight`` times the scores: what a blend asks for."""
        scores = self.score(state, now)
        scores *= np.float32(weight)
        return scores

    def fit(
        self,
        train: Sequences,
        valid: Cases | None = None,
        *,
        progress: Progress = quiet,
        checkpoint: Path | None = None,
        observe: Observer | None = None,
        profile: Path | None = None,
    ) -> Self:
        """Learn from histories; stop where ``valid`` says so. The catalogue becomes the items that occur in ``train``.

        Deterministic given the settings. With ``checkpoint``, long training saves itself to that path after each epoch and
        goes on from it if it is there (a file, or for models of several parts a folder of them); ``observe`` is told of
        each epoch; ``profile`` is a file for a trace of the first steps. Raises ``PenchantError`` where there is nothing to
        learn from, or nobody to validate with.
        """
        if valid is not None and len(valid) == 0:
            raise PenchantError("the validation part is empty, so nothing can be chosen by it; fit without one, or split anew")
        learned_from = seq.digest(train)
        train = seq.occurring(seq.known_only(train))
        if len(train.items) == 0:
            raise PenchantError("there are no events to learn from; the training part of this split is empty")
        self.items, self.event_types = train.items, train.event_types
        self.history = []
        self._fit(train, valid, Monitor(progress, checkpoint, observe, profile))
        self.learned_from = learned_from
        self._forget_ids()
        return self

    def refitted(self, train: Sequences, *, progress: Progress = quiet, checkpoint: Path | None = None) -> Self:
        """A model like this one that learned from ``train``, keeping what validation chose for this one."""
        return type(self)(self.settings).fit(train, progress=progress, checkpoint=checkpoint)

    def updated(self, train: Sequences, valid: Cases | None, learned: Sequences, *, progress: Progress = quiet) -> Self:
        """A model like this one that has learned ``train``, of which this one knows ``learned``, the first events of the same
        people: going on from what this one learned where that saves training, which here it doesn't.
        """
        return type(self)(self.settings).fit(train, valid, progress=progress)

    def histories(self) -> dict[str, list[dict[str, float]]]:
        """What training measured of each part that trains in epochs, by its name (empty: the model itself)."""
        return {"": self.history} if self.history else {}

    def set_histories(self, histories: Mapping[str, list[dict[str, float]]]) -> None:
        """Take back what ``histories`` gave: ``refitted`` goes by it."""
        self.history = histories.get("", [])

    def set_weights(self, weights: Arrays) -> None:
        """Take back what ``weights`` gave. ``PenchantError`` where arrays are missing or of another shape."""
        self._set_weights(weights)
        self._forget_ids()

    def state_weights(self) -> Arrays:
        """Of the ``weights``, those a user state depends on: all, unless a model says otherwise."""
        return self.weights()

    @property
    def id(self) -> str:
        """A digest of everything learned: equal ids mean equal scores. ``PenchantError`` before ``fit``."""
        if "_id" not in self.__dict__:
            self.__dict__["_id"] = self._digest(self.weights)
        return str(self.__dict__["_id"])

    @property
    def state_id(self) -> str:
        """A digest of what a state depends on: states stay valid while it stays. ``PenchantError`` before ``fit``."""
        if "_state_id" not in self.__dict__:
            self.__dict__["_state_id"] = self._digest(self.state_weights)
        return str(self.__dict__["_state_id"])

    def _digest(self, weights: Callable[[], Arrays]) -> str:
        if len(self.items) == 0:
            raise PenchantError(f"this {self.name} has learned nothing yet; fit it or load one that was saved")
        digest = hashlib.sha256(json.dumps([self.name, asdict(self.settings), self.items.ids]).encode())
        for name, array in sorted(weights().items()):
            digest.update(f"{name} {array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        return f"{self.name}-{digest.hexdigest()[:16]}"

    def _forget_ids(self) -> None:
        """What was learned has changed: the digests have to be made anew."""
        self._has_learned()
        self.__dict__.pop("_state_id", None)

    def _has_learned(self) -> None:
        """A memory has learned or unlearned events: states stay valid, and ``state_id`` what it is."""
        self.__dict__.pop("_id", None)

    def initial(self, n: int) -> UserState:
        """The state of ``n`` people nothing is known of."""
        return UserState(self.state_id, self._initial(n), np.full(n, NEVER, np.int64), text([""] * n))

    def advance(self, state: UserState, batch: Batch) -> UserState:
        """The state after the batch's events, one row per person; items are codes in ``self.items``.

        Raises ``PenchantError`` for a state of another model.
        """
        if state.model_id != self.state_id:
            raise PenchantError(
                f"this state belongs to model {state.model_id}, not to {self.state_id}; encode the history again"
            )
        arrays = self._advance(state.arrays, known_events(batch))
        rows = np.flatnonzero(batch.lengths)
        last = batch.lengths[rows] - 1
        timestamp, event_id = batch.timestamp[rows, last], batch.event_id[rows, last]
        if len(rows) < len(state):
            timestamp, event_id = _put(state.timestamp, rows, timestamp), _put(state.event_id, rows, event_id)
        return UserState(state.model_id, arrays, timestamp, event_id)

    def encode(self, histories: Sequences, *, progress: Progress = quiet) -> UserState:
        """The states of people after their whole histories, one row a user, in the order of ``histories``."""
        coded = seq.recode(histories, self.items, self.event_types)
        states: list[UserState] = []
        places: list[Int] = []
        done = 0
        for rows, batch in seq.batches(coded, ROWS_AT_ONCE):
            state = self.initial(len(rows))
            for start in range(0, batch.item.shape[1], STEPS_AT_ONCE):
                state = self.advance(state, _window(batch, start, start + STEPS_AT_ONCE))
            states.append(state)
            places.append(rows)
            done += len(rows)
            progress("reading histories", done, len(coded))
        if not states:
            return self.initial(0)
        order = np.empty(len(coded), np.int64)
        order[np.concatenate(places)] = np.arange(len(coded))
        return UserState.concatenate(states)[order]


def _put(values: Any, rows: Int, new: Any) -> Any:
    """A copy of ``values`` with ``new`` ones in some rows."""
    values = values.copy()
    values[rows] = new
    return values


def _window(batch: Batch, start: int, stop: int) -> Batch:
    """Columns ``start`` to ``stop`` of a batch."""
    return Batch(
        item=batch.item[:, start:stop],
        timestamp=batch.timestamp[:, start:stop],
        event_type=batch.event_type[:, start:stop],
        event_id=batch.event_id[:, start:stop],
        lengths=np.clip(batch.lengths - start, 0, stop - start),
    )


def known_events(batch: Batch) -> Batch:
    """The batch without its events of unknown items."""
    if batch.item.min(initial=0) != UNKNOWN:
        return batch
    keep = batch.mask & (batch.item != UNKNOWN)
    if keep.sum() == batch.lengths.sum():
        return batch
    first = np.argsort(~keep, axis=1, kind="stable")
    lengths = keep.sum(axis=1)
    width = int(lengths.max(initial=0))

    def moved(values: Any) -> Any:
        return np.take_along_axis(values, first, axis=1)[:, :width]

    return replace(
        batch,
        item=np.maximum(moved(batch.item), 0),
        timestamp=moved(batch.timestamp),
        event_type=moved(batch.event_type),
        event_id=moved(batch.event_id),
        lengths=lengths,
    )


def expect(weights: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ``PenchantError`` unless ``weights`` are exactly the named arrays of these shapes."""
    found = {name: array.shape for name, array in weights.items()}
    if found != dict(shapes):
        wrong = sorted(found.items() ^ shapes.items())[0]
        raise PenchantError(f"the weights don't fit the configuration: {wrong[0]} is {found.get(wrong[0], 'missing')}")
