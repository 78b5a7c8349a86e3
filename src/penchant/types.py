"""The whole vocabulary of Penchant: what flows from an event log to a ranking.

Everything here is plain NumPy. Arrays are documented as ``name[shape] dtype``; ``n`` counts users,
``m`` events, ``L`` the longest history of a batch, ``V`` the items of a catalogue. Times are integer
**microseconds** since 1970-01-01 UTC; where a log has order but no times (``clock == "index"``), an
event's time is its index in the user's history, one second apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any, Literal, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

Int = npt.NDArray[np.integer[Any]]
Float = npt.NDArray[np.float32]
Text = npt.NDArray[Any]
"""Strings of variable width (NumPy's ``StringDType``)."""
Array = npt.NDArray[Any]
Clock = Literal["real", "index"]
Arrays = Mapping[str, Array]

MICROSECONDS = 1_000_000
DAY = 86_400 * MICROSECONDS
UNKNOWN = -1
"""Code of an item that a vocabulary doesn't hold: models pass over it, metrics count it as a miss."""

NEVER = np.iinfo(np.int64).min
"""Cursor time of a state that has seen no event."""

EVENT_COLUMNS = ("user_id", "item_id", "timestamp", "event_type", "value", "session_id", "event_id")

Progress = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``; with a ``total`` of 0, ``what`` is a remark and nothing is measured."""


def quiet(what: str, done: int, total: int) -> None:
    """The progress nobody watches."""


class PenchantError(Exception):
    """What went wrong and what to do about it, in one sentence for the person at the keyboard."""


class UnknownError(PenchantError):
    """There is no such user or item."""


def text(values: Sequence[str] | Array) -> Text:
    """A NumPy string array (variable width) of the given values."""
    return np.asarray(values, dtype=np.dtypes.StringDType())


@dataclass(frozen=True)
class Vocabulary:
    """Ids in a fixed order; an id's place is its code. Ids are strings: ``007`` stays ``007``."""

    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, code: int) -> str:
        return self.ids[code]

    @cached_property
    def _codes(self) -> dict[str, int]:
        return {identifier: code for code, identifier in enumerate(self.ids)}

    def code(self, identifier: str) -> int:
        """The id's code, or ``UNKNOWN``."""
        return self._codes.get(identifier, UNKNOWN)

    def codes(self, ids: Sequence[str]) -> Int:
        """Codes ``[len(ids)] int32`` of many ids, ``UNKNOWN`` where an id isn't here."""
        if isinstance(ids, tuple) and ids == self.ids:
            return np.arange(len(ids), dtype=np.int32)
        return np.fromiter(map(self._codes.get, ids, repeat(UNKNOWN)), np.int32, len(ids))

    def translation(self, other: Vocabulary) -> Int:
        """``[len(self) + 1] int32``: this vocabulary's codes in ``other``; the last entry maps ``UNKNOWN`` to itself."""
        return np.append(other.codes(self.ids), np.int32(UNKNOWN)).astype(np.int32)


Observer = Callable[[int, Mapping[str, float]], None]
"""Called after each epoch with its number (from 1) and what was measured; what it raises ends the training."""


@dataclass(frozen=True)
class Monitor:
    """How a training is watched: its progress, where it saves itself, who is told of each epoch, where a profile goes."""

    progress: Progress = quiet
    checkpoint: Path | None = None
    observe: Observer | None = None
    profile: Path | None = None


@dataclass(frozen=True)
class Content:
    """What is known of items apart from who had them, as sparse vectors of length 1.

    Item ``i`` of ``items`` has the features ``feature[offsets[i]:offsets[i + 1]] int32``, each below ``size``, with the
    weights ``weight[…] float32``; an item nothing is known of has none.
    """

    items: Vocabulary
    offsets: Int
    feature: Int
    weight: Float
    size: int
    measures: Mapping[str, Array] = field(default_factory=dict)
    """Columns of numbers alone that were read, ``[len(items)] float64``, NaN where an item has none."""


