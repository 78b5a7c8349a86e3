"""The event log that is the truth: what has been answered is on disk, once; who and what is known beside events.

Every change takes numbers from one counter, so a number says *when* something became true in this store, and each event has
one. A user's row has the number of the last change that wasn't an event (``reset``). Whoever keeps something derived from a
history, like a state, and the number as of which it is whole, finds by the two what came since, or that it has to begin again;
so several processes may work on one store. What this process commits itself it also tells those who ``follow`` it, so that they
needn't look.

A group commit runs a fixed number of SQL statements however many events there are, rows travelling as JSON: each statement
gives up Python's lock once, not once a row, and other threads don't come between.
"""

from __future__ import annotations

import json
import sqlite3
import weakref
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from penchant.live.database import Database, take
from penchant.live.events import FIRST_YEAR, Event
from penchant.live.records import Appended, Cursor, Happened, Item, Last, News, Person, Receipt, StoredState, Tail, User
from penchant.live.rows import ITEM, USER, holding, item_of, put_items, put_users, user_of
from penchant.types import NEVER, Array, Interactions, PenchantError, Progress, quiet

ROWS_AT_ONCE = 50_000
NEWS_KEPT, MOST_NEWS = 200, 1000
"""Commits that a follower may fall behind, and events of one that are told of: more are found in the log."""

Change = Callable[[sqlite3.Connection], Any]
"""What to do within a transaction."""


