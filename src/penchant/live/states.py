"""People's states: in memory as far as they fit, on disk behind that, made from the log where neither has them whole.

A state is kept with the number of the store up to which it holds all there was (``as_of``). If the user's history hasn't
changed since, it is current; if it only grew, the new events advance it; if it was changed in any other way (an event came
late, one was deleted, two users became one), or the state is of another model or can't be read, it is made anew from the whole
history. So nothing is lost with a state, and no writer has to tell anybody: the log says what is true, also to other processes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from penchant import sequences as seq
from penchant.live.ledger import Happened, Ledger, Mark, StoredState
from penchant.models.base import Model
from penchant.types import NEVER, UNKNOWN, Int, PenchantError, Progress, Sequences, UserState, Vocabulary, quiet, text

MEMORY = 256 << 20
"""Bytes of states and seen items that are kept in memory, by default."""
OVERHEAD = 2048
"""What an entry takes beside its arrays, about (measured: 1.6 KB for an LSTM's)."""
WRITE_BEHIND = 1024
"""So many changed states are written together, at the latest when they leave the memory or the service stops."""
PEOPLE_AT_ONCE = 512
"""People compared at a time: fewer than ``WRITE_BEHIND``, so that a comparison writes nothing."""
TOLERANCE = 1e-5
"""How far a state may be from its re-encoding, relative to its size: float32."""


@dataclass
class Entry:
    """One user's state, the number it is as of, and the codes of all items seen (ascending)."""

    state: UserState
    as_of: int
    seen: Int
    changed: bool = True
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = OVERHEAD + self.seen.nbytes + sum(array.nbytes for array in self.state.arrays.values())


class States:
    """The states of one model over one ledger. Used by one thread."""

    def __init__(self, ledger: Ledger, model: Model, *, memory: int = MEMORY) -> None:
        self.model = model
        self._ledger = ledger
        self._memory = memory
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._changed: dict[str, Entry] = {}
        self.bytes = 0
        self.found = {"current": 0, "advanced": 0, "stored": 0, "rebuilt": 0, "nobody": 0}
        """How often a state was current in memory, only had to be advanced, came from disk, from the log, or is nobody's."""

    def __len__(self) -> int:
        return len(self._entries)

    def people(self) -> list[str]:
        """Whose states are in memory, those asked for longest ago first."""
        return list(self._entries)

    def forget(self, user: str) -> None:
        """Let go of somebody's state, unwritten."""
        entry = self._entries.pop(user, None)
        self._changed.pop(user, None)
        if entry is not None:
            self.bytes -= entry.size

    def of(self, users: Sequence[str]) -> tuple[UserState, list[Int]]:
        """The current states of some users, one row each, and the codes of all items each has seen.

        Who isn't known has the state of someone new, which isn't kept.
        """
        distinct = list(dict.fromkeys(users))
        with self._ledger.database.reading():
            marks = dict(zip(distinct, self._ledger.marks(distinct), strict=True))
            known = {user: mark for user, mark in marks.items() if mark is not None}
            for user in marks.keys() - known.keys():  # perhaps erased by another process
                self.forget(user)
            self._bring_up(known)
        nobody = Entry(self.model.initial(1), 0, np.zeros(0, np.int32))
        self.found["nobody"] += len(marks) - len(known)
        entries = [self._entries[user] if user in known else nobody for user in users]
        states = UserState.concatenate([entry.state for entry in entries])
        seen = [entry.seen for entry in entries]
        self._shrink()
        return states, seen

    def _bring_up(self, known: dict[str, Mark]) -> None:
        growing: dict[str, Entry] = {}
        cold: list[str] = []
        for user, mark in known.items():
            entry = self._entries.get(user)
            if entry is None or entry.as_of < mark.reset:
                cold.append(user)
            elif entry.as_of < mark.changed:
                growing[user] = entry
            else:
                self.found["current"] += 1
                self._entries.move_to_end(user)
        if growing:
            self.found["advanced"] += len(growing)
            behind = self._ledger.histories([(user, *_cursor(entry.state)) for user, entry in growing.items()])
            self._advance(growing, behind, known)
        if cold:
            self._read_in(cold, known)

    def _read_in(self, cold: Sequence[str], known: dict[str, Mark]) -> None:
        """States from disk where they are good, from the whole history where not; either way the history tells what was
        seen.
        """
        histories = dict(zip(cold, self._ledger.histories([(user, NEVER, "") for user in cold]), strict=True))
        good: dict[str, Entry] = {}
        for user, kept in zip(cold, self._ledger.states(cold), strict=True):
            state = self._readable(kept, known[user])
            if kept is not None and state is not None:
                past = [e for e in histories[user] if (e.timestamp, e.event_id) <= _cursor(state)]
                good[user] = Entry(state, kept.as_of, self._codes(past), changed=False)
        self.found["stored"] += len(good)
        self.found["rebuilt"] += len(cold) - len(good)
        behind = [[e for e in histories[user] if (e.timestamp, e.event_id) > _cursor(good[user].state)] for user in good]
        self._advance(good, behind, known)
        lost = [user for user in cold if user not in good]
        if lost:
            states = self.model.encode(sequences_of(self.model, lost, [histories[user] for user in lost]))
            for row, user in enumerate(lost):
                self._keep(user, Entry(states[np.array([row])], known[user].changed, self._codes(histories[user])))

    def _readable(self, kept: StoredState | None, mark: Mark) -> UserState | None:
        if kept is None or kept.state_id != self.model.state_id or kept.as_of < mark.reset:
            return None
        try:
            state = UserState.from_bytes(kept.state)
        except PenchantError:
            return None
        return state if state.model_id == self.model.state_id and len(state) == 1 else None

    def _advance(self, entries: dict[str, Entry], behind: Sequence[Sequence[Happened]], known: dict[str, Mark]) -> None:
        """Take in the events behind the states."""
        for user, entry, events in zip(entries, entries.values(), behind, strict=True):
            if not events:
                self._keep(user, Entry(entry.state, known[user].changed, entry.seen, entry.changed))
        some = [(user, entry, events) for (user, entry), events in zip(entries.items(), behind, strict=True) if events]
        if some:
            before = UserState.concatenate([entry.state for _, entry, _ in some])
            histories = sequences_of(self.model, [user for user, _, _ in some], [events for _, _, events in some])
            after = self.model.advance(before, seq.pad(histories, np.arange(len(some))))
            for row, (user, entry, events) in enumerate(some):
                seen = np.union1d(entry.seen, self._codes(events))
                self._keep(user, Entry(after[np.array([row])], known[user].changed, seen))

    def _keep(self, user: str, entry: Entry) -> None:
        old = self._entries.pop(user, None)
        self.bytes += entry.size - (old.size if old else 0)
        self._entries[user] = entry
        if entry.changed:
            self._changed[user] = entry

    def _shrink(self) -> None:
        """Let go of those asked for longest ago; what isn't on disk is written before."""
        gone = {}
        while self.bytes > self._memory and len(self._entries) > 1:
            user, entry = self._entries.popitem(last=False)
            self.bytes -= entry.size
            if self._changed.pop(user, None):
                gone[user] = entry
        if gone:
            self._write(gone)
        if len(self._changed) >= WRITE_BEHIND:
            self.write_changed()

    def write_changed(self) -> Future[None] | None:
        """Write the states that changed; ``None`` where there are none. What fails is made from the log another time."""
        changed, self._changed = self._changed, {}
        for entry in changed.values():
            entry.changed = False
        return self._write(changed) if changed else None

    def _write(self, entries: dict[str, Entry]) -> Future[None]:
        return self._ledger.put_states(
            [StoredState(user, entry.state.model_id, entry.as_of, entry.state.to_bytes()) for user, entry in entries.items()]
        )

    def _codes(self, events: Sequence[Happened]) -> Int:
        """The distinct known items of some events, ascending, ``int32``."""
        codes: Int = np.unique(self.model.items.codes([event.item_id for event in events]))
        return np.asarray(codes[codes != UNKNOWN])


def sequences_of(model: Model, users: Sequence[str], histories: Sequence[Sequence[Happened]]) -> Sequences:
    """Histories from the log as a model reads them, in its codes."""
    flat = [event for history in histories for event in history]
    kinds = Vocabulary(model.event_types)
    return Sequences(
        users=Vocabulary(tuple(users)),
        items=model.items,
        event_types=model.event_types,
        offsets=np.concatenate([[0], np.cumsum([len(history) for history in histories])]).astype(np.int64),
        item=model.items.codes([event.item_id for event in flat]),
        timestamp=np.array([event.timestamp for event in flat], np.int64),
        event_type=kinds.codes([event.event_type for event in flat]).astype(np.int16),
        event_id=text([event.event_id for event in flat]),
        clock="real",
        content_hash="ledger",
    )


def _cursor(state: UserState) -> tuple[int, str]:
    return int(state.timestamp[0]), str(state.event_id[0])


@dataclass(frozen=True)
class Verification:
    """What came of comparing the states of a store with their re-encodings."""

    users: int
    events: int
    stored: int
    differing: tuple[str, ...]
    faults: tuple[str, ...]


def verify(ledger: Ledger, model: Model, *, progress: Progress = quiet) -> Verification:
    """Re-encode every user's whole history and compare it with the state a service would answer from.

    Also lets SQLite check the file. Differences are relative to a state's size, beyond 1e-5.
    """
    faults = ledger.database.faults()
    if faults:
        return Verification(0, 0, 0, (), tuple(faults))
    counts = ledger.counts()
    done = 0
    differing: list[str] = []
    for users in _everyone(ledger):
        with ledger.database.reading():
            living, _ = States(ledger, model).of(users)
            again = model.encode(sequences_of(model, users, ledger.histories([(user, NEVER, "") for user in users])))
        differing += [users[row] for row in range(len(users)) if not _alike(living, again, row)]
        done += len(users)
        progress("comparing states", done, max(done, counts["users"]))
    return Verification(done, counts["events"], counts["states"], tuple(differing), ())


def _everyone(ledger: Ledger) -> Iterator[list[str]]:
    users = [user.user_id for user in ledger.users(most=PEOPLE_AT_ONCE)]
    while users:
        yield users
        users = [user.user_id for user in ledger.users(after=users[-1], most=PEOPLE_AT_ONCE)]


def _alike(first: UserState, second: UserState, row: int) -> bool:
    return (
        first.timestamp[row] == second.timestamp[row]
        and first.event_id[row] == second.event_id[row]
        and all(
            np.allclose(array[row], second.arrays[name][row], rtol=TOLERANCE, atol=TOLERANCE)
            for name, array in first.arrays.items()
        )
    )
