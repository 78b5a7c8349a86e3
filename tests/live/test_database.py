"""The file: made, recognised, refused, shared by processes, and found damaged."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penchant.live.database import SCHEMA, StoreError
from penchant.live.events import Event
from penchant.live.ledger import Ledger
from penchant.types import PenchantError


def test_a_store_is_made_only_where_asked_for(tmp_path: Path) -> None:
    with pytest.raises(PenchantError, match="there is no such store"):
        Ledger(tmp_path / "store.db")
    Ledger(tmp_path / "store.db", create=True).close()
    Ledger(tmp_path / "store.db").close()
    with pytest.raises(StoreError, match="can't be opened or made"):
        Ledger(tmp_path / "nowhere" / "store.db", create=True)


def test_what_is_no_store_or_a_newer_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "words.db").write_text("no database, just many words " * 100)
    with pytest.raises(StoreError, match="is not a database"):
        Ledger(tmp_path / "words.db")
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE films (title TEXT)")
    other.close()
    with pytest.raises(PenchantError, match="not a store of Penchant"):
        Ledger(tmp_path / "other.db")
    Ledger(tmp_path / "new.db", create=True).close()
    with sqlite3.connect(tmp_path / "new.db") as newer:
        newer.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    newer.close()
    with pytest.raises(PenchantError, match="update Penchant"):
        Ledger(tmp_path / "new.db")


def test_a_commit_survives_without_closing(tmp_path: Path, did: Callable[..., Event]) -> None:
    first = Ledger(tmp_path / "store.db", create=True)
    first.append([did("ann", 1)]).result()
    second = Ledger(tmp_path / "store.db")
    assert second.counts()["events"] == 1
    second.append([did("ann", 2)]).result()
    assert first.counts()["events"] == 2
    first.close()
    second.close()


def test_a_failing_change_leaves_nothing_of_its_transaction(ledger: Ledger, did: Callable[..., Event]) -> None:
    def half(connection: sqlite3.Connection) -> Any:
        connection.execute("INSERT INTO meta VALUES ('half', 1)")
        connection.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(StoreError):
        ledger.change(half).result()
    assert "half" not in ledger.meta()
    assert ledger.append([did("ann", 1)]).result().accepted == 1


def test_damage_is_found(tmp_path: Path, did: Callable[..., Event]) -> None:
    path = tmp_path / "store.db"
    ledger = Ledger(path, create=True)
    ledger.append([did(f"user {number}", number) for number in range(2000)]).result()
    assert ledger.database.faults() == []
    ledger.close()
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\x55" * 4096
    path.write_bytes(content)
    damaged = Ledger(path)
    assert damaged.database.faults()
    assert all("\n" not in fault for fault in damaged.database.faults())
    damaged.close()


def test_a_store_that_can_not_be_written_is_refused(ledger: Ledger) -> None:
    """Root may write anything, so the connection is made unable to instead of the file."""
    with pytest.raises(StoreError, match="can't be written"), ledger.database.reading() as connection:
        connection.execute("DELETE FROM events")


def test_a_thread_that_ends_leaves_no_connection(ledger: Ledger) -> None:
    def read() -> None:
        ledger.counts()

    ledger.counts()
    for _ in range(20):
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    assert len(ledger.database._readers) == 1
    open_files = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.exists()]
    assert open_files.count(ledger.database.path) <= 3