@dataclass(frozen=True)
class Kinds:
    """What kinds of things items are: genres, categories, topics.

    Item ``i`` of ``items`` belongs to ``kind[offsets[i]:offsets[i + 1]] int32``, each below ``size``, by the shares ``share[…]
    float32``, which sum to 1; an item nothing is known of has none. ``source`` says in words where it is known from.
    """

    items: Vocabulary
    offsets: Int
    kind: Int
    share: Float
    size: int
    source: str


@dataclass(frozen=True)
class Interactions:
    """A cleaned event log in the total order (user_id, timestamp, event_id), dictionary-coded.

    ``user[m] int32`` and ``item[m] int32`` are codes in ``users`` and ``items``; ``event_type[m] int16``
    indexes ``event_types``; ``timestamp[m] int64``; ``value[m] float32``; ``session[m] int32`` numbers each
    user's sessions from 0; ``event_id[m]``. ``content_hash`` is the SHA-256 of the dataset they came from, and
    ``content`` what is known of its items.
    """

    users: Vocabulary
    items: Vocabulary
    event_types: tuple[str, ...]
    user: Int
    item: Int
    timestamp: Int
    event_type: Int
    value: Float
    session: Int
    event_id: Text
    clock: Clock
    content_hash: str
    content: Content | None = None

    def __len__(self) -> int:
        return len(self.user)

    def where(self, keep: Array) -> Interactions:
        """The events to ``keep[m] bool``, in the same codes; it still names the dataset it was cut from."""
        columns = ("user", "item", "timestamp", "event_type", "value", "session", "event_id")
        return replace(self, **{name: getattr(self, name)[keep] for name in columns})


@dataclass(frozen=True)
class Sequences:
    """Histories, ragged and never padded: user ``u`` has events ``offsets[u]:offsets[u + 1]``, oldest first.

    ``item[m] int32`` are codes in ``items`` (``UNKNOWN`` where the vocabulary doesn't hold the item),
    ``timestamp[m] int64``, ``event_type[m] int16``, ``event_id[m]``; ``offsets[n + 1] int64``.
    ``content_hash`` names the dataset the histories were cut from; ``content`` is what it knows of its items.
    """

    users: Vocabulary
    items: Vocabulary
    event_types: tuple[str, ...]
    offsets: Int
    item: Int
    timestamp: Int
    event_type: Int
    event_id: Text
    clock: Clock
    content_hash: str
    content: Content | None = None

    def __len__(self) -> int:
        """How many users."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Int:
        """Events of each user, ``[n] int64``."""
        return np.diff(self.offsets)


@dataclass(frozen=True)
class Batch:
    """Some histories, right-padded: row ``r`` holds ``lengths[r]`` events, then padding that is never read.

    ``item[n, L] int32`` (codes or ``UNKNOWN``), ``timestamp[n, L] int64``, ``event_type[n, L] int16``,
    ``event_id[n, L]``, ``lengths[n] int64``.
    """

    item: Int
    timestamp: Int
    event_type: Int
    event_id: Text
    lengths: Int

    def __len__(self) -> int:
        return len(self.lengths)

    @cached_property
    def mask(self) -> npt.NDArray[np.bool_]:
        """``[n, L]``: true where there is an event."""
        return np.arange(self.item.shape[1]) < self.lengths[:, None]


@dataclass(frozen=True)
class UserState:
    """What a model remembers of ``n`` people: fixed-size arrays and, for each, a cursor.

    Every array in ``arrays`` has a first axis of ``n``. The cursor is the last event taken in:
    ``timestamp[n] int64`` (``NEVER`` before the first) and ``event_id[n]`` (empty before the first).
    ``model_id`` is the ``state_id`` of the models that can read the arrays.
    """

    model_id: str
    arrays: Arrays
    timestamp: Int
    event_id: Text

    def __len__(self) -> int:
        return len(self.timestamp)

    def __getitem__(self, rows: slice | Int) -> UserState:
        """The states of some rows (a slice or an index array), as a state of their own."""
        return replace(
            self,
            arrays={name: array[rows] for name, array in self.arrays.items()},
            timestamp=self.timestamp[rows],
            event_id=self.event_id[rows],
        )

    @classmethod
    def concatenate(cls, states: Sequence[UserState]) -> UserState:
        """Several states of one model, end to end."""
        return cls(
            states[0].model_id,
            {name: np.concatenate([s.arrays[name] for s in states]) for name in states[0].arrays},
            np.concatenate([s.timestamp for s in states]),
            np.concatenate([s.event_id for s in states]),
        )

    def to_bytes(self) -> bytes:
        """The state in safetensors format. The same state always gives the same bytes."""
        words = json.dumps([self.model_id, *self.event_id])
        tensors = {f"array.{name}": array for name, array in self.arrays.items()}
        tensors |= {"timestamp": self.timestamp, "words": np.frombuffer(words.encode(), np.uint8)}
        # Safetensors writes memory as it lies, which for a slice with a step isn't the array.
        return bytes(save_tensors({name: np.ascontiguousarray(array) for name, array in tensors.items()}))

    @classmethod
    def from_bytes(cls, data: bytes) -> UserState:
        """The inverse of ``to_bytes``. Raises ``PenchantError`` on bytes that aren't a whole state."""
        try:
            tensors = load_tensors(data)
            model_id, *event_ids = json.loads(tensors.pop("words").tobytes())
            timestamp = tensors.pop("timestamp").copy()
            # Copies, since each tensor comes with three objects around bytes of its own, and states are many.
            arrays = {name.removeprefix("array."): array.copy() for name, array in tensors.items()}
            if any(len(a) != len(timestamp) for a in [event_ids, *arrays.values()]):
                raise ValueError("their parts differ in length")
            return cls(model_id, arrays, timestamp, text(event_ids))
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise PenchantError(f"these {len(data)} bytes are not a user state: {error}") from error


