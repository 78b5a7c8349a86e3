"""People's states: in memory as far as they fit, on disk behind that, made from the log where neither has them whole.

A state is kept with the number of the store up to which it holds all there was (``as_of``). Events that came since advance it
if they lie behind it; if one came late, or the history was changed in any other way (an event deleted, two users made one), or
the state is of another model or can't be read, it is made anew from the whole history. What this process writes it is told of,
so that for people it has in memory it need only see that nobody else wrote; what others wrote it finds in the log.
So nothing is lost with a state: the log says what is true, to all processes alike.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

import numpy as np

from penchant import sequences as seq
from penchant.live.ledger import Ledger
from penchant.live.records import Happened, StoredState
from penchant.models.base import Model
from penchant.types import NEVER, UNKNOWN, Int, PenchantError, Progress, Sequences, UserState, Vocabulary, quiet, text

MEMORY = 64 << 20
"""Bytes of states and seen items that are kept in memory, by default."""
OVERHEAD = 2048
"""What an entry takes beside its arrays, about (measured: 1.6 KB for an LSTM's)."""
WAITING = 256
"""What an event that waits for its user to ask takes, about (measured: 200 bytes with its ids)."""
WRITE_BEHIND = 1024
"""So many changed states are written together, at the latest when they leave the memory or the service stops."""
PEOPLE_AT_ONCE = 512
"""People compared at a time: fewer than ``WRITE_BEHIND``, so that a comparison writes nothing."""
MOST_PENDING = 64
"""Events that wait for their user to ask; with more, the state is let go of and made from the log then."""
TOLERANCE = 1e-5
"""How far a state may be from its re-encoding, relative to its size: float32."""


@dataclass
class Entry:
    """One user's state, the number as of which it is whole together with the events that are ``pending``, and the codes of all
    items seen (ascending).
    """

    state: UserState
    as_of: int
    seen: Int
    changed: bool = True
    pending: list[Happened] = field(default_factory=list)
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = OVERHEAD + self.seen.nbytes + sum(array.nbytes for array in self.state.arrays.values())
        self.size += WAITING * len(self.pending)


class States:
    """The states of one model over one ledger. Used by one thread. Those that aren't ``kept`` are never written: the store has
    room for one state a person, that of the model that recommends.
    """

    def __init__(self, ledger: Ledger, model: Model, *, memory: int = MEMORY, kept: bool = True) -> None:
        self.model = model
        self._kept = kept
        self._ledger = ledger
        self._tail = ledger.follow()
        self._told_to = self._sure_from = -1  # of all between the two numbers we have been told
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
            self._bring_up(distinct, self._ledger.clock())
        strangers = sum(user not in self._entries for user in distinct)
        self.found["nobody"] += strangers
        if strangers:
            nobody = Entry(self.model.initial(1), 0, np.zeros(0, np.int32))
            entries = [self._entries.get(user, nobody) for user in users]
        else:
            entries = [self._entries[user] for user in users]
        states = UserState.concatenate([entry.state for entry in entries])
        seen = [entry.seen for entry in entries]
        self._shrink()
        return states, seen

    def _listen(self, clock: int) -> bool:
        """Take in what we are told up to a moment; whether we have been told of everything up to it."""
        while self._tail and self._tail[0].after <= clock:
            news = self._tail.popleft()
            if news.before != self._told_to:
                self._sure_from = news.before
            self._told_to = news.after
            if news.events is None:
                self._sure_from = news.after
                continue
            for user, events in news.events.items():
                entry = self._entries.get(user)
                if entry is not None and entry.as_of < news.after:
                    self._let_wait(entry, [*entry.pending, *events])
                    if len(entry.pending) > MOST_PENDING:
                        self.forget(user)
        return self._told_to == clock

    def _bring_up(self, users: Sequence[str], clock: int) -> None:
        """Make the states of these users whole, as of now."""
        told = self._listen(clock)
        stored = self._stored([user for user in users if user not in self._entries])
        for user, entry in stored.items():
            self._keep(user, entry)
        mine = {user: self._entries[user] for user in users if user in self._entries}
        doubtful = [user for user, entry in mine.items() if user in stored or not told or entry.as_of < self._sure_from]
        behind = self._ledger.behind([(user, mine[user].as_of) for user in doubtful]) if doubtful else []
        lost = [user for user in users if user not in mine]
        for user, events in zip(doubtful, behind, strict=True):
            if events is None:
                del mine[user]
                lost.append(user)
            else:
                self._let_wait(mine[user], events)
        growing: dict[str, Entry] = {}
        for user, entry in mine.items():
            if entry.pending and min(map(_place, entry.pending)) <= _cursor(entry.state):
                lost.append(user)  # one came late
                continue
            self.found["stored" if user in stored else "advanced" if entry.pending else "current"] += 1
            if entry.pending:
                growing[user] = entry
            else:
                entry.as_of = clock
                self._entries.move_to_end(user)
        self._advance(growing, clock)
        if lost:
            self._read_in(lost, clock)

    def _stored(self, users: Sequence[str]) -> dict[str, Entry]:
        """The states on disk that can be read, as of when they were written."""
        found: dict[str, Entry] = {}
        for kept in self._ledger.states(users) if users else ():
            if kept is not None and kept.state_id == self.model.state_id:
                entry = _unpacked(kept)
                if entry is not None and entry.state.model_id == kept.state_id:
                    found[kept.user_id] = entry
        return found

    def _read_in(self, users: Sequence[str], clock: int) -> None:
        """States from whole histories. Who has none isn't kept."""
        found = zip(users, self._ledger.histories([(user, NEVER, "") for user in users]), strict=True)
        known = {user: history for user, history in found if history}
        self.found["rebuilt"] += len(known)
        if known:
            histories = sequences_of(self.model, list(known), list(known.values()))
            states = self.model.encode(histories)
            for row, user in enumerate(known):
                self._keep(user, Entry(states[row : row + 1], clock, _seen(histories, row)))
        for user in users:
            if user not in known:
                self.forget(user)

    def _advance(self, entries: dict[str, Entry], clock: int) -> None:
        """Take in the events behind the states."""
        if not entries:
            return
        before = UserState.concatenate([entry.state for entry in entries.values()])
        events = [sorted(entry.pending, key=_place) for entry in entries.values()]
        histories = sequences_of(self.model, list(entries), events)
        after = self.model.advance(before, seq.pad(histories, np.arange(len(entries))))
        for row, (user, entry) in enumerate(entries.items()):
            self._keep(user, Entry(after[row : row + 1], clock, _with(entry.seen, _seen(histories, row))))

    def _let_wait(self, entry: Entry, events: list[Happened]) -> None:
        """These are the events that an entry's state hasn't taken in; they count as memory until it has."""
        more = WAITING * (len(events) - len(entry.pending))
        entry.pending, entry.size = events, entry.size + more
        self.bytes += more

    def _keep(self, user: str, entry: Entry) -> None:
        """Have an entry in memory, the last to be let go of."""
        old = self._entries.pop(user, None)
        self.bytes += entry.size - (old.size if old else 0)
        self._entries[user] = entry
        if entry.changed and self._kept:
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
            [StoredState(user, entry.state.model_id, entry.as_of, _packed(entry)) for user, entry in entries.items()]
        )