class Ledger:
    """A store. Writing methods return a ``Future`` that is done once the change is on disk. Raises ``StoreError`` (or the
    future does) where the file can't be read or written, ``PenchantError`` where it isn't a store.
    """

    def __init__(self, path: str | Path, *, create: bool = False) -> None:
        self._followers: tuple[weakref.ref[Tail], ...] = ()
        self._news: list[News] = []
        self.database = Database(Path(path), self._together, self._tell, create=create)

    def close(self) -> None:
        """Write what waits, then close."""
        self.database.close()

    def follow(self) -> Tail:
        """What this process commits from now on, told before anybody is answered, as long as somebody has a hold of it."""
        tail: Tail = deque(maxlen=NEWS_KEPT)
        self._followers = (*(follower for follower in self._followers if follower() is not None), weakref.ref(tail))
        return tail

    # Writing.

    def _together(self, connection: sqlite3.Connection, jobs: Sequence[Sequence[Event] | Change]) -> list[Any]:
        """All events of all requests at once, then the other changes: requests that wait at one time have no order."""
        before = _clock(connection)
        accepted, new = _append(connection, [job for job in jobs if not callable(job)], before)
        appended = iter(accepted)
        between = _clock(connection) if new else before
        answers = [job(connection) if callable(job) else next(appended) for job in jobs]
        after = _clock(connection) if any(map(callable, jobs)) else between
        told = [News(before, between, new if sum(map(len, new.values())) <= MOST_NEWS else None), News(between, after, None)]
        self._news = [news for news in told if news.after > news.before]
        return answers

    def _tell(self) -> None:
        for follower in self._followers:
            tail = follower()
            if tail is not None:
                tail.extend(self._news)

    def append(self, events: Sequence[Event]) -> Future[Appended]:
        """Store events that are named and checked; those there already (same user and event id) stay as they are."""
        return self.database.write(events)

    def change(self, change: Change) -> Future[Any]:
        """Do something within a transaction."""
        return self.database.write(change)

    def put_states(self, states: Sequence[StoredState]) -> Future[None]:
        """Keep states, each unless a newer one is there, or the history it read was reset or erased meanwhile."""

        def put(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT INTO states SELECT user_id, ?2, ?3, ?4 FROM users WHERE user_id = ?1 AND reset <= ?3 "
                "ON CONFLICT (user_id) DO UPDATE SET state_id = excluded.state_id, as_of = excluded.as_of, "
                "state = excluded.state WHERE excluded.as_of >= as_of",
                [(s.user_id, s.state_id, s.as_of, s.state) for s in states],
            )

        return self.change(put)

    def put_users(self, users: Sequence[User]) -> Future[int]:
        """Add users, or replace what is known of them."""
        return self.change(lambda connection: put_users(connection, users))

    def patch_user(self, user_id: str, fields: Mapping[str, Any]) -> Future[bool]:
        """Change some fields of a user, by their names in ``User``; a user nothing was known of begins empty."""

        def patch(connection: sqlite3.Connection) -> bool:
            row = connection.execute(f"{USER} WHERE user_id = ?", [user_id]).fetchone()
            put_users(connection, [replace(user_of(row) if row else User(user_id), **fields)])
            return row is not None

        return self.change(patch)

    def erase_user(self, user_id: str, receipt: Receipt | None = None) -> Future[list[Happened] | None]:
        """Delete a user with all events and the state; returns the events that were there, in order (``None``: no such
        user). What ``receipt`` makes of them is kept in the same transaction.
        """

        def erase(connection: sqlite3.Connection) -> list[Happened] | None:
            known = connection.execute("SELECT 1 FROM users WHERE user_id = ?", [user_id]).fetchone()
            gone = _histories(connection, [(user_id, NEVER, "")])[0]
            _erase(connection, user_id)
            if known and receipt is not None:
                connection.execute("INSERT INTO erasures (receipt) VALUES (?)", [json.dumps(receipt(gone))])
            return gone if known else None

        return self.change(erase)

    def erase_events(
        self, user_id: str, item_id: str, event_type: str | None = None
    ) -> Future[tuple[list[Happened], list[Happened]]]:
        """Delete a user's events of an item (of one type, or all); returns the user's history before and after."""

        def erase(connection: sqlite3.Connection) -> tuple[list[Happened], list[Happened]]:
            before = _histories(connection, [(user_id, NEVER, "")])[0]
            connection.execute(
                "DELETE FROM events WHERE user_id = ?1 AND item_id = ?2 AND (?3 IS NULL OR event_type = ?3)",
                [user_id, item_id, event_type],
            )
            after = _histories(connection, [(user_id, NEVER, "")])[0]
            if len(after) < len(before):
                _reset(connection, user_id)
            return before, after

        return self.change(erase)

    def merge(self, target: str, source: str) -> Future[tuple[list[Happened], list[Happened], list[Happened]]]:
        """Give the source's events to the target and forget the source; returns the target's and the source's history before,
        and the target's after. An event both have is kept once, the target's; where only the ids are equal, as they are if each
        session counts its own events, the source's gets another one.
        """

        def merge(connection: sqlite3.Connection) -> tuple[list[Happened], list[Happened], list[Happened]]:
            theirs, mine = _histories(connection, [(target, NEVER, ""), (source, NEVER, "")])
            connection.execute(
                "UPDATE events SET event_id = event_id || '@' || seq WHERE user_id = ?2 AND EXISTS (SELECT 1 FROM events e "
                "WHERE e.user_id = ?1 AND e.event_id = events.event_id AND "
                "(e.item_id, e.timestamp, e.event_type) != (events.item_id, events.timestamp, events.event_type))",
                [target, source],
            )
            connection.execute("UPDATE OR IGNORE events SET user_id = ? WHERE user_id = ?", [target, source])
            _erase(connection, source)
            connection.execute("INSERT OR IGNORE INTO users (user_id, reset) VALUES (?, 0)", [target])
            _reset(connection, target)
            return theirs, mine, _histories(connection, [(target, NEVER, "")])[0]

        return self.change(merge)

    def put_items(self, items: Sequence[Item]) -> Future[int]:
        """Add items, or replace what is known of them."""
        return self.change(lambda connection: put_items(connection, items))

    def patch_item(self, item_id: str, fields: Mapping[str, Any]) -> Future[bool]:
        """Change some fields of an item, by their names in ``Item``; an item nothing was known of begins empty."""

        def patch(connection: sqlite3.Connection) -> bool:
            row = connection.execute(f"{ITEM} WHERE item_id = ? AND NOT deleted", [item_id]).fetchone()
            put_items(connection, [replace(item_of(row) if row else Item(item_id), **fields)])
            return row is not None

        return self.change(patch)

    def delete_item(self, item_id: str) -> Future[bool]:
        """Forget what is known of an item and recommend it no more; its events stay: they are people's histories."""

        def delete(connection: sqlite3.Connection) -> bool:
            known = connection.execute("SELECT 1 FROM items WHERE item_id = ? AND NOT deleted", [item_id]).fetchone()
            put_items(connection, [Item(item_id, deleted=True)])
            return known is not None

        return self.change(delete)

    def load(
        self,
        log: Interactions,
        items: Sequence[Item] = (),
        progress: Progress = quiet,
        *,
        parts: Mapping[str, Array] | None = None,
    ) -> None:
        """Store a dataset's events and items in a store without events. ``PenchantError`` where it has some.

        ``parts`` are named events of it (``[m] bool``), each part within the next, with lower numbers than what lies outside,
        so that one number tells what somebody who learned such a part knows.
        """
        outside = sum((~part for part in (parts or {}).values()), np.zeros(len(log), np.int64))
        log = log.where(np.argsort(outside, kind="stable"))

        def load(connection: sqlite3.Connection) -> None:
            if connection.execute("SELECT EXISTS (SELECT 1 FROM events)").fetchone()[0]:
                raise PenchantError(f"{self.database.path}: has events; a dataset is loaded into a store that has none")
            last = take(connection, len(log))
            for start in range(0, len(log), ROWS_AT_ONCE):
                rows = _rows(log, slice(start, start + ROWS_AT_ONCE), last - len(log) + 1 + start)
                into = f"INSERT INTO events ({_COLUMNS}, seq) VALUES (?, ?, ?, ?, ?, ?, ?, NULL, ?)"  # noqa: S608 - from here
                connection.executemany(into, rows)
                progress("storing events", min(start + ROWS_AT_ONCE, len(log)), len(log))
            connection.executemany(
                "INSERT INTO users (user_id, reset) VALUES (?1, ?2) ON CONFLICT (user_id) DO UPDATE SET reset = ?2",
                [(log.users[code], last) for code in np.unique(log.user).tolist()],
            )
            put_items(connection, items)
            ends = {name: last - len(log) + int(part.sum()) for name, part in (parts or {}).items()}
            about = [("loaded", last), ("dataset", log.content_hash), ("parts", json.dumps(ends))]
            connection.executemany("INSERT INTO meta VALUES (?, ?)", about)

        self.change(load).result()

    # Reading.

    def meta(self) -> dict[str, Any]:
        """``clock``, the number of the last change; ``store``, the store's own name; where a dataset was loaded, its hash
        (``dataset``), the number of its last event (``loaded``), and those of the last of its ``parts``, in JSON.
        """
        with self.database.reading() as connection:
            return dict(connection.execute("SELECT key, value FROM meta").fetchall())

    def clock(self) -> int:
        """The number of the last change."""
        with self.database.reading() as connection:
            return _clock(connection)

    def behind(self, numbers: Sequence[tuple[str, int]]) -> list[list[Happened] | None]:
        """Of each user the events with numbers above one, in order; ``None`` where the history has been changed otherwise
        since, or there is no such user.
        """
        with self.database.reading() as connection:
            whole = connection.execute(
                "SELECT json_group_array(j.key) FROM json_each(?) j CROSS JOIN users u ON u.user_id = j.value ->> 0 "
                "AND u.reset <= j.value ->> 1",
                [json.dumps(numbers)],
            ).fetchone()[0]
            found = _read(connection, "e.seq > j.value ->> 1", numbers)
        grown = set(json.loads(whole))
        return [events if place in grown else None for place, events in enumerate(found)]

    def histories(self, cursors: Sequence[Cursor]) -> list[list[Happened]]:
        """Of each user the events behind a place, in order; all of them behind ``(NEVER, "")``."""
        with self.database.reading() as connection:
            return _histories(connection, cursors)

    def last_events(self, users: Sequence[str], before: int, count: int) -> Last:
        """Of each user the last ``count`` events with numbers up to ``before``."""
        with self.database.reading() as connection:
            columns = connection.execute(
                "SELECT json_group_array(place), json_group_array(back), json_group_array(timestamp), "
                "json_group_array(item_id), json_group_array(event_type) FROM ("
                "SELECT j.key AS place, e.timestamp, e.item_id, e.event_type, row_number() OVER "
                "(PARTITION BY j.key ORDER BY timestamp DESC, event_id DESC) AS back "
                "FROM json_each(?1) j CROSS JOIN events e ON e.user_id = j.value AND e.seq <= ?2) WHERE back <= ?3",
                [json.dumps(users), before, count],
            ).fetchone()
        return Last(*map(json.loads, columns))

    def since(self, number: int, most: int) -> list[tuple[str, Happened]]:
        """User and event of up to ``most`` events with numbers above ``number``, in the order they arrived."""
        with self.database.reading() as connection:
            (found,) = connection.execute(
                "SELECT json_group_array(json_array(user_id, timestamp, event_id, item_id, event_type, seq)) FROM "
                "(SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?)",
                [number, most],
            ).fetchone()
        return sorted(((row[0], Happened._make(row[1:])) for row in json.loads(found)), key=_number)

    def in_order_of_arrival(self, items: Sequence[str], since: int) -> list[str]:
        """Of some items those with events whose numbers are above ``since``, in the order of the first of these."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT item_id FROM events WHERE seq > ? AND item_id IN (SELECT value FROM json_each(?)) "
                "GROUP BY item_id ORDER BY min(seq)",
                [since, json.dumps(items)],
            )
            return [row[0] for row in rows]

    def who_met(self, items: Sequence[str], since: int) -> list[str]:
        """Users with events of some items among those with numbers above ``since``."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT user_id FROM events WHERE seq > ? AND item_id IN (SELECT value FROM json_each(?))",
                [since, json.dumps(items)],
            )
            return [row[0] for row in rows]

    def count_since(self, number: int) -> int:
        """How many events have numbers above ``number``."""
        with self.database.reading() as connection:
            return int(connection.execute("SELECT count(*) FROM events WHERE seq > ?", [number]).fetchone()[0])

    def states(self, users: Sequence[str]) -> list[StoredState | None]:
        """The states kept for some users, where their histories have only grown since."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT s.user_id, state_id, as_of, state FROM json_each(?) j CROSS JOIN states s ON s.user_id = j.value "
                "CROSS JOIN users u ON u.user_id = j.value AND u.reset <= as_of",
                [json.dumps(users)],
            )
            found = {row[0]: StoredState(*row) for row in rows}
        return [found.get(user) for user in users]

    def events(
        self, *, user_id: str | None = None, event_type: str | None = None, after: Cursor = ("", NEVER, ""), most: int = -1
    ) -> list[Event]:
        """Up to ``most`` events (-1: all) in the total order, behind a place; of one user or type, or of all."""
        whose = "(user_id, timestamp, event_id) > (?1, ?2, ?3) AND user_id >= ?1" if user_id is None else "user_id = ?1"
        with self.database.reading() as connection:
            rows = connection.execute(
                f"SELECT {_COLUMNS} FROM events WHERE {whose} AND (?4 IS NULL OR event_type = ?4) "  # noqa: S608 - from here
                "ORDER BY user_id, timestamp, event_id LIMIT ?5",
                [*(after if user_id is None else (user_id, None, None)), event_type, most],
            )
            return [Event(*row) for row in rows]

    def export(self) -> Iterator[tuple[Any, ...]]:
        """All events in the order they arrived: user, item, timestamp, type, value, event id, number."""
        last, step = 0, ROWS_AT_ONCE
        while True:
            with self.database.reading() as connection:
                rows = connection.execute(
                    "SELECT user_id, item_id, timestamp, event_type, value, event_id, seq FROM events WHERE seq > ? "
                    "ORDER BY seq LIMIT ?",
                    [last, step],
                ).fetchall()
            if not rows:
                return
            yield from rows
            last = rows[-1][-1]

    def users(self, *, user_id: str | None = None, after: str = "", most: int = -1) -> list[User]:
        """One user, or up to ``most`` users by id behind ``after``."""
        with self.database.reading() as connection:
            rows = connection.execute(
                f"{USER} WHERE user_id > ?1 AND (?2 IS NULL OR user_id = ?2) ORDER BY user_id LIMIT ?3",
                [after, user_id, most],
            )
            return [user_of(row) for row in rows]

    def items(self, *, item_id: str | None = None, words: str = "", after: str = "", most: int = -1) -> list[Item]:
        """One item, or up to ``most`` items by id behind ``after``, of which id or text hold ``words``, in capitals or not."""
        with self.database.reading() as connection:
            rows = connection.execute(
                f"{ITEM} WHERE NOT deleted AND item_id > ?1 AND (?2 IS NULL OR item_id = ?2) "
                "AND (text GLOB ?3 OR item_id GLOB ?3) ORDER BY item_id LIMIT ?4",
                [after, item_id, holding(words), most],
            )
            return [item_of(row) for row in rows]

    def people(self, *, prefix: str = "", after: str = "", most: int = 20) -> list[Person]:
        """Up to ``most`` users by id behind ``after``, of which the id begins with ``prefix``."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT u.user_id, count(e.event_id), max(e.timestamp) FROM users u "
                "LEFT JOIN events e ON e.user_id = u.user_id "
                "WHERE u.user_id > ?1 AND u.user_id >= ?2 AND u.user_id < ?2 || char(1114111) "
                "GROUP BY u.user_id ORDER BY u.user_id LIMIT ?3",
                [after, prefix, most],
            )
            return [Person(*row) for row in rows]

    def past(self, user_id: str) -> tuple[list[int], list[str], list[str | None], list[float | None]]:
        """Of a user's events, in order, the timestamps, items, sessions and values: what a profile reads."""
        with self.database.reading() as connection:
            columns = connection.execute(
                "SELECT json_group_array(timestamp), json_group_array(event_id), json_group_array(item_id), "
                "json_group_array(session_id), json_group_array(value) FROM events WHERE user_id = ?",
                [user_id],
            ).fetchone()
        timestamp, event_id, item, session, value = map(json.loads, columns)
        order = sorted(range(len(item)), key=list(zip(timestamp, event_id, strict=True)).__getitem__)
        return [timestamp[i] for i in order], [item[i] for i in order], [session[i] for i in order], [value[i] for i in order]

    def newest(self, user_id: str, *, before: tuple[int, str] | None = None, most: int = 20) -> list[Event]:
        """A user's events, the newest first: up to ``most`` of those before a place (timestamp and event id)."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT user_id, item_id, timestamp, event_type, value, event_id, session_id, recommendation_id FROM events "
                "WHERE user_id = ?1 AND (?2 IS NULL OR (timestamp, event_id) < (?2, ?3)) "
                "ORDER BY timestamp DESC, event_id DESC LIMIT ?4",
                [user_id, *(before or (None, None)), most],
            )
            return [Event(*row) for row in rows]

    def last_number(self) -> int:
        """The number of the event that arrived last, 0 where there is none."""
        with self.database.reading() as connection:
            return int(connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])

    def extent(self, to: int) -> tuple[int, int, int]:
        """How many events have numbers up to one, the sum of these, and how many users they are of: this changes as soon as any
        of them is deleted or becomes another's.
        """
        with self.database.reading() as connection:
            count, total, users = connection.execute(
                "SELECT count(*), coalesce(sum(seq), 0), count(DISTINCT user_id) FROM events WHERE seq <= ?", [to]
            ).fetchone()
            return int(count), int(total), int(users)

    def is_timed(self) -> bool:
        """Whether events have real times, told from most of them: those of a log without are places, small numbers."""
        with self.database.reading() as connection:
            told = connection.execute("SELECT count(*), total(timestamp >= ?) FROM events", [FIRST_YEAR]).fetchone()
            return bool(2 * told[1] >= told[0])

    def last_times(self, most: int) -> list[int]:
        """The times of the ``most`` events that arrived last."""
        with self.database.reading() as connection:
            return [row[0] for row in connection.execute("SELECT timestamp FROM events ORDER BY seq DESC LIMIT ?", [most])]

    def sample(self, since: int, most: int, recent: int) -> tuple[list[str], list[str], list[int]]:
        """Items, kinds and times of up to ``most`` events, evenly spread over those among the last ``recent`` numbers that are
        above ``since``.
        """
        with self.database.reading() as connection:
            last = self.last_number()
            first = max(since, last - recent)
            numbers = np.unique(np.linspace(first + 1, last, min(most, max(0, last - first))).astype(np.int64))
            columns = connection.execute(
                "SELECT json_group_array(item_id), json_group_array(event_type), json_group_array(timestamp) "
                "FROM json_each(?) j CROSS JOIN events e ON e.seq = j.value",
                [json.dumps(numbers.tolist())],
            ).fetchone()
        item, kind, moment = map(json.loads, columns)
        return item, kind, moment

    def erasures(self, *, before: int | None = None, most: int = 20) -> list[dict[str, Any]]:
        """Receipts of erasures with their ``number``, the newest first: up to ``most`` of those below ``before``."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT number, receipt FROM erasures WHERE ?1 IS NULL OR number < ?1 ORDER BY number DESC LIMIT ?2",
                [before, most],
            )
            return [{"number": number} | json.loads(receipt) for number, receipt in rows]

    def described(self) -> dict[str, int]:
        """How many items have a text, and how many are hidden."""
        with self.database.reading() as connection:
            row = connection.execute("SELECT total(text != ''), total(hidden) FROM items WHERE NOT deleted").fetchone()
            return {"with_text": int(row[0]), "hidden": int(row[1])}

    def items_of(self, items: Sequence[str]) -> list[Item]:
        """Some items, deleted ones too; those the store knows."""
        with self.database.reading() as connection:
            named = f"{ITEM} WHERE item_id IN (SELECT value FROM json_each(?))"  # noqa: S608 - from here
            rows = connection.execute(named, [json.dumps(items)])
            return [item_of(row) for row in rows]

    def texts(self, items: Sequence[str]) -> dict[str, str]:
        """The text of some items, of those that have one."""
        with self.database.reading() as connection:
            rows = connection.execute(
                "SELECT item_id, text FROM items WHERE text != '' AND item_id IN (SELECT value FROM json_each(?))",
                [json.dumps(items)],
            )
            return dict(rows.fetchall())

    def items_changed(self, number: int) -> tuple[list[Item], int]:
        """All items changed after a number, deleted ones too, and the number up to which that is all."""
        with self.database.reading() as connection:
            rows = connection.execute(f"{ITEM} WHERE changed > ? ORDER BY changed", [number]).fetchall()
            return [item_of(row) for row in rows], int(rows[-1][-1]) if rows else number

    def counts(self) -> dict[str, int]:
        """How many events, users, items and states there are."""
        with self.database.reading() as connection:
            return {
                table: int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - from here
                for table in ("events", "users", "items", "states")
            }