@dataclass(frozen=True)
class Ranking:
    """Items in the order they are recommended, best first, for ``n`` users.

    ``item[n, k] int32`` are codes in the model's catalogue, ``UNKNOWN`` where fewer than ``k`` items
    were left; ``score[n, k] float32`` (``-inf`` there). ``parts`` splits every score into named addends
    ``[n, k] float32`` where an explanation was asked for.
    """

    items: Vocabulary
    item: Int
    score: Float
    parts: Mapping[str, Float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.item)

    @classmethod
    def concatenate(cls, rankings: Sequence[Ranking]) -> Ranking:
        """Several rankings from one catalogue, end to end."""
        return cls(
            rankings[0].items,
            np.concatenate([r.item for r in rankings]),
            np.concatenate([r.score for r in rankings]),
            {name: np.concatenate([r.parts[name] for r in rankings]) for name in rankings[0].parts},
        )

    def rows(self, users: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The output frame, row by row: ``user_id, item_id, score, rank`` (from 1), and any parts."""
        scores, parts = self.score.tolist(), {name: part.tolist() for name, part in self.parts.items()}
        for row, (user, codes) in enumerate(zip(users, self.item.tolist(), strict=True)):
            for column, code in enumerate(codes):
                if code == UNKNOWN:
                    break
                yield {
                    "user_id": user,
                    "item_id": self.items[code],
                    "score": scores[row][column],
                    "rank": column + 1,
                } | {name: part[row][column] for name, part in parts.items()}


@dataclass(frozen=True)
class Cases:
    """Questions with known answers: after ``histories``, at the moment ``now[n] int64``, which items came next.

    ``targets`` are the events that answer, of the same users in the same order and coded alike: of each item the first.
    """

    histories: Sequences
    now: Int
    targets: Sequences
    newcomers: int = 0
    """How many people with answers aren't asked about, since they have no history,"""
    too_few: int = 0
    """and how many people aren't, since they have too few events, or sessions, to hold some back."""

    def __len__(self) -> int:
        return len(self.histories)

    @property
    def target(self) -> Int:
        """The wanted items, user by user, ``[t] int32``."""
        return self.targets.item

    @cached_property
    def case(self) -> Int:
        """Whose each target is, ascending, ``[t] int64``."""
        return np.repeat(np.arange(len(self)), self.targets.lengths)


@dataclass(frozen=True)
class Split:
    """A dataset cut for an honest comparison: fit on ``train``, choose on ``valid``, report on ``test``.

    ``before_test`` are the same users' histories up to the test part: training and validation together.
    """

    name: str
    train: Sequences
    valid: Cases
    before_test: Sequences
    test: Cases
    cuts: tuple[int, int] | None = None
    """Where a split is made by time: the moments at which the validation part and the test part begin, for everybody."""
    end: int | None = None
    """Where it is, and later events belong to other folds: the moment at which the test part ends."""


@dataclass(frozen=True)
class Impressions:
    """What people were shown and what they did, in the order (user, timestamp); rows that share both keep the file's.

    ``user[N] int32`` codes ``users``, ``item[N] int32`` codes ``items`` (``UNKNOWN`` where the catalogue doesn't hold it),
    ``timestamp[N] int64``; ``labels[name][N] int8`` are 0 or 1, the first name's being the one that is judged;
    ``context[name][N]`` is text, where and how it was shown.
    """

    users: Vocabulary
    items: Vocabulary
    user: Int
    item: Int
    timestamp: Int
    labels: Mapping[str, Int]
    context: Mapping[str, Text]

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: Int) -> Impressions:
        """Some of them, in the order of ``rows``."""
        return replace(
            self,
            user=self.user[rows],
            item=self.item[rows],
            timestamp=self.timestamp[rows],
            labels={name: values[rows] for name, values in self.labels.items()},
            context={name: values[rows] for name, values in self.context.items()},
        )


