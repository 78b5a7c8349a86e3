"""The SQLite file below the ledger: opened, checked, written by one thread in group commits, read by any.

WAL mode, so readers and the writer don't wait for each other, and ``synchronous = FULL``, so that a commit is on disk and not
on its way there. SQLite's errors become sentences.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from penchant.live.worker import Worker
from penchant.types import PenchantError

SCHEMA = 2
APPLICATION = 0x50656E63
"""Marks the file as ours ("Penc")."""
WAIT = 10.0
"""Seconds that one process waits for another that writes."""
REQUESTS_AT_ONCE = 256
CACHE_KB, READING_CACHE_KB = 32 << 10, 4 << 10
"""Of the writing connection, and of each thread's that reads: SQLite empties theirs whenever something was written."""
PAGE = 4096
LONG_WAL, LONGEST_WAL = 4_000, 32_000
"""Pages in the write-ahead log after which they are brought into the file: beside writing, whenever so many have come, and by
the writer itself. A page that is written often is brought over once; doing it for every thousand pages, SQLite's default, took
half of all time."""
TABLES = """
-- A person's events lie together, so storing one changes one page of them, and a history is read from few.
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('clock', 0), ('store', lower(hex(randomblob(8))));
CREATE TABLE events (
    user_id TEXT NOT NULL, event_id TEXT NOT NULL, timestamp INTEGER NOT NULL, item_id TEXT NOT NULL, event_type TEXT NOT NULL,
    seq INTEGER NOT NULL, value REAL, session_id TEXT, recommendation_id TEXT, PRIMARY KEY (user_id, event_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX arrival ON events (seq);
CREATE TABLE users (
    user_id TEXT PRIMARY KEY, reset INTEGER NOT NULL, labels TEXT NOT NULL DEFAULT '[]', comment TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE states (user_id TEXT PRIMARY KEY, state_id TEXT NOT NULL, as_of INTEGER NOT NULL, state BLOB NOT NULL);
CREATE TABLE items (
    item_id TEXT PRIMARY KEY, changed INTEGER NOT NULL, hidden INTEGER NOT NULL, deleted INTEGER NOT NULL,
    categories TEXT NOT NULL, labels TEXT NOT NULL, text TEXT NOT NULL, timestamp INTEGER
) WITHOUT ROWID;
CREATE INDEX items_changed ON items (changed);
"""
ERASURES = "CREATE TABLE IF NOT EXISTS erasures (number INTEGER PRIMARY KEY AUTOINCREMENT, receipt TEXT NOT NULL)"
"""Joins stores that were made before there were receipts too."""

Together = Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]]


class _Reader:
    """A thread's connection, which is closed when the thread ends."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


class StoreError(PenchantError):
    """The store can't be read or written now: the disk is full, the file damaged, another process holds it."""


