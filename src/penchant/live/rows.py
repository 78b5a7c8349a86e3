"""Items and users as rows of the store's tables: read, put, and found by words."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from penchant.live.database import take
from penchant.live.records import Item, User

ITEM = "SELECT item_id, hidden, categories, labels, text, timestamp, deleted, changed FROM items"
USER = "SELECT user_id, labels, comment FROM users"


def item_of(row: Sequence[Any]) -> Item:
    """The item that a row of ``ITEM`` holds."""
    return Item(row[0], bool(row[1]), tuple(json.loads(row[2])), json.loads(row[3]), row[4], row[5], bool(row[6]))


def user_of(row: Sequence[Any]) -> User:
    """The user that a row of ``USER`` holds."""
    return User(row[0], json.loads(row[1]), row[2])


def put_items(connection: sqlite3.Connection, items: Sequence[Item]) -> int:
    """Add items or replace them, within a transaction; returns how many."""
    number = take(connection)
    connection.executemany(
        "INSERT OR REPLACE INTO items (item_id, hidden, categories, labels, text, timestamp, deleted, changed) "
        "VALUES (:item_id, :hidden, :categories, :labels, :text, :timestamp, :deleted, :changed)",
        [
            asdict(item) | {"categories": json.dumps(item.categories), "labels": json.dumps(item.labels), "changed": number}
            for item in items
        ],
    )
    return len(items)


def put_users(connection: sqlite3.Connection, users: Sequence[User]) -> int:
    """Add users, or replace what is known of them beside events, within a transaction; returns how many."""
    number = take(connection)
    connection.executemany(
        "INSERT INTO users VALUES (?, ?, ?, ?) "
        "ON CONFLICT (user_id) DO UPDATE SET labels = excluded.labels, comment = excluded.comment",
        [(u.user_id, number, json.dumps(u.labels), u.comment) for u in users],
    )
    return len(users)


def holding(words: str) -> str:
    """A pattern for SQLite's ``GLOB``: all that holds some words, in capitals or not.

    SQLite's own ``lower`` knows the letters of ASCII only, and a function of Python's would be called for every row, each time
    waiting for Python's lock.
    """
    return f"*{''.join(map(_either, words))}*"


def _either(letter: str) -> str:
    cases = {case for case in (letter, letter.lower(), letter.upper()) if len(case) == 1}
    return f"[{''.join(sorted(cases))}]" if len(cases) > 1 or letter in "*?[" else letter