class Recommender(Protocol):
    """What every model offers. The law: ``advance(state, a + b) == advance(advance(state, a), b)``."""

    @property
    def id(self) -> str:
        """A name derived from everything learned: equal ids mean equal scores."""

    @property
    def state_id(self) -> str:
        """A name derived from what a state depends on: equal ones mean interchangeable states."""

    @property
    def items(self) -> Vocabulary:
        """The catalogue: what can be recommended, in the order of the columns of ``score``."""

    def fit(self, train: Sequences, valid: Cases | None = None, *, progress: Progress = quiet) -> Self:
        """Learn from histories; stop where ``valid`` says so. Deterministic given the settings."""

    def initial(self, n: int) -> UserState:
        """The state of ``n`` people nothing is known of."""

    def advance(self, state: UserState, batch: Batch) -> UserState:
        """The state after the batch's events, one row per person; items are codes in ``self.items``."""

    def score(self, state: UserState, now: Int) -> Float:
        """How much each person would like each item at ``now[n]``: ``[n, V] float32``."""

    def parts(self, state: UserState, now: Int, item: Int) -> dict[str, Float]:
        """The addends of the scores of ``item[n, k]``, by name, each ``[n, k]``; they sum to the score."""


@runtime_checkable
class Learning(Protocol):
    """What models that learn without gradients offer beside; nothing of it touches a user state.

    ``unlearn`` is the exact inverse of ``learn``, and ``learn_next`` is ``learn`` in steps: ``learn(a + b)`` is ``learn(a)``
    and then ``learn_next(a, b)``.
    """

    @property
    def reach(self) -> int:
        """How many events of known items behind an event what is learned of it depends on."""

    def learn(self, histories: Sequences) -> None:
        """Add some whole histories to what is known."""

    def learn_next(self, before: Sequences, events: Sequences) -> None:
        """Add what ``events`` add behind ``before``, the histories so far of the same people, or at least their last ``reach``
        events of known items.
        """

    def unlearn(self, histories: Sequences) -> None:
        """Take away what ``learn`` added for the same histories. ``PenchantError`` if that is more than was added."""


@runtime_checkable
class Growing(Learning, Protocol):
    """What models that learn offer if items can join their catalogue without training."""

    @property
    def growable(self) -> bool:
        """Whether they can: to a blend, only if one of its members can take them in."""

    def grown(self, items: Sequence[str]) -> Self:
        """A copy with more items at the end of the catalogue, of which nothing was learned yet. It has states of its own."""