class Database:
    """One file of this schema. ``together`` is what the writing thread makes of all jobs that wait, within one transaction;
    ``committed`` is called when that is on disk, before anybody is answered.
    """

    def __init__(self, path: Path, together: Together, committed: Callable[[], None], *, create: bool) -> None:
        self.path = path
        if not create and not path.exists():
            raise PenchantError(f"{path}: there is no such store; penchant serve makes one")
        self._together, self._committed = together, committed
        self._local = threading.local()
        self._readers: weakref.WeakSet[_Reader] = weakref.WeakSet()
        self._brought = 0
        with self._naming_faults():
            self._writing = self._connect(CACHE_KB)
            try:
                self._open_schema()
            except BaseException:
                self._writing.close()
                raise
        self._worker: Worker[Any, Any] = Worker("ledger", self._commit, at_once=REQUESTS_AT_ONCE)

    def _connect(self, cache_kb: int) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=WAIT, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA cache_size = -{cache_kb}")
            connection.execute(f"PRAGMA wal_autocheckpoint = {LONGEST_WAL}")
            connection.execute(f"PRAGMA journal_size_limit = {LONG_WAL * PAGE}")  # so that its size tells how much is in it
            connection.execute("PRAGMA secure_delete = ON")  # what is erased is overwritten
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_schema(self) -> None:
        connection = self._writing
        application, version = (connection.execute(f"PRAGMA {p}").fetchone()[0] for p in ("application_id", "user_version"))
        if self._tables() and application != APPLICATION:
            raise PenchantError(f"{self.path}: is a database, but not a store of Penchant; name another file")
        if version > SCHEMA:
            raise PenchantError(f"{self.path}: has schema {version}, this Penchant reads {SCHEMA}; update Penchant")
        if self._tables() and version < SCHEMA:
            raise PenchantError(
                f"{self.path}: was made by an older Penchant (schema {version}, now {SCHEMA}); make a new store"
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN IMMEDIATE")  # tells at once whether the file can be written
        if not self._tables():  # another process may have made them meanwhile
            for statement in TABLES.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
        connection.execute(ERASURES)
        connection.execute("UPDATE meta SET value = value WHERE key = 'clock'")
        connection.execute("COMMIT")

    def _tables(self) -> int:
        return int(self._writing.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])

    @contextmanager
    def _naming_faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {_said(error)}") from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection of this thread on which all reads see one moment."""
        with self._naming_faults():
            reader: _Reader | None = getattr(self._local, "reader", None)
            if reader is None:
                reader = self._local.reader = _Reader(self._connect(READING_CACHE_KB))
                reader.connection.execute("PRAGMA query_only = ON")
                self._readers.add(reader)
            connection = reader.connection
            if connection.in_transaction:  # within an outer ``reading``
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("ROLLBACK")

    def write(self, job: Any) -> Future[Any]:
        """What comes of a job, once it is on disk."""
        return self._worker.submit(job)

    def _commit(self, jobs: Sequence[Any]) -> Sequence[Any]:
        """All jobs in one transaction, or none of them."""
        with self._naming_faults():
            self._writing.execute("BEGIN IMMEDIATE")
            try:
                answers = self._together(self._writing, jobs)
                self._writing.execute("COMMIT")
            except BaseException:
                if self._writing.in_transaction:
                    self._writing.execute("ROLLBACK")
                raise
        self._committed()
        return answers

    def checkpoint(self) -> None:
        """Bring what is long in the write-ahead log into the file, from another thread than the writing one, which needn't
        wait.
        """
        wal = self.path.with_name(f"{self.path.name}-wal")
        size = wal.stat().st_size if wal.exists() else 0
        self._brought = min(self._brought, size)
        if size - self._brought > LONG_WAL * PAGE:
            self._brought = size
            self._bring("PASSIVE")

    def empty_log(self) -> bool:
        """Bring all of the write-ahead log into the file and empty it, so that what was deleted is in neither; whether it could
        be done: not while somebody reads an older moment.
        """
        return self._bring("TRUNCATE")

    def _bring(self, how: str) -> bool:
        with self._naming_faults():
            connection = sqlite3.connect(self.path, timeout=WAIT, isolation_level=None)
            try:
                return not connection.execute(f"PRAGMA wal_checkpoint({how})").fetchone()[0]
            finally:
                connection.close()

    @property
    def waiting(self) -> int:
        """How many jobs wait to be written."""
        return self._worker.waiting

    def close(self) -> None:
        """Write what waits, then close."""
        self._worker.close()
        with self._naming_faults():
            for connection in (*(reader.connection for reader in self._readers), self._writing):
                connection.close()

    def faults(self) -> list[str]:
        """What is wrong with the file itself, by SQLite's own check; nothing if it is sound."""
        try:
            with self.reading() as connection:
                found = "\n".join(str(row[0]) for row in connection.execute("PRAGMA integrity_check(10)"))
        except StoreError as error:
            return [str(error)]
        return [] if found == "ok" else [line for line in found.splitlines() if not line.startswith("***")]


def take(connection: sqlite3.Connection, numbers: int = 1) -> int:
    """Take some numbers of the store's counter; returns the last of them."""
    (last,) = connection.execute("UPDATE meta SET value = value + ? WHERE key = 'clock' RETURNING value", [numbers]).fetchone()
    return int(last)


_WORDS = {
    "SQLITE_FULL": "the disk is full; make room",
    "SQLITE_READONLY": "can't be written; make the file and its folder writable",
    "SQLITE_CANTOPEN": "can't be opened or made; check that its folder exists and can be written",
    "SQLITE_BUSY": "another process has been writing for too long; try again",
    "SQLITE_NOTADB": "is not a database; name another file",
    "SQLITE_CORRUPT": "the file is damaged; stop, keep a copy, and bring back a backup (penchant verify says what is wrong)",
    "SQLITE_IOERR": "the disk can't be read or written",
}


def _said(error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "") or ""
    return next((words for code, words in _WORDS.items() if name.startswith(code)), f"can't be used: {error}")