_COLUMNS = ", ".join(Event._fields)


def _clock(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT value FROM meta WHERE key = 'clock'").fetchone()[0])


def _append(
    connection: sqlite3.Connection, requests: Sequence[Sequence[Event]], clock: int
) -> tuple[list[Appended], dict[str, list[Happened]]]:
    """Store events; what became of each request's, and the new ones by user."""
    events = [event for request in requests for event in request]
    if not events:
        return [Appended(0, 0)] * len(requests), {}
    before = connection.total_changes
    rows = json.dumps(events)
    connection.execute(
        f"INSERT INTO events ({_COLUMNS}, seq) SELECT {_VALUES}, ?2 + key FROM json_each(?1) WHERE true "  # noqa: S608 - from here
        "ON CONFLICT (user_id, event_id) DO NOTHING",
        [rows, clock + 1],
    )
    new = connection.total_changes - before
    if new:
        take(connection, len(events))
        connection.execute(
            "INSERT INTO users (user_id, reset) SELECT value ->> 0, ?2 FROM json_each(?1) WHERE true ON CONFLICT DO NOTHING",
            [rows, clock + 1],
        )
    numbers: Collection[int] = range(clock + 1, clock + 1 + len(events))
    if new < len(events):  # which were there is only looked up where some were
        found = connection.execute("SELECT json_group_array(seq) FROM events WHERE seq > ?", [clock]).fetchone()[0]
        numbers = set(json.loads(found))
    taken: list[Appended] = []
    by_user: dict[str, list[Happened]] = {}
    number = clock
    for request in requests:
        fresh = []
        for event in request:
            number += 1
            if number in numbers:
                fresh.append(event)
                happened = Happened(event.timestamp, event.event_id, event.item_id, event.event_type, number)
                by_user.setdefault(event.user_id, []).append(happened)
        taken.append(Appended(len(fresh), len(request) - len(fresh), tuple(fresh)))
    return taken, by_user


_VALUES = ", ".join(f"value ->> {field}" for field in range(8))


def _erase(connection: sqlite3.Connection, user_id: str) -> None:
    for table in ("events", "states", "users"):
        connection.execute(f"DELETE FROM {table} WHERE user_id = ?", [user_id])  # noqa: S608 - from here
    take(connection)


def _reset(connection: sqlite3.Connection, user_id: str) -> None:
    """Mark a history that was changed other than by new events."""
    connection.execute("UPDATE users SET reset = ?2 WHERE user_id = ?1", [user_id, take(connection)])


def _histories(connection: sqlite3.Connection, cursors: Sequence[Cursor]) -> list[list[Happened]]:
    return _read(connection, "(e.timestamp, e.event_id) > (j.value ->> 1, j.value ->> 2)", cursors)


def _read(connection: sqlite3.Connection, where: str, asked: Sequence[tuple[Any, ...]]) -> list[list[Happened]]:
    """Of each user asked for (first in ``j.value``) the events ``e`` of which something holds, in order."""
    (found,) = connection.execute(
        "SELECT json_group_array(json_array(j.key, timestamp, event_id, item_id, event_type, seq)) "  # noqa: S608 - from here
        f"FROM json_each(?) j CROSS JOIN events e ON e.user_id = j.value ->> 0 AND {where}",
        [json.dumps(asked)],
    ).fetchone()
    return _in_rows(found, len(asked))


def _in_rows(found: str, rows: int) -> list[list[Happened]]:
    """Events as SQLite gave them, each with its row, as histories."""
    histories: list[list[Happened]] = [[] for _ in range(rows)]
    for place, *event in json.loads(found):
        histories[place].append(Happened._make(event))
    for history in histories:
        history.sort(key=_place)  # by code points where times are equal, as everywhere
    return histories


_place = attrgetter("timestamp", "event_id")


def _number(arrived: tuple[str, Happened]) -> int:
    return arrived[1].seq


def _rows(log: Interactions, rows: slice, number: int) -> Iterator[tuple[Any, ...]]:
    """A dataset's events as rows of the table."""
    columns: Iterable[tuple[int, ...]] = zip(
        *(c[rows].tolist() for c in (log.user, log.timestamp, log.event_id, log.item, log.event_type, log.value, log.session)),
        strict=True,
    )
    for place, (user, moment, event_id, item, kind, value, session) in enumerate(columns):
        kept = None if value != value else value
        yield log.users[user], log.items[item], moment, log.event_types[kind], kept, event_id, str(session), number + place