SEEN = "items seen"
"""What an entry's codes are called among a state's arrays on disk."""


def _packed(entry: Entry) -> bytes:
    state = entry.state
    return replace(state, arrays={**state.arrays, SEEN: entry.seen[None]}).to_bytes()


def _unpacked(kept: StoredState) -> Entry | None:
    """``None`` where the bytes aren't an entry's."""
    try:
        state = UserState.from_bytes(kept.state)
    except PenchantError:
        return None
    arrays = dict(state.arrays)
    seen = arrays.pop(SEEN, None)
    if len(state) != 1 or seen is None:
        return None
    return Entry(replace(state, arrays=arrays), kept.as_of, seen[0], changed=False)


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


def _seen(histories: Sequences, row: int) -> Int:
    """The distinct known items of a history, ascending, ``int32``."""
    codes: Int = np.unique(histories.item[histories.offsets[row] : histories.offsets[row + 1]])
    return np.asarray(codes[codes != UNKNOWN])


def _with(seen: Int, codes: Int) -> Int:
    """Ascending codes with more, ascending too, put in their places: a union would sort everything for the few new ones."""
    places = seen.searchsorted(codes)
    new = np.append(seen, UNKNOWN)[places] != codes
    return np.insert(seen, places[new], codes[new]) if new.any() else seen


def _place(event: Happened) -> tuple[int, str]:
    return event.timestamp, event.event_id


def _cursor(state: UserState) -> tuple[int, str]:
    return int(state.timestamp[0]), str(state.event_id[0])


@dataclass(frozen=True)
class Verification:
    """What came of comparing the states of a store with their re-encodings."""

    users: int
    events: int
    stored: int
    compared: int
    """Of the stored states, those of this model: the others are of one before, or of fewer items, and are made anew."""
    differing: tuple[str, ...]
    faults: tuple[str, ...]


def verify(ledger: Ledger, model: Model, *, progress: Progress = quiet) -> Verification:
    """Re-encode every user's whole history and compare it with the state a service would answer from.

    Also lets SQLite check the file. Differences are relative to a state's size, beyond 1e-5.
    """
    faults = ledger.database.faults()
    if faults:
        return Verification(0, 0, 0, 0, (), tuple(faults))
    counts = ledger.counts()
    done = compared = 0
    differing: list[str] = []
    for users in _everyone(ledger):
        with ledger.database.reading():
            compared += sum(kept is not None and kept.state_id == model.state_id for kept in ledger.states(users))
            living, seen = States(ledger, model).of(users)
            histories = sequences_of(model, users, ledger.histories([(user, NEVER, "") for user in users]))
        again = model.encode(histories)
        differing += [
            users[row]
            for row in range(len(users))
            if not (_alike(living, again, row) and np.array_equal(seen[row], _seen(histories, row)))
        ]
        done += len(users)
        progress("comparing states", done, max(done, counts["users"]))
    return Verification(done, counts["events"], counts["states"], compared, tuple(differing), ())


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
